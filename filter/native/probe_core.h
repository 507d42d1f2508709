/* Probes, the thinking part: which is due, what a frame that came back is, and what it says of a box. No DPDK: frames
 * are bytes, time is a value.
 *
 * A track is one probe into one side of one box. All tracks belong to worker 0; other workers recognise frames, which needs
 * nothing but the key, and tell.
 */
#ifndef RM_PROBE_CORE_H
#define RM_PROBE_CORE_H
#include <stdbool.h>
#include "reflex.h"

#define RM_TRACKS (RM_PROBES * RM_BOXES * RM_SIDES)
#define RM_TCP_NUMBERS 0x7ffu  /* of a SYN: more bits are not to be had */
#define RM_OUTSTANDING 64u    /* probes of a track that are looked back at */
#define RM_PROBE_TOKEN 16u    /* bytes in a payload */

/* Random numbers of this plane: nobody outside can make a token. */
struct probe_key { uint64_t k0, k1; };
/* Which probe of which track. */
struct probe_id { uint32_t track, number; };
static inline uint32_t probe_track(uint32_t probe, uint32_t box, uint32_t side) {
  return (probe * RM_BOXES + box) * RM_SIDES + side;
}
static inline uint32_t track_probe(uint32_t track) { return track / (RM_BOXES * RM_SIDES); }
static inline uint32_t track_box(uint32_t track) { return track / RM_SIDES % RM_BOXES; }
static inline uint32_t track_side(uint32_t track) { return track % RM_SIDES; }

/* What a recognised frame is. */
enum probe_is {
  PROBE_IS_OTHER,
  PROBE_IS_SENT,    /* as it was put in */
  PROBE_IS_ANSWER,  /* of the host beyond */
  PROBE_IS_RESET    /* what closes again what a probe has opened */
};
struct probe_found { enum probe_is is; struct probe_id id; };

/* Raw probes are known by their content: of `tracks` of them there is one for each place it is put in. */
struct probe_raw { uint32_t probe, side, bytes; const uint8_t *mark; };

/* Put the token of `id` into a copy of its frame, and make the checksum right. */
void probe_stamp(const struct probe_key *k, const struct rm_probe *probe, const struct rm_probe_frame *from, struct probe_id id,
                 uint8_t *frame);
/* Is this frame a probe of ours, or the answer to one? TCP numbers have eleven bits only: probes_seen() fills up. */
struct probe_found probe_recognise(const struct probe_key *k, const uint8_t *frame, uint32_t bytes);
/* Does the frame carry the mark of this raw probe? */
bool probe_is_raw(const struct rm_probe_frame *raw, const uint8_t *frame, uint32_t bytes);
/* Turn the answer to a TCP probe into the reset that makes both ends forget it, in place. False: it cannot be. */
bool probe_reset_of(uint8_t *frame, uint32_t bytes);

struct track {
  uint64_t next_ns;          /* when the next is due */
  uint64_t deadline_ns[RM_OUTSTANDING];
  uint64_t sent_ns[RM_OUTSTANDING]; /* 0: it could not be sent */
  uint64_t came_ns[RM_OUTSTANDING]; /* in time; 0: it did not */
  uint64_t open;             /* bit by number % RM_OUTSTANDING: sent, not seen, not judged */
  uint64_t lost_bits;        /* the last 64 judged, the latest lowest; set: it failed */
  uint64_t bad_sent_ns;      /* when the first bad one since the last good one was sent, and the last bad one */
  uint64_t lost_sent_ns;
  uint64_t excused_ns;       /* of the time since the last good one */
  uint32_t number;           /* of the last one sent; from 1 */
  uint32_t oldest;           /* first that is not judged */
  uint32_t bad_row, good_row;
  bool in_use, proven;       /* proven: it was good once, so that its loss means something */
};

struct probes {
  struct rm_probe probe[RM_PROBES];
  uint32_t count;
  uint64_t now_ns;           /* of the judgement */
  bool changed;              /* something was seen or lost since probes_box() was asked */
  struct track track[RM_TRACKS];
  struct rm_probe_view *view; /* RM_TRACKS of them */
};

/* Go by these from now on. Tracks whose probe is as it was go on. */
void probes_set(struct probes *s, const struct rm_probe *probe, uint32_t count, uint64_t now);
/* The next one that is due, noted as sent now; false: none is. Ask again until then. */
bool probes_due(struct probes *s, uint64_t now, struct probe_id *id);
/* It could not be sent after all. */
void probes_unsent(struct probes *s, struct probe_id id, enum rm_probe_reason reason);
/* The box lost a link: what is under way and was lost meanwhile is no evidence about the box that returns. */
void probes_forget(struct probes *s, uint32_t track);
/* It came where it should (or, of a blocked one, should not) at `ns`. Returns when it was sent, if it came in time, else 0. */
uint64_t probes_seen(struct probes *s, struct probe_id id, uint64_t ns);
/* One of this track came, which is not known. */
uint64_t probes_seen_raw(struct probes *s, uint32_t track, uint64_t ns);
/* The node stood still for so long: what is under way has that much more time, within bounds. */
void probes_excuse(struct probes *s, uint64_t lost_ns);
/* Count as lost what should have come. `seen_ns`: by side, up to when everything that came out there was looked at. */
void probes_judge(struct probes *s, const uint64_t seen_ns[RM_SIDES]);
/* What all tracks together say of a box. */
struct said probes_box(const struct probes *s, uint32_t box);
/* When there is something to do next. */
uint64_t probes_wake_ns(const struct probes *s);

/* Place of a delay in a histogram, and a delay in the middle of a place. */
uint32_t rm_delay_place(uint64_t ns);
uint64_t rm_delay_of(uint32_t place);
#endif

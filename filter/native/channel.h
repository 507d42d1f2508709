/* A channel's core: units that have to come out at the far end once and in order, though the network loses, repeats and
 * reorders datagrams. No socket, no clock, no DPDK: now and values go in, decisions come out.
 *
 *   sender    ring of the last units   [oldest ... next)       the oldest go when there is no room; nothing ever waits
 *   receiver  window of `units` places [next ... known ... )   filled, missing (asked for again) or given up
 *
 * The receiver does the asking: it knows what it misses as soon as something newer is heard of. The sender has no timer and
 * no list of what is not acknowledged, so a slow or dead far end costs it nothing. What waits longer than wait_ns, and what
 * the sender no longer has, is given up and counted: a copy that comes too late is worth less than those behind it.
 */
#ifndef RM_CHANNEL_H
#define RM_CHANNEL_H
#include <stdbool.h>
#include <stdint.h>

#define CHANNEL_NEVER UINT64_MAX
#define CHANNEL_TOKENS_MAX 1024 /* resends at once: a burst of them must not be the next loss */

/* Ends of a frame that was cut because it did not fit into one datagram. */
enum { CHANNEL_FIRST = 1, CHANNEL_LAST = 2 };

struct channel_unit { uint64_t at, again_ns; uint32_t after; uint16_t bytes; uint8_t flags; }; /* after: the caller's */

struct channel_out {
  uint64_t next, oldest;    /* sequence of the next unit; of the oldest that is kept */
  uint64_t head;            /* byte behind the newest unit; byte b is memory[b % bytes] */
  struct channel_unit *unit; /* [units] */
  uint8_t *memory;
  uint32_t units, bytes;    /* units: power of two */
  uint64_t tokens, tokens_ns; /* halves of resends that may be made */
  uint64_t again, gone, shed; /* units sent again; asked for and not kept any more; not sent again lest they crowd out others */
};

/* `unit` and `memory` are the caller's, zeroed. */
void channel_out_open(struct channel_out *o, struct channel_unit *unit, uint32_t units, uint8_t *memory, uint32_t bytes);
/* Forget everything: another session. */
void channel_out_reset(struct channel_out *o);
/* Keep a unit of up to `bytes` of the ring; its sequence is `next` of before. */
struct channel_unit *channel_put(struct channel_out *o, const uint8_t *body, uint16_t bytes, uint8_t flags);
/* Units from `from` on were not sent after all. */
void channel_take_back(struct channel_out *o, uint64_t from);
/* A unit to be sent again, and its bytes; null: it is gone, was sent again less than gap_ns ago, or too much is. */
const struct channel_unit *channel_again(struct channel_out *o, uint64_t sequence, uint64_t gap_ns, uint64_t now);
static inline const uint8_t *channel_bytes(const struct channel_out *o, const struct channel_unit *u) {
  return o->memory + u->at % o->bytes;
}

enum channel_state { CHANNEL_MISSING, CHANNEL_FILLED, CHANNEL_GIVEN_UP };
struct channel_place { void *frame; uint64_t since_ns, asked_ns, after; uint8_t state, flags, asked; };

struct channel_in {
  uint64_t next, known;     /* sequence to come out next; one beyond the last that is known to exist */
  struct channel_place *place; /* [units] */
  uint32_t units, missing;  /* units: power of two */
  uint64_t passed;          /* of another channel: everything before it came out there; CHANNEL_NEVER: it does not matter */
  uint64_t due_ns;          /* when channel_ask() has something to do */
  uint64_t reorder_ns;      /* a unit may be so late before it is asked for */
  uint64_t wait_ns;         /* given up after so long; 0: at once, and nothing is asked for */
  bool broken;              /* units were given up before the one that came out last */
  uint64_t asked, recovered, lost, repeated, beyond; /* units: asked for at least once, that then came, given up, that were
                                                        there already or came too late, not taken for lack of room */
};

enum channel_taken { CHANNEL_TAKEN, CHANNEL_REPEATED, CHANNEL_BEYOND };
struct channel_range { uint64_t first; uint32_t count; };
/* What arrived. `after`: it has to come out behind everything before that sequence of the other channel. */
struct channel_arrival { uint64_t sequence, after; void *frame; uint8_t flags; };

void channel_in_open(struct channel_in *i, struct channel_place *place, uint32_t units);
/* After everything was taken out. */
void channel_in_reset(struct channel_in *i);
/* A unit arrived; the window owns `frame` only if it says CHANNEL_TAKEN. CHANNEL_BEYOND: what is too old was given up, so that
 * there is room after channel_pull() was called until it says null. */
enum channel_taken channel_take(struct channel_in *i, const struct channel_arrival *a, uint64_t now);
/* The sender says that it sent everything before `next`, and keeps nothing before `oldest`. */
void channel_hear(struct channel_in *i, uint64_t next, uint64_t oldest, uint64_t now);
/* The next frame in order, with its flags and whether something before it is lost; null: there is none yet. */
void *channel_pull(struct channel_in *i, uint8_t *flags, bool *broken);
/* The next one is there and waits for the other channel. */
bool channel_waits(const struct channel_in *i);
/* Give up what has waited too long; what is to be asked for now, up to n ranges. again_ns: an answer may take so long. */
uint32_t channel_ask(struct channel_in *i, uint64_t again_ns, struct channel_range *to, uint32_t n, uint64_t now);
/* The frames that wait, in any order, until it says null. */
void *channel_drain(struct channel_in *i);

/* The sequence near `near` of which these are the low 32 bits. */
static inline uint64_t channel_widen(uint64_t near, uint32_t low) { return near + (uint64_t)(int64_t)(int32_t)(low - (uint32_t)near); }
#endif

/* What a channel's datagrams look like: VXLAN-GPE in front, so that switches and Wireshark show the frame inside, and what is
 * the channel's own behind, where they take it for padding.
 *
 *  0        8                              n            n + 24          n + 40
 *  | header | a frame, or a part, or words | trailer    | tag           |
 *
 *  header   flags 8 (0x0c; 0x0d: words), reserved 16, next protocol 8 (3: Ethernet; 0: a part, words, or encrypted), VNI 24,
 *           reserved 8                                       (draft-ietf-nvo3-vxlan-gpe, figure 2)
 *  trailer  number 64, sequence 32, oldest 32, kind 8, flags 8, reserved 16, after 32; network byte order
 *  tag      over everything before it (channel_seal.h)
 *
 * `number` counts datagrams of a direction and session and is never used twice: it is the nonce, and what is replayed is known
 * by it. `sequence` is of the unit, the same when it is sent again; of words it is that of the next unit to come. `after` is the
 * sequence of the next unit of the box's other channel when this one was sent: what was sent first goes into the box first.
 */
#ifndef RM_CHANNEL_WIRE_H
#define RM_CHANNEL_WIRE_H
#include <stddef.h>
#include "channel.h"

#define CHANNEL_HEADER 8u
#define CHANNEL_TRAILER 24u
#define CHANNEL_TAG 16u
#define CHANNEL_OVERHEAD (CHANNEL_HEADER + CHANNEL_TRAILER + CHANNEL_TAG)
#define CHANNEL_NONCE 16u
#define CHANNEL_RANGES 64u     /* of one question */
#define CHANNEL_RANGE_BYTES 6u
#define CHANNEL_HELLO_BYTES (2 * CHANNEL_NONCE)
#define CHANNEL_STATE_BYTES 48u
#define CHANNEL_WORDS_MAX (CHANNEL_RANGES * CHANNEL_RANGE_BYTES)

enum channel_kind {
  CHANNEL_FRAME, /* one unit */
  CHANNEL_HELLO, /* begins a session (channel_session.h) */
  CHANNEL_STATE, /* how this end is; now and then */
  CHANNEL_ASK,   /* units to be sent again */
  CHANNEL_BYE,   /* this end goes away in order */
  CHANNEL_KINDS
};
/* Flags of the trailer beside CHANNEL_FIRST and CHANNEL_LAST. */
enum { CHANNEL_LISTENS = 4, CHANNEL_ENCRYPTED = 8 };

struct channel_head {
  uint64_t number;
  uint32_t vni, sequence, oldest, after;
  uint8_t kind, flags;
};
/* How an end is. Times are of the clock of who sent them. */
struct channel_words {
  uint64_t sent_ns;          /* now */
  uint64_t echo_ns, held_ns; /* sent_ns of the last one heard; how long ago that was */
  uint64_t lost;             /* units that this end gave up */
  uint32_t mtu;              /* of its local port */
  uint8_t link, down;        /* its local port has a carrier; the other end is to take its own down */
};

/* Header and trailer around `bytes` of body that begin at datagram + CHANNEL_HEADER; the tag is not written. Returns all bytes. */
uint32_t channel_write(uint8_t *datagram, uint32_t bytes, const struct channel_head *head);
/* Reads both; -1: it is no datagram of a channel. Returns the bytes of the body. */
int channel_read(const uint8_t *datagram, size_t bytes, struct channel_head *head);

void channel_write_state(uint8_t body[CHANNEL_STATE_BYTES], const struct channel_words *words);
bool channel_read_state(const uint8_t *body, uint32_t bytes, struct channel_words *words);
uint32_t channel_write_ask(uint8_t body[CHANNEL_WORDS_MAX], const struct channel_range *range, uint32_t n);
/* `near`: the sequence that the 32 bits of each belong to. Returns how many; -1: it is none. */
int channel_read_ask(const uint8_t *body, uint32_t bytes, uint64_t near, struct channel_range to[CHANNEL_RANGES]);
#endif

/* Messages from one worker to another: a bounded ring with one writer and one reader, no locks and no waiting.
 *
 * Each pair of workers has two, one each way. A ring that is full refuses, and who could not tell counts it. No DPDK
 * and no clock in here, so that it can be tested alone and under ThreadSanitizer.
 */
#ifndef RM_CROSSING_H
#define RM_CROSSING_H
#include <stdbool.h>
#include <stdint.h>

#define RM_CROSSING 4096u /* messages; the reader looks each turn, so this is the news of tens of turns */

enum message_kind {
  MESSAGE_OFFER,     /* a SYN came from outside: {slot, seq, window, scale, ns}; peer: the same of its ends, 0: nothing */
  MESSAGE_MATCH,     /* ... and left the box: your `slot`, offered at `ns`, and my `peer` are one connection; how: if it has no other half */
  MESSAGE_INFER,     /* a frame of your flow `slot` went in: {seq, peer, ns} are what it will be known by, and when */
  MESSAGE_CLOSED,    /* my `peer` was closed, so your `slot` passes no more */
  MESSAGE_NEIGHBOUR, /* {ip, mac, how} */
  MESSAGE_LINK,      /* the kernel takes nothing for port `slot` */
  MESSAGE_FRAME,     /* send `pointer`, a frame, out of port `slot` */
  MESSAGE_SEED,      /* play `pointer`, a frame of a seed, out of port `slot`, and tell: {window, how} name the seed */
  MESSAGE_SEED_PLAYED, /* it is on its way: {window, how} as above */
  MESSAGE_SEED_HEARD,  /* the first frame of seed `slot` came out; how: enum seed_heard */
  MESSAGE_BFD,       /* `pointer`, a frame that port `slot` received, is for a BFD session */
  MESSAGE_PROBE      /* a probe of track `slot` was seen: {seq, ns, how} */
};

struct message {
  uint8_t kind, how;
  uint16_t window;
  uint32_t slot;
  union {
    struct { uint64_t ns; uint32_t seq, peer; uint8_t scale; };
    struct { uint8_t ip[16], mac[6]; };
    void *pointer;
  };
};
_Static_assert(sizeof(struct message) == 32, "two to a cache line");

/* Ends on lines of their own: each side keeps what it last knew of the other, and asks again only when that is used up. */
struct crossing {
  struct { uint32_t at, other; } writer __attribute__((aligned(64))), reader __attribute__((aligned(64)));
  struct message message[RM_CROSSING] __attribute__((aligned(64)));
};

/* False: full. What was written before is seen by who takes the message. */
bool crossing_put(struct crossing *c, const struct message *message);
/* False: empty. */
bool crossing_take(struct crossing *c, struct message *message);
/* For the reader: is there something? */
static inline bool crossing_waits(const struct crossing *c) {
  return __atomic_load_n(&c->writer.at, __ATOMIC_ACQUIRE) != c->reader.at;
}
#endif

/* Steering, without frames: which rule holds a flow, and how a move goes on. No DPDK; held against a model by seed.
 *
 *   noting -> holding -> routed      frames noted, held back, released to the destination
 *                |  \
 *                |   broken          too many or too long: all of it goes to the source, and may be held again
 *            cancelled               from any: released to the source
 */
#ifndef RM_STEER_CORE_H
#define RM_STEER_CORE_H
#include <stdbool.h>
#include "abi.h"

#define RM_STEER_NOBODY 0xffu /* no rule holds the flow, or no move */
#define RM_STEER_ORPHAN 0x80u /* and the rule's place, instead of a box: that rule led to a box that died */
_Static_assert(RM_STEER_RULES <= 64 && RM_BOXES <= RM_STEER_ORPHAN && RM_STEER_ORPHAN + RM_STEER_RULES <= RM_STEER_NOBODY,
               "one byte tells a box, or a rule, or neither");

/* A flow as it is told apart: the end that opened it is 0. */
struct steer_key {
  uint8_t addr[2][16];
  uint16_t port[2];
  uint8_t protocol;
  bool either;  /* who opened it is not known: a rule holds it both ways */
  bool bare;    /* its ports are not known: a part of a packet */
};

struct steer_choice { uint8_t box, move; }; /* by the rules alone; RM_STEER_NOBODY */

bool steer_holds(const struct rm_steer_fields *fields, const struct steer_key *key);
/* `table`: what of the board was taken over. */
struct steer_choice steer_choose(const struct rm_steering *table, const struct steer_key *key);

/* Frames that are kept, with their side, in order. */
struct steer_kept { void *frame; uint32_t side; uint32_t pad; };
struct steer_ring { struct steer_kept *at; uint32_t first, count; };
static inline struct steer_kept *ring_at(const struct steer_ring *r, uint32_t i) { return &r->at[(r->first + i) % RM_STEER_FRAMES]; }
static inline void ring_put(struct steer_ring *r, void *frame, uint32_t side) {
  *ring_at(r, r->count++) = (struct steer_kept){frame, side, 0};
}
static inline struct steer_kept ring_take(struct steer_ring *r) {
  struct steer_kept oldest = *ring_at(r, 0);
  r->first++, r->count--;
  return oldest;
}

struct steer_move {
  struct rm_steer_move order;
  enum rm_steer_state state;
  uint32_t hold_done, again_done, again_played;
  uint64_t held_ns, routed_ns, again_ns;
  uint64_t in, out, moved_ns;   /* frames into the source and out of it since the notes began; when they began, or the last of them was */
  uint64_t played, answered, answered_ns; /* frames played into the destination and out of it before the route */
  uint64_t held_all;
  uint32_t ahead;               /* held frames that went into the destination since the route */
  bool answers;                 /* one came out of it since */
  struct steer_ring held, noted;
};

/* Where a frame of the flows goes that comes from outside. */
enum steer_way { STEER_SOURCE, STEER_DESTINATION, STEER_BACK };

/* Control wants this; a move of another number begins anew, after its frames were taken away. */
void steer_order(struct steer_move *m, const struct rm_steer_move *order, uint64_t now);
/* `full`: there is no room for one more. May break the hold. Back: it waits behind those that are held. */
enum steer_way steer_in(struct steer_move *m, bool full, uint64_t now);
/* Look at the clock: break a hold, or change the route. */
void steer_look(struct steer_move *m, uint64_t now);
/* Where held frames go now; back: they wait. */
enum steer_way steer_release(const struct steer_move *m);
/* Held frames that may go now, of `most`: the first into a destination go ahead alone, for a box that has to ask for a neighbour
 * keeps few that wait for the answer. */
uint32_t steer_may_go(const struct steer_move *m, uint32_t most, uint64_t now);
/* Nothing more is expected out of the source. */
bool steer_drained(const struct steer_move *m, uint64_t now);
/* What the source still hands over passes. */
bool steer_drains(const struct steer_move *m, uint64_t now, uint64_t drain_ns);
#endif

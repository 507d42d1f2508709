/* Canaries through a box that serves; see canary.c. */
#ifndef RM_CANARY_H
#define RM_CANARY_H
#include "plane.h"

/* Does the node play an end on this side, for a box that serves? */
static inline bool canary_on(const struct plane *p, uint32_t side) {
  return p->now < __atomic_load_n(&p->board->command.canary[side].until_ns, __ATOMIC_ACQUIRE);
}
/* Is this frame of that end? */
bool canary_says(const struct plane *p, uint32_t side, const uint8_t *frame);
/* Frames that came out of a box that serves: those of canaries stay here. Returns how many are left. */
uint16_t canary_take(struct plane *p, uint32_t role, struct rte_mbuf **frames, uint16_t n);
#endif

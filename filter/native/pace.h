/* Pace: how often duties that go round tables have their turn.
 *
 * They do their work of a millisecond in RM_PACE steps, for what they look at is far away in memory and a frame that arrives meanwhile waits.
 * A turn of the plane does few of the steps that are due. Nothing is made up for that is older than a millisecond: who slept
 * had nothing to do. No DPDK and no clock in here.
 */
#ifndef RM_PACE_H
#define RM_PACE_H
#include "filter.h"

#define RM_PACE 16u              /* steps in a millisecond */
#define RM_PACE_NS (1000000ull / RM_PACE)
#define RM_PACE_AT_ONCE 4u       /* steps in a turn at most: with them a turn of a quarter of a millisecond falls behind by nothing */

struct pace { uint64_t ns; uint32_t due; }; /* ns: until then steps were counted */

/* Steps to be done now. What is left of pace->due is for the next turn, which is not to sleep. */
static inline uint32_t pace_take(struct pace *p, uint64_t now) {
  uint64_t passed = (now - p->ns) / RM_PACE_NS;
  p->ns += passed * RM_PACE_NS;
  p->due = passed < RM_PACE - p->due ? p->due + (uint32_t)passed : RM_PACE;
  uint32_t steps = p->due < RM_PACE_AT_ONCE ? p->due : RM_PACE_AT_ONCE;
  p->due -= steps;
  return steps;
}
#endif

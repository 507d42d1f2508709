/* Watching seeds: a frame of a seed may be lost like any other, and then the box believes nothing of what follows.
 *
 * After a switch frames of a connection take the whole way until one has come out on the other side. If one is still to
 * come a while after the first went in, the connection is seeded once more with its next frame, which will be a repetition. A
 * box that drops it for a reason of its own hears of it at most so often, and for as long as is noted what a switch carried.
 */
#include <netinet/in.h>
#include "plane.h"

#define AGAIN_NS (100 * RM_MS) /* ends repeat what is lost after 200 (Linux) or 300 (Windows), and a box is quicker */

void seed_watch(struct plane *p, uint32_t side, struct rm_flow *flow) {
  if (__builtin_expect(!match_carries(p), 1)) return;
  if (flow->proto != IPPROTO_TCP || flow->first_ns >= p->reflex.path_since || flow->peer == RM_NO_FLOW || serving(p) < 0) return;
  if (match_was_carried(p, 1 - side, flow->peer) & RM_CARRIED_OUT) return;
  uint32_t slot = slot_of(p, side, flow);
  uint64_t *since = &p->seeding->watched_ns[(slot * 2 + side) % RM_SEED_WATCHED];
  bool first = !(match_was_carried(p, side, slot) & RM_CARRIED_IN);
  rm_flow_wake(&p->table[side], flow);
  if (!first && p->now - *since < AGAIN_NS) return;
  *since = p->now;
  if (first || flow->seed_switch != p->reflex.switch_number) return;
  if (seed_rearm(p, side, flow)) count(p, RM_COUNT_SEED_REPEATED, 1, 0);
}

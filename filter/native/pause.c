/* The pause before a planned switch: frames from outside wait until the old box has handed over what it holds, then they
 * go into the new one. So no frame of a flow overtakes another, and none is left in the old box.
 *
 * What waits is bounded; when there is no more room the frames go on by the old box, in their order, and this move is
 * as a move by reflex: quick, with the drain behind it.
 */
#include "plane.h"

void pause_keep(struct plane *p, uint32_t side, struct rte_mbuf *const *frames, uint16_t n) {
  struct pause *w = &p->pause[side];
  for (uint16_t i = 0; i < n; i++) w->frame[(w->first + w->count++) % RM_PAUSED] = frames[i];
  count(p, RM_COUNT_PAUSED, n, 0);
  /* There is room for one more burst now, and then no more. */
  if (w->count + RM_BURST > RM_PAUSED) w->over = p->reflex.moving_order;
}

/* The hold ring knows it frame by frame; what the box has rightly dropped is waited for in vain, and then its quiet tells. */
void pause_look(struct plane *p) {
  struct crew *crew = p->crew;
  bool all = p->keeps && replay_is_empty(p);
  __atomic_store_n(&crew->emptied[p->index], all ? p->reflex.moving_order : 0, __ATOMIC_RELEASE);
  if (p->index) return all ? crew_wake(crew, 0) : (void)0;
  for (uint32_t i = 1; i < crew->workers; i++)
    all &= __atomic_load_n(&crew->emptied[i], __ATOMIC_ACQUIRE) == p->reflex.moving_order;
  p->reflex.emptied = all;
  p->reflex.keeps = p->keeps;
}

uint16_t pause_take(struct plane *p, uint32_t side, struct rte_mbuf **frames, uint16_t n) {
  struct pause *w = &p->pause[side];
  uint16_t taken = 0;
  for (; taken < n && w->count; taken++, w->count--) frames[taken] = w->frame[w->first++ % RM_PAUSED];
  return taken;
}

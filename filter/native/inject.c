/* Frames that control makes, for a box that does not serve: how a drill talks to the standby. Into one that serves go those of
 * canaries alone (canary.c).
 *
 * They go by the board, in a ring that control fills and the first worker empties. What comes out of such a box is
 * shadow, so nobody outside hears of it; control sees it by a capture. Anything else for a box that serves, or is being drained, is
 * refused.
 */
#include <string.h>
#include "canary.h"

static bool may_go(const struct plane *p, uint32_t role, const uint8_t *frame) {
  if (role < RM_PRIMARY_IN || role >= p->roles) return false;
  uint32_t box = role_of_box(role);
  if ((int)box == serving(p)) return canary_says(p, role_side(role), frame);
  return p->now >= p->reflex.drain_until || box != p->reflex.previous;
}

static bool put_in(struct plane *p, const struct rm_inject *from) {
  /* Control may write to it while we look: each number is read once. */
  uint32_t role = __atomic_load_n(&from->role, __ATOMIC_RELAXED), bytes = __atomic_load_n(&from->bytes, __ATOMIC_RELAXED);
  if (bytes < RM_INJECT_BYTES_MIN || bytes > RM_INJECT_BYTES) return false;
  struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);
  char *to = m ? rte_pktmbuf_append(m, (uint16_t)bytes) : NULL;
  if (!to) return rte_pktmbuf_free(m), false;
  memcpy(to, from->frame, bytes);
  if (!may_go(p, role, (const uint8_t *)to)) return rte_pktmbuf_free(m), false;
  port_queue(p, role, m, false);
  return true;
}

void inject_frames(struct plane *p) {
  uint32_t last = __atomic_load_n(&p->board->command.inject_sequence, __ATOMIC_ACQUIRE);
  uint32_t done = p->board->live.inject_done;
  if (last == done) return;
  if (last - done > RM_INJECTS) done = last - RM_INJECTS; /* a ring that was filled over: the oldest are gone */
  while (done != last) {
    bool ok = put_in(p, &p->board->inject[++done % RM_INJECTS]);
    count(p, ok ? RM_COUNT_INJECTED : RM_COUNT_INJECT_REFUSED, 1, 0);
  }
  __atomic_store_n(&p->board->live.inject_done, done, __ATOMIC_RELEASE);
}

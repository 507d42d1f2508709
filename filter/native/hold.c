/* Holding: a frame whose connection another worker is making known to the box waits until that is done, or it would
 * reach the box in the middle of the handshake.
 *
 * First come, first gone; a later frame of the same connection waits behind it. That lasts microseconds, and ends after
 * HOLD_NS whatever becomes of the seed: a frame the box may drop is better than one that waits.
 */
#include "fixup.h"
#include "plane.h"

#define HOLD_NS (5 * RM_MS)

static void let_go(struct plane *p) {
  struct held h = p->held[p->held_first];
  p->held_first = (p->held_first + 1) % RM_HELD;
  p->held_count--;
  int box = serving(p);
  if (box >= 0) {
    if (p->keeps) replay_keep(p, h.side, h.frame, &(struct rm_peek){.plain = 0}, false);
    port_queue(p, role_box((uint32_t)box, h.side), fixup_into(p, role_box((uint32_t)box, h.side), h.frame), false);
  }
  else if (p->reflex.path == RM_PATH_WIRE) port_queue(p, role_outer(1 - h.side), h.frame, false);
  else {
    count(p, RM_COUNT_BLOCKED, 1, h.frame->pkt_len);
    rte_pktmbuf_free(h.frame);
  }
}

void hold_frame(struct plane *p, uint32_t side, struct rte_mbuf *frame, uint32_t claim) {
  if (p->held_count == RM_HELD) let_go(p);
  p->held[(p->held_first + p->held_count++) % RM_HELD] = (struct held){frame, p->now, side, claim};
  count(p, RM_COUNT_SEED_HELD, 1, frame->pkt_len);
}

bool hold_has(const struct plane *p, uint32_t claim) {
  for (uint32_t i = 0; i < p->held_count; i++)
    if (p->held[(p->held_first + i) % RM_HELD].claim == claim) return true;
  return false;
}

void hold_release(struct plane *p) {
  while (p->held_count > 0) {
    const struct held *h = &p->held[p->held_first];
    bool done = __atomic_load_n(&p->crew->claim[h->claim], __ATOMIC_ACQUIRE) & 1;
    if (!done && p->now - h->ns < HOLD_NS) return;
    let_go(p);
  }
}

/* Holding: a frame whose connection is being made known to the box waits until that is done, or it would reach the box in
 * the middle of the handshake, or before it is known what the box makes of it.
 *
 * A later frame of the same connection waits behind it; those of others do not. That lasts as long as the box takes to let
 * one frame through, and ends after hold_ns() whatever becomes of the seed: a frame the box may drop is better than one
 * that waits.
 */
#include "fixup.h"
#include "plane.h"

/* Who plays the seed looks at it every millisecond. Before it is known how a box renumbers it believes no frame, and what it lets out
 * all the same nobody else does. */
static uint64_t hold_ns(const struct plane *p) {
  uint32_t patience = match_by_ends(p) ? RM_SEED_PATIENCE : 1;
  return RM_SEED_TRIES * patience * p->board->command.seed_wait_ns + RM_SEED_AWAY_NS;
}

static void let_go(struct plane *p, const struct held *h) {
  int box = serving(p);
  if (box >= 0) {
    if (p->keeps) replay_keep(p, h->side, h->frame, &(struct rm_peek){.plain = 0}, false);
    port_queue(p, role_box((uint32_t)box, h->side), fixup_into(p, role_box((uint32_t)box, h->side), h->frame), false);
  }
  else if (p->reflex.path == RM_PATH_WIRE) port_queue(p, role_outer(1 - h->side), h->frame, false);
  else {
    count(p, RM_COUNT_BLOCKED, 1, h->frame->pkt_len);
    rte_pktmbuf_free(h->frame);
  }
}

static bool may_go(const struct plane *p, const struct held *h) {
  return (__atomic_load_n(&p->crew->claim[h->claim], __ATOMIC_ACQUIRE) & 1) || p->now - h->ns >= hold_ns(p);
}

/* A connection that may go meanwhile does so the next time: its frames stay in their order. */
void hold_release(struct plane *p) {
  uint64_t stays[4] = {0}; /* a bit for each hash of those that stay */
  uint32_t kept = 0;
  for (uint32_t i = 0; i < p->held_count; i++) {
    struct held h = p->held[i];
    uint32_t hash = (h.claim * 0x9e3779b1u) >> 24;
    uint64_t *word = &stays[hash / 64], bit = 1ull << hash % 64;
    if (!(*word & bit) && may_go(p, &h)) {
      let_go(p, &h);
      continue;
    }
    *word |= bit;
    p->held[kept++] = h;
  }
  p->held_count = kept;
}

/* The oldest goes, and all that may go with it. */
static void make_room(struct plane *p) {
  seed_hurry_up(p, p->held[0].claim);
  hold_release(p);
  if (p->held_count < RM_HELD) return;
  let_go(p, &p->held[0]);
  memmove(p->held, p->held + 1, --p->held_count * sizeof *p->held);
}

void hold_frame(struct plane *p, uint32_t side, struct rte_mbuf *frame, uint32_t claim) {
  if (p->held_count == RM_HELD) make_room(p);
  p->held[p->held_count++] = (struct held){frame, p->now, side, claim};
  count(p, RM_COUNT_SEED_HELD, 1, frame->pkt_len);
}

bool hold_has(const struct plane *p, uint32_t claim) {
  for (uint32_t i = 0; i < p->held_count; i++)
    if (p->held[i].claim == claim) return true;
  return false;
}

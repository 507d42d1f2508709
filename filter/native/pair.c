/* Pairing: the entry of a connection on the client side and the one on the server side.
 *
 * A box may change addresses and ports, but an opening SYN leaves it with the sequence number it came with.
 * So a SYN from outside is noted, and the SYN that comes out of the box shortly after with the same number, window
 * and scale is its other half (design: inference). A box that rewrites sequence numbers leaves flows unpaired.
 */
#include <string.h>
#include "plane.h"

#define PAIR_NS (2 * RM_S) /* a box that holds a SYN longer than its retransmission has lost it */

#define SETS (RM_PENDING / RM_PENDING_WAYS)
_Static_assert(SETS == 1u << 11, "set_of() makes 11 bits");

static struct pending *set_of(struct plane *p, uint32_t side, uint32_t seq) {
  return &p->pending[side][((seq * 2654435761u) >> 21) * RM_PENDING_WAYS];
}

/* The same SYN again, else a free or outdated place, else the oldest. */
static struct pending *place(struct plane *p, uint32_t side, uint32_t seq) {
  struct pending *set = set_of(p, side, seq), *best = set;
  for (struct pending *o = set; o < set + RM_PENDING_WAYS; o++) {
    if (o->used && o->seq == seq) return o;
    if ((o->used ? o->ns : 0) < (best->used ? best->ns : 0)) best = o;
  }
  return best;
}

void pair_offer(struct plane *p, uint32_t side, const struct rm_packet *packet, struct rm_flow *flow) {
  *place(p, side, packet->seq) = (struct pending){
      .seq = packet->seq, .slot = (uint32_t)(flow - p->table[side].entries), .ns = p->now,
      .window = packet->window, .scale = packet->scale, .used = 1};
}

void pair_match(struct plane *p, uint32_t side, const struct rm_packet *packet, struct rm_flow *flow) {
  uint32_t from = 1 - side;
  struct pending *o = place(p, from, packet->seq);
  if (!o->used || o->seq != packet->seq || p->now - o->ns > PAIR_NS) return;
  if (o->window != packet->window || o->scale != packet->scale) return;
  o->used = 0;
  p->table[from].entries[o->slot].peer = (uint32_t)(flow - p->table[side].entries);
  flow->peer = o->slot;
}

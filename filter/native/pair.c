/* Pairing: the entry of a connection on the client side and the one on the server side.
 *
 * A box may change addresses and ports, but an opening SYN leaves it with the sequence number it came with.
 * So a SYN from outside is noted, and the SYN that comes out of the box shortly after with the same number, window
 * and scale is its other half (design: inference). A box that rewrites sequence numbers leaves flows unpaired. Of other
 * protocols it is the first packet of a flow, known by its payload; if two that look alike wait, neither is paired.
 */
#include <netinet/in.h>
#include <string.h>
#include "plane.h"
#include "twin.h"

#define PAIR_NS (2 * RM_S) /* a box that holds a SYN longer than its retransmission has lost it */
#define VAGUE 2            /* `used`: more than one flow was opened by something like this */

#define SETS (RM_PENDING / RM_PENDING_WAYS)
_Static_assert(SETS == 1u << 11, "pair_set() makes 11 bits");

struct pending *pair_set(struct plane *p, uint32_t side, uint32_t seq) {
  return &p->pending[side][((seq * 2654435761u) >> 21) * RM_PENDING_WAYS];
}

/* The same SYN again, else a free or outdated place, else the oldest. */
static struct pending *place(struct plane *p, uint32_t side, uint32_t seq) {
  struct pending *set = pair_set(p, side, seq), *best = set;
  for (struct pending *o = set; o < set + RM_PENDING_WAYS; o++) {
    if (o->used && o->seq == seq) return o;
    if ((o->used ? o->ns : 0) < (best->used ? best->ns : 0)) best = o;
  }
  return best;
}

static bool is_young(const struct plane *p, const struct pending *o) { return p->now <= o->ns || p->now - o->ns <= PAIR_NS; }

/* Of a packet that is no SYN, the upper bits of its evidence. */
static uint64_t key_of(const struct pending *o) { return (uint64_t)o->seq << 24 | (uint64_t)o->window << 8 | o->scale; }

bool pair_waits(struct plane *p, uint32_t from, uint64_t key) {
  const struct pending *o = place(p, from, (uint32_t)(key >> 24));
  return o->used && is_young(p, o) && key_of(o) == key;
}

static void note(struct plane *p, uint32_t side, const struct pending *offer) {
  struct pending *o = place(p, side, offer->seq);
  bool alike = o->used && is_young(p, o) && o->seq == offer->seq && o->window == offer->window && o->scale == offer->scale;
  infer_heed(p, 1 - side, key_of(offer));
  uint8_t used = alike && o->slot != offer->slot ? VAGUE : o->used == VAGUE && alike ? VAGUE : 1;
  *o = *offer;
  o->used = used;
}

/* What is left alone by a box, in the numbers of a SYN. False: nothing tells this packet from others. */
static bool mark_of(const struct plane *p, const uint8_t *frame, const struct rm_packet *packet, struct pending *mark) {
  *mark = (struct pending){.seq = packet->seq, .window = packet->window, .scale = packet->scale};
  if (packet->proto == IPPROTO_TCP) return true;
  uint64_t evidence = twin_evidence(p->crew->trace_secret, frame, packet);
  *mark = (struct pending){.seq = (uint32_t)(evidence >> 32), .window = (uint16_t)(evidence >> 16), .scale = (uint8_t)(evidence >> 8)};
  return evidence != 0;
}

/* Another worker may see it leave the box: then all who could are told, before it goes in. */
void pair_offer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow) {
  struct pending offer;
  if (!mark_of(p, frame, packet, &offer)) return;
  offer.slot = slot_of(p, side, flow);
  offer.ns = p->now;
  if (p->has[1 - side]) return note(p, side, &offer);
  crew_send_side(p, 1 - side, &(struct message){.kind = MESSAGE_OFFER, .slot = offer.slot, .seq = offer.seq, .ns = offer.ns,
                                                .window = offer.window, .scale = offer.scale});
}

void pair_match(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, struct rm_flow *flow) {
  uint32_t from = 1 - side, slot = slot_of(p, side, flow);
  struct pending mark;
  if (!mark_of(p, frame, packet, &mark)) return;
  struct pending *o = place(p, from, mark.seq);
  if (o->used != 1 || o->seq != mark.seq || !is_young(p, o)) return;
  if (o->window != mark.window || o->scale != mark.scale) return;
  o->used = 0;
  flow->peer = o->slot;
  if (p->has[from]) p->entries[from][o->slot].peer = slot;
  else crew_send(p, crew_owner(p, from, o->slot), &(struct message){.kind = MESSAGE_MATCH, .slot = o->slot, .peer = slot});
}

static void close_half(struct plane *p, uint32_t side, uint32_t slot) {
  rm_flow_passes(&p->table[side], &p->entries[side][slot], false);
}

void pair_close(struct plane *p, uint32_t side, const struct rm_flow *flow) {
  if (p->has[1 - side]) return close_half(p, 1 - side, flow->peer);
  crew_send(p, crew_owner(p, 1 - side, flow->peer),
            &(struct message){.kind = MESSAGE_CLOSED, .slot = flow->peer, .peer = slot_of(p, side, flow)});
}

void pair_take(struct plane *p, uint32_t from, const struct message *said) {
  uint32_t side = 1 - from;
  struct rm_flow *flow = said->kind == MESSAGE_OFFER ? NULL : &p->entries[side][said->slot];
  if (!flow) {
    note(p, from, &(struct pending){.seq = said->seq, .slot = said->slot, .ns = said->ns, .window = said->window,
                                    .scale = said->scale, .used = 1});
  } else if (said->kind == MESSAGE_MATCH) {
    flow->peer = said->peer;
  } else if (flow->peer == said->peer) {
    close_half(p, side, said->slot);
  }
}

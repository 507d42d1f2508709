/* Pairing: the entry of a connection on the client side and the one on the server side.
 *
 * A box may change addresses and ports, but an opening SYN leaves most with the sequence number it came with.
 * So a SYN from outside is noted, and the SYN that comes out of the box shortly after with the same number, window
 * and scale is its other half (design: inference). A box that renumbers leaves the ends alone, or else the timestamp. Of other
 * protocols it is the first packet of a flow, known by its payload; if two that look alike wait, neither is paired.
 */
#include <netinet/in.h>
#include <string.h>
#include "burst.h"
#include "plane.h"
#include "translate.h"
#include "twin.h"

#define PAIR_NS (2 * RM_S) /* a box that holds a SYN longer than its retransmission has lost it */
#define STRANGE_NS (60 * RM_S) /* SYNs are noted by their timestamps for so long after one could not be paired otherwise */
#define PLAIN_PAIRS 64u /* ... and until so many were paired by their numbers */
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

/* The timestamp of a SYN in place of its number, and its ports: a busy client sends many in a tick, and one that was taken for
 * another would be heard by a stranger. False: it has none. */
static bool clock_of(const struct plane *p, const uint8_t *frame, const struct rm_packet *packet, struct pending *mark) {
  uint32_t clock, ports = (uint32_t)packet->port[packet->dir] << 16 | packet->port[1 - packet->dir];
  *mark = (struct pending){.window = packet->window, .scale = packet->scale};
  if (packet->proto != IPPROTO_TCP || !translate_clock(frame, packet, &clock)) return false;
  mark->seq = (clock ^ (ports | 1) * 0x9e3779b1u) * 2654435761u ^ (uint32_t)p->crew->trace_secret;
  return true;
}

/* Are there SYNs that numbers and ends do not pair, or has nobody seen so far that there are none? */
static bool are_strange(const struct plane *p) {
  uint64_t last = __atomic_load_n(&p->crew->stranger_ns, __ATOMIC_RELAXED);
  if (__builtin_expect(last != 0, 0) && p->now < last + STRANGE_NS) return true;
  return __builtin_expect(__atomic_load_n(&p->crew->plain_pairs, __ATOMIC_RELAXED) < PLAIN_PAIRS, 0);
}

/* Another worker may see it leave the box: then all who could are told, before it goes in. */
static void offer(struct plane *p, uint32_t side, struct pending *mark, const struct rm_flow *flow) {
  mark->slot = slot_of(p, side, flow);
  mark->ns = p->now;
  if (p->has[1 - side]) return note(p, side, mark);
  crew_send_side(p, 1 - side, &(struct message){.kind = MESSAGE_OFFER, .slot = mark->slot, .seq = mark->seq, .ns = mark->ns,
                                                .window = mark->window, .scale = mark->scale});
}

void pair_offer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow) {
  struct pending mark;
  if (mark_of(p, frame, packet, &mark)) offer(p, side, &mark, flow);
  if (!burst_opens(packet) || !are_strange(p)) return;
  if (clock_of(p, frame, packet, &mark)) offer(p, side, &mark, flow);
}

static void join(struct plane *p, uint32_t side, struct rm_flow *flow, uint32_t peer) {
  uint32_t from = 1 - side, slot = slot_of(p, side, flow);
  flow->peer = peer;
  if (p->has[from]) p->entries[from][peer].peer = slot;
  else crew_send(p, crew_owner(p, from, peer), &(struct message){.kind = MESSAGE_MATCH, .slot = peer, .peer = slot});
}

/* The one flow that waits for a packet like this; RM_NO_FLOW: none, or more. */
static uint32_t waiting(struct plane *p, uint32_t from, const struct pending *mark) {
  struct pending *o = place(p, from, mark->seq);
  if (o->used != 1 || o->seq != mark->seq || !is_young(p, o)) return RM_NO_FLOW;
  if (o->window != mark->window || o->scale != mark->scale) return RM_NO_FLOW;
  o->used = 0;
  return o->slot;
}

/* The flow that was opened on the other side by the same ends just now and has no other half yet: the numbers are the box's own. */
static uint32_t namesake(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  uint32_t from = 1 - side;
  struct plane *k = p->has[from] ? p : p->crew->worker[crew_worker(p->crew, from, p->queue)];
  const struct rm_flow *f = rm_flows_find(&k->table[from], packet, rm_flows_hash(&k->table[from], packet));
  if (!f || f->opener != packet->dir + 1 || f->outer_dir != packet->dir || f->peer != RM_NO_FLOW) return RM_NO_FLOW;
  return p->now > f->first_ns + PAIR_NS ? RM_NO_FLOW : slot_of(p, from, f);
}

/* The flow that waits for a SYN with this timestamp; one that has its other half is none. */
static uint32_t by_clock(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet) {
  struct pending mark;
  uint32_t slot = clock_of(p, frame, packet, &mark) ? waiting(p, 1 - side, &mark) : RM_NO_FLOW;
  return slot != RM_NO_FLOW && p->entries[1 - side][slot].peer == RM_NO_FLOW ? slot : RM_NO_FLOW;
}

bool pair_is_stranger(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  const struct pending *o = place(p, 1 - side, packet->seq);
  return o->seq != packet->seq || !is_young(p, o);
}

void pair_match(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, struct rm_flow *flow) {
  uint32_t side = role_side(role), peer;
  struct pending mark;
  if (!mark_of(p, frame, packet, &mark)) return;
  peer = waiting(p, 1 - side, &mark);
  if (peer != RM_NO_FLOW) {
    if (__builtin_expect(p->crew->plain_pairs < PLAIN_PAIRS, 0)) __atomic_fetch_add(&p->crew->plain_pairs, 1, __ATOMIC_RELAXED);
    return join(p, side, flow, peer);
  }
  if (packet->proto != IPPROTO_TCP || flow->peer != RM_NO_FLOW) return;
  peer = namesake(p, side, packet);
  if (peer == RM_NO_FLOW) {
    __atomic_store_n(&p->crew->stranger_ns, p->now, __ATOMIC_RELAXED);
    peer = by_clock(p, side, frame, packet);
  }
  if (peer == RM_NO_FLOW) return;
  numbers_changed(p, role_of_box(role));
  join(p, side, flow, peer);
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

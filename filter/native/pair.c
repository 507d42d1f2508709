/* Pairing: the entry of a connection on the client side and the one on the server side.
 *
 * A box may change addresses and ports, but an opening SYN leaves most with the sequence number it came with.
 * So a SYN from outside is noted, and the SYN that comes out of the box shortly after with the same number, window
 * and scale is its other half (design: inference). A box that renumbers leaves the ends alone, or else the timestamp. Of other
 * protocols it is the first packet of a flow, known by its payload; if two that look alike wait, neither is paired. A flow table
 * is read by its worker alone: others know of an opening what the worker has told them.
 */
#include <netinet/in.h>
#include <string.h>
#include "burst.h"
#include "pair.h"
#include "translate.h"
#include "twin.h"

#define PAIR_NS (2 * RM_S) /* a box that holds a SYN longer than its retransmission has lost it */
#define STRANGE_NS (60 * RM_S) /* SYNs are noted by their timestamps for so long after one could not be paired otherwise */
#define PLAIN_PAIRS 64u /* ... and until so many were paired by their numbers */
#define VAGUE 2            /* `used`: more than one flow was opened by something like this */

#define SETS (RM_PENDING / RM_PENDING_WAYS)
_Static_assert(SETS == 1u << 11, "pair_set() makes 11 bits");

static struct pending *set_in(struct pending *table, uint32_t seq) {
  return &table[((seq * 2654435761u) >> 21) * RM_PENDING_WAYS];
}

struct pending *pair_set(struct plane *p, uint32_t side, uint32_t seq) { return set_in(p->pending[side], seq); }

/* The same SYN again, else a free or outdated place, else the oldest. */
static struct pending *place(struct pending *table, uint32_t seq) {
  struct pending *set = set_in(table, seq), *best = set;
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
  const struct pending *o = place(p->pending[from], (uint32_t)(key >> 24));
  return o->used && is_young(p, o) && key_of(o) == key;
}

static void note_in(const struct plane *p, struct pending *table, const struct pending *offer) {
  struct pending *o = place(table, offer->seq);
  bool alike = o->used && is_young(p, o) && o->seq == offer->seq && o->window == offer->window && o->scale == offer->scale;
  uint8_t used = alike && o->slot != offer->slot ? VAGUE : o->used == VAGUE && alike ? VAGUE : 1;
  *o = *offer;
  o->used = used;
}

static void note(struct plane *p, uint32_t side, const struct pending *offer) {
  infer_heed(p, 1 - side, key_of(offer));
  note_in(p, p->pending[side], offer);
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

/* The ends of a SYN in place of its number; never 0. */
static uint32_t ends_of(const struct plane *p, const struct rm_packet *packet) {
  uint32_t ends = (uint32_t)(twin_evidence_ends(p->crew->trace_secret, packet) >> 32);
  return ends ? ends : 1;
}

/* Are there SYNs that numbers and ends do not pair, or has nobody seen so far that there are none? */
static bool are_strange(const struct plane *p) {
  uint64_t last = __atomic_load_n(&p->crew->stranger_ns, __ATOMIC_RELAXED);
  if (__builtin_expect(last != 0, 0) && p->now < last + STRANGE_NS) return true;
  return __builtin_expect(__atomic_load_n(&p->crew->plain_pairs, __ATOMIC_RELAXED) < PLAIN_PAIRS, 0);
}

/* Another worker may see it leave the box: then all who could are told, before it goes in. `ends`: of a SYN; 0: they tell nothing. */
static void offer(struct plane *p, uint32_t side, struct pending *mark, const struct rm_flow *flow, uint32_t ends) {
  mark->slot = slot_of(p, side, flow);
  mark->ns = p->now;
  if (p->has[1 - side]) return note(p, side, mark);
  crew_send_side(p, 1 - side, &(struct message){.kind = MESSAGE_OFFER, .slot = mark->slot, .seq = mark->seq, .ns = mark->ns, .peer = ends,
                                                .window = mark->window, .scale = mark->scale});
}

void pair_offer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow) {
  struct pending mark;
  bool named = burst_opens(packet) && !p->has[1 - side];
  if (mark_of(p, frame, packet, &mark)) offer(p, side, &mark, flow, named ? ends_of(p, packet) : 0);
  if (!burst_opens(packet) || !are_strange(p)) return;
  if (clock_of(p, frame, packet, &mark)) offer(p, side, &mark, flow, 0);
}

/* `offered`: when the other half was; `first`: it is to have none yet. Its owner knows whether the flow at that place is still this one. */
struct half { uint32_t slot; uint64_t offered; bool first; };
static void join(struct plane *p, uint32_t side, struct rm_flow *flow, const struct half *peer) {
  uint32_t from = 1 - side, slot = slot_of(p, side, flow);
  __atomic_store_n(&flow->peer, peer->slot, __ATOMIC_RELAXED);
  if (p->has[from]) p->entries[from][peer->slot].peer = slot;
  else crew_send(p, crew_owner(p, from, peer->slot), &(struct message){.kind = MESSAGE_MATCH, .slot = peer->slot, .peer = slot,
                                                                      .ns = peer->offered, .how = peer->first});
}

void pair_join(struct plane *p, uint32_t side, struct rm_flow *flow, uint32_t peer) {
  join(p, side, flow, &(struct half){.slot = peer, .offered = p->now});
}

/* The one flow that waits for a packet like this; null: none, or more. */
static struct pending *find(const struct plane *p, struct pending *table, const struct pending *mark) {
  struct pending *o = place(table, mark->seq);
  if (o->used != 1 || o->seq != mark->seq || !is_young(p, o)) return NULL;
  return o->window == mark->window && o->scale == mark->scale ? o : NULL;
}

/* It waits no longer. False: none, or more. */
static bool waiting(const struct plane *p, struct pending *table, const struct pending *mark, struct half *found) {
  struct pending *o = find(p, table, mark);
  if (!o) return false;
  o->used = 0;
  found->slot = o->slot, found->offered = o->ns;
  return true;
}

uint32_t pair_peek(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet) {
  struct pending mark;
  const struct pending *o = mark_of(p, frame, packet, &mark) ? find(p, p->pending[1 - side], &mark) : NULL;
  return o ? o->slot : RM_NO_FLOW;
}

/* The flow that was opened on the other side by the same ends just now and has no other half yet: the numbers are the box's own. */
static bool namesake(struct plane *p, uint32_t side, const struct rm_packet *packet, struct half *found) {
  uint32_t from = 1 - side;
  struct pending mark = {.seq = ends_of(p, packet), .window = packet->window, .scale = packet->scale};
  if (!p->has[from]) return waiting(p, p->named, &mark, found);
  const struct rm_flow *f = rm_flows_find(&p->table[from], packet, rm_flows_hash(&p->table[from], packet));
  if (!f || f->opener != packet->dir + 1 || f->outer_dir != packet->dir || f->peer != RM_NO_FLOW) return false;
  found->slot = slot_of(p, from, f);
  return p->now <= f->first_ns + PAIR_NS;
}

/* The flow that waits for a SYN with this timestamp; one that has its other half is none. */
static bool by_clock(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, struct half *found) {
  struct pending mark;
  if (!clock_of(p, frame, packet, &mark) || !waiting(p, p->pending[1 - side], &mark, found)) return false;
  return !p->has[1 - side] || p->entries[1 - side][found->slot].peer == RM_NO_FLOW;
}

bool pair_is_stranger(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  const struct pending *o = place(p->pending[1 - side], packet->seq);
  return o->seq != packet->seq || !is_young(p, o);
}

bool pair_keeps_ends(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  uint32_t from = 1 - side;
  if (p->has[from]) return rm_flows_find(&p->table[from], packet, rm_flows_hash(&p->table[from], packet)) != NULL;
  uint32_t ends = ends_of(p, packet);
  const struct pending *o = place(p->named, ends);
  return o->seq == ends && o->ns != 0 && is_young(p, o);
}

void pair_settle(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, uint32_t peer) {
  struct pending mark;
  if (!mark_of(p, frame, packet, &mark)) return;
  mark.slot = peer, mark.ns = p->now, mark.used = 1;
  *place(p->pending[1 - side], mark.seq) = mark;
}

void pair_match(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, struct rm_flow *flow) {
  uint32_t side = role_side(role);
  struct pending mark;
  struct half peer = {.first = false};
  if (!mark_of(p, frame, packet, &mark)) return;
  if (waiting(p, p->pending[1 - side], &mark, &peer)) {
    if (__builtin_expect(__atomic_load_n(&p->crew->plain_pairs, __ATOMIC_RELAXED) < PLAIN_PAIRS, 0))
      __atomic_fetch_add(&p->crew->plain_pairs, 1, __ATOMIC_RELAXED);
    return join(p, side, flow, &peer);
  }
  if (packet->proto != IPPROTO_TCP || flow->peer != RM_NO_FLOW) return;
  peer.first = true;
  if (!namesake(p, side, packet, &peer)) {
    __atomic_store_n(&p->crew->stranger_ns, p->now, __ATOMIC_RELAXED);
    if (!by_clock(p, side, frame, packet, &peer)) return;
  }
  numbers_changed(p, role_of_box(role));
  join(p, side, flow, &peer);
}

static void close_half(struct plane *p, uint32_t side, uint32_t slot) {
  rm_flow_passes(&p->table[side], &p->entries[side][slot], false);
}

void pair_close(struct plane *p, uint32_t side, const struct rm_flow *flow) {
  if (p->has[1 - side]) return close_half(p, 1 - side, flow->peer);
  crew_send(p, crew_owner(p, 1 - side, flow->peer),
            &(struct message){.kind = MESSAGE_CLOSED, .slot = flow->peer, .peer = slot_of(p, side, flow)});
}

/* What was offered may have given its place to another flow meanwhile. */
static bool is_offered(const struct rm_flow *flow, const struct message *said) {
  return flow->first_ns <= said->ns && (!said->how || flow->peer == RM_NO_FLOW);
}

void pair_take(struct plane *p, uint32_t from, const struct message *said) {
  uint32_t side = 1 - from;
  struct rm_flow *flow = said->kind == MESSAGE_OFFER ? NULL : &p->entries[side][said->slot];
  struct pending offered = {.seq = said->seq, .slot = said->slot, .ns = said->ns, .window = said->window, .scale = said->scale, .used = 1};
  if (!flow) {
    note(p, from, &offered);
    offered.seq = said->peer;
    if (said->peer) note_in(p, p->named, &offered);
  } else if (said->kind == MESSAGE_MATCH) {
    if (is_offered(flow, said)) __atomic_store_n(&flow->peer, said->peer, __ATOMIC_RELAXED);
  } else if (flow->peer == said->peer) {
    close_half(p, side, said->slot);
  }
}

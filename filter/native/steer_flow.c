/* Whose flow a frame is of: rules name a flow as its client sends it, on the side where it was opened. A box may change addresses, so
 * what comes from the other side is known by its other half (pair.c).
 *
 * What was found stays beside the flow's place until rules change. It is kept for flows alone of which it is certain who
 * opened them; of others a rule holds either direction, until more is known.
 */
#include <netinet/in.h>
#include <string.h>
#include "burst.h"
#include "pair.h"
#include "steer.h"
#include "trace.h"

#define MARK_NS RM_S /* a box that takes longer has lost it */

static struct steer_key key_of_flow(const struct rm_flow *f) {
  uint32_t opener = f->opener == 2;
  struct steer_key k = {.port = {f->port[opener], f->port[1 - opener]}, .protocol = f->proto, .either = f->opener == 0};
  memcpy(k.addr[0], f->addr[opener], 16);
  memcpy(k.addr[1], f->addr[1 - opener], 16);
  return k;
}

static struct steer_key key_of_packet(const struct rm_packet *packet, bool opens) {
  uint32_t from = packet->dir;
  struct steer_key k = {.port = {packet->port[from], packet->port[1 - from]}, .protocol = packet->proto, .either = !opens,
                        .bare = packet->verdict == RM_PARSE_FRAGMENT};
  memcpy(k.addr[0], packet->addr[from], 16);
  memcpy(k.addr[1], packet->addr[1 - from], 16);
  return k;
}

/* The entry that has the flow as its client sends it, if it is known; else the one there is, or null. */
static const struct rm_flow *opened(struct plane *p, uint32_t side, const struct rm_flow *flow, bool *sure) {
  *sure = flow && flow->opener && flow->opener - 1 == flow->outer_dir;
  if (!flow || *sure || flow->peer == RM_NO_FLOW) return flow;
  const struct rm_flow *peer = &p->entries[1 - side][flow->peer];
  if (!(peer->flags & RM_FLOW_USED) || peer->peer != slot_of(p, side, flow)) return flow;
  *sure = peer->opener != 0;
  return peer;
}

static struct steer_key key_of(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, bool observed,
                               const struct rm_flow *flow, bool *sure) {
  bool opens = burst_opens(packet) || (packet->proto != IPPROTO_TCP && !flow);
  *sure = false;
  if (packet->verdict == RM_PARSE_FRAGMENT || (opens && !observed)) return key_of_packet(packet, opens);
  uint32_t waits = opens ? pair_peek(p, side, frame, packet) : RM_NO_FLOW;
  if (waits != RM_NO_FLOW) return key_of_flow(&p->entries[1 - side][waits]);
  const struct rm_flow *known = opened(p, side, flow, sure);
  return known ? key_of_flow(known) : key_of_packet(packet, opens);
}

static uint64_t word_of(const struct steering *s, uint64_t hash, struct steer_choice choice) {
  return (uint64_t)signature_of(hash) << 32 | (uint32_t)s->epoch << 16 | (uint32_t)choice.box << 8 | choice.move;
}

static uint8_t parse(const struct plane *p, const struct rte_mbuf *m, struct rm_packet *packet) {
  return (p->rules.inner ? rm_parse_inner : rm_parse)(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, packet);
}

/* The long way. */
static struct steer_found ask(struct plane *p, uint32_t side, const struct rte_mbuf *m, bool observed) {
  struct steering *s = p->steering;
  struct rm_flows *table = &p->table[side];
  struct rm_packet packet;
  uint8_t verdict = parse(p, m, &packet);
  if (verdict != RM_PARSE_FLOW && verdict != RM_PARSE_FRAGMENT)
    return (struct steer_found){.choice = {RM_STEER_NOBODY, RM_STEER_NOBODY}};
  uint64_t hash = verdict == RM_PARSE_FLOW ? rm_flows_hash(table, &packet) : 0;
  const struct rm_flow *flow = verdict == RM_PARSE_FLOW ? rm_flows_find(table, &packet, hash) : NULL;
  bool sure;
  struct steer_key key = key_of(p, side, rte_pktmbuf_mtod(m, const uint8_t *), &packet, observed, flow, &sure);
  bool alone = verdict == RM_PARSE_FLOW && (!flow || flow->peer == RM_NO_FLOW);
  uint32_t slot = flow ? place_of(table, flow) : RM_NO_FLOW;
  struct steer_found found = {.choice = steer_choose(&s->table, &key), .flow = true, .alone = alone, .slot = slot};
  if (sure && !alone) s->found[side][slot] = word_of(s, hash, found.choice);
  return found;
}

/* Into which box it went belongs to it: two clients may say the same. */
static struct steer_mark *mark_of(struct plane *p, uint32_t in_side, int box, const struct rte_mbuf *m, uint32_t *print) {
  struct rm_trace trace;
  struct rm_peek k;
  rm_peek(&p->table[in_side], rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, p->rules.inner, &k);
  if (!rm_trace(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &k, p->crew->trace_secret, &trace)) return NULL;
  *print = trace.print ^ (uint32_t)(box + 1) * 0x9e3779b1u;
  return &p->steering->mark[in_side][(*print * 2654435761u) >> 20];
}
_Static_assert(RM_STEER_MARKS == 1u << 12, "mark_of() makes 12 bits");

static bool is_young(const struct plane *p, const struct steer_mark *k) { return k->ns && p->now - k->ns <= MARK_NS; }

void steer_mark(struct plane *p, uint32_t side, int box, const struct rte_mbuf *m, uint32_t slot) {
  uint32_t print;
  struct steer_mark *k = mark_of(p, side, box, m, &print);
  if (!k) return;
  bool alike = is_young(p, k) && k->print == print && k->slot != slot;
  *k = (struct steer_mark){print, alike ? RM_NO_FLOW : slot, p->now};
}

bool steer_meet(struct plane *p, uint32_t role, const struct rte_mbuf *m, struct steer_found *found) {
  uint32_t side = role_side(role), print;
  const struct steer_mark *k = mark_of(p, 1 - side, (int)role_of_box(role), m, &print);
  if (!k || !is_young(p, k) || k->print != print || k->slot == RM_NO_FLOW) return false;
  const struct rm_flow *other = &p->entries[1 - side][k->slot];
  if (!(other->flags & RM_FLOW_USED) || other->peer != RM_NO_FLOW) return false;
  struct steer_key key = key_of_flow(other);
  found->choice = steer_choose(&p->steering->table, &key);
  struct rm_packet packet;
  if (found->slot != RM_NO_FLOW) pair_join(p, side, &p->entries[side][found->slot], k->slot);
  else if (parse(p, m, &packet) == RM_PARSE_FLOW) pair_settle(p, side, rte_pktmbuf_mtod(m, const uint8_t *), &packet, k->slot);
  return true;
}

void steer_adopt(struct plane *p, uint32_t side, const struct rm_flow *flow, uint64_t since) {
  uint32_t claim = seed_claim(side, slot_of(p, side, flow), flow), taken = p->reflex.switch_number * 2;
  uint32_t *word = &p->crew->claim[claim];
  if (p->steering->adopted[claim] == since) return;
  p->steering->adopted[claim] = since;
  /* One that goes on now tells the serving box already; before the first switch the word says nothing of that. */
  if (taken == 0 || __atomic_load_n(word, __ATOMIC_ACQUIRE) != taken) __atomic_store_n(word, taken - 1, __ATOMIC_RELEASE);
}

struct steer_found steer_find(struct plane *p, uint32_t side, const struct rte_mbuf *m, bool observed) {
  const struct steering *s = p->steering;
  struct rm_peek k;
  rm_peek(&p->table[side], rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, p->rules.inner, &k);
  uint32_t slot = k.plain && k.calm ? rm_flows_seek(&p->table[side], k.hash) : RM_NO_FLOW;
  if (slot == RM_NO_FLOW) return ask(p, side, m, observed);
  uint64_t word = s->found[side][slot];
  struct steer_choice choice = {(uint8_t)(word >> 8), (uint8_t)word};
  if (word != word_of(s, k.hash, choice)) return ask(p, side, m, observed);
  return (struct steer_found){.choice = choice, .flow = true};
}

bool steer_is_of(struct plane *p, uint32_t side, const struct rte_mbuf *m, const struct rm_steer_fields *fields) {
  struct rm_packet packet;
  if (parse(p, m, &packet) != RM_PARSE_FLOW) return false;
  bool sure;
  const struct rm_flow *flow = rm_flows_find(&p->table[side], &packet, rm_flows_hash(&p->table[side], &packet));
  struct steer_key key = key_of(p, side, rte_pktmbuf_mtod(m, const uint8_t *), &packet, false, flow, &sure);
  return steer_holds(fields, &key);
}

void steer_forget(struct plane *p) {
  struct steering *s = p->steering;
  if (++s->epoch) return;
  for (uint32_t side = 0; side < RM_SIDES; side++)
    memset(s->found[side], 0, (size_t)p->board->setup.flow_slots * sizeof *s->found[side]);
}

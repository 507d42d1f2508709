/* Fragments: the later ones of a packet go where its first one went.
 *
 * Only the first carries ports, so only it can be asked for its flow. What became of it is kept in a small table with one
 * place per hash; what is not there any more, or came before its first fragment, is copied to be safe.
 */
#include <string.h>
#include "filter.h"
#include "parse.h"

enum { PROTO_FRAGMENT = 44 };
enum { FREE, NOT_COPIED, COPIED };

static uint32_t mix(uint32_t h, uint32_t word) {
  h = (h ^ word) * 0x01000193u;
  return h ^ h >> 15;
}

/* The key, with the rest zero. */
static struct rm_fragment key_of(const struct rm_packet *p) {
  struct rm_fragment key = {.id = p->fragment_id, .vlan = p->vlan, .proto = p->ipv6 ? PROTO_FRAGMENT : p->proto};
  memcpy(key.addr[0], p->addr[p->dir], 16);
  memcpy(key.addr[1], p->addr[1 - p->dir], 16);
  return key;
}

static struct rm_fragment *place_of(struct rm_flows *t, const struct rm_fragment *key) {
  uint32_t h = mix(mix(0, key->id), (uint32_t)key->vlan << 8 | key->proto);
  for (uint32_t i = 0; i < 8; i++) h = mix(h, read32(key->addr[0] + 4 * i));
  return &t->fragment[(h ^ h >> 16) & (RM_FRAGMENTS - 1)];
}

static bool copies_any(const struct rm_rules *rules) {
  for (uint32_t i = 0; i < rules->count; i++)
    if (!rules->rule[i].none) return true;
  return false;
}

static bool is_known(const struct rm_fragment *at, const struct rm_fragment *key, uint64_t now) {
  bool young = now <= at->ns || now - at->ns < RM_FRAGMENT_NS;
  return at->state != FREE && young && memcmp(at->addr, key->addr, sizeof key->addr) == 0 && at->id == key->id &&
         at->vlan == key->vlan && at->proto == key->proto;
}

static struct rm_verdict first_fragment(struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p,
                                        const uint8_t *frame, uint64_t now, bool observed) {
  struct rm_flow *flow;
  struct rm_verdict v = rm_decide(t, rules, p, rm_flows_hash(t, p), frame, now, observed, &flow);
  if (observed) return v;
  struct rm_fragment key = key_of(p);
  key.state = v.why == RM_WHY_NONE ? NOT_COPIED : COPIED;
  key.rule = v.rule;
  key.ns = now;
  *place_of(t, &key) = key;
  return v;
}

/* One without ports goes where its first one went. */
static struct rm_verdict later_fragment(struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p,
                                        const struct rm_fragment *at, uint64_t now) {
  struct rm_verdict v = {RM_WHY_NONE, 0xff, RM_WHY_NONE};
  struct rm_fragment key = key_of(p);
  bool known = p->fragment == RM_FRAGMENT_LATER && is_known(at, &key, now);
  if (known) v.rule = at->rule;
  if (known ? at->state == NOT_COPIED : !copies_any(rules)) return v;
  if (t->budget && !rm_budget_take(t->budget, RM_WHY_FRAGMENT, p->frame_bytes, now)) v.shed = RM_WHY_FRAGMENT;
  else v.why = RM_WHY_FRAGMENT;
  return v;
}

struct rm_fragment *rm_fragment_place(struct rm_flows *t, const struct rm_packet *p) {
  struct rm_fragment key = key_of(p);
  return place_of(t, &key);
}

struct rm_verdict rm_decide_fragment(struct rm_flows *t, const struct rm_rules *rules, const struct rm_packet *p,
                                     const uint8_t *frame, uint64_t now, bool observed) {
  if (p->fragment == RM_FRAGMENT_FIRST) return first_fragment(t, rules, p, frame, now, observed);
  struct rm_verdict v = {RM_WHY_NONE, 0xff, RM_WHY_NONE};
  if (observed) return v;
  const struct rm_fragment *at = rm_fragment_place(t, p);
  bool witnessed = rm_is_witnessed(t, p);
  if (__builtin_expect(witnessed, 0)) rm_witness_begin(t, rules, p, now, observed), rm_witness_fragment(t, at);
  v = later_fragment(t, rules, p, at, now);
  if (__builtin_expect(witnessed, 0)) rm_witness_end(t, NULL, v);
  return v;
}

/* What is translated, and how names are found. The rewriting itself is in translate.c, the names are in alias.c.
 *
 * The serving box may choose for a new flow the very name that an older one, which it knows by an alias, has in the network.
 * Then the new one gets another name out there: it is the one of which nobody has heard yet.
 */
#include <netinet/in.h>
#include <string.h>
#include "burst.h"
#include "fixup.h"
#include "hot.h"
#include "quote.h"
#include "translate.h"

#define WALK 256          /* places looked at in a millisecond */
#define NAMES_TRIED 64u
#define MANY 4u           /* a part of a burst */
#define PORT_FIRST 1024u

/* By several queues of one side a box's frames reach another worker than the network's of the same flow: not translated. */
int fixup_open(struct plane *p) {
  uint32_t slots = p->board->setup.flow_slots;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->has[s] || p->crew->queues > 1) continue;
    struct aliases *t = crew_memory(sizeof *t);
    struct aliases_room room = {crew_reserve(slots * sizeof *room.alias), crew_reserve(slots * sizeof *room.quick),
                                crew_reserve(aliases_words(slots) * sizeof *room.words), crew_reserve(slots)};
    if (!t || !room.alias || !room.quick || !room.words || !room.sieve)
      return plane_fail(p, "Cannot make a table of aliases for %u flows: no memory", slots);
    aliases_open(t, p->entries[s], &room, slots);
    t->secret = p->crew->trace_secret;
    memcpy(t->key, p->table[s].secret, sizeof t->key);
    p->aliases[s] = t;
  }
  return 0;
}

void fixup_learn(struct plane *p, uint32_t side, uint32_t box, const struct rm_flow *flow, const struct alias_guise *made) {
  struct aliases *t = p->aliases[side];
  if (t && p->board->command.fixup && aliases_learn(t, flow, box, made) == ALIAS_FULL) count(p, RM_COUNT_FIXUP_FULL, 1, 0);
}

bool fixup_follows(const struct plane *p, uint32_t side, uint32_t box, const struct rm_flow *flow) {
  return fixup_any(p, side, box) && aliases_of(p->aliases[side], flow, box) != NULL;
}

/* A frame, and what it is to become. */
struct change { struct rm_packet packet, quoted; struct twin_tuple to; struct translate_numbers by; bool error; };

bool fixup_guise(struct plane *p, const struct fixup_of *of, struct alias_guise *made) {
  /* A seed is played by a worker of either side. */
  struct plane *k = p->has[of->side] ? p : p->crew->worker[crew_worker(p->crew, of->side, 0)];
  enum alias_there is = ALIAS_ABSENT;
  if (k->aliases[of->side]) is = aliases_read(k->aliases[of->side], of->slot, twin_word(of->flow), of->box, made);
  if (is == ALIAS_ABSENT) *made = (struct alias_guise){.ends = alias_own(of->flow)};
  return is != ALIAS_MOVES;
}

static const struct alias *alias_into(struct plane *p, uint32_t role, const struct rm_packet *packet, bool quoted) {
  uint32_t side = role_side(role);
  struct rm_flow *f = rm_flows_find(&p->table[side], packet, rm_flows_hash(&p->table[side], packet));
  /* What goes in was sent by the outer end; what an error quotes had come out. */
  if (!f || (packet->dir == f->outer_dir) == quoted) return NULL;
  return aliases_of(p->aliases[side], f, role_of_box(role));
}

/* What the alias makes of a frame on its way in, or of what an error quotes. */
static bool change_by(struct change *c, const struct alias *a) {
  if (!a) return false;
  uint32_t shift = 0u - a->made.shift, clock = 0u - a->made.clock;
  c->to = c->error ? a->made.ends : translate_turned(&a->made.ends);
  if (c->error) c->by = (struct translate_numbers){.seq = shift, .clock = clock};
  else c->by = (struct translate_numbers){.ack = shift, .echo = clock};
  return true;
}

static bool change_into(struct plane *p, uint32_t role, const uint8_t *frame, struct change *c) {
  struct aliases *t = p->aliases[role_side(role)];
  const struct rm_packet *packet = &c->packet;
  c->error = false;
  c->by = (struct translate_numbers){.seq = 0};
  if (packet->fragment == RM_FRAGMENT_LATER) return aliases_find_fragment(t, role_of_box(role), packet, p->now, &c->to);
  if (packet->verdict != RM_PARSE_FLOW && packet->fragment != RM_FRAGMENT_FIRST) return false;
  c->error = packet->verdict == RM_PARSE_FLOW && rm_quote(frame, packet, &c->quoted);
  return change_by(c, alias_into(p, role, c->error ? &c->quoted : packet, c->error));
}

static void apply(struct plane *p, struct aliases *t, uint32_t box, uint8_t *frame, struct change *c) {
  if (c->error) {
    if (!translate_error(frame, &c->packet, &c->quoted, &c->to)) return;
    translate_numbers(frame, &c->quoted, &c->by, &c->packet);
  } else {
    if (!translate_can(&c->packet, &c->to)) return;
    if (c->packet.fragment == RM_FRAGMENT_FIRST) aliases_keep_fragment(t, box, &c->packet, &c->to, p->now);
    translate_frame(frame, &c->packet, &c->to);
    translate_numbers(frame, &c->packet, &c->by, NULL);
  }
  count(p, RM_COUNT_FIXED_UP, 1, c->packet.frame_bytes);
}

/* The frame or, if others hold it too, a copy in its place, which has its buffer for itself. Null: there is none, which is counted. */
static inline struct rte_mbuf *alone(struct plane *p, struct rte_mbuf *m) {
  if (__builtin_expect(rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m), 1)) return m;
  struct rte_mbuf *own = rte_pktmbuf_copy(m, p->pool, 0, UINT32_MAX);
  if (own) rte_pktmbuf_free(m);
  else count(p, RM_COUNT_FIXUP_FULL, 1, m->pkt_len);
  return own;
}

static struct rte_mbuf *changed(struct plane *p, uint32_t role, struct rte_mbuf *m, struct change *c) {
  struct rte_mbuf *own = alone(p, m);
  if (!own) return m;
  apply(p, p->aliases[role_side(role)], role_of_box(role), rte_pktmbuf_mtod(own, uint8_t *), c);
  return own;
}

struct rte_mbuf *fixup_into(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  if (!fixup_any(p, role_side(role), role_of_box(role))) return m;
  struct change c;
  rm_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &c.packet);
  return change_into(p, role, rte_pktmbuf_mtod(m, const uint8_t *), &c) ? changed(p, role, m, &c) : m;
}

/* The place of the flow of a frame that was looked at; RM_NO_FLOW: it is not known, or the frame is not plain. */
static inline uint32_t place_looked(const struct rm_look *l, uint32_t i) {
  return l->facts[i] & RM_LOOK_PLAIN ? l->slot[i] : RM_NO_FLOW;
}

/* A frame of the flow at this place, which may have an alias: from all that is known of both. */
static struct rte_mbuf *change_slowly(struct plane *p, uint32_t role, struct rte_mbuf *m, const struct rm_look *l, uint32_t i) {
  uint32_t side = role_side(role);
  struct change c = {.error = false};
  rm_parse_looked(l, i, &c.packet);
  struct aliases *t = p->aliases[side];
  const struct rm_flow *f = rm_flows_find(&p->table[side], &c.packet, l->hash[i]);
  if (!f) return m;
  aliases_tidy(t, f);
  const struct alias *a = c.packet.dir == f->outer_dir ? aliases_of(t, f, role_of_box(role)) : NULL;
  if (!change_by(&c, a)) return m;
  aliases_hasten(t, a);
  return changed(p, role, m, &c);
}

/* The same, by the quick form if that is to be had. */
static inline struct rte_mbuf *change_known(struct plane *p, uint32_t role, struct rte_mbuf *m, const struct rm_look *l, uint32_t i) {
  uint32_t side = role_side(role), facts = l->facts[i];
  if (!(facts & RM_LOOK_EVERYDAY)) return change_slowly(p, role, m, l, i);
  const struct translate_plan *plan = aliases_quick(p->aliases[side], role_of_box(role), l, i);
  bool outer = *hot_of(&p->table[side], l->slot[i]) & RM_HOT_OUTER, dir = facts >> (RM_LOOK_KIND_SHIFT + 1) & 1;
  if (!plan || outer != dir) return change_slowly(p, role, m, l, i);
  struct rte_mbuf *own = alone(p, m);
  if (!own) return m;
  translate_planned(rte_pktmbuf_mtod(own, uint8_t *), facts >> RM_LOOK_AT_SHIFT, plan, 0);
  count(p, RM_COUNT_FIXED_UP, 1, own->data_len);
  return own;
}

struct rte_mbuf *fixup_looked(struct plane *p, uint32_t role, struct rte_mbuf *m, const struct rm_look *l, uint32_t i) {
  uint32_t side = role_side(role), box = role_of_box(role), place = place_looked(l, i);
  if (!fixup_any(p, side, box)) return m;
  if (place == RM_NO_FLOW) return fixup_into(p, role, m);
  return aliases_has(aliases_marked(p->aliases[side], box), place) ? change_known(p, role, m, l, i) : m;
}

/* A bit for each frame of a burst whose flow may have an alias for the box. */
static uint64_t some_of(const struct aliases *t, uint32_t box, const struct rm_look *l) {
  const uint32_t *marked = aliases_marked(t, box);
  uint64_t some = 0;
  for (uint32_t i = 0; i < l->n; i++) {
    uint32_t place = place_looked(l, i);
    bool may = (place == RM_NO_FLOW) | aliases_has(marked, place & (t->places - 1));
    some |= (uint64_t)may << i;
  }
  return some;
}

void fixup_foresee(struct plane *p, uint32_t side, uint32_t box, const struct rm_look *l) {
  const struct aliases *t = p->aliases[side];
  for (uint64_t left = some_of(t, box, l); left; left &= left - 1) {
    uint32_t place = place_looked(l, (uint32_t)__builtin_ctzll(left));
    if (place == RM_NO_FLOW) continue;
    __builtin_prefetch(&t->quick[place]);
    __builtin_prefetch(&t->entries[place].first_ns);
  }
}

/* Most frames' flows have no alias. */
void fixup_burst(struct plane *p, uint32_t role, struct rte_mbuf **frames, const struct rm_look *l) {
  uint32_t side = role_side(role), box = role_of_box(role);
  if (!fixup_any(p, side, box)) return;
  for (uint64_t left = some_of(p->aliases[side], box, l); left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    frames[i] = place_looked(l, i) == RM_NO_FLOW ? fixup_into(p, role, frames[i]) : change_known(p, role, frames[i], l, i);
  }
}

void fixup_played(struct plane *p, struct rte_mbuf *m, const struct rm_flow *flow, const struct alias_guise *guise) {
  uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
  struct twin_tuple own = alias_own(flow), to = translate_turned(&guise->ends);
  struct rm_packet packet;
  if (twin_same(&guise->ends, &own) && !(guise->shift | guise->clock)) return;
  if (rm_parse(frame, m->data_len, &packet) != RM_PARSE_FLOW || !translate_can(&packet, &to)) return;
  translate_frame(frame, &packet, &to);
  translate_numbers(frame, &packet, &(struct translate_numbers){.ack = 0u - guise->shift, .echo = 0u - guise->clock}, NULL);
  count(p, RM_COUNT_FIXED_UP, 1, packet.frame_bytes);
}

/* The packet, as if it had these ends. */
static void give_ends(struct rm_packet *packet, const struct twin_tuple *ends) {
  int order = memcmp(ends->addr[0], ends->addr[1], 16);
  uint8_t dir = order > 0 || (order == 0 && ends->port[0] > ends->port[1]);
  packet->dir = dir;
  for (uint32_t end = 0; end < 2; end++) {
    memcpy(packet->addr[end ^ dir], ends->addr[end], 16);
    packet->port[end ^ dir] = ends->port[end];
  }
}

/* A name like this one that nobody has. */
static bool free_name(struct plane *p, uint32_t role, const struct rm_packet *packet, struct twin_tuple *name) {
  uint32_t side = role_side(role);
  struct rm_flows *flows = &p->table[side];
  uint32_t x = (uint32_t)(p->now ^ p->crew->trace_secret) | 1;
  bool echo = packet->proto == IPPROTO_ICMP || packet->proto == IPPROTO_ICMPV6;
  for (uint32_t i = 0; i < NAMES_TRIED; i++) {
    struct rm_packet renamed = *packet;
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    name->port[0] = (uint16_t)(PORT_FIRST + x % (UINT16_MAX + 1 - PORT_FIRST));
    if (echo) name->port[1] = name->port[0];
    give_ends(&renamed, name);
    if (!rm_flows_find(flows, &renamed, rm_flows_hash(flows, &renamed)) &&
        !aliases_at(p->aliases[side], role_of_box(role), packet, name)) return true;
  }
  return false;
}

/* Has some flow an alias for this box that has this name in the network? By its place alone, which is near in memory. */
static bool may_be_namesake(const struct plane *p, uint32_t role, uint64_t hash) {
  uint32_t side = role_side(role), place = rm_flows_seek(&p->table[side], hash);
  return place != RM_NO_FLOW && aliases_has(aliases_marked(p->aliases[side], role_of_box(role)), place);
}

/* The flow that has this name in the network, though the box means another one by it; null: there is none. */
static struct rm_flow *namesake(struct plane *p, uint32_t role, const struct rm_packet *packet) {
  uint32_t side = role_side(role), box = role_of_box(role);
  uint64_t hash = rm_flows_hash(&p->table[side], packet);
  struct rm_flow *f = may_be_namesake(p, role, hash) ? rm_flows_find(&p->table[side], packet, hash) : NULL;
  if (!f || f->age == RM_AGE_TCP_CLOSING || !aliases_of(p->aliases[side], f, box)) return NULL;
  if (packet->proto != IPPROTO_TCP || burst_opens(packet)) return f;
  /* In the middle of a connection: the box has taken up its own name for it again. */
  fixup_learn(p, side, box, f, &(struct alias_guise){.ends = alias_own(f)});
  return NULL;
}

/* A new flow gets another name than the box gave it. */
static bool change_namesake(struct plane *p, uint32_t role, const struct twin_tuple *ends, struct change *c) {
  uint32_t side = role_side(role);
  struct rm_flows *flows = &p->table[side];
  if (!namesake(p, role, &c->packet)) return false;
  c->to = *ends;
  if (!free_name(p, role, &c->packet, &c->to)) return count(p, RM_COUNT_FIXUP_FULL, 1, 0), false;
  struct rm_packet renamed = c->packet;
  give_ends(&renamed, &c->to);
  bool fresh;
  struct rm_flow *f = rm_flows_get(flows, &renamed, rm_flows_hash(flows, &renamed), &p->rules, p->now, &fresh);
  f->outer_dir = 1 - renamed.dir;
  fixup_learn(p, side, role_of_box(role), f, &(struct alias_guise){.ends = *ends});
  count(p, RM_COUNT_FIXUP_COLLISION, 1, 0);
  return true;
}

/* A frame of an older flow that the box has just taken up may come out under a name of which nobody knows yet. */
static const struct alias *infer(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet,
                                 const struct twin_tuple *ends) {
  const struct rm_flow *f = infer_find(p, role, frame, packet);
  if (!f) return NULL;
  fixup_learn(p, role_side(role), role_of_box(role), f, &(struct alias_guise){.ends = *ends});
  return aliases_of(p->aliases[role_side(role)], f, role_of_box(role));
}

static bool change_from(struct plane *p, uint32_t role, const uint8_t *frame, struct change *c) {
  uint32_t side = role_side(role), box = role_of_box(role);
  struct aliases *t = p->aliases[side];
  const struct rm_packet *packet = &c->packet;
  c->error = false;
  c->by = (struct translate_numbers){.seq = 0};
  if (packet->fragment == RM_FRAGMENT_LATER) return aliases_find_fragment(t, box, packet, p->now, &c->to);
  if (packet->verdict != RM_PARSE_FLOW && packet->fragment != RM_FRAGMENT_FIRST) return false;
  c->error = packet->verdict == RM_PARSE_FLOW && rm_quote(frame, packet, &c->quoted);
  struct twin_tuple ends = twin_tuple(c->error ? &c->quoted : packet);
  if (c->error) ends = translate_turned(&ends);
  const struct alias *a = aliases_at(t, box, c->error ? &c->quoted : packet, &ends);
  if (!a && !c->error && infer_expects(p, side)) a = infer(p, role, frame, packet, &ends);
  if (!a) return !c->error && change_namesake(p, role, &ends, c);
  c->to = alias_own(&p->entries[side][a->slot]);
  /* A connection that is opened anew under the name of an older one has numbers that everybody is to know. */
  if (!c->error && burst_opens(packet) && twin_same(&c->to, &ends)) return false;
  if (c->error) c->to = translate_turned(&c->to);
  if (c->error) c->by = (struct translate_numbers){.ack = a->made.shift, .echo = a->made.clock};
  else c->by = (struct translate_numbers){.seq = a->made.shift, .clock = a->made.clock};
  return true;
}

/* A host on the node's own network is reached by its own MAC address. */
static void readdress(struct plane *p, uint32_t side, uint8_t *frame, const struct change *c) {
  struct twin_tuple before = twin_tuple(&c->packet);
  uint8_t mac[6];
  if (c->error || memcmp(before.addr[1], c->to.addr[1], 16) == 0) return;
  if (neighbour_find(p, side, c->to.addr[1], mac)) memcpy(frame, mac, sizeof mac);
}

/* A bit for each frame that may have to be changed: it is none of every day, its name may be an alias, or it may be that of a flow in the
 * network which has one; and for each whose alias would be at a place. */
struct suspects { uint64_t all, named; uint32_t place[RM_LOOK]; };

/* Most frames are told by what a look says of all, and by the sieve. */
static void suspect(struct plane *p, uint32_t role, struct rm_look *l, struct suspects *s) {
  uint32_t side = role_side(role);
  const struct aliases *t = p->aliases[side];
  uint64_t name[RM_LOOK], odd = 0, may = 0, named = 0, others = 0;
  rm_look_keys(&p->table[side], l);
  for (uint32_t i = 0; i < l->n; i++) {
    odd |= (uint64_t)!(l->facts[i] & RM_LOOK_EVERYDAY) << i;
    may |= (uint64_t)aliases_may(t, l->hash[i]) << i;
  }
  may &= ~odd;
  for (uint64_t left = may; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    name[i] = aliases_name(t, role_of_box(role), l, i);
  }
  for (uint64_t left = may; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    s->place[i] = aliases_place(t, name[i]);
    named |= (uint64_t)(s->place[i] != RM_NO_FLOW) << i;
  }
  for (uint64_t left = named; left; left &= left - 1) aliases_foresee(t, s->place[__builtin_ctzll(left)]);
  for (uint64_t left = may & ~named; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    others |= (uint64_t)may_be_namesake(p, role, l->hash[i]) << i;
  }
  s->all = odd | named | others;
  s->named = named;
}

/* A frame out of a box, from all that is known of it. True: it is another one now. */
static bool change_parsed(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  uint32_t side = role_side(role);
  uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
  struct change c;
  rm_parse(frame, m->data_len, &c.packet);
  if (!change_from(p, role, frame, &c)) return false;
  readdress(p, side, frame, &c);
  apply(p, p->aliases[side], role_of_box(role), frame, &c);
  return true;
}

/* The same by what a look says, if that is enough. */
static bool change_planned(struct plane *p, uint32_t role, struct rte_mbuf *m, const struct alias_sight *seen) {
  struct translate_plan plan;
  uint32_t seq;
  if (!aliases_plan(p->aliases[role_side(role)], seen, &plan, &seq)) return false;
  translate_planned(rte_pktmbuf_mtod(m, uint8_t *), seen->look->facts[seen->i] >> RM_LOOK_AT_SHIFT, &plan, seq);
  count(p, RM_COUNT_FIXED_UP, 1, m->data_len);
  return true;
}

bool fixup_from(struct plane *p, uint32_t role, struct rte_mbuf *const *frames, struct rm_look *l) {
  struct suspects s = {.all = l->n < RM_LOOK ? (1ull << l->n) - 1 : UINT64_MAX};
  /* A name that is inferred from one frame may be that of the next. */
  bool keyed = !infer_expects(p, role_side(role));
  uint32_t changed = 0;
  if (keyed) suspect(p, role, l, &s);
  for (uint64_t left = s.all; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    struct alias_sight seen = {l, i, role_of_box(role), s.place[i]};
    bool planned = (s.named >> i & 1) && change_planned(p, role, frames[i], &seen);
    if (!planned && !change_parsed(p, role, frames[i])) continue;
    l->facts[i] = 0; /* they were of the name that it had */
    changed++;
  }
  /* Many are sooner looked at again together than one by one. */
  return keyed && changed <= l->n / MANY;
}

void fixup_step(struct plane *p) {
  for (uint32_t side = 0; side < RM_SIDES; side++)
    if (p->aliases[side]) aliases_walk(p->aliases[side], WALK / RM_PACE);
}

/* Flow table: bounded, never fails, forgets the least recently used.
 *
 * Buckets of eight. A flow may stand in one of two buckets, both derived from one keyed hash, so an
 * outsider who does not know the secret cannot aim many flows at one bucket. A bucket is one cache line; it has what
 * most packets need, and what is needed to choose who gives way. The entry beside it is touched by the others.
 */
#include "hot.h"
#include "parse.h"

#define ROUND_TICKS 512u /* ticks have eleven bits: older ones must be in the entries by then */
#define ROUND_EPOCHS 50u /* and epochs seven; two rounds may lie between two looks at a flow */

uint64_t rm_flows_hash(const struct rm_flows *t, const struct rm_packet *p) {
  uint64_t w[4], rest = key_rest(p->port[0], p->port[1], p->vlan, p->proto, p->ipv6);
  for (int i = 0; i < 4; i++) w[i] = load64((const uint8_t *)p->addr + 8 * i);
  return p->ipv6 ? hash_key6(t, w, rest) : hash_key4(t, (uint32_t)(w[1] >> 32), (uint32_t)(w[3] >> 32), rest);
}

/* Differences are gathered and judged once: a branch for each word would be one too many to guess. */
static inline bool same_flow(const struct rm_flow *f, const struct rm_packet *p) {
  uint64_t differs = (uint64_t)((f->port[0] ^ p->port[0]) | (f->port[1] ^ p->port[1]) | (f->vlan ^ p->vlan) |
                                (f->proto ^ p->proto) | (!(f->flags & RM_FLOW_IPV6) ^ !p->ipv6));
  for (int i = 0; i < 4; i++) differs |= load64((const uint8_t *)f->addr + 8 * i) ^ load64((const uint8_t *)p->addr + 8 * i);
  return differs == 0;
}

/* A clock that steps back (a capture may) makes nothing older. */
static inline bool is_over(uint64_t limit, uint64_t last, uint64_t now) {
  return limit != 0 && now > last && now - last >= limit;
}

void rm_flows_open(struct rm_flows *t, struct rm_flow *entries, struct rm_flow_bucket *buckets, uint32_t slots,
                   const uint64_t secret[2]) {
  memset(t, 0, sizeof *t);
  t->entries = entries;
  t->buckets = buckets;
  t->slots = slots;
  t->epochs_left = ROUND_EPOCHS;
  t->wide = rm_look_wide();
  memcpy(t->secret, secret, sizeof t->secret);
}

static uint32_t patience_of(uint64_t age_ns) {
  uint64_t ticks = age_ns >> RM_TICK_SHIFT;
  if (age_ns == 0 || ticks > RM_PATIENCE_MAX) return RM_PATIENCE_MAX;
  return ticks ? (uint32_t)ticks - 1 : 0;
}

/* Put the tick of one flow, seen at `tick`, into its entry, and take away what would be mistaken at `then`. */
static inline void settle(struct rm_flows *t, uint32_t slot, uint64_t tick, uint64_t then) {
  uint32_t *hot = hot_of(t, slot), state = *hot;
  state &= ~RM_HOT_USED;
  if ((state >> RM_HOT_EPOCH_SHIFT) != t->epoch) state &= ~RM_HOT_QUIET;
  if (!(state & RM_HOT_FOLDED)) {
    struct rm_flow *f = &t->entries[slot];
    f->last_ns = last_seen(f, tick, state);
    if ((int64_t)(then - tick) + ticks_since(tick, state) > (int64_t)RM_PATIENCE_MAX) state |= RM_HOT_FOLDED;
  }
  *hot = state;
}

static void settle_all(struct rm_flows *t, uint64_t then) {
  for (uint32_t slot = 0; slot < t->slots; slot++)
    if (t->buckets[slot / RM_WAYS].signature[slot % RM_WAYS]) settle(t, slot, t->tick, then);
  t->epochs_left = ROUND_EPOCHS;
}

void rm_flows_wake(struct rm_flows *t) {
  t->epoch = (t->epoch + 1) & RM_EPOCH_MASK;
  if (--t->epochs_left == 0) settle_all(t, t->tick);
}

void rm_flows_begin(struct rm_flows *t, const struct rm_rules *rules, uint64_t now) {
  uint64_t tick = now >> RM_TICK_SHIFT;
  if (__builtin_expect(t->generation != rules->generation, 0)) {
    t->generation = rules->generation;
    for (uint32_t age = 0; age < RM_AGES; age++) t->patience[age] = patience_of(rules->age_ns[age]);
    rm_flows_wake(t);
  }
  if (__builtin_expect(tick - t->round_tick + ROUND_TICKS >= 2 * ROUND_TICKS, 0)) {
    if (t->live) settle_all(t, tick);
    t->round_tick = t->sweep_tick = tick;
  }
  t->tick = tick;
}

uint32_t rm_flows_seek(const struct rm_flows *t, uint64_t hash) {
  uint32_t signature = signature_of(hash), bucket = first_bucket(t, hash), hits = ways_with(&t->buckets[bucket], signature);
  if (!hits) bucket = second_bucket(t, hash), hits = ways_with(&t->buckets[bucket], signature);
  return hits ? bucket * RM_WAYS + (uint32_t)__builtin_ctz(hits) : RM_NO_FLOW;
}

static inline struct rm_flow *find_in(struct rm_flows *t, const struct rm_packet *p, uint32_t bucket, uint32_t signature) {
  uint32_t hits = ways_with(&t->buckets[bucket], signature);
  while (hits) {
    struct rm_flow *f = &t->entries[bucket * RM_WAYS + (uint32_t)__builtin_ctz(hits)];
    if (same_flow(f, p)) return f;
    hits &= hits - 1;
  }
  return NULL;
}

struct rm_flow *rm_flows_find(struct rm_flows *t, const struct rm_packet *p, uint64_t hash) {
  uint32_t signature = signature_of(hash);
  struct rm_flow *f = find_in(t, p, first_bucket(t, hash), signature);
  return f ? f : find_in(t, p, second_bucket(t, hash), signature);
}

void rm_flow_start(struct rm_flow *f, const struct rm_packet *p, uint64_t now) {
  /* Another worker may be reading it (entry.h): without flags it is nobody's. */
  __atomic_store_n(&f->flags, 0, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
  /* memset() would be one instruction, for which what is read next has to wait. */
  for (uint32_t at = 0; at < sizeof *f; at += 8) store64((uint8_t *)f + at, 0);
  for (int i = 0; i < 4; i++) store64((uint8_t *)f->addr + 8 * i, load64((const uint8_t *)p->addr + 8 * i));
  for (int i = 0; i < 2; i++) f->port[i] = p->port[i];
  f->vlan = p->vlan;
  f->proto = p->proto;
  f->age = rm_flow_age(f);
  f->rule = 0xff;
  /* Who answers a SYN that was not seen is the server. */
  bool answer = p->proto == 6 && (p->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK)) == (RM_TCP_SYN | RM_TCP_ACK);
  f->first_ns = f->last_ns = now;
  f->half[0].scale = f->half[1].scale = 0xff;
  f->peer = RM_NO_FLOW;
  uint8_t flags = (uint8_t)(RM_FLOW_USED | (p->ipv6 ? RM_FLOW_IPV6 : 0) | (p->dir != answer ? RM_FLOW_CLIENT : 0) |
                            (p->inner ? RM_FLOW_INNER : 0));
  __atomic_store_n(&f->flags, flags, __ATOMIC_RELEASE);
}

/* What is lost with a flow: nothing that lasts, an attempt, a conversation. */
static inline uint32_t value_of(uint32_t state) {
  switch (state >> RM_HOT_AGE_SHIFT & 7) {
    case RM_AGE_TCP_CLOSING: return 0;
    case RM_AGE_TCP_OPENING: return 1;
    case RM_AGE_TCP: return 2;
    default: return state & RM_HOT_ANSWERED ? 2 : 1;
  }
}

/* The tick of the last packet; the entry is looked at only where the bucket does not say. */
static inline uint64_t last_tick(const struct rm_flows *t, uint32_t slot, uint32_t state) {
  if (state & RM_HOT_FOLDED) return t->entries[slot].last_ns >> RM_TICK_SHIFT;
  return t->tick - (uint64_t)(int64_t)ticks_since(t->tick, state);
}

/* Of sixteen full places: an aged one, else the least valuable, among those the one unused for longest. Within a tick it is
 * one that was not used since the last time there was none such, from a place that changes. */
static uint32_t choose_victim(struct rm_flows *t, const struct rm_rules *rules, uint64_t now, uint32_t one,
                              uint32_t two) {
  uint64_t least = UINT64_MAX;
  uint32_t victim = 0;
  for (uint32_t n = 0; n < 2 * RM_WAYS; n++) {
    uint32_t i = (n + (uint32_t)(t->evicted + t->expired)) % (2 * RM_WAYS);
    uint32_t slot = (i < RM_WAYS ? one : two) * RM_WAYS + i % RM_WAYS, state = *hot_of(t, slot);
    uint64_t tick = last_tick(t, slot, state), limit = rules->age_ns[state >> RM_HOT_AGE_SHIFT & 7];
    /* The entry need not be asked while it cannot have been so long. */
    if (limit && now - (tick << RM_TICK_SHIFT) >= limit && is_over(limit, last_seen(&t->entries[slot], t->tick, state), now)) {
      t->expired++;
      return slot;
    }
    uint64_t worth = (uint64_t)value_of(state) << 60 | tick << 1 | ((state & RM_HOT_USED) != 0);
    if (worth >= least) continue;
    victim = slot;
    least = worth;
  }
  for (uint32_t i = 0; (least & 1) && i < RM_WAYS; i++) {
    t->buckets[one].state[i] &= ~RM_HOT_USED;
    t->buckets[two].state[i] &= ~RM_HOT_USED;
  }
  if (least >> 60 == 0) t->expired++;
  else t->evicted++;
  t->evicted_live += least >> 60 == 2;
  return victim;
}

static inline uint32_t choose_place(struct rm_flows *t, const struct rm_rules *rules, uint64_t now, uint64_t hash) {
  bool closed;
  uint32_t slot = free_place(t, hash, &closed);
  if (slot == RM_NO_FLOW) return choose_victim(t, rules, now, first_bucket(t, hash), second_bucket(t, hash));
  if (closed) t->expired++;
  else t->live++;
  return slot;
}

struct rm_flow *rm_flows_get(struct rm_flows *t, const struct rm_packet *p, uint64_t hash,
                             const struct rm_rules *rules, uint64_t now, bool *fresh) {
  struct rm_flow *f = rm_flows_find(t, p, hash);
  *fresh = false;
  if (__builtin_expect(f != NULL, 1)) {
    uint64_t limit = rules->age_ns[f->age];
    if (__builtin_expect(!is_over(limit, last_seen(f, t->tick, *hot_of(t, place_of(t, f))), now), 1)) return f;
    t->expired++;
  } else {
    uint32_t slot = choose_place(t, rules, now, hash);
    t->buckets[slot / RM_WAYS].signature[slot % RM_WAYS] = signature_of(hash);
    f = &t->entries[slot];
  }
  *fresh = true;
  rm_flow_start(f, p, now);
  return f;
}

void rm_flow_wake(struct rm_flows *t, const struct rm_flow *f) {
  *hot_of(t, place_of(t, f)) &= ~RM_HOT_QUIET;
}

void rm_flow_passes(struct rm_flows *t, struct rm_flow *f, bool passes) {
  uint32_t *hot = hot_of(t, place_of(t, f));
  f->flags = (uint8_t)(passes ? f->flags | RM_FLOW_PASSES : f->flags & ~RM_FLOW_PASSES);
  *hot = passes ? *hot | RM_HOT_PASSES : *hot & ~RM_HOT_PASSES;
}

void rm_flows_sweep(struct rm_flows *t, const struct rm_rules *rules, uint64_t now, uint32_t buckets) {
  uint32_t all = t->slots / RM_WAYS;
  for (uint32_t n = 0; n < buckets && n < all; n++) {
    struct rm_flow_bucket *b = &t->buckets[t->sweep_at];
    for (uint32_t way = 0; way < RM_WAYS; way++) {
      if (b->signature[way] == 0) continue;
      uint32_t slot = t->sweep_at * RM_WAYS + way;
      struct rm_flow *f = &t->entries[slot];
      settle(t, slot, t->tick, t->tick);
      if (!is_over(rules->age_ns[f->age], f->last_ns, now)) continue;
      b->signature[way] = 0;
      f->flags = 0;
      t->live--;
      t->expired++;
    }
    t->sweep_at = (t->sweep_at + 1) & (all - 1);
    if (t->sweep_at) continue;
    t->round_tick = t->sweep_tick;
    t->sweep_tick = t->tick;
    t->epochs_left = ROUND_EPOCHS;
  }
}

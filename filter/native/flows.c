/* Flow table: bounded, never fails, forgets the least recently used.
 *
 * Buckets of eight. A flow may stand in one of two buckets, both derived from one keyed hash, so an
 * outsider who does not know the secret cannot aim many flows at one bucket. Looking up touches
 * the bucket's signatures (half a cache line) and an entry only where a signature fits.
 */
#include <string.h>
#include "filter.h"

#define WAYS 8u
#define ROOM_TO_SPARE 3

/* Fold the 128-bit product of two words into 64: every input bit reaches every output bit. */
static inline uint64_t fold(uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t rotate(uint64_t v, unsigned n) {
  return v << n | v >> (64 - n);
}

uint64_t rm_flows_hash(const struct rm_flows *t, const struct rm_packet *p) {
  uint64_t w[4];
  uint64_t k0 = t->secret[0], k1 = t->secret[1];
  memcpy(w, p->addr, sizeof w);
  uint64_t rest = (uint64_t)p->port[0] << 48 | (uint64_t)p->port[1] << 32 | (uint64_t)p->vlan << 16 |
                  (uint64_t)p->proto << 8 | p->ipv6;
  /* Two independent products first, so that the multiplier's latency is paid twice and not three times. */
  uint64_t low = fold(w[0] ^ k0, w[1] ^ k1);
  uint64_t high = fold(w[2] ^ rotate(k1, 29), w[3] ^ rotate(k0, 37));
  return fold(low ^ rest ^ k1, rotate(high, 32) ^ k0 ^ 0x9e3779b97f4a7c15u);
}

static inline uint32_t signature_of(uint64_t hash) {
  uint32_t signature = (uint32_t)(hash >> 32);
  return signature ? signature : 1; /* 0 means free */
}

static inline uint32_t first_bucket(const struct rm_flows *t, uint64_t hash) {
  return (uint32_t)hash & (t->slots / WAYS - 1);
}

/* Never the first one, so that a flow always has sixteen places. */
static inline uint32_t second_bucket(const struct rm_flows *t, uint64_t hash) {
  uint32_t mask = t->slots / WAYS - 1;
  uint32_t step = (((uint32_t)(hash >> 32) * 0x9e3779b1u) >> 5) & mask;
  return ((uint32_t)hash & mask) ^ (step ? step : 1);
}

/* Bit i: way i of the bucket carries this signature. With the bits in a table gcc makes this two vector
 * compares; a shift by i keeps it scalar. */
static inline uint32_t ways_with(const uint32_t *signatures, uint32_t signature) {
  static const uint32_t bit[WAYS] = {1, 2, 4, 8, 16, 32, 64, 128};
  uint32_t hits = 0;
  for (uint32_t i = 0; i < WAYS; i++) hits |= signatures[i] == signature ? bit[i] : 0;
  return hits;
}

static inline bool same_flow(const struct rm_flow *f, const struct rm_packet *p) {
  return memcmp(f->addr, p->addr, sizeof f->addr) == 0 && f->port[0] == p->port[0] && f->port[1] == p->port[1] &&
         f->vlan == p->vlan && f->proto == p->proto && !(f->flags & RM_FLOW_IPV6) == !p->ipv6;
}

/* A clock that steps back (a capture may) makes nothing older. */
static inline bool is_aged(const struct rm_flow *f, const struct rm_rules *rules, uint64_t now) {
  uint64_t limit = rules->age_ns[f->age];
  return limit != 0 && now > f->last_ns && now - f->last_ns >= limit;
}

void rm_flows_open(struct rm_flows *t, struct rm_flow *entries, uint32_t *signatures, uint32_t slots,
                   const uint64_t secret[2]) {
  memset(t, 0, sizeof *t);
  t->entries = entries;
  t->signatures = signatures;
  t->slots = slots;
  memcpy(t->secret, secret, sizeof t->secret);
}

void rm_flows_prefetch(const struct rm_flows *t, uint64_t hash) {
  uint32_t bucket = first_bucket(t, hash);
  __builtin_prefetch(&t->signatures[bucket * WAYS]);
}

void rm_flows_prefetch_entry(const struct rm_flows *t, uint64_t hash) {
  uint32_t bucket = first_bucket(t, hash), signature = signature_of(hash);
  uint32_t hits = ways_with(&t->signatures[bucket * WAYS], signature);
  if (!hits) {
    bucket = second_bucket(t, hash);
    hits = ways_with(&t->signatures[bucket * WAYS], signature);
    if (!hits) return;
  }
  const char *entry = (const char *)&t->entries[bucket * WAYS + (uint32_t)__builtin_ctz(hits)];
  for (size_t at = 0; at < sizeof *t->entries; at += RM_CACHE_LINE) __builtin_prefetch(entry + at, 1);
}

static struct rm_flow *find_in(struct rm_flows *t, const struct rm_packet *p, uint32_t bucket, uint32_t signature) {
  uint32_t hits = ways_with(&t->signatures[bucket * WAYS], signature);
  while (hits) {
    struct rm_flow *f = &t->entries[bucket * WAYS + (uint32_t)__builtin_ctz(hits)];
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
  memset(f, 0, sizeof *f);
  memcpy(f->addr, p->addr, sizeof f->addr);
  memcpy(f->port, p->port, sizeof f->port);
  f->vlan = p->vlan;
  f->proto = p->proto;
  f->age = rm_flow_age(f);
  f->rule = 0xff;
  /* Who answers a SYN that was not seen is the server. */
  bool answer = p->proto == 6 && (p->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK)) == (RM_TCP_SYN | RM_TCP_ACK);
  f->flags = (uint8_t)(RM_FLOW_USED | (p->ipv6 ? RM_FLOW_IPV6 : 0) | (p->dir != answer ? RM_FLOW_CLIENT : 0) |
                       (p->inner ? RM_FLOW_INNER : 0));
  f->first_ns = f->last_ns = now;
  f->half[0].scale = f->half[1].scale = 0xff;
  f->peer = RM_NO_FLOW;
}

/* What is lost with an entry: nothing that lasts, an attempt, a conversation. */
static inline uint32_t value_of(const struct rm_flow *f) {
  if (f->age == RM_AGE_TCP_CLOSING) return 0;
  return f->half[0].packets && f->half[1].packets && f->age != RM_AGE_TCP_OPENING ? 2 : 1;
}

/* Of sixteen full places: an aged one, else the least valuable, among those the one unused for longest. */
static uint32_t choose_victim(struct rm_flows *t, const struct rm_rules *rules, uint64_t now, uint32_t one,
                              uint32_t two) {
  uint32_t victim = one * WAYS, least = 3;
  for (uint32_t i = 0; i < 2 * WAYS; i++) {
    uint32_t slot = (i < WAYS ? one : two) * WAYS + i % WAYS;
    const struct rm_flow *f = &t->entries[slot];
    if (is_aged(f, rules, now)) {
      t->expired++;
      return slot;
    }
    uint32_t value = value_of(f);
    if (value > least || (value == least && f->last_ns >= t->entries[victim].last_ns)) continue;
    victim = slot;
    least = value;
  }
  t->evicted++;
  t->evicted_live += least == 2;
  return victim;
}

/* The first bucket while it has room to spare, because lookups go there first; a crowded one shares with the second,
 * or a table that is half full would evict already. */
static uint32_t choose_place(struct rm_flows *t, const struct rm_rules *rules, uint64_t now, uint64_t hash) {
  uint32_t one = first_bucket(t, hash), bucket = one;
  uint32_t free_ways = ways_with(&t->signatures[one * WAYS], 0);
  if (__builtin_popcount(free_ways) < ROOM_TO_SPARE) {
    uint32_t two = second_bucket(t, hash);
    uint32_t others = ways_with(&t->signatures[two * WAYS], 0);
    if (!free_ways && !others) return choose_victim(t, rules, now, one, two);
    if (__builtin_popcount(others) > __builtin_popcount(free_ways)) {
      free_ways = others;
      bucket = two;
    }
  }
  t->live++;
  return bucket * WAYS + (uint32_t)__builtin_ctz(free_ways);
}

struct rm_flow *rm_flows_get(struct rm_flows *t, const struct rm_packet *p, uint64_t hash,
                             const struct rm_rules *rules, uint64_t now, bool *fresh) {
  struct rm_flow *f = rm_flows_find(t, p, hash);
  *fresh = false;
  if (__builtin_expect(f != NULL, 1)) {
    if (__builtin_expect(!is_aged(f, rules, now), 1)) return f;
    t->expired++;
  } else {
    uint32_t slot = choose_place(t, rules, now, hash);
    t->signatures[slot] = signature_of(hash);
    f = &t->entries[slot];
  }
  *fresh = true;
  rm_flow_start(f, p, now);
  return f;
}

void rm_flows_sweep(struct rm_flows *t, const struct rm_rules *rules, uint64_t now, uint32_t buckets) {
  uint32_t all = t->slots / WAYS;
  for (uint32_t n = 0; n < buckets && n < all; n++) {
    uint32_t base = t->sweep_at * WAYS;
    t->sweep_at = (t->sweep_at + 1) & (all - 1);
    for (uint32_t slot = base; slot < base + WAYS; slot++) {
      if (t->signatures[slot] == 0 || !is_aged(&t->entries[slot], rules, now)) continue;
      t->signatures[slot] = 0;
      t->entries[slot].flags = 0;
      t->live--;
      t->expired++;
    }
  }
}

/* Flow table: bounded, never fails, forgets the least recently used.
 *
 * Buckets of eight. A flow may stand in one of two buckets, both derived from one keyed hash, so an
 * outsider who does not know the secret cannot aim many flows at one bucket. Looking up touches
 * the bucket's signatures (half a cache line) and an entry only where a signature fits.
 */
#ifdef __SSE2__
#include <emmintrin.h>
#endif
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

/* Bit i: way i of the bucket carries this signature. */
static inline uint32_t ways_with(const uint32_t *signatures, uint32_t signature) {
#ifdef __SSE2__
  __m128i want = _mm_set1_epi32((int)signature);
  __m128i low = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)signatures), want);
  __m128i high = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)signatures + 1), want);
  __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());
  return (uint32_t)_mm_movemask_epi8(bytes);
#else
  uint32_t hits = 0;
  for (uint32_t i = 0; i < WAYS; i++) hits |= (uint32_t)(signatures[i] == signature) << i;
  return hits;
#endif
}

/* Differences are gathered and judged once: a branch for each word would be one too many to guess. */
static inline bool same_flow(const struct rm_flow *f, const struct rm_packet *p) {
  uint64_t a[4], b[4];
  uint32_t port_a, port_b;
  memcpy(a, f->addr, sizeof a), memcpy(b, p->addr, sizeof b);
  memcpy(&port_a, f->port, sizeof port_a), memcpy(&port_b, p->port, sizeof port_b);
  uint64_t differs = (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (port_a ^ port_b);
  return (differs | (uint64_t)(f->vlan ^ p->vlan) | (uint64_t)(f->proto ^ p->proto) |
          (uint64_t)(!(f->flags & RM_FLOW_IPV6) ^ !p->ipv6)) == 0;
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

void rm_flows_prefetch_entry(const struct rm_flows *t, uint64_t hash, uint8_t dir) {
  uint32_t bucket = first_bucket(t, hash), signature = signature_of(hash);
  uint32_t hits = ways_with(&t->signatures[bucket * WAYS], signature);
  if (!hits) {
    bucket = second_bucket(t, hash);
    hits = ways_with(&t->signatures[bucket * WAYS], signature);
    if (!hits) return;
  }
  const struct rm_flow *f = &t->entries[bucket * WAYS + (uint32_t)__builtin_ctz(hits)];
  __builtin_prefetch(f, 1);
  __builtin_prefetch(&f->half[dir], 1);
}

static inline struct rm_flow *find_in(struct rm_flows *t, const struct rm_packet *p, uint32_t bucket, uint32_t signature) {
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
  /* TCP tells by its age, without a look at the halves: sixteen of these are judged at a time, far apart in memory. */
  switch (f->age) {
    case RM_AGE_TCP_CLOSING: return 0;
    case RM_AGE_TCP_OPENING: return 1;
    case RM_AGE_TCP: return 2;
    default: return f->half[0].packets && f->half[1].packets ? 2 : 1;
  }
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

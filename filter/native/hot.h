/* What is shared about buckets: where a flow may stand, how its state is read, and what is done for a quiet packet.
 *
 * A flow's place in the buckets and its entry have the same number.
 */
#ifndef RM_HOT_H
#define RM_HOT_H
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <string.h>
#include "filter.h"

/* Fold the 128-bit product of two words into 64: every input bit reaches every output bit. */
static inline uint64_t fold(uint64_t a, uint64_t b) {
#if defined(__x86_64__) && defined(__GNUC__)
  uint64_t high; /* by way of a type of 128 bits the halves would go through memory */
  __asm__("mulq %2" : "+a"(a), "=d"(high) : "rm"(b) : "cc");
  return a ^ high;
#else
  __uint128_t product = (__uint128_t)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
#endif
}

static inline uint64_t rotate(uint64_t v, unsigned n) {
  return v << n | v >> (64 - n);
}

/* Of two IPv4 addresses and the rest of a key; the second product spreads what the first one gathered. */
static inline uint64_t hash_secret4(const uint64_t secret[2], uint32_t a, uint32_t b, uint64_t rest) {
  uint64_t k0 = secret[0], k1 = secret[1];
  return fold(fold(((uint64_t)a << 32 | b) ^ k0, rest ^ k1) ^ k1, k0 ^ 0x9e3779b97f4a7c15u);
}

static inline uint64_t hash_key4(const struct rm_flows *t, uint32_t a, uint32_t b, uint64_t rest) {
  return hash_secret4(t->secret, a, b, rest);
}

/* Of two IPv6 addresses and the rest of a key. Two independent products first, so that the multiplier's latency is paid
 * twice and not three times. */
static inline uint64_t hash_key6(const struct rm_flows *t, const uint64_t w[4], uint64_t rest) {
  uint64_t k0 = t->secret[0], k1 = t->secret[1];
  uint64_t low = fold(w[0] ^ k0, w[1] ^ k1);
  uint64_t high = fold(w[2] ^ rotate(k1, 29), w[3] ^ rotate(k0, 37));
  return fold(low ^ rest ^ k1, rotate(high, 32) ^ k0 ^ 0x9e3779b97f4a7c15u);
}

/* The rest of a key: ports in key order. */
static inline uint64_t key_rest(uint16_t port0, uint16_t port1, uint16_t vlan, uint8_t proto, uint8_t ipv6) {
  return (uint64_t)port0 << 48 | (uint64_t)port1 << 32 | (uint64_t)vlan << 16 | (uint64_t)proto << 8 | ipv6;
}

static inline uint32_t signature_of(uint64_t hash) {
  uint32_t signature = (uint32_t)(hash >> 32);
  return signature ? signature : 1; /* 0 means free */
}

static inline uint32_t first_bucket(const struct rm_flows *t, uint64_t hash) {
  return (uint32_t)hash & (t->slots / RM_WAYS - 1);
}

/* Never the first one, so that a flow always has sixteen places. */
static inline uint32_t second_bucket(const struct rm_flows *t, uint64_t hash) {
  uint32_t mask = t->slots / RM_WAYS - 1;
  uint32_t step = (((uint32_t)(hash >> 32) * 0x9e3779b1u) >> 5) & mask;
  return ((uint32_t)hash & mask) ^ (step ? step : 1);
}

/* Bit i: way i of the bucket carries this signature. */
static inline uint32_t ways_with(const struct rm_flow_bucket *b, uint32_t signature) {
#ifdef __SSE2__
  __m128i want = _mm_set1_epi32((int)signature);
  __m128i low = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)b->signature), want);
  __m128i high = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)b->signature + 1), want);
  __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());
  return (uint32_t)_mm_movemask_epi8(bytes);
#else
  uint32_t hits = 0;
  for (uint32_t i = 0; i < RM_WAYS; i++) hits |= (uint32_t)(b->signature[i] == signature) << i;
  return hits;
#endif
}

/* A way whose connection is closed and silent since, or RM_WAYS. */
static inline uint32_t closed_way(const struct rm_flow_bucket *b) {
  uint32_t found = 0;
  for (uint32_t way = 0; way < RM_WAYS; way++) {
    uint32_t kind = b->state[way] & (7u << RM_HOT_AGE_SHIFT | RM_HOT_USED);
    found |= (uint32_t)((kind == (uint32_t)RM_AGE_TCP_CLOSING << RM_HOT_AGE_SHIFT) & (b->signature[way] != 0)) << way;
  }
  return found ? (uint32_t)__builtin_ctz(found) : RM_WAYS;
}

/* A place for a new flow, or RM_NO_FLOW. The first bucket while it has room to spare, because lookups go there first; a crowded one lets
 * go what is closed (*closed), or shares with the second, or a table that is half full would evict already. */
#define ROOM_TO_SPARE 3
static inline uint32_t free_place(const struct rm_flows *t, uint64_t hash, bool *closed) {
  uint32_t one = first_bucket(t, hash), bucket = one, room = ways_with(&t->buckets[one], 0), way = RM_WAYS;
  if (__builtin_popcount(room) < ROOM_TO_SPARE) way = closed_way(&t->buckets[one]);
  *closed = way < RM_WAYS;
  if (*closed) return one * RM_WAYS + way;
  if (__builtin_popcount(room) < ROOM_TO_SPARE) {
    uint32_t two = second_bucket(t, hash), others = ways_with(&t->buckets[two], 0);
    if (__builtin_popcount(others) > __builtin_popcount(room)) room = others, bucket = two;
  }
  return room ? bucket * RM_WAYS + (uint32_t)__builtin_ctz(room) : RM_NO_FLOW;
}

static inline uint32_t *hot_of(const struct rm_flows *t, uint32_t slot) {
  return &t->buckets[slot / RM_WAYS].state[slot % RM_WAYS];
}

static inline uint32_t place_of(const struct rm_flows *t, const struct rm_flow *f) {
  return (uint32_t)(f - t->entries);
}

/* How many ticks ago, of the table's now; a clock that went back gives less than none. */
static inline int32_t ticks_since(uint64_t tick, uint32_t state) {
  int32_t since = (int32_t)(((uint32_t)tick - state) & RM_HOT_TICK);
  return since > (int32_t)(RM_HOT_TICK / 2) ? since - (int32_t)RM_HOT_TICK - 1 : since;
}

/* When the flow's last packet came: to the nanosecond what the entry has seen, to the tick what was quiet. */
static inline uint64_t last_seen(const struct rm_flow *f, uint64_t tick, uint32_t state) {
  if (state & RM_HOT_FOLDED) return f->last_ns;
  uint64_t start = (tick - (uint64_t)(int64_t)ticks_since(tick, state)) << RM_TICK_SHIFT;
  return start > f->last_ns ? start : f->last_ns;
}

/* Step 0 of rm_decide but for what the peek says of the packet alone. */
static inline bool is_quiet(const struct rm_flows *t, uint32_t state, const struct rm_peek *k, bool observed) {
  uint32_t since = (((uint32_t)t->tick - state) & RM_HOT_TICK) | (state & RM_HOT_FOLDED);
  uint32_t patience = t->patience[state >> RM_HOT_AGE_SHIFT & 15];
  uint32_t outer = (state & RM_HOT_OUTER) != 0, dir = k->kind >> 1;
  uint32_t wrong = (uint32_t)(since > patience) | (state >> RM_HOT_EPOCH_SHIFT ^ t->epoch) |
                   (outer ^ dir ^ (uint32_t)observed);
  return (wrong == 0) & (state >> (RM_HOT_QUIET_SHIFT + k->kind) & 1);
}

/* Steps 4 and 6 for a quiet packet. */
void rm_follow_quiet(struct rm_flow *f, const struct rm_peek *k, const uint8_t *frame, uint32_t bytes, uint64_t now);

/* Step 0 of rm_decide for a plain packet: if it is quiet, everything is done, k->slot is its flow, and its RM_HOT_*
 * are returned; else 0. */
static inline uint32_t rm_quiet(struct rm_flows *t, struct rm_peek *k, const uint8_t *frame, uint32_t bytes, uint64_t now,
                                bool observed) {
  if (!k->calm) return 0;
  /* An earlier packet of the burst may have changed whose slot it is, or have been the first of the flow. */
  if (k->slot == RM_NO_FLOW || t->buckets[k->slot / RM_WAYS].signature[k->slot % RM_WAYS] != signature_of(k->hash))
    k->slot = rm_flows_seek(t, k->hash);
  if (k->slot == RM_NO_FLOW) return 0;
  uint32_t *hot = hot_of(t, k->slot), state = *hot;
  if (!is_quiet(t, state, k, observed)) return 0;
  uint32_t fresh = (state & ~RM_HOT_TICK) | ((uint32_t)t->tick & RM_HOT_TICK) | RM_HOT_USED;
  if (fresh != state) *hot = fresh; /* a line that is only read stays where it is for all cores */
  if (state & RM_HOT_TRACKED) rm_follow_quiet(&t->entries[k->slot], k, frame, bytes, now);
  return fresh;
}
#endif

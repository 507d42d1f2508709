/* Look: a whole burst at once, to let pass what is quiet and to ask for the memory that the rest will need.
 *
 * A processor works on many frames at a time as long as nothing has to be guessed: a wrong guess costs as much as all
 * else that is done for a frame. So each step goes over the burst without a branch that differs from frame to frame.
 * look.h has the steps. They are compiled for any processor, and once more for those with AVX2, BMI1 and BMI2.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define HAS_WIDE 1
#endif
#include "hot.h"
#include "parse.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17 };
#define CHUNK 16u          /* frames side by side */
#define EVERYDAY_BYTES 54u /* no more of a frame is read */

#define WAYS_SHIFT 3u /* from a place to its bucket */
_Static_assert(RM_WAYS == 1u << WAYS_SHIFT, "places of a bucket are numbered in three bits");
_Static_assert(RM_LOOK == 64, "a bit for each frame of a burst");
#define ALL_OF(n) ((n) < 64 ? (1ull << (n)) - 1 : UINT64_MAX)

/* Eight numbers that are worked on together. */
#define LANES 8u
typedef uint32_t lanes __attribute__((vector_size(4 * LANES), may_alias));
typedef uint64_t pairs __attribute__((vector_size(4 * LANES)));

/* Words of a stretch of frames as they lie in memory, each at its offset in a frame without a tag. */
struct stretch {
  uint32_t to[CHUNK], to_end[CHUNK];       /* 0, 4 */
  uint32_t type[CHUNK];                    /* 12; the only one that a tag does not move */
  uint32_t head[CHUNK];                    /* 12: type, version, service */
  uint32_t length[CHUNK], proto[CHUNK];    /* 16, 20 */
  uint32_t from_ip[CHUNK], to_ip[CHUNK];   /* 26, 30 */
  uint32_t ports[CHUNK], flags[CHUNK];     /* 34, 44 */
} RM_ALIGNED;
_Static_assert(sizeof(((struct rm_look *)0)->near) % RM_CACHE_LINE == 0, "numbers of a burst begin at lines");
_Static_assert(__builtin_offsetof(struct rm_look, near) % RM_CACHE_LINE == 0, "and the first of them does");

static inline uint32_t word_at(const uint8_t *from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

/* Where a frame is too short for EVERYDAY_BYTES to be read, or there is none, stands something that is no frame. */
static __attribute__((noinline)) const uint8_t *const *fill(const struct rm_look *l, uint32_t first, const uint8_t *filled[CHUNK]) {
  static const uint8_t nothing[EVERYDAY_BYTES];
  for (uint32_t i = 0; i < CHUNK; i++)
    filled[i] = first + i < l->n && l->bytes[first + i] >= EVERYDAY_BYTES ? l->frame[first + i] : nothing;
  return filled;
}

static inline uint64_t hash_of(const struct rm_flows *t, const struct rm_look *l, uint32_t i) {
  return hash_key4(t, l->near[i], l->far[i], (uint64_t)l->ports[i] << 32 | l->rest[i]);
}

/* What the state of a quiet packet's flow has to be, and which of its bits count. */
struct terms { uint32_t expect, mask, outer, wary; };

static inline struct terms terms_of(const struct rm_flows *t, const struct rm_look *l) {
  return (struct terms){
      .expect = (uint32_t)t->epoch << RM_HOT_EPOCH_SHIFT | (l->observed ? RM_HOT_OUTER : 0),
      .mask = RM_EPOCH_MASK << RM_HOT_EPOCH_SHIFT | RM_HOT_OUTER | RM_HOT_TRACKED | RM_HOT_FOLDED,
      .outer = l->inner ? 0 : UINT32_MAX, /* tunnels are not looked into */
      .wary = l->wary,
  };
}

static inline uint32_t dir_of(const struct rm_look *l, uint32_t i) { return l->facts[i] >> (RM_LOOK_KIND_SHIFT + 1) & 1; }

/* Places in the table: a byte for each bucket, of those with the same last bits together, and a bit for each way. */
#define MARKS 256u
struct marks { uint8_t ways[MARKS]; };
static inline void mark(struct marks *m, uint32_t bucket, uint32_t ways) { m->ways[bucket % MARKS] |= (uint8_t)ways; }
static inline uint32_t is_marked(const struct marks *m, uint32_t bucket, uint32_t way) {
  return m->ways[bucket % MARKS] >> way & 1;
}

#define lanes_at(from) (*(const lanes *)(const void *)(from))
#define lanes_put(to, what) (*(lanes *)(void *)(to) = (what))
/* The other order of bytes. */
#define turned(v) ((v) >> 24 | ((v) >> 8 & 0xff00) | ((v) << 8 & 0xff0000) | (v) << 24)
/* Is any bit of a, or of b, set? */
#define any_of(a, b) ({ \
  pairs both_ = (pairs)((a) | (b)); \
  (both_[0] | both_[1] | both_[2] | both_[3]) != 0; \
})

/* For the packet at `i`, which is not quiet: find out where its flow is or, if it will begin, most likely begins, and ask for
 * that memory. What begins, opens or closes concerns both ends. At once for each: were they asked for together at the end, the first one
 * judged would wait for most of them. */
static inline void want_place(const struct rm_flows *t, struct rm_look *l, uint32_t i) {
  uint32_t place = l->slot[i], dir = dir_of(l, i);
  bool closed, both = place == RM_NO_FLOW || !(l->facts[i] & RM_LOOK_CALM);
  if (place == RM_NO_FLOW) place = free_place(t, l->hash[i], &closed);
  l->place[i] = place;
  if (place == RM_NO_FLOW) return;
  const struct rm_flow *f = &t->entries[place];
  __builtin_prefetch(f, 1);
  __builtin_prefetch(&f->half[dir], 1);
  if (both) __builtin_prefetch(&f->half[1 - dir], 1);
}

/* What those that are left to do may change, but for those whose place is not known yet. */
static inline void mark_loud(const struct rm_look *l, uint32_t todo, struct marks *loud) {
  memset(loud, 0, sizeof *loud);
  for (uint32_t n = 0; n < todo; n++) {
    uint32_t i = l->todo[n], slot = l->slot[i];
    if (!(l->facts[i] & RM_LOOK_PLAIN)) memset(loud, 0xff, sizeof *loud); /* its flow may be any */
    else if (slot != RM_NO_FLOW) mark(loud, slot / RM_WAYS, 1u << slot % RM_WAYS);
  }
}

/* Take out those that are done with after all. Returns how many are left. */
static inline uint32_t drop_done(uint8_t *todo, uint32_t count, uint64_t done) {
  uint32_t left = 0;
  for (uint32_t n = 0; n < count; n++) {
    todo[left] = todo[n];
    left += !(done >> todo[n] & 1);
  }
  return left;
}

/* Frames that are not of the everyday kind. */
static __attribute__((noinline)) void look_at_others(const struct rm_flows *t, struct rm_look *l, uint32_t first, uint32_t end) {
  struct terms terms = terms_of(t, l);
  for (uint32_t i = first; i < end; i++) {
    struct rm_peek k;
    if (l->facts[i]) continue;
    rm_peek(t, l->frame[i], l->bytes[i], l->inner, &k);
    l->never[i] = !(k.plain && k.calm) || l->wary;
    l->hash[i] = 0;
    if (!k.plain) continue;
    uint32_t quiet = 1u << (RM_HOT_QUIET_SHIFT + k.kind);
    l->hash[i] = k.hash;
    l->expect[i] = terms.expect ^ (quiet | (k.kind & 2 ? RM_HOT_OUTER : 0));
    l->mask[i] = terms.mask | quiet;
    l->payload[i] = k.payload_bytes;
    l->facts[i] = RM_LOOK_PLAIN | (k.calm ? RM_LOOK_CALM : 0) | (k.tcp ? RM_LOOK_TCP : 0) |
                  (uint32_t)k.kind << RM_LOOK_KIND_SHIFT | (uint32_t)k.transport_offset << RM_LOOK_AT_SHIFT;
    __builtin_prefetch(&t->buckets[first_bucket(t, k.hash)]);
  }
}

/* Bit for each of eight that is all bits; the others are none. */
static inline uint32_t bits_any(const lanes *of) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < LANES; i++) bits |= ((*of)[i] & 1) << i;
  return bits;
}

/* How long the flows with these states may pause. */
static inline void patience_any(const struct rm_flows *t, const lanes *state, lanes *may) {
  for (uint32_t i = 0; i < LANES; i++) (*may)[i] = t->patience[(*state)[i] >> RM_HOT_AGE_SHIFT & 15];
}

#define WAYS ways_with
#define PATIENCE patience_any
#define BITS bits_any
#define AT_PLACE at_place_any
#define WRONG wrong_any
#define COMPARED compared_any
#define COMPARE compare_any
#define FURTHER further_any
#define GATHER gather_any
#define WEIGH weigh_any
#define SORT sort_any
#define KEYS keys_any
#define LOOK look_any
#include "look.h"

#ifdef HAS_WIDE
#undef WAYS
#undef PATIENCE
#undef BITS
#undef AT_PLACE
#undef WRONG
#undef COMPARED
#undef COMPARE
#undef FURTHER
#undef GATHER
#undef WEIGH
#undef SORT
#undef KEYS
#undef LOOK
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2")
static inline uint32_t ways_wide(const struct rm_flow_bucket *b, uint32_t signature) {
  __m256i same = _mm256_cmpeq_epi32(_mm256_load_si256((const __m256i *)b->signature), _mm256_set1_epi32((int)signature));
  return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(same));
}

static inline uint32_t bits_wide(const lanes *of) { return (uint32_t)_mm256_movemask_ps((__m256)*of); }

static inline void patience_wide(const struct rm_flows *t, const lanes *state, lanes *may) {
  __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)t->patience); /* of the others there is none */
  lanes timed = (lanes)((*state & RM_HOT_TIMED) != 0);
  *may = (lanes)_mm256_permutevar8x32_epi32(first, (__m256i)(*state >> RM_HOT_AGE_SHIFT & 7)) & ~timed;
}

/* Four words of each of eight frames, from offset `at` of each: word k of all of them becomes to[k]. */
static inline void turn_wide(const uint8_t *const *frames, uint32_t at, __m256i to[4]) {
  __m256i row[4];
  for (int i = 0; i < 4; i++) {
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(frames[i] + at));
    row[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_loadu_si128((const __m128i *)(const void *)(frames[i + 4] + at)), 1);
  }
  __m256i a = _mm256_unpacklo_epi32(row[0], row[1]), b = _mm256_unpacklo_epi32(row[2], row[3]);
  __m256i c = _mm256_unpackhi_epi32(row[0], row[1]), d = _mm256_unpackhi_epi32(row[2], row[3]);
  to[0] = _mm256_unpacklo_epi64(a, b), to[1] = _mm256_unpackhi_epi64(a, b);
  to[2] = _mm256_unpacklo_epi64(c, d), to[3] = _mm256_unpackhi_epi64(c, d);
}

/* The bytes that matter, four words of eight frames at a time. A tag moves all that follows by four. */
static inline void gather_wide(const uint8_t *const *frames, struct stretch *s) {
  for (uint32_t at = 0; at < CHUNK; at += LANES) {
    const uint8_t *const *from = frames + at, *behind[LANES];
    for (uint32_t i = 0; i < LANES; i++) {
      uint32_t type = word_at(from[i] + 12) & 0xffff;
      behind[i] = from[i] + (uint64_t)(type == 0x0081) * 4;
      s->flags[at + i] = word_at(behind[i] + 44);
    }
    __m256i ether[4], ip[4], ends[4];
    turn_wide(from, 0, ether);
    turn_wide(behind, 12, ip);
    turn_wide(behind, 26, ends);
    *(__m256i *)(s->to + at) = ether[0], *(__m256i *)(s->to_end + at) = ether[1], *(__m256i *)(s->type + at) = ether[3];
    *(__m256i *)(s->head + at) = ip[0], *(__m256i *)(s->length + at) = ip[1], *(__m256i *)(s->proto + at) = ip[2];
    *(__m256i *)(s->from_ip + at) = ends[0], *(__m256i *)(s->to_ip + at) = ends[1], *(__m256i *)(s->ports + at) = ends[2];
  }
}
#define GATHERS 1 /* in its own way */
#define WAYS ways_wide
#define PATIENCE patience_wide
#define BITS bits_wide
#define AT_PLACE at_place_wide
#define WRONG wrong_wide
#define COMPARED compared_wide
#define COMPARE compare_wide
#define FURTHER further_wide
#define GATHER gather_wide
#define WEIGH weigh_wide
#define SORT sort_wide
#define KEYS keys_wide
#define LOOK look_wide
#include "look.h"
#pragma GCC pop_options
#endif

void rm_look(struct rm_flows *t, struct rm_look *l) {
#ifdef HAS_WIDE
  if (t->wide) return look_wide(t, l);
#endif
  look_any(t, l);
}

void rm_look_keys(const struct rm_flows *t, struct rm_look *l) {
#ifdef HAS_WIDE
  if (t->wide) return keys_wide(t, l);
#endif
  keys_any(t, l);
}

void rm_look_rest(struct rm_flows *t, struct rm_look *l) {
  look_at_others(t, l, 0, l->n);
#ifdef HAS_WIDE
  if (t->wide) return sort_wide(t, l);
#endif
  sort_any(t, l);
}

bool rm_look_wide(void) {
#ifdef HAS_WIDE
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#else
  return false;
#endif
}

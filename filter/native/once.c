/* Once: words of 64 bits, {print 32, switch 8, played 6, doubled 6, old 6, new 6}. */
#include <stddef.h>
#include "once.h"

#define COUNT_MAX 63u
enum { NEW = 0, OLD = 6, DOUBLED = 12, PLAYED = 18 };

static uint32_t count_of(uint64_t word, int what) { return (uint32_t)(word >> what) & COUNT_MAX; }
static uint64_t name_of(uint32_t number, uint32_t print) { return (uint64_t)print << 32 | (number & 0xff) << 24; }
static bool is_named(uint64_t word, uint64_t name) { return (word & ~0xffffffull) == name; }

static uint64_t *set_of(struct rm_once *o, uint32_t print) {
  return &o->word[(print * 0x9e3779b1u >> 16) % (RM_ONCE / RM_ONCE_WAYS) * RM_ONCE_WAYS];
}

static bool swap(uint64_t *word, uint64_t *was, uint64_t to) {
  return __atomic_compare_exchange_n(word, was, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Its word, or a free one of its set: of another switch, or never used. Null: neither. */
static uint64_t *find(struct rm_once *o, uint64_t name, uint32_t print, uint64_t *is) {
  uint64_t *set = set_of(o, print), *spare = NULL;
  for (uint64_t *w = set; w < set + RM_ONCE_WAYS; w++) {
    uint64_t word = __atomic_load_n(w, __ATOMIC_ACQUIRE);
    bool free = word == 0 || ((word ^ name) >> 24 & 0xff) != 0;
    if (is_named(word, name) && word) return *is = word, w;
    if (free && !spare) spare = w, *is = word;
  }
  return spare;
}

bool rm_once_expect(struct rm_once *o, uint32_t switch_number, uint32_t print, bool doubled) {
  uint64_t name = name_of(switch_number, print), is = 0;
  uint64_t *w;
  while ((w = find(o, name, print, &is))) {
    uint64_t base = is_named(is, name) ? is : name;
    if (count_of(base, PLAYED) == COUNT_MAX || count_of(base, DOUBLED) == COUNT_MAX) return false;
    if (swap(w, &is, base + (1ull << PLAYED) + (doubled ? 1ull << DOUBLED : 0))) return true;
  }
  return false;
}

bool rm_once_passes(struct rm_once *o, uint32_t switch_number, uint32_t print, bool of_new) {
  uint64_t name = name_of(switch_number, print), is = 0;
  uint64_t *w = find(o, name, print, &is);
  if (!w) return true;
  while (is != 0 && is_named(is, name)) {
    uint32_t mine = count_of(is, of_new ? NEW : OLD) + 1, theirs = count_of(is, of_new ? OLD : NEW);
    uint32_t played = count_of(is, PLAYED), doubled = of_new ? count_of(is, DOUBLED) : 0;
    if (mine > played + doubled || mine > COUNT_MAX) return true; /* none of these */
    if (swap(w, &is, is + (1ull << (of_new ? NEW : OLD)))) return mine > theirs && mine <= played;
  }
  return true;
}

/* Marks of packets under way through a box.
 *
 *   mark: | name, 39 | opening, 1 | time in 1024 ns, 24 |     0: free
 *
 * A place is written by who puts a packet in, and cleared by compare and exchange by who sees it come out, or waited too long.
 */
#include "grey_core.h"

#define REPEAT_TICKS (4000000u) /* about four seconds */
#define ENOUGH 3 /* lost packets of a flow */
#define TICKS 0xffffffu
#define OPENING (1ull << 24)

static uint32_t place_of(uint64_t name) { return (uint32_t)(name >> 12) & (RM_MARKS - 1); }
static uint64_t ticks(uint64_t ns) { return ns >> 10 & TICKS; }
static uint64_t tag_of(uint64_t name) { return name >> 25 << 25; }

bool grey_in(struct grey_way *w, uint64_t *marks, const struct grey_packet *packet, uint64_t now) {
  uint64_t name = packet->name, *at = &marks[place_of(name)], tag = tag_of(name);
  uint64_t there = __atomic_load_n(at, __ATOMIC_RELAXED);
  if (there != 0 && tag_of(there) == tag) return false;
  if (tag == 0 || w->count == RM_WAITING || there != 0) return true;
  uint64_t mark = tag | (packet->opening ? OPENING : 0) | ticks(now);
  __atomic_store_n(at, mark, __ATOMIC_RELEASE);
  uint32_t last = (w->first + w->count++) % RM_WAITING;
  w->wait[last].ns = now, w->wait[last].mark = mark, w->wait[last].place = place_of(name), w->wait[last].flow = packet->flow;
  return true;
}

uint64_t grey_out(uint64_t *marks, uint64_t name, uint64_t now) {
  uint64_t *at = &marks[place_of(name)], mark = __atomic_load_n(at, __ATOMIC_ACQUIRE);
  if (mark == 0 || (mark ^ name) >> 25 != 0) return UINT64_MAX;
  if (!__atomic_compare_exchange_n(at, &mark, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return UINT64_MAX;
  uint64_t took = (ticks(now) - mark) & TICKS;
  return took > TICKS / 2 ? 0 : took << 10; /* another worker's clock may be a little ahead */
}

bool grey_repeats(struct grey_way *w, uint64_t name, uint64_t now) {
  uint64_t *at = &w->repeat[name >> 14 & (RM_REPEATS - 1)], was = *at;
  *at = tag_of(name) | ticks(now);
  return was != 0 && (was ^ name) >> 25 == 0 && ((ticks(now) - was) & TICKS) < REPEAT_TICKS;
}

static bool clear(uint64_t *marks, uint32_t place, uint64_t mark) {
  return __atomic_compare_exchange_n(&marks[place], &mark, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void add(uint64_t *count) { __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED); }

/* A flow of which one packet after the other is lost, and none ever came out, ends at the box: somebody talks to the box
 * itself. */
static bool ends_here(struct grey_way *w, uint32_t flow, bool lost) {
  uint32_t i = flow % RM_ENDS;
  if (w->ends[i].flow != flow) w->ends[i].flow = flow, w->ends[i].lost = 0, w->ends[i].passed = false;
  if (!lost) w->ends[i].passed = true;
  if (w->ends[i].passed) return false;
  if (w->ends[i].lost < ENOUGH) w->ends[i].lost++;
  return w->ends[i].lost >= ENOUGH;
}

void grey_settle(struct grey_way *w, uint64_t *marks, struct grey_counts *c, uint32_t side, uint64_t before_ns) {
  while (w->count && w->wait[w->first].ns < before_ns) {
    uint64_t mark = w->wait[w->first].mark;
    bool lost = clear(marks, w->wait[w->first].place, mark);
    if (mark & OPENING) add(lost ? &c->openings_lost[side] : &c->openings_passed[side]);
    else if (ends_here(w, w->wait[w->first].flow, lost)) add(&c->ends[side]);
    else add(lost ? &c->lost[side] : &c->passed[side]);
    w->first = (w->first + 1) % RM_WAITING;
    w->count--;
  }
}

void grey_forget(struct grey_way *w, uint64_t *marks) {
  for (; w->count; w->count--) {
    clear(marks, w->wait[w->first].place, w->wait[w->first].mark);
    w->first = (w->first + 1) % RM_WAITING;
  }
}

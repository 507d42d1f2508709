/* Value: which flows a standby gets whose table holds fewer than there are.
 *
 * A walk over the flows of the client's side ranks each by what it moves and by how long it has been idle, and counts how many of
 * each rank there are and how many of them the box holds. From that follows the rank from which on all fit. The next round
 * seeds those above it that the box does not hold, and takes as many below it away, by a reset that it alone hears. New
 * flows are not copied while it is full: they have moved nothing yet. No packet waits for any of it, and none is looked at.
 */
#include <netinet/in.h>
#include "plane.h"
#include "twin.h"

#define PLACES 2048u            /* looked at in a millisecond, or so many flows, whatever comes first */
#define FLOWS 1024u
#define ROUND_NS (250 * RM_MS)  /* from one round to the next, at least */
#define RETRY_S 4u              /* what a box has refused it is offered again after so long */

int value_open(struct plane *p) {
  struct valuing *v = &p->valuing;
  if (!p->has[RM_SIDE_UP]) return 0;
  v->tried = crew_reserve(p->board->setup.flow_slots);
  return v->tried ? 0 : plane_fail(p, "Cannot make a table of what boxes refused: no memory");
}

bool value_holds(const struct plane *p, uint32_t side, const struct rm_flow *f, uint32_t box) {
  enum twin_verdict made = match_flow_verdict(p, side, f, box);
  return made == TWIN_EQUAL || made == TWIN_DIFFERENT;
}

static uint64_t room_of(const struct plane *p, uint32_t box) {
  return __atomic_load_n(&p->board->command.capacity[box], __ATOMIC_RELAXED) / p->crew->queues;
}

/* Standbys with a bound. */
static uint32_t bounded(const struct plane *p) {
  uint32_t boxes = 0;
  for (uint32_t box = 0; box < role_of_box(p->roles); box++)
    boxes |= (uint32_t)(room_of(p, box) && (int)box != serving(p) && (p->members >> box & 1)) << box;
  return boxes;
}

/* A second of the byte, never 0. */
static uint8_t second_of(const struct plane *p) { return (uint8_t)(p->now / RM_S % 255 + 1); }
static bool was_tried(const struct plane *p, uint32_t slot) {
  uint8_t then = p->valuing.tried[slot];
  return then && (second_of(p) + 255u - then) % 255u < RETRY_S;
}

/* A seed for it, or its removal. */
static void change(struct plane *p, uint32_t slot, uint32_t box, bool removes) {
  struct valuing *v = &p->valuing;
  const struct rm_flow *f = &p->entries[RM_SIDE_UP][slot];
  struct rm_flow peer;
  if (!seed_can_pay(p) || was_tried(p, slot) || !seed_pair(p, RM_SIDE_UP, f, &peer)) return;
  if (!(removes ? seed_removal(p, slot, box) : seed_value(p, slot, box))) return;
  seed_pay(p);
  v->tried[slot] = second_of(p);
  if (removes) v->surplus[box]--;
  count(p, removes ? RM_COUNT_VALUE_REMOVED : RM_COUNT_VALUE_SEEDED, 1, 0);
}

static void look_at(struct plane *p, uint32_t slot, uint32_t boxes) {
  struct valuing *v = &p->valuing;
  const struct rm_flow *f = &p->entries[RM_SIDE_UP][slot];
  uint32_t rank = value_rank(f, p->now);
  if (rank == VALUE_CLOSED) return;
  bool seeds = f->proto == IPPROTO_TCP && f->rule != 0xff && p->rules.rule[f->rule].seed && seed_usable(f);
  v->count[rank]++;
  for (uint32_t left = boxes; left; left &= left - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(left);
    bool holds = value_holds(p, RM_SIDE_UP, f, box);
    v->held[box] += holds;
    v->missing[box] += !holds && seeds && rank > v->bar[box];
    if (!v->sure || !seeds) continue;
    if (!holds && rank > v->bar[box]) change(p, slot, box, false);
    if (holds && rank < v->bar[box] && v->surplus[box]) change(p, slot, box, true);
  }
}

static void end_round(struct plane *p, uint32_t boxes) {
  struct valuing *v = &p->valuing;
  uint32_t full = 0;
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    uint64_t room = room_of(p, box), held = v->held[box];
    bool is = boxes >> box & 1;
    v->bar[box] = is ? (uint8_t)value_bar(v->count, room) : 0;
    full |= (uint32_t)(is && held >= room) << box;
    /* So many are to give way as there are better ones without room. */
    uint64_t wanted = held + v->missing[box];
    v->surplus[box] = is && wanted > room ? (uint32_t)(wanted - room) : 0;
    p->live->held[box] = is ? held : 0;
    p->live->missing[box] = is ? v->missing[box] : 0;
    v->held[box] = v->missing[box] = 0;
  }
  __atomic_store_n(&p->crew->full[p->queue], full, __ATOMIC_RELAXED);
  memset(v->count, 0, sizeof v->count);
  v->sure = boxes == v->boxes;
  v->boxes = boxes;
  v->at = 0;
  v->began_ns = p->now;
}

/* Ask for the flows of the bucket behind this place's, which are far away in memory. */
static void foresee(const struct rm_flows *t, uint32_t at) {
  uint32_t first = at + RM_WAYS;
  for (uint32_t way = 0; first < t->slots && way < RM_WAYS; way++) {
    if (!t->buckets[first / RM_WAYS].signature[way]) continue;
    const char *entry = (const char *)&t->entries[first + way];
    for (uint32_t line = 0; line < sizeof(struct rm_flow); line += RM_CACHE_LINE) __builtin_prefetch(entry + line);
  }
}

void value_step(struct plane *p) {
  struct valuing *v = &p->valuing;
  const struct rm_flows *t = &p->table[RM_SIDE_UP];
  if (!p->has[RM_SIDE_UP]) return;
  uint32_t boxes = bounded(p);
  if (boxes == 0 && v->boxes == 0) return;
  if (v->at == t->slots && p->now - v->began_ns >= ROUND_NS) end_round(p, boxes);
  seed_earn(p);
  uint32_t first = slot_of(p, RM_SIDE_UP, t->entries);
  for (uint32_t n = 0, flows = 0; n < PLACES / RM_PACE && flows < FLOWS / RM_PACE && v->at < t->slots; n++, v->at++) {
    if (v->at % RM_WAYS == 0) foresee(t, v->at);
    if (t->buckets[v->at / RM_WAYS].signature[v->at % RM_WAYS]) look_at(p, first + v->at, boxes), flows++;
  }
}

uint32_t value_refused(const struct plane *p, uint32_t side, const struct rm_flow *f) {
  uint32_t refused = 0;
  for (uint32_t left = value_full(p); left; left &= left - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(left);
    refused |= (uint32_t)!value_holds(p, side, f, box) << box;
  }
  return refused;
}

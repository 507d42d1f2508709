/* Resync and refresh: seeds for all live connections into one box, the busiest first, so many in a second.
 *
 * Each worker of the client side goes over its own part of the flows, in steps that are small beside a turn. First they are
 * ranked: a list for each quarter of a doubling of bytes. Then the lists are played from the top. A connection that ended
 * meanwhile is left out. Resync is ordered by control; refresh comes by itself, for what was not copied lately.
 */
#include <netinet/in.h>
#include <string.h>
#include "plane.h"

#define LOOKED_AT 4096u /* places in a turn, or RANKED flows, whatever comes first */
#define RANKED 256u
#define PLAYED 16u      /* begun in a turn */
#define BURST_NS (10 * RM_MS) /* of the rate, that may be made up for */

int walk_open(struct plane *p) {
  struct walking *w = &p->walking;
  w->box = RM_BOXES;
  p->seeding = crew_memory(sizeof *p->seeding);
  if (!p->seeding) return plane_fail(p, "Cannot make a table of seeds: no memory");
  for (uint32_t i = 0; i < RM_SEEDS; i++) p->seeding->order[i] = (uint16_t)i;
  if (!p->has[RM_SIDE_UP]) return 0;
  w->slots = p->table[RM_SIDE_UP].slots;
  w->next = crew_memory(w->slots * sizeof *w->next);
  return w->next ? 0 : plane_fail(p, "Cannot make the lists of resync for %u flows: no memory", w->slots);
}

static struct rm_flow *flow_at(struct plane *p, uint32_t at) { return &p->table[RM_SIDE_UP].entries[at]; }
static struct rm_resync *tally(struct plane *p) { return &p->live->resync[p->walking.box]; }

static bool is_there(const struct plane *p, uint32_t box) {
  return (p->members >> box & 1) && p->port[role_box(box, RM_SIDE_UP)].view->link && p->port[role_box(box, RM_SIDE_DOWN)].view->link;
}

static bool is_wanted(const struct plane *p, const struct rm_flow *f) {
  const struct walking *w = &p->walking;
  if (f->proto != IPPROTO_TCP || !seed_usable(f) || f->rule == 0xff || !p->rules.rule[f->rule].seed || f->peer == RM_NO_FLOW) return false;
  if (!w->refreshes) return true;
  const struct rm_half *a = &f->half[0], *b = &f->half[1];
  uint64_t last = a->mirrored_ns > b->mirrored_ns ? a->mirrored_ns : b->mirrored_ns;
  return p->now >= last + p->board->command.refresh_ns;
}

/* Four ranks to each doubling. */
static uint32_t rank_of(const struct rm_flow *f) {
  uint64_t bytes = f->half[0].bytes + f->half[1].bytes + 4;
  uint32_t top = 63u - (uint32_t)__builtin_clzll(bytes);
  return top * 4 + (uint32_t)(bytes >> (top - 2) & 3);
}

static void rank_flows(struct plane *p) {
  struct walking *w = &p->walking;
  const struct rm_flow_bucket *buckets = p->table[RM_SIDE_UP].buckets;
  uint32_t ranked = 0;
  for (uint32_t n = 0; n < LOOKED_AT && ranked < RANKED && w->at < w->slots; n++, w->at++) {
    if (!buckets[w->at / RM_WAYS].signature[w->at % RM_WAYS]) continue;
    const struct rm_flow *f = flow_at(p, w->at);
    ranked++;
    if (!is_wanted(p, f)) continue;
    uint32_t rank = rank_of(f);
    w->next[w->at] = w->first[rank];
    w->first[rank] = w->at;
    tally(p)->flows++;
  }
  w->ranked = w->at == w->slots;
  w->rank = RM_SEED_RANKS - 1;
}

/* Into the box that serves a connection that waits for its seed goes as it would with its next frame. False: nothing is free now. */
static bool play_flow(struct plane *p, struct rm_flow *f) {
  struct walking *w = &p->walking;
  struct rm_flow peer;
  uint32_t slot = slot_of(p, RM_SIDE_UP, f), number = p->reflex.switch_number;
  bool serves = serving(p) == (int)w->box;
  if (!is_wanted(p, f) || !seed_pair(p, RM_SIDE_UP, f, &peer)) return tally(p)->gone++, true;
  bool fresh = f->first_ns >= p->reflex.path_since;
  bool unclaimed = (int32_t)(__atomic_load_n(&p->crew->claim[slot], __ATOMIC_ACQUIRE) - number * 2) < 0;
  if (!serves || fresh || !unclaimed) return seed_eagerly(p, slot, w->box);
  if (p->seeding->count >= RM_SEEDS / 2) return false;
  seed_flow(p, RM_SIDE_UP, f);
  tally(p)->done++;
  return true;
}

/* The next flow from the top of the lists; RM_NO_FLOW: none is left. */
static uint32_t top_flow(struct walking *w) {
  while (w->rank > 0 && w->first[w->rank] == RM_NO_FLOW) w->rank--;
  return w->first[w->rank];
}

static void end(struct plane *p) {
  struct rm_resync *r = tally(p);
  r->running = 0;
  r->refreshes = 0;
  r->ended_ns = p->now;
  p->walking.box = RM_BOXES;
}

void seed_earn(struct plane *p) {
  struct seed_credit *credit = &p->seeding->credit;
  uint64_t rate = p->board->command.seed_rate / p->crew->queues, most = rate * BURST_NS > RM_S ? rate * BURST_NS : RM_S;
  uint64_t since = p->now - credit->ns;
  credit->ns = p->now;
  credit->flows += rate * (since < RM_S ? since : RM_S);
  if (credit->flows > most) credit->flows = most;
}

bool seed_can_pay(const struct plane *p) { return p->seeding->credit.flows >= RM_S; }
void seed_pay(struct plane *p) { p->seeding->credit.flows -= RM_S; }

static void play_flows(struct plane *p) {
  struct walking *w = &p->walking;
  seed_earn(p);
  for (uint32_t n = 0; n < PLAYED && seed_can_pay(p); n++) {
    uint32_t at = top_flow(w);
    if (at == RM_NO_FLOW) return p->seeding->eager == 0 ? end(p) : (void)0;
    if (!play_flow(p, flow_at(p, at))) return;
    w->first[w->rank] = w->next[at];
    seed_pay(p);
  }
}

/* What control has ordered. */
static void take_orders(struct plane *p) {
  struct walking *w = &p->walking;
  const struct rm_command *c = &p->board->command;
  for (uint32_t box = 0; box < role_of_box(p->roles); box++) {
    uint32_t order = __atomic_load_n(&c->resync_order[box], __ATOMIC_ACQUIRE);
    bool stopped = __atomic_load_n(&c->resync_stop[box], __ATOMIC_ACQUIRE) == order;
    if (order != w->order[box]) {
      w->order[box] = order;
      p->live->resync[box].order = order;
      w->wanted |= 1u << box;
      w->refresh &= ~(1u << box);
      if (w->box == box) end(p);
    }
    if (!stopped) continue;
    w->wanted &= ~(1u << box) | w->refresh;
    if (w->box == box && !w->refreshes && order) end(p);
  }
}

/* Standbys that nobody told anything for long. */
static void take_refresh(struct plane *p) {
  struct walking *w = &p->walking;
  uint64_t ns = p->board->command.refresh_ns;
  if (ns == 0 || p->now < w->refreshed_ns + ns) return;
  w->refreshed_ns = p->now;
  for (uint32_t box = 0; box < role_of_box(p->roles); box++) {
    if ((int)box == serving(p) || (w->wanted >> box & 1) || w->box == box) continue;
    w->wanted |= 1u << box;
    w->refresh |= 1u << box;
  }
}

static void begin(struct plane *p) {
  struct walking *w = &p->walking;
  uint32_t box = (uint32_t)__builtin_ctz(w->wanted);
  w->wanted &= ~(1u << box);
  w->refreshes = w->refresh >> box & 1;
  w->refresh &= ~(1u << box);
  if (w->refreshes && (int)box == serving(p)) return;
  w->box = box;
  w->at = 0;
  w->ranked = false;
  for (uint32_t i = 0; i < RM_SEED_RANKS; i++) w->first[i] = RM_NO_FLOW;
  *tally(p) = (struct rm_resync){.order = w->order[box], .running = 1, .refreshes = w->refreshes, .begun_ns = p->now};
}

bool walk_goes(const struct plane *p) {
  return p->has[RM_SIDE_UP] && (p->walking.box < RM_BOXES || p->walking.wanted);
}

void walk_turn(struct plane *p) {
  struct walking *w = &p->walking;
  if (!p->has[RM_SIDE_UP]) return;
  take_orders(p);
  take_refresh(p);
  if (w->box == RM_BOXES && w->wanted) begin(p);
  if (w->box == RM_BOXES) return;
  if (!is_there(p, w->box)) return end(p);
  if (!w->ranked) rank_flows(p);
  else play_flows(p);
}

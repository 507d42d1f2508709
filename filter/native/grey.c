/* Grey failure in the plane: names and samples packets, looks after their marks, and lets worker 0 judge.
 *
 * What is sampled are packets of flows known to pass, and SYNs. Where the node itself may have lost some (a full port, frames
 * missed, a switch) everything under way is forgotten rather than held against the box.
 */
#include <string.h>
#include "plane.h"

#define LOOK_NS (2 * RM_MS)
#define MANY 400   /* samples in a tick: take fewer */
#define FEW 150    /* ... more */
#define SHIFT_MAX 20u
#define FIRST_SHIFT 4u
#define STALL_NS (20 * RM_MS)
#define LATE_MAX_NS (50 * RM_MS)

static struct grey_counts *counts(struct plane *p) { return &p->crew->grey.counts[p->index]; }
static void add(uint64_t *count) { __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED); }
static uint32_t word(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }

static void forget(struct plane *p) {
  for (uint32_t s = 0; s < RM_SIDES; s++)
    if (p->has[s]) grey_forget(&p->grey.way[s], p->crew->grey.mark[s]);
}

void grey_command(struct plane *p) {
  struct greying *g = &p->grey;
  if (memcmp(&g->command, &p->board->command.grey, sizeof g->command) == 0) return;
  bool was = g->on;
  g->command = p->board->command.grey;
  g->on = g->command.on != 0;
  if (was == g->on) return;
  forget(p);
  g->switch_number = p->reflex.switch_number;
  g->quiet_until_ns = p->now;
  if (p->index) return;
  memset(&g->judge, 0, sizeof g->judge);
  g->judge.serving = -1;
  for (uint32_t s = 0; s < RM_SIDES; s++) p->crew->grey.shift[s] = p->crew->grey.wide[s] = FIRST_SHIFT;
  for (uint32_t box = 0; box < RM_BOXES && !g->on; box++)
    reflex_detect(&p->reflex, box, RM_DETECTOR_GREY, (struct said){RM_LIGHT_OFF, 0});
}

/* What came out meanwhile waits to be received, several bursts of it. */
void grey_stall(struct plane *p) { p->grey.look_ns = p->now + STALL_NS; }

static uint64_t name_of(const struct grey_seen *seen) {
  const uint8_t *transport = seen->frame + seen->peek->transport_offset;
  return seen->peek->tcp ? grey_name_tcp(transport, seen->peek->payload_bytes)
                         : grey_name_udp(transport, seen->peek->payload_bytes);
}

static bool opens(const struct grey_seen *seen) {
  return seen->peek->tcp && (seen->frame[seen->peek->transport_offset + 13] & (RM_TCP_SYN | RM_TCP_ACK)) == RM_TCP_SYN;
}

void grey_put(struct plane *p, uint32_t side, const struct grey_seen *seen) {
  struct greying *g = &p->grey;
  bool opening = !seen->peek->calm && opens(seen);
  if ((!seen->passes && !opening) || p->now < g->quiet_until_ns) return;
  uint64_t name = name_of(seen);
  /* SYNs are few, and each counts. */
  if (name == 0 || (!opening && !grey_sampled(name, word(&p->crew->grey.shift[side])))) return;
  struct grey_counts *c = counts(p);
  struct grey_packet packet = {name, (uint32_t)(seen->peek->hash >> 32), opening};
  if (!grey_in(&g->way[side], p->crew->grey.mark[side], &packet, p->now)) add(&c->alike[side]);
  add(&c->entered[side]);
  if (!seen->peek->tcp || seen->peek->payload_bytes == 0) return;
  add(&c->segments[side]);
  if (grey_repeats(&g->way[side], name, p->now)) add(&c->repeats[side]);
}

void grey_got(struct plane *p, uint32_t side, const struct grey_seen *seen) {
  uint32_t from = 1 - side;
  uint64_t name = name_of(seen);
  if (!grey_sampled(name, word(&p->crew->grey.wide[from])) && !opens(seen)) return;
  uint64_t took = grey_out(p->crew->grey.mark[from], name, p->now);
  if (took != UINT64_MAX) add(&counts(p)->delay[from][rm_delay_place(took)]);
}

/* Frames that this worker's ports to the serving box did not take or hand over so far. */
static uint64_t port_troubles(const struct plane *p) {
  uint64_t sum = p->live->counter[RM_COUNT_HANDOVER_FULL].packets;
  for (uint32_t r = RM_UPSTREAM; r < p->roles; r++)
    if (p->has[role_side(r)]) sum += p->port[r].view->tx_full + p->port[r].view->rx_missed;
  return sum;
}

static void look(struct plane *p) {
  struct greying *g = &p->grey;
  uint64_t own = port_troubles(p), all = 0;
  if (own != g->port_troubles) add(&counts(p)->troubles);
  g->port_troubles = own;
  for (uint32_t i = 0; i < p->crew->workers; i++) all += __atomic_load_n(&p->crew->grey.counts[i].troubles, __ATOMIC_RELAXED);
  bool moved = g->switch_number != p->reflex.switch_number || serving(p) < 0;
  if (moved) {
    uint64_t from = p->reflex.drain_until > p->now ? p->reflex.drain_until : p->now;
    g->quiet_until_ns = from + g->command.wait_ns;
  }
  if (moved || all != g->troubles) forget(p);
  g->switch_number = p->reflex.switch_number;
  g->troubles = all;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->has[s]) continue;
    uint64_t late = p->crew->workers > 1 ? crew_unseen_ns(p, 1 - s) : 0;
    uint64_t before = p->now - g->command.wait_ns - (late < LATE_MAX_NS ? late : LATE_MAX_NS);
    grey_settle(&g->way[s], p->crew->grey.mark[s], counts(p), s, before);
  }
}

#define WORDS (sizeof(struct grey_counts) / sizeof(uint64_t))

/* All that was counted since the last tick. */
static void gather(struct plane *p, struct grey_counts *fresh) {
  struct grey_counts sum;
  uint64_t *to = (uint64_t *)&sum, *last = (uint64_t *)&p->grey.last, *more = (uint64_t *)fresh;
  memset(&sum, 0, sizeof sum);
  for (uint32_t i = 0; i < p->crew->workers; i++) {
    const uint64_t *from = (const uint64_t *)&p->crew->grey.counts[i];
    for (size_t w = 0; w < WORDS; w++) to[w] += __atomic_load_n(&from[w], __ATOMIC_RELAXED);
  }
  for (size_t w = 0; w < WORDS; w++) more[w] = to[w] - last[w], last[w] = to[w];
}

/* Sample as much as is needed and no more. */
static void adapt(struct plane *p, uint32_t side, uint64_t entered) {
  struct grey_common *c = &p->crew->grey;
  uint32_t was = c->shift[side], is = was;
  if (entered > MANY && was < SHIFT_MAX) is++;
  if (entered < FEW && was > 0) is--;
  if (is != was) {
    __atomic_store_n(&c->wide[side], c->wide[side] < is ? c->wide[side] : is, __ATOMIC_RELAXED);
    __atomic_store_n(&c->shift[side], is, __ATOMIC_RELAXED);
    p->grey.wide_until_ns[side] = p->now + p->grey.command.wait_ns + RM_GREY_TICK_NS;
  } else if (p->now > p->grey.wide_until_ns[side]) {
    __atomic_store_n(&c->wide[side], is, __ATOMIC_RELAXED);
  }
}

static void show_counts(struct plane *p) {
  const struct grey_counts *c = &p->grey.last;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    struct rm_grey_view *v = &p->board->live.grey[s];
    v->sampled = c->passed[s] + c->lost[s], v->lost = c->lost[s];
    v->openings = c->openings_passed[s] + c->openings_lost[s], v->openings_lost = c->openings_lost[s];
    v->segments = c->segments[s], v->repeats = c->repeats[s];
  }
}

static void tick(struct plane *p) {
  struct greying *g = &p->grey;
  struct grey_counts fresh;
  gather(p, &fresh);
  for (uint32_t s = 0; s < RM_SIDES; s++) adapt(p, s, fresh.entered[s]);
  grey_judge(&g->judge, &g->command, &fresh, serving(p), p->now);
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    struct said said = grey_said(&g->judge, &g->command, box, p->now);
    /* A box that loses some is better than none. */
    bool only = (int)box == serving(p) && reflex_choose(&p->reflex, (int)box) < 0;
    if (said.light == RM_LIGHT_RED && only) said.light = RM_LIGHT_YELLOW;
    reflex_detect(&p->reflex, box, RM_DETECTOR_GREY, said);
  }
  grey_show(&g->judge, p->board->live.grey);
  show_counts(p);
}

void grey_turn(struct plane *p) {
  struct greying *g = &p->grey;
  if (p->now < g->look_ns) return;
  g->look_ns = p->now + LOOK_NS;
  look(p);
  if (p->index || p->now - g->tick_ns < RM_GREY_TICK_NS) return;
  g->tick_ns = p->now;
  tick(p);
}

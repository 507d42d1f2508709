/* Steering, without frames (steer_core.h). */
#include <string.h>
#include "steer_core.h"

#define QUIET_NS 10000000ull  /* a source that lost or answered a frame itself: so long without one, and it is empty */
#define SETTLE_NS 1000000ull  /* as many came out as went in: some of those were in it before they were counted */
#define AHEAD 16u             /* frames that a box surely keeps while it asks for a neighbour */
#define COLD_NS 100000000ull  /* a destination that lets none of them out is not waited for */
#define ANSWER_NS 20000000ull /* frames that the destination got once more come out by then, or never will */

static bool prefix_holds(const uint8_t *wide, uint32_t bits, const uint8_t *addr) {
  uint32_t whole = bits / 8, rest = bits % 8;
  if (memcmp(wide, addr, whole) != 0) return false;
  return rest == 0 || ((wide[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

static bool end_holds(const struct rm_steer_fields *f, uint32_t end, const struct steer_key *k, uint32_t of) {
  if (f->prefix[end] > 128 || !prefix_holds(f->addr[end], f->prefix[end], k->addr[of])) return false;
  if (k->bare) return f->port_min[end] == 0 && f->port_max[end] == UINT16_MAX;
  return f->port_min[end] <= k->port[of] && k->port[of] <= f->port_max[end];
}

bool steer_holds(const struct rm_steer_fields *f, const struct steer_key *k) {
  if (!f->any_protocol && f->protocol != k->protocol) return false;
  if (end_holds(f, 0, k, 0) && end_holds(f, 1, k, 1)) return true;
  return k->either && end_holds(f, 0, k, 1) && end_holds(f, 1, k, 0);
}

struct steer_choice steer_choose(const struct rm_steering *t, const struct steer_key *k) {
  struct steer_choice choice = {RM_STEER_NOBODY, RM_STEER_NOBODY};
  for (uint32_t i = 0; i < RM_STEER_MOVES && choice.move == RM_STEER_NOBODY; i++)
    if (t->move[i].phase != RM_STEER_NONE && steer_holds(&t->move[i].fields, k)) choice.move = (uint8_t)i;
  for (uint32_t i = t->rule_count; i-- > 0;) {
    if (!steer_holds(&t->rule[i].fields, k)) continue;
    choice.box = (uint8_t)t->rule[i].box;
    break;
  }
  return choice;
}

static void begin_hold(struct steer_move *m, uint64_t now) {
  m->state = RM_STEERED_HOLDING;
  m->hold_done = m->order.hold_order;
  m->held_ns = now;
  m->held_all = 0;
}

void steer_order(struct steer_move *m, const struct rm_steer_move *order, uint64_t now) {
  if (m->order.number != order->number) {
    struct steer_ring held = m->held, noted = m->noted;
    *m = (struct steer_move){.state = RM_STEERED_NOTING, .moved_ns = now, .held = held, .noted = noted};
  }
  m->order = *order;
  if (order->phase == RM_STEER_CANCEL) m->state = RM_STEERED_CANCELLED;
  else if (m->state != RM_STEERED_ROUTED && m->state != RM_STEERED_CANCELLED && order->hold_order != m->hold_done) begin_hold(m, now);
  steer_look(m, now);
}

static void break_hold(struct steer_move *m) { m->state = RM_STEERED_BROKEN; }

static bool is_over(const struct steer_move *m, uint64_t now) {
  return now > m->held_ns && now - m->held_ns > m->order.hold_ns_max;
}

/* What was played into the destination must have come out before its output counts. */
static bool is_answered(const struct steer_move *m, uint64_t now) {
  return m->answered >= m->played || now >= m->again_ns + ANSWER_NS;
}

void steer_look(struct steer_move *m, uint64_t now) {
  if (m->state == RM_STEERED_HOLDING && is_over(m, now)) break_hold(m);
  if (m->order.phase != RM_STEER_ROUTE || !is_answered(m, now)) return;
  if (m->state != RM_STEERED_HOLDING && !(m->order.free && m->state == RM_STEERED_NOTING)) return;
  m->state = RM_STEERED_ROUTED;
  m->routed_ns = now;
  m->ahead = 0;
  m->answers = false;
}

enum steer_way steer_release(const struct steer_move *m) {
  if (m->state == RM_STEERED_HOLDING) return STEER_BACK;
  return m->state == RM_STEERED_ROUTED ? STEER_DESTINATION : STEER_SOURCE;
}

enum steer_way steer_in(struct steer_move *m, bool full, uint64_t now) {
  if (m->state == RM_STEERED_HOLDING && (full || is_over(m, now))) break_hold(m);
  if (m->state == RM_STEERED_HOLDING) m->held_all++;
  return m->held.count ? STEER_BACK : steer_release(m);
}

uint32_t steer_may_go(const struct steer_move *m, uint32_t most, uint64_t now) {
  if (m->state != RM_STEERED_ROUTED || m->answers || now >= m->routed_ns + COLD_NS) return most;
  uint32_t left = m->ahead < AHEAD ? AHEAD - m->ahead : 0;
  return left < most ? left : most;
}

bool steer_drained(const struct steer_move *m, uint64_t now) {
  if (m->state != RM_STEERED_HOLDING) return false;
  return now >= m->moved_ns + (m->in && m->out >= m->in ? SETTLE_NS : QUIET_NS);
}

bool steer_drains(const struct steer_move *m, uint64_t now, uint64_t drain_ns) {
  return m->state == RM_STEERED_ROUTED && now < m->routed_ns + drain_ns;
}

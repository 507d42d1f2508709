/* The flight recorder: decisions on their way to control, each with all that it depended on.
 *
 * Its rate is bounded by a budget like the mirror's, with the same order of worth: openings and closings are left out last,
 * what was not copied first. To put down what a decision depended on costs more than the decision, and its worth is known
 * only behind it; so tries in vain are bounded too, apart for SYN, FIN and RST, which are known by their flags. What is
 * left out is counted, and costs nothing else.
 */
#include "plane.h"

#define TRIES 64u /* in vain, of each sort and tick */

static void admit(struct plane *p, uint32_t witnessed) {
  for (uint32_t side = 0; side < RM_SIDES; side++) p->table[side].witnessed = witnessed;
}

void recorder_switch(struct plane *p) {
  struct recorder *r = &p->recorder;
  r->on = r->capture.wanted != 0;
  r->witness.now = 0;
  for (uint32_t side = 0; side < RM_SIDES; side++) p->table[side].witness = &r->witness;
  admit(p, 0);
  if (r->on) recorder_tick(p);
}

static void set_rate(struct plane *p, uint32_t rate) {
  struct recorder *r = &p->recorder;
  uint32_t workers = p->crew->workers;
  r->rate = rate;
  rm_budget_set(&r->budget, 0, rate / workers ? rate / workers : 1, p->now);
  /* Connections are opened in bursts, and the ring has room for seconds. */
  r->budget.packets.depth = r->budget.packets.level = r->budget.packets.rate * RM_S;
}

void recorder_tick(struct plane *p) {
  struct recorder *r = &p->recorder;
  uint32_t rate = p->board->command.recorder_rate;
  capture_clock(&r->capture);
  if (rate != r->rate) set_rate(p, rate);
  r->tries[0] = r->tries[1] = TRIES;
  admit(p, rate ? RM_WITNESSED_ENDS | RM_WITNESSED_REST : 0);
}

/* A witness was made in vain. */
static void spend(struct plane *p, const struct rm_packet *packet) {
  struct recorder *r = &p->recorder;
  bool ends = packet->tcp_flags & (RM_TCP_SYN | RM_TCP_FIN | RM_TCP_RST);
  uint32_t *tries = &r->tries[!ends];
  if (*tries && --*tries) return;
  admit(p, p->table[0].witnessed & ~(ends ? RM_WITNESSED_ENDS : RM_WITNESSED_REST));
}

/* In the words of the mirror's budget. */
static uint8_t worth_of(const struct rm_witness *w, const struct rm_packet *packet) {
  if (w->why > RM_WHY_NEIGHBOUR) return w->why;
  if (w->shed > RM_WHY_NEIGHBOUR) return w->shed;
  if (packet->tcp_flags & RM_TCP_SYN) return RM_WHY_HANDSHAKE;
  if (packet->tcp_flags & (RM_TCP_FIN | RM_TCP_RST)) return RM_WHY_TEARDOWN;
  return w->known ? RM_WHY_ALL : RM_WHY_FIRST;
}

void recorder_note(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct rm_packet *packet) {
  struct recorder *r = &p->recorder;
  struct rm_witness *w = &r->witness;
  if (w->now == 0) {
    if (packet->verdict == RM_PARSE_FLOW) count(p, RM_COUNT_RECORD_SHED, 1, m->pkt_len);
    return;
  }
  bool may = rm_budget_take(&r->budget, worth_of(w, packet), 0, p->now);
  count(p, may ? RM_COUNT_RECORDED : RM_COUNT_RECORD_SHED, 1, m->pkt_len);
  if (!may) {
    spend(p, packet);
  } else {
    struct rm_captured seen = {.mono_ns = p->now, .wire_bytes = m->pkt_len, .role = (uint8_t)role, .tap = RM_TAP_IN,
                               .why = w->why, .rule = w->rule};
    capture_write_behind(&r->capture, &seen, (struct capture_piece){w, sizeof *w},
                         (struct capture_piece){rte_pktmbuf_mtod(m, const uint8_t *), m->data_len});
  }
  w->now = 0;
}

void recorder_neighbour(struct plane *p, const struct rm_flows *t, struct rm_verdict v) {
  struct rm_witness *w = &p->recorder.witness;
  if (w->now == 0) return;
  w->kind = RM_WITNESS_NEIGHBOUR;
  rm_witness_end(t, NULL, v);
}

void recorder_shadow(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct rm_packet *packet) {
  struct rm_flows *t = &p->table[role_side(role)];
  if (!rm_is_witnessed(t, packet)) return count(p, RM_COUNT_RECORD_SHED, 1, m->pkt_len);
  rm_witness_begin(t, &p->rules, packet, p->now, true);
  p->recorder.witness.kind = RM_WITNESS_SHADOW;
  p->recorder.witness.rule = 0xff;
  recorder_note(p, role, m, packet);
}

/* The flight recorder: decisions on their way to control, each with all that it depended on.
 *
 * Its rate is bounded by a budget like the mirror's, with the same order of worth: openings and closings last of all are
 * left out, and what was not copied first. What is left out is counted, and costs no copy.
 */
#include "plane.h"

void recorder_switch(struct plane *p) {
  struct recorder *r = &p->recorder;
  r->on = r->capture.wanted != 0;
  r->witness.now = 0;
  for (uint32_t side = 0; side < RM_SIDES; side++) p->table[side].witness = r->on ? &r->witness : NULL;
  if (r->on) recorder_tick(p);
}

void recorder_tick(struct plane *p) {
  struct recorder *r = &p->recorder;
  uint32_t rate = p->board->command.recorder_rate, workers = p->crew->workers;
  capture_clock(&r->capture);
  if (rate == r->rate) return;
  r->rate = rate;
  rm_budget_set(&r->budget, 0, rate / workers ? rate / workers : 1, p->now);
  /* Connections are opened in bursts, and the ring has room for seconds. */
  r->budget.packets.depth = r->budget.packets.level = r->budget.packets.rate * RM_S;
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
  if (w->now == 0) return;
  bool may = rm_budget_take(&r->budget, worth_of(w, packet), 0, p->now);
  count(p, may ? RM_COUNT_RECORDED : RM_COUNT_RECORD_SHED, 1, m->pkt_len);
  if (may) {
    struct rm_captured seen = {.mono_ns = p->now, .wire_bytes = m->pkt_len, .role = (uint8_t)role, .tap = RM_TAP_IN,
                               .why = w->why, .rule = w->rule};
    capture_write_behind(&r->capture, &seen, (struct capture_piece){w, sizeof *w},
                         (struct capture_piece){rte_pktmbuf_mtod(m, const uint8_t *), m->data_len});
  }
  w->now = 0;
}

void recorder_neighbour(struct plane *p, const struct rm_flows *t, struct rm_verdict v) {
  struct rm_witness *w = &p->recorder.witness;
  w->kind = RM_WITNESS_NEIGHBOUR;
  rm_witness_end(t, NULL, v);
}

void recorder_shadow(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct rm_packet *packet) {
  struct rm_flows *t = &p->table[role_side(role)];
  if (t->witness == NULL) return;
  rm_witness_begin(t, &p->rules, packet, p->now, true);
  p->recorder.witness.kind = RM_WITNESS_SHADOW;
  p->recorder.witness.rule = 0xff;
  recorder_note(p, role, m, packet);
}

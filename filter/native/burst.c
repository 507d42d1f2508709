/* Bursts: what happens to frames between the port they came by and the port they leave by.
 *
 * Passes over a burst, so that memory arrives before it is needed: touch the headers; peek and touch the flow's bucket; find
 * it there and touch its entry if that is needed; then, frame by frame, decide and queue. Most frames are quiet: their
 * bucket says that nothing is to be done for them.
 */
#include <rte_prefetch.h>
#include <string.h>
#include "hot.h"
#include "plane.h"

#define DRAIN_BURSTS 128 /* of the old box at once, at most: more than a port holds */

struct batch {
  struct rte_mbuf *frame[RM_BURST];
  struct rm_peek peek[RM_BURST];
  uint16_t n;
  struct put passing;     /* of them, those of flows known to pass */
};

static void receive(struct plane *p, struct port *port, struct batch *b) {
  b->n = port->driver->receive(port, b->frame, RM_BURST);
  if (b->n == 0) return;
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < b->n; i++) {
    rte_prefetch0(rte_pktmbuf_mtod(b->frame[i], void *));
    bytes += b->frame[i]->pkt_len;
  }
  port->view->rx_packets += b->n;
  port->view->rx_bytes += bytes;
  p->last_packet_ns = p->now;
  capture_frames(p, RM_TAP_IN, port->role, b->frame, b->n);
}

static void peek(struct plane *p, uint32_t side, struct batch *b) {
  struct rm_flows *table = &p->table[side];
  uint64_t plain = 0, bytes = 0;
  bool inner = p->rules.inner != 0;
  /* The first frame of each flow on a new path has to be looked at. */
  if (__builtin_expect(p->woken[side] != p->reflex.switch_number, 0)) rm_flows_wake(table);
  p->woken[side] = p->reflex.switch_number;
  rm_flows_begin(table, &p->rules, p->now);
  for (uint16_t i = 0; i < b->n; i++) {
    struct rm_peek *k = &b->peek[i];
    rm_peek(table, rte_pktmbuf_mtod(b->frame[i], uint8_t *), b->frame[i]->data_len, inner, k);
    if (!k->plain) continue;
    rm_flows_prefetch(table, k->hash);
    plain++;
    bytes += b->frame[i]->pkt_len;
  }
  uint16_t missed = 0;
  uint8_t miss[RM_BURST];
  for (uint16_t i = 0; i < b->n; i++)
    if (b->peek[i].plain && !rm_flows_hint(table, &b->peek[i])) miss[missed++] = (uint8_t)i;
  for (uint16_t i = 0; i < missed; i++) rm_flows_hint_second(table, &b->peek[miss[i]]);
  p->live->parse[RM_PARSE_FLOW].packets += plain;
  p->live->parse[RM_PARSE_FLOW].bytes += bytes;
}

/* The whole parser, for a frame that is not quiet. Returns the hash of its flow, if it has one. */
static uint64_t parse(struct plane *p, const struct rm_flows *table, const struct batch *b, uint16_t i,
                      struct rm_packet *packet) {
  const uint8_t *frame = rte_pktmbuf_mtod(b->frame[i], uint8_t *);
  uint8_t verdict = (p->rules.inner ? rm_parse_inner : rm_parse)(frame, b->frame[i]->data_len, packet);
  if (b->peek[i].plain) return b->peek[i].hash;
  p->live->parse[verdict].packets++;
  p->live->parse[verdict].bytes += b->frame[i]->pkt_len;
  return verdict == RM_PARSE_FLOW ? rm_flows_hash(table, packet) : 0;
}

static bool opens(const struct rm_packet *packet) {
  return packet->proto == 6 && (packet->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK)) == RM_TCP_SYN;
}

/* Keep the head of a frame from outside: a seed needs it. */
static void keep_head(struct rm_flow *flow, const uint8_t *frame, const struct rm_packet *packet) {
  memcpy(flow->outer_mac, frame, sizeof flow->outer_mac);
  flow->tags = packet->inner ? UINT8_MAX : packet->tags; /* a handshake played into a tunnel would be none */
  flow->tci = packet->tags == 1 ? (uint16_t)(frame[14] << 8 | frame[15]) : 0;
}

/* Would a box that works let this flow's next frame out? Answered, and neither side saw it end: what still
 * arrives for a connection that was reset is rightly dropped. Kept as one bit, moved when a direction
 * begins and when a side closes, because the other side's entry is far away in memory. */
static void follow_passage(struct plane *p, uint32_t side, const struct rm_packet *packet, struct rm_flow *flow) {
  bool begins = flow->half[packet->dir].packets == 1, closes = packet->tcp_flags & (RM_TCP_FIN | RM_TCP_RST);
  if (!begins && !closes) return;
  const struct rm_flow *peer = flow->peer == RM_NO_FLOW ? NULL : &p->entries[1 - side][flow->peer];
  if (flow->age == RM_AGE_TCP_CLOSING) {
    rm_flow_passes(&p->table[side], flow, false);
    if (peer) pair_close(p, side, flow);
  } else if (begins && flow->half[1 - packet->dir].packets && !(peer && peer->age == RM_AGE_TCP_CLOSING)) {
    rm_flow_passes(&p->table[side], flow, true);
  }
}

static void note_passing(struct batch *b, uint32_t slot) {
  if (b->passing.frames++ == 0) b->passing.flow = b->passing.other = slot;
  else if (b->passing.flow != slot) b->passing.other = slot;
}

/* What was put in so far. It is told before any of it leaves. */
static void tell_passing(struct plane *p, uint32_t side, struct batch *b) {
  if (b->passing.frames == 0) return;
  uint32_t first = (uint32_t)(p->table[side].entries - p->entries[side]);
  b->passing.flow += first;
  b->passing.other += first;
  note_put(p, side, &b->passing);
  b->passing.frames = 0;
}

bool burst_introduce(struct plane *p, uint32_t side, const struct rm_packet *packet, struct rm_flow *flow) {
  if (flow->seed_switch == p->reflex.switch_number) return false;
  bool seeds = flow->rule != 0xff && p->rules.rule[flow->rule].seed && packet->proto == 6;
  bool older = flow->first_ns < p->reflex.path_since && p->reflex.switch_number > 0;
  bool waits = older && seeds && !opens(packet) && seed_flow(p, side, flow);
  /* Those behind it have to be asked as well. */
  if (waits) rm_flow_wake(&p->table[side], flow);
  else flow->seed_switch = p->reflex.switch_number;
  return waits;
}

/* After the verdict on a frame from outside: everything else that its flow needs. True: the frame has to wait. */
static bool follow_outer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet,
                         struct rm_flow *flow) {
  if (flow->rule != 0xff && p->rules.rule[flow->rule].seed && packet->proto == 6) keep_head(flow, frame, packet);
  /* Whoever sent the frame is not who sent the packet in a tunnel. */
  if (flow->half[packet->dir].packets == 1 && !packet->inner) neighbour_learn(p, side, frame, packet);
  if (opens(packet)) {
    flow->opener = (uint8_t)(packet->dir + 1);
    pair_offer(p, side, packet, flow);
  }
  follow_passage(p, side, packet, flow);
  return burst_introduce(p, side, packet, flow);
}

static void copy_to(struct plane *p, uint32_t role, struct rte_mbuf *m, struct rm_verdict v) {
  if (!p->port[role].view->link) return;
  struct rm_live *live = p->live;
  live->why[v.why].packets++;
  live->why[v.why].bytes += m->pkt_len;
  if (v.rule < RM_RULES) {
    live->rule[v.rule].packets++;
    live->rule[v.rule].bytes += m->pkt_len;
  }
  capture_frame(p, RM_TAP_COPY, role, m, v);
  /* Nobody writes to a frame after this point, so the copy is one more reference. */
  rte_mbuf_refcnt_update(m, 1);
  port_queue(p, role, m, true);
}

/* Every standby gets the same, but what the old box is still drained of it must not be given twice. */
static void copy_to_standbys(struct plane *p, uint32_t side, struct rte_mbuf *m, struct rm_verdict v) {
  uint32_t boxes = p->members & ~(1u << serving(p));
  if (p->now < p->reflex.drain_until) boxes &= ~(1u << p->reflex.previous);
  for (; boxes; boxes &= boxes - 1) copy_to(p, role_box((uint32_t)__builtin_ctz(boxes), side), m, v);
}

/* A frame from outside with something to do. *waiting: the flow whose seed it has to wait for. */
static struct rm_verdict judge_outer(struct plane *p, uint32_t side, struct batch *b, uint16_t i,
                                     struct rm_flow **waiting) {
  struct rm_verdict v = {RM_WHY_NONE, 0xff, RM_WHY_NONE};
  struct rm_flows *table = &p->table[side];
  const uint8_t *frame = rte_pktmbuf_mtod(b->frame[i], uint8_t *);
  struct rm_packet packet;
  uint64_t hash = parse(p, table, b, i, &packet);
  if (packet.verdict == RM_PARSE_FLOW) {
    struct rm_flow *flow;
    v = rm_decide(table, &p->rules, &packet, hash, frame, p->now, false, &flow);
    if (__builtin_expect(may_end(&packet), 0)) guard_note(p, side, frame, &packet);
    if (p->index) tell_passing(p, side, b); /* a seed sends what is queued */
    if (follow_outer(p, side, frame, &packet, flow)) *waiting = flow;
    if (flow->flags & RM_FLOW_PASSES) note_passing(b, (uint32_t)(flow - table->entries));
  } else if (packet.verdict == RM_PARSE_NEIGHBOUR) {
    neighbour_learn(p, side, frame, &packet);
    v.why = RM_WHY_NEIGHBOUR;
    rm_budget_take(&p->budget, v.why, b->frame[i]->pkt_len, p->now);
  } else if (packet.verdict == RM_PARSE_FRAGMENT) {
    v = rm_decide_fragment(table, &p->rules, &packet, frame, p->now, false);
  }
  return v;
}

static void outer_frame(struct plane *p, uint32_t side, struct batch *b, uint16_t i) {
  struct rte_mbuf *m = b->frame[i];
  const struct rm_peek *k = &b->peek[i];
  struct rm_verdict v = {RM_WHY_NONE, 0xff, RM_WHY_NONE};
  uint32_t state =
      k->plain ? rm_quiet(&p->table[side], k, rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len, p->now, false) : 0;
  struct rm_flow *waiting = NULL;
  uint32_t passing = b->passing.frames;
  if (state == 0) v = judge_outer(p, side, b, i, &waiting);
  else if (state & RM_HOT_PASSES) note_passing(b, k->slot);
  int box = serving(p);
  if (__builtin_expect(p->grey.on, 0) && k->plain)
    grey_put(p, side, &(struct grey_seen){rte_pktmbuf_mtod(m, uint8_t *), k, b->passing.frames != passing});
  if (box >= 0) {
    if (v.why != RM_WHY_NONE) copy_to_standbys(p, side, m, v);
    if (waiting) return hold_frame(p, side, m, seed_claim(side, slot_of(p, side, waiting), waiting));
    if (__builtin_expect(p->keeps, 0)) replay_keep(p, side, m, k, v.why != RM_WHY_NONE);
    port_queue(p, role_box((uint32_t)box, side), m, false);
  } else if (p->reflex.path == RM_PATH_WIRE) {
    port_queue(p, role_outer(1 - side), m, false);
  } else {
    count(p, RM_COUNT_BLOCKED, 1, m->pkt_len);
    rte_pktmbuf_free(m);
  }
}

static void outer_batch(struct plane *p, uint32_t side, struct batch *b) {
  b->passing.frames = 0;
  peek(p, side, b);
  for (uint16_t i = 0; i < b->n; i++) outer_frame(p, side, b, i);
  tell_passing(p, side, b);
  if (serving(p) >= 0) p->live->box[serving(p)].in_packets += b->n;
}

/* Frames that waited for a planned switch, a queue's worth in a turn: a box that gets all at once drops some. */
static void release_paused(struct plane *p, uint32_t side) {
  struct batch b;
  for (int n = 0; n < RM_QUEUE / RM_BURST && (b.n = pause_take(p, side, b.frame, RM_BURST)) > 0; n++)
    outer_batch(p, side, &b);
}

bool burst_outer(struct plane *p, uint32_t side) {
  struct batch b;
  /* What the old box swallowed goes first. */
  if (__builtin_expect(p->replayed[side] != p->reflex.switch_number, 0) && replay_go(p, side)) return true;
  struct pause *w = &p->pause[side];
  bool waits = p->reflex.moving && w->over != p->reflex.moving_order;
  if (__builtin_expect(w->count && !waits, 0)) {
    release_paused(p, side);
    if (w->count) return true; /* what comes now is behind them */
  }
  receive(p, &p->port[role_outer(side)], &b);
  if (b.n == 0) return false;
  if (__builtin_expect(p->probe.beyond, 0)) b.n = probe_take_outer(p, side, b.frame, b.n);
  if (__builtin_expect(waits, 0)) {
    pause_keep(p, side, b.frame, b.n);
    return true;
  }
  outer_batch(p, side, &b);
  return true;
}

/* A frame out of a box that passes, with something to do. False: it was part of a seed, and is swallowed. */
static bool judge_passed(struct plane *p, uint32_t role, struct batch *b, uint16_t i, bool *alive) {
  uint32_t side = role_side(role);
  struct rm_flows *table = &p->table[side];
  const uint8_t *frame = rte_pktmbuf_mtod(b->frame[i], uint8_t *);
  struct rm_packet packet;
  uint64_t hash = parse(p, table, b, i, &packet);
  *alive = packet.verdict == RM_PARSE_FLOW || packet.verdict == RM_PARSE_FRAGMENT;
  if (packet.verdict == RM_PARSE_FLOW) {
    if (seed_swallows(p, role, &packet)) return false;
    if (__builtin_expect(may_end(&packet), 0) && guard_stops(p, role, frame, &packet)) return false;
    struct rm_flow *flow;
    rm_decide(table, &p->rules, &packet, hash, frame, p->now, true, &flow);
    if (opens(&packet)) {
      flow->opener = (uint8_t)(packet.dir + 1);
      pair_match(p, side, &packet, flow);
    }
    follow_passage(p, side, &packet, flow);
  }
  if (packet.verdict == RM_PARSE_FRAGMENT) rm_decide_fragment(table, &p->rules, &packet, frame, p->now, true);
  if (packet.verdict == RM_PARSE_NEIGHBOUR) announce_learn(p, role, frame, &packet);
  return true;
}

/* A frame out of the box that serves, or that served until a moment ago. */
static void passed_frame(struct plane *p, uint32_t role, struct batch *b, uint16_t i) {
  struct rte_mbuf *m = b->frame[i];
  const struct rm_peek *k = &b->peek[i];
  uint32_t side = role_side(role), box = role_of_box(role);
  bool alive = true;
  /* Just after seeds a frame without payload may be part of one, and what the old box still hands over may call for another. */
  bool asked = seed_expected(p) && (!(k->kind & 1) || (int)box != serving(p));
  if (!k->plain || asked ||
      !rm_quiet(&p->table[side], k, rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len, p->now, true)) {
    if (!judge_passed(p, role, b, i, &alive)) return rte_pktmbuf_free(m);
  }
  if (__builtin_expect(p->keeps, 0) && !replay_out(p, role, m, k)) return rte_pktmbuf_free(m);
  if ((int)box == serving(p)) {
    if (__builtin_expect(p->grey.on, 0) && k->plain)
      grey_got(p, side, &(struct grey_seen){rte_pktmbuf_mtod(m, uint8_t *), k, true});
    if (alive) note_out(p, side);
    p->live->box[box].out_packets++;
  } else {
    count(p, RM_COUNT_DRAINED, 1, m->pkt_len);
    note_drained(p);
  }
  port_queue(p, role_outer(side), m, false);
}

static void shadow_frame(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  count(p, RM_COUNT_SHADOW, 1, m->pkt_len);
  note_shadow(p, role_of_box(role), role_side(role));
  if (!neighbour_answer(p, role, m)) rte_pktmbuf_free(m);
}

static bool drains(const struct plane *p, uint32_t box) {
  return p->now < p->reflex.drain_until && box == p->reflex.previous && (int)box != serving(p);
}

/* What the old box handed over before the new one did must leave before it as well. */
static void drain_first(struct plane *p, uint32_t role) {
  uint32_t old = p->reflex.previous;
  if ((int)role_of_box(role) != serving(p) || old >= RM_BOXES || !drains(p, old)) return;
  for (uint32_t n = 0; n < DRAIN_BURSTS && burst_box(p, role_box(old, role_side(role))); n++) continue;
}

bool burst_box(struct plane *p, uint32_t role) {
  struct batch b;
  uint32_t box = role_of_box(role);
  receive(p, &p->port[role], &b);
  if (b.n == 0) return false;
  if (__builtin_expect(p->bfd.roles >> role & 1, 0)) b.n = bfd_sift(p, role, b.frame, b.n);
  hear(p); /* the path, puts and SYNs that led to these frames were told before them */
  drain_first(p, role);
  if (__builtin_expect(p->probe.takes, 0)) b.n = probe_take(p, role, b.frame, b.n);
  bool passes = (int)box == serving(p) || drains(p, box);
  if (passes) peek(p, role_side(role), &b);
  for (uint16_t i = 0; i < b.n; i++) {
    if (passes) passed_frame(p, role, &b, i);
    else shadow_frame(p, role, b.frame[i]);
  }
  return true;
}

/* Bursts: what happens to frames between the port they came by and the port they leave by.
 *
 * Passes over a burst, so that memory arrives before it is needed: touch the headers; parse, hash and touch the
 * flow's bucket; touch its entry; decide and queue.
 */
#include <rte_prefetch.h>
#include <string.h>
#include "plane.h"

#define HEAD_EVERY 16
#define DRAIN_BURSTS 256 /* of the old box at once, at most: more than a port holds */

struct batch {
  struct rte_mbuf *frame[RM_BURST];
  struct rm_packet packet[RM_BURST];
  uint64_t hash[RM_BURST];
  uint16_t n;
  uint16_t put[RM_BOXES]; /* frames put into each */
};

static void receive(struct plane *p, struct port *port, struct batch *b) {
  b->n = port->driver->receive(port, b->frame, RM_BURST);
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < b->n; i++) bytes += b->frame[i]->pkt_len;
  port->view->rx_packets += b->n;
  port->view->rx_bytes += bytes;
  if (b->n) p->last_packet_ns = p->now;
}

static void parse(struct plane *p, struct rm_flows *table, struct batch *b) {
  uint64_t flows = 0, bytes = 0;
  for (uint16_t i = 0; i < b->n; i++) rte_prefetch0(rte_pktmbuf_mtod(b->frame[i], void *));
  uint8_t (*parser)(const uint8_t *, uint32_t, struct rm_packet *) = p->rules.inner ? rm_parse_inner : rm_parse;
  for (uint16_t i = 0; i < b->n; i++) {
    uint8_t verdict = parser(rte_pktmbuf_mtod(b->frame[i], uint8_t *), b->frame[i]->data_len, &b->packet[i]);
    if (verdict != RM_PARSE_FLOW) {
      p->live->parse[verdict].packets++;
      p->live->parse[verdict].bytes += b->frame[i]->pkt_len;
      continue;
    }
    flows++;
    bytes += b->frame[i]->pkt_len;
    b->hash[i] = rm_flows_hash(table, &b->packet[i]);
    rm_flows_prefetch(table, b->hash[i]);
  }
  p->live->parse[RM_PARSE_FLOW].packets += flows;
  p->live->parse[RM_PARSE_FLOW].bytes += bytes;
  for (uint16_t i = 0; i < b->n; i++)
    if (b->packet[i].verdict == RM_PARSE_FLOW) rm_flows_prefetch_entry(table, b->hash[i], b->packet[i].dir);
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
    flow->flags &= (uint8_t)~RM_FLOW_PASSES;
    if (peer) pair_close(p, side, flow);
  } else if (begins && flow->half[1 - packet->dir].packets && !(peer && peer->age == RM_AGE_TCP_CLOSING)) {
    flow->flags |= RM_FLOW_PASSES;
  }
}

/* After the verdict on a frame from outside: everything else that its flow needs. True: the frame has to wait. */
static bool follow_outer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet,
                         struct rm_flow *flow) {
  const struct rm_half *half = &flow->half[packet->dir];
  bool due = flow->seed_switch != p->reflex.switch_number, waits = false;
  flow->outer_dir = packet->dir;
  /* Now and then is enough: the line it lies in is the other direction's. */
  if (packet->proto == 6 && (due || half->packets % HEAD_EVERY == 1)) keep_head(flow, frame, packet);
  /* Whoever sent the frame is not who sent the packet in a tunnel. */
  if (half->packets == 1 && !packet->inner) neighbour_learn(p, side, frame, packet);
  if (opens(packet)) {
    flow->opener = (uint8_t)(packet->dir + 1);
    pair_offer(p, side, packet, flow);
  }
  follow_passage(p, side, packet, flow);
  /* Connections from before the last switch must be made known to the box that serves now. */
  if (due) {
    bool older = flow->first_ns < p->reflex.path_since && p->reflex.switch_number > 0;
    bool wanted = flow->rule != 0xff && p->rules.rule[flow->rule].seed && packet->proto == 6;
    if (older && wanted && !opens(packet)) waits = seed_flow(p, side, flow);
    if (!waits) flow->seed_switch = p->reflex.switch_number;
  }
  if (flow->flags & RM_FLOW_PASSES) note_put(p, side, slot_of(p, side, flow));
  return waits;
}

static void copy_to_standby(struct plane *p, uint32_t side, struct rte_mbuf *m, struct rm_verdict v) {
  uint32_t role = role_box(1 - (uint32_t)serving(p), side);
  if (p->now < p->reflex.drain_until || !p->port[role].view->link) return;
  struct rm_live *live = p->live;
  live->why[v.why].packets++;
  live->why[v.why].bytes += m->pkt_len;
  if (v.rule < RM_RULES) {
    live->rule[v.rule].packets++;
    live->rule[v.rule].bytes += m->pkt_len;
  }
  /* Nobody writes to a frame after this point, so the copy is one more reference. */
  rte_mbuf_refcnt_update(m, 1);
  port_queue(p, role, m, true);
}

static void outer_frame(struct plane *p, uint32_t side, struct batch *b, uint16_t i) {
  struct rte_mbuf *m = b->frame[i];
  const uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
  struct rm_packet *packet = &b->packet[i];
  struct rm_verdict v = {RM_WHY_NONE, 0xff, RM_WHY_NONE};
  struct rm_flow *flow = NULL;
  bool waits = false;
  if (packet->verdict == RM_PARSE_FLOW) {
    v = rm_decide(&p->table[side], &p->rules, packet, b->hash[i], frame, p->now, false, &flow);
    waits = follow_outer(p, side, frame, packet, flow);
  } else if (packet->verdict == RM_PARSE_NEIGHBOUR) {
    neighbour_learn(p, side, frame, packet);
    v.why = RM_WHY_NEIGHBOUR;
    rm_budget_take(&p->budget, v.why, m->pkt_len, p->now);
  } else if (packet->verdict == RM_PARSE_FRAGMENT) {
    v = rm_decide_fragment(&p->table[side], &p->rules, packet, frame, p->now, false);
  }
  int box = serving(p);
  if (box >= 0) {
    if (v.why != RM_WHY_NONE) copy_to_standby(p, side, m, v);
    b->put[box]++;
    if (waits) hold_frame(p, side, m, seed_claim(side, slot_of(p, side, flow), flow));
    else port_queue(p, role_box((uint32_t)box, side), m, false);
  } else if (p->reflex.path == RM_PATH_WIRE) {
    port_queue(p, role_outer(1 - side), m, false);
  } else {
    count(p, RM_COUNT_BLOCKED, 1, m->pkt_len);
    rte_pktmbuf_free(m);
  }
}

bool burst_outer(struct plane *p, uint32_t side) {
  struct batch b;
  receive(p, &p->port[role_outer(side)], &b);
  parse(p, &p->table[side], &b);
  b.put[RM_PRIMARY] = b.put[RM_REDUNDANT] = 0;
  for (uint16_t i = 0; i < b.n; i++) outer_frame(p, side, &b, i);
  for (uint32_t box = 0; box < RM_BOXES; box++) p->live->box[box].in_packets += b.put[box];
  return b.n > 0;
}

/* A frame out of the box that serves, or that served until a moment ago. */
static void passed_frame(struct plane *p, uint32_t role, struct batch *b, uint16_t i) {
  uint32_t side = role_side(role), box = role_of_box(role);
  struct rm_packet *packet = &b->packet[i];
  bool flow_known = packet->verdict == RM_PARSE_FLOW;
  if (flow_known && seed_swallows(p, role, packet)) {
    rte_pktmbuf_free(b->frame[i]);
    return;
  }
  if (flow_known) {
    struct rm_flow *flow;
    rm_decide(&p->table[side], &p->rules, packet, b->hash[i], rte_pktmbuf_mtod(b->frame[i], uint8_t *), p->now,
              true, &flow);
    flow->outer_dir = 1 - packet->dir;
    if (opens(packet)) {
      flow->opener = (uint8_t)(packet->dir + 1);
      pair_match(p, side, packet, flow);
    }
    follow_passage(p, side, packet, flow);
  }
  if (packet->verdict == RM_PARSE_FRAGMENT)
    rm_decide_fragment(&p->table[side], &p->rules, packet, rte_pktmbuf_mtod(b->frame[i], uint8_t *), p->now, true);
  if ((int)box == serving(p)) {
    if (flow_known || packet->verdict == RM_PARSE_FRAGMENT) note_out(p, side);
    p->live->box[box].out_packets++;
  } else {
    count(p, RM_COUNT_DRAINED, 1, b->frame[i]->pkt_len);
    note_drained(p);
  }
  port_queue(p, role_outer(side), b->frame[i], false);
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
  if ((int)role_of_box(role) != serving(p) || old > RM_PATH_REDUNDANT || !drains(p, old)) return;
  for (uint32_t n = 0; n < DRAIN_BURSTS && burst_box(p, role_box(old, role_side(role))); n++) continue;
}

bool burst_box(struct plane *p, uint32_t role) {
  struct batch b;
  uint32_t box = role_of_box(role);
  receive(p, &p->port[role], &b);
  if (b.n == 0) return false;
  hear(p); /* the path, puts and SYNs that led to these frames were told before them */
  drain_first(p, role);
  bool passes = (int)box == serving(p) || drains(p, box);
  if (passes) parse(p, &p->table[role_side(role)], &b);
  for (uint16_t i = 0; i < b.n; i++) {
    if (passes) passed_frame(p, role, &b, i);
    else shadow_frame(p, role, b.frame[i]);
  }
  return true;
}

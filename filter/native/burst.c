/* Bursts: what happens to frames between an outside port and the box. What comes out of boxes: burst_box.c.
 *
 * Passes over a burst, so that memory arrives before it is needed: touch the headers; peek and touch the flow's bucket; find
 * it there and touch its entry if that is needed; then, frame by frame, decide and queue. Most frames are quiet: their
 * bucket says that nothing is to be done for them.
 */
#include <netinet/in.h>
#include <rte_prefetch.h>
#include <string.h>
#include "burst.h"
#include "pair.h"
#include "entry.h"
#include "fixup.h"
#include "steer.h"
#include "twin.h"

_Static_assert(RM_BURST <= RM_LOOK, "a burst is looked at at once");

/* Say what there is to look at. */
void batch_lay_out(struct batch *b) {
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < b->n; i++) {
    const uint8_t *data = rte_pktmbuf_mtod(b->frame[i], const uint8_t *);
    rte_prefetch0(data);
    b->look.frame[i] = data;
    b->look.bytes[i] = b->frame[i]->data_len;
    bytes += b->frame[i]->pkt_len;
  }
  b->look.n = b->n;
  b->bytes = bytes;
  b->odd_packets = b->odd_bytes = b->held = 0;
  b->copied = b->dead = 0;
}

void batch_receive(struct plane *p, struct port *port, struct batch *b) {
  b->n = port->driver->receive(port, b->frame, RM_BURST);
  if (b->n == 0) return;
  batch_lay_out(b);
  port->view->rx_packets += b->n;
  port->view->rx_bytes += b->bytes;
  p->last_packet_ns = p->now;
  capture_frames(p, RM_TAP_IN, port->role, b->frame, b->n);
}

/* Frames that are no traffic were taken out. */
void batch_now_are(struct batch *b, uint16_t n) {
  if (b->n == n) return;
  b->n = n;
  batch_lay_out(b);
}

/* Ask for the far memory that a SYN needs beside its flow. */
static inline void foresee(struct plane *p, uint32_t side, const struct batch *b, uint32_t i) {
  uint32_t facts = b->look.facts[i];
  const uint8_t *tcp = b->look.frame[i] + (facts >> RM_LOOK_AT_SHIFT);
  if ((facts & (RM_LOOK_TCP | RM_LOOK_CALM)) != RM_LOOK_TCP || !(tcp[13] & RM_TCP_SYN)) return;
  uint32_t seq;
  memcpy(&seq, tcp + 4, sizeof seq);
  const char *set = (const char *)pair_set(p, b->look.observed ? 1 - side : side, __builtin_bswap32(seq));
  for (uint32_t at = 0; at < RM_PENDING_WAYS * sizeof(struct pending); at += RM_CACHE_LINE) __builtin_prefetch(set + at, 1);
  uint32_t place = b->look.place[i];
  if (place == RM_NO_FLOW) return;
  const struct numbers *n = &p->crew->numbers[side][slot_of(p, side, p->table[side].entries + place)];
  __builtin_prefetch(n, 1);
  __builtin_prefetch((const char *)(n + 1) - 1, 1);
}

void batch_begin(struct plane *p, uint32_t side, struct batch *b) {
  struct rm_flows *table = &p->table[side];
  /* The first frame of each flow on a new path has to be looked at. */
  if (__builtin_expect(p->woken[side] != p->reflex.switch_number, 0)) rm_flows_wake(table);
  p->woken[side] = p->reflex.switch_number;
  rm_flows_begin(table, &p->rules, p->now);
  b->look.inner = p->rules.inner != 0;
}

void batch_look(struct plane *p, uint32_t side, struct batch *b, bool keyed) {
  if (keyed) rm_look_rest(&p->table[side], &b->look);
  else rm_look(&p->table[side], &b->look);
  for (uint32_t n = 0; n < b->look.todo_count; n++) foresee(p, side, b, b->look.todo[n]);
}

/* When the last of the burst was judged. */
void batch_count_plain(struct plane *p, const struct batch *b) {
  p->live->parse[RM_PARSE_FLOW].packets += b->n - b->odd_packets;
  p->live->parse[RM_PARSE_FLOW].bytes += b->bytes - b->odd_bytes;
}

/* A frame that does not leave with the others of its burst. */
void batch_take_out(struct batch *b, uint16_t i) {
  b->bytes -= b->frame[i]->pkt_len;
  b->frame[i] = NULL;
  b->held++;
}

void batch_close_ranks(struct batch *b) {
  uint16_t n = 0;
  for (uint16_t i = 0; i < b->n; i++)
    if (b->frame[i]) b->frame[n++] = b->frame[i];
  b->n = n;
}

/* The whole parser, for a frame that is not quiet. Returns the hash of its flow, if it has one. */
uint64_t batch_parse(struct plane *p, const struct rm_flows *table, struct batch *b, uint16_t i,
                      struct rm_packet *packet) {
  uint8_t verdict = rm_parse_looked(&b->look, i, packet);
  if (b->look.facts[i] & RM_LOOK_PLAIN) return b->look.hash[i];
  b->odd_packets++;
  b->odd_bytes += b->frame[i]->pkt_len;
  p->live->parse[verdict].packets++;
  p->live->parse[verdict].bytes += b->frame[i]->pkt_len;
  return verdict == RM_PARSE_FLOW ? rm_flows_hash(table, packet) : 0;
}

bool burst_opens(const struct rm_packet *packet) {
  return packet->proto == 6 && (packet->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK)) == RM_TCP_SYN;
}

static bool is_seeded(const struct plane *p, const struct rm_flow *flow) {
  return flow->rule != 0xff && p->rules.rule[flow->rule].seed && seed_takes(flow->proto);
}

bool burst_begins(const struct rm_packet *packet, const struct rm_flow *flow) {
  return packet->proto != 6 && flow->half[packet->dir].packets == 1 && flow->half[1 - packet->dir].packets == 0 && twin_tells(packet);
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
void burst_follow(struct plane *p, uint32_t side, const struct rm_packet *packet, struct rm_flow *flow) {
  bool begins = flow->half[packet->dir].packets == 1, closes = packet->tcp_flags & (RM_TCP_FIN | RM_TCP_RST);
  if (!begins && !closes) return;
  const struct rm_flow *peer = flow->peer == RM_NO_FLOW ? NULL : &p->entries[1 - side][flow->peer];
  if (flow->age == RM_AGE_TCP_CLOSING) {
    rm_flow_passes(&p->table[side], flow, false);
    if (peer) pair_close(p, side, flow);
  } else if (begins && flow->half[1 - packet->dir].packets && !(peer && entry_age(peer) == RM_AGE_TCP_CLOSING)) {
    rm_flow_passes(&p->table[side], flow, true);
  }
}

void burst_emerged(struct plane *p, uint32_t side, struct rm_flow *flow) {
  if ((flow->flags & RM_FLOW_PASSES) || flow->first_ns >= p->reflex.path_since || flow->age == RM_AGE_TCP_CLOSING) return;
  if (flow->half[0].packets == 0 || flow->half[1].packets == 0) return;
  const struct rm_flow *peer = flow->peer == RM_NO_FLOW ? NULL : &p->entries[1 - side][flow->peer];
  if (!peer || entry_age(peer) != RM_AGE_TCP_CLOSING) rm_flow_passes(&p->table[side], flow, true);
}

static void note_passing(struct batch *b, uint32_t slot) {
  if (b->passing.frames++ == 0) b->passing.flow = b->passing.other = slot;
  else if (b->passing.flow != slot) b->passing.other = slot;
}

/* Quiet frames of flows known to pass: how many, and two of their flows, if there are two. */
static void note_passes(struct batch *b) {
  uint64_t left = b->look.passes;
  b->passing.frames = 0;
  b->passed = left;
  if (left == 0) return;
  uint32_t frames = (uint32_t)__builtin_popcountll(left);
  note_passing(b, b->look.slot[__builtin_ctzll(left)]);
  while ((left &= left - 1) && b->passing.other == b->passing.flow) b->passing.other = b->look.slot[__builtin_ctzll(left)];
  b->passing.frames = frames;
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

/* Who opens a connection tells the box himself, and who opened a flow of datagrams opens it anew with any of them. */
static bool wants_seed(const struct plane *p, const struct rm_packet *packet, const struct rm_flow *flow) {
  bool tracked = packet->proto == IPPROTO_TCP || packet->proto == IPPROTO_SCTP;
  return is_seeded(p, flow) && (tracked || flow->opener != packet->dir + 1) && !burst_opens(packet);
}

bool burst_introduce(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, struct rm_flow *flow) {
  if (flow->seed_switch == p->reflex.switch_number) return false;
  bool older = flow->first_ns < p->reflex.path_since && p->reflex.switch_number > 0;
  /* It passed the other box. That this one lets nothing of it out is what was foretold, and no silence. */
  if (older && match_dropped(p, side, flow)) rm_flow_passes(&p->table[side], flow, false);
  if (older) infer_offer(p, side, frame, packet, flow);
  bool waits = older && wants_seed(p, packet, flow) && seed_flow(p, side, flow);
  /* Those behind it have to be asked as well. */
  if (waits) rm_flow_wake(&p->table[side], flow);
  else flow->seed_switch = p->reflex.switch_number;
  return waits;
}

/* A flow that a rule led to a box that died since: the serving one is told of it as after a switch. */
static bool adopt(struct plane *p, uint32_t side, const struct rm_packet *packet, struct rm_flow *flow, uint64_t since) {
  if (!wants_seed(p, packet, flow) || flow->peer == RM_NO_FLOW) return false;
  steer_adopt(p, side, flow, since);
  bool waits = seed_flow(p, side, flow);
  if (waits) rm_flow_wake(&p->table[side], flow);
  return waits;
}

/* After the verdict on a frame from outside: everything else that its flow needs. */
static void follow_outer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet,
                         struct rm_flow *flow) {
  if (is_seeded(p, flow)) keep_head(flow, frame, packet);
  /* Whoever sent the frame is not who sent the packet in a tunnel. */
  if (flow->half[packet->dir].packets == 1 && !packet->inner) neighbour_learn(p, side, frame, packet);
  if (burst_greets(packet)) numbers_note(p, side, frame, packet, flow);
  if (burst_opens(packet) || burst_begins(packet, flow)) {
    flow->opener = (uint8_t)(packet->dir + 1);
    pair_offer(p, side, frame, packet, flow);
  }
  burst_follow(p, side, packet, flow);
}

static void copy_to(struct plane *p, uint32_t role, const struct batch *b, uint16_t i, struct rm_verdict v) {
  struct rte_mbuf *m = b->frame[i];
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
  port_queue(p, role, fixup_looked(p, role, m, &b->look, i), true);
}

/* Every standby gets the same, but what the old box is still drained of it must not be given twice. `not`: bit of each that has no
 * room for the flow. */
static void copy_to_standbys(struct plane *p, uint32_t side, const struct batch *b, uint16_t i, struct rm_verdict v, uint32_t not) {
  uint32_t boxes = p->members & ~(1u << b->box) & ~b->apart;
  if (__builtin_expect(boxes & not, 0)) count(p, RM_COUNT_VALUE_REFUSED, (uint32_t)__builtin_popcount(boxes & not), b->frame[i]->pkt_len);
  boxes &= ~not;
  if (p->now < p->reflex.drain_until) boxes &= ~(1u << p->reflex.previous);
  for (; boxes; boxes &= boxes - 1) copy_to(p, role_box((uint32_t)__builtin_ctz(boxes), side), b, i, v);
}

/* What becomes of a frame beside its verdict: the flow whose seed it has to wait for, and bit of each box that is to get no copy. */
struct fate { struct rm_flow *waiting; uint32_t refused; };

/* Does the frame wait until the serving box was told of its flow? */
static bool waits_for_seed(struct plane *p, uint32_t side, const struct batch *b, const uint8_t *frame, const struct rm_packet *packet,
                           struct rm_flow *flow) {
  if (b->steered) return false;
  if (__builtin_expect(flow->first_ns < b->orphaned_ns, 0)) return adopt(p, side, packet, flow, b->orphaned_ns);
  if (is_seeded(p, flow)) seed_watch(p, side, flow);
  return burst_introduce(p, side, frame, packet, flow);
}

/* A frame from outside with something to do. */
static struct rm_verdict judge_outer(struct plane *p, uint32_t side, struct batch *b, uint16_t i, struct fate *fate) {
  struct rm_verdict v = {RM_WHY_NONE, 0xff, RM_WHY_NONE};
  struct rm_flows *table = &p->table[side];
  const uint8_t *frame = rte_pktmbuf_mtod(b->frame[i], uint8_t *);
  struct rm_packet packet;
  uint64_t hash = batch_parse(p, table, b, i, &packet);
  if (packet.verdict == RM_PARSE_FLOW) {
    struct rm_flow *flow;
    v = rm_decide(table, &p->rules, &packet, hash, frame, p->now, false, &flow);
    if (b->look.facts[i] & RM_LOOK_PLAIN) b->look.slot[i] = place_of(table, flow); /* it may have begun by this */
    if (__builtin_expect(may_end(&packet), 0)) guard_note(p, side, frame, &packet);
    follow_outer(p, side, frame, &packet, flow);
    /* A box cannot be silent about a frame that waits. */
    if (waits_for_seed(p, side, b, frame, &packet, flow)) fate->waiting = flow;
    else if (flow->flags & RM_FLOW_PASSES) note_passing(b, (uint32_t)(flow - table->entries));
    if (value_full(p) && v.why != RM_WHY_NONE) fate->refused = value_refused(p, side, flow);
    if (!resets(&packet)) match_carried(p, side, flow, RM_CARRIED_IN);
  } else if (packet.verdict == RM_PARSE_NEIGHBOUR) {
    neighbour_learn(p, side, frame, &packet);
    v.why = RM_WHY_NEIGHBOUR;
    if (__builtin_expect(rm_is_witnessed(table, &packet), 0)) rm_witness_begin(table, &p->rules, &packet, p->now, false);
    rm_budget_take(&p->budget, v.why, b->frame[i]->pkt_len, p->now);
    if (__builtin_expect(p->recorder.on, 0)) recorder_neighbour(p, table, v);
  } else if (packet.verdict == RM_PARSE_FRAGMENT) {
    v = rm_decide_fragment(table, &p->rules, &packet, frame, p->now, false);
  }
  if (__builtin_expect(p->recorder.on, 0)) recorder_note(p, role_outer(side), b->frame[i], &packet);
  return v;
}

/* A frame from outside that was not done with at a look. */
static void outer_frame(struct plane *p, uint32_t side, struct batch *b, uint16_t i) {
  struct rte_mbuf *m = b->frame[i];
  struct rm_peek k = rm_look_peek(&b->look, i);
  struct rm_verdict v = {RM_WHY_NONE, 0xff, RM_WHY_NONE};
  uint32_t state = b->look.again >> i & 1 ? rm_quiet(&p->table[side], &k, b->look.frame[i], m->pkt_len, p->now, false) : 0;
  struct fate fate = {NULL, 0};
  uint32_t passing = b->passing.frames;
  if (state == 0) v = judge_outer(p, side, b, i, &fate);
  else b->look.slot[i] = k.slot;
  if (state & RM_HOT_PASSES) note_passing(b, k.slot);
  b->passed |= (uint64_t)(b->passing.frames != passing) << i;
  if (serving(p) < 0) return;
  b->copied |= (uint64_t)(v.why != RM_WHY_NONE) << i;
  if (v.why != RM_WHY_NONE) copy_to_standbys(p, side, b, i, v, fate.refused);
  if (!fate.waiting) return;
  batch_take_out(b, i);
  hold_frame(p, side, m, seed_claim(side, slot_of(p, side, fate.waiting), fate.waiting));
}

/* What is kept and measured of frames on their way into a box. */
static void watch_outer(struct plane *p, uint32_t side, struct batch *b) {
  for (uint16_t i = 0; i < b->n; i++) {
    if (!b->frame[i]) continue;
    struct rm_peek k = rm_look_peek(&b->look, i);
    if (p->grey.on && k.plain) grey_put(p, side, &(struct grey_seen){b->look.frame[i], &k, b->passed >> i & 1});
    if (p->keeps && serving(p) >= 0) replay_keep(p, side, b->frame[i], &k, b->copied >> i & 1);
  }
}

/* A frame that was taken out left the others where they were looked at no more. */
static void translate_batch(struct plane *p, uint32_t role, struct batch *b) {
  if (b->held == 0) return fixup_burst(p, role, b->frame, &b->look);
  for (uint16_t i = 0; i < b->n; i++) b->frame[i] = fixup_into(p, role, b->frame[i]);
}

/* All leave together, in the order in which they came. */
static void outer_leave(struct plane *p, uint32_t side, struct batch *b) {
  if (__builtin_expect(b->held, 0)) batch_close_ranks(b);
  int box = b->box;
  if (box >= 0) {
    uint32_t role = role_box((uint32_t)box, side);
    if (fixup_any(p, side, (uint32_t)box)) translate_batch(p, role, b);
    port_queue_all(p, role, b->frame, b->n, b->bytes);
  } else if (p->reflex.path == RM_PATH_WIRE) {
    port_queue_all(p, role_outer(1 - side), b->frame, b->n, b->bytes);
  } else {
    count(p, RM_COUNT_BLOCKED, b->n, b->bytes);
    rte_pktmbuf_free_bulk(b->frame, b->n);
  }
}

void burst_into(struct plane *p, uint32_t side, struct batch *b) {
  b->look.observed = b->look.wary = false;
  batch_begin(p, side, b);
  batch_look(p, side, b, false);
  if (b->box >= 0 && fixup_any(p, side, (uint32_t)b->box)) fixup_foresee(p, side, (uint32_t)b->box, &b->look);
  note_passes(b);
  for (uint32_t n = 0; n < b->look.todo_count; n++) outer_frame(p, side, b, b->look.todo[n]);
  batch_count_plain(p, b);
  if (__builtin_expect(!b->steered, 1)) {
    tell_passing(p, side, b);
    if (__builtin_expect(p->keeps | p->grey.on, 0)) watch_outer(p, side, b);
  }
  if (b->box >= 0) p->live->box[b->box].in_packets += b->n;
  outer_leave(p, side, b);
}

static void outer_batch(struct plane *p, uint32_t side, struct batch *b) {
  if (__builtin_expect(p->steers && serving(p) >= 0, 0)) return steer_outer(p, side, b->frame, b->n);
  b->box = serving(p);
  b->apart = 0;
  b->steered = false;
  b->orphaned_ns = 0;
  burst_into(p, side, b);
}

/* Frames that waited for a planned switch, a queue's worth in a turn: a box that gets all at once drops some. */
static void release_paused(struct plane *p, uint32_t side) {
  struct batch b;
  for (int n = 0; n < RM_QUEUE / RM_BURST && (b.n = pause_take(p, side, b.frame, RM_BURST)) > 0; n++) {
    batch_lay_out(&b);
    outer_batch(p, side, &b);
  }
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
  batch_receive(p, &p->port[role_outer(side)], &b);
  if (b.n == 0) return false;
  if (__builtin_expect(p->probe.beyond, 0)) batch_now_are(&b, probe_take_outer(p, side, b.frame, b.n));
  if (__builtin_expect(waits, 0)) {
    pause_keep(p, side, b.frame, b.n);
    return true;
  }
  outer_batch(p, side, &b);
  return true;
}

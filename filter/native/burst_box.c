/* Bursts out of a box: of one that serves they leave, of one that was left a moment ago too, of a standby they stay.
 *
 * What comes out of a box proves that it lives, follows the flows of that side, and is known again by what was put in.
 */
#include <netinet/in.h>
#include "association.h"
#include "burst.h"
#include "canary.h"
#include "pair.h"
#include "fixup.h"
#include "steer.h"
#include "twin.h"

#define SEED_BYTES 128u  /* no frame of a seed is longer, whatever tags and options a box adds */
#define DRAIN_BURSTS 128 /* of the old box at once, at most: more than a port holds */

/* Frames of seeds stay here. They are known as the box sent them, before anybody translates; how many others there are is returned. */
static uint16_t sift_seeds(struct plane *p, uint32_t role, struct batch *b) {
  uint16_t n = 0;
  for (uint16_t i = 0; i < b->n; i++) {
    struct rte_mbuf *m = b->frame[i];
    const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
    struct rm_packet packet;
    bool part = m->pkt_len <= SEED_BYTES && rm_parse(frame, m->data_len, &packet) == RM_PARSE_FLOW &&
                seed_swallows(p, role, frame, &packet);
    if (part) rte_pktmbuf_free(m);
    else b->frame[n++] = m;
  }
  return n;
}

/* A box that hands over what the node played works. */
static void take_seeds(struct plane *p, uint32_t role, struct batch *b) {
  uint16_t all = b->n, left = sift_seeds(p, role, b);
  if (left != all && (int)role_of_box(role) == serving(p)) note_out(p, role_side(role), (uint32_t)(all - left));
  batch_now_are(b, left);
}

/* What a box lets out it has judged: nobody outside can make the node believe a tag. */
static void keep_tag(struct rm_flow *flow, const uint8_t *frame, const struct rm_packet *packet) {
  uint32_t tag = packet->inner ? 0 : association_tag(frame, packet);
  if (tag) flow->half[packet->dir].next = tag;
}

/* A frame out of a box that passes, with something to do. False: the guard holds it back. */
static bool judge_passed(struct plane *p, uint32_t role, struct batch *b, uint16_t i, bool *alive) {
  uint32_t side = role_side(role);
  struct rm_flows *table = &p->table[side];
  const uint8_t *frame = rte_pktmbuf_mtod(b->frame[i], uint8_t *);
  struct rm_packet packet;
  uint64_t hash = batch_parse(p, table, b, i, &packet);
  *alive = packet.verdict == RM_PARSE_FLOW || packet.verdict == RM_PARSE_FRAGMENT;
  if (packet.verdict == RM_PARSE_FLOW) {
    /* What the old box hands over after a connection was seeded may call for another seed. */
    if (b->look.wary && packet.proto == IPPROTO_TCP) seed_again(p, side, &packet);
    if (__builtin_expect(may_end(&packet), 0) && guard_stops(p, role, frame, &packet)) return false;
    struct rm_flow *flow;
    rm_decide(table, &p->rules, &packet, hash, frame, p->now, true, &flow);
    if (__builtin_expect(p->recorder.on, 0)) recorder_note(p, role, b->frame[i], &packet);
    if (burst_opens(&packet) || burst_begins(&packet, flow)) {
      flow->opener = (uint8_t)(packet.dir + 1);
      pair_match(p, role, frame, &packet, flow);
    }
    if (burst_greets(&packet)) numbers_note(p, side, frame, &packet, flow);
    if (packet.proto == IPPROTO_SCTP) keep_tag(flow, frame, &packet);
    bool serves = (int)role_of_box(role) == serving(p);
    if ((b->steered || serves) && !resets(&packet)) match_carried(p, side, flow, RM_CARRIED_OUT);
    if (!b->steered && serves) {
      burst_emerged(p, side, flow);
      if (twin_tells(&packet) || burst_greets(&packet)) match_passed(p, role, frame, &packet, flow);
    } else if (!b->steered) {
      rm_flow_wake(table, flow); /* the first one out of the box that serves now is not to pass unseen */
    }
    burst_follow(p, side, &packet, flow);
  }
  if (packet.verdict == RM_PARSE_FRAGMENT) {
    rm_decide_fragment(table, &p->rules, &packet, frame, p->now, true);
    if (__builtin_expect(p->recorder.on, 0)) recorder_note(p, role, b->frame[i], &packet);
  }
  if (packet.verdict == RM_PARSE_NEIGHBOUR) announce_learn(p, role, frame, &packet);
  return true;
}

/* A frame out of a box that passes that was not done with at a look. */
static void passed_frame(struct plane *p, uint32_t role, struct batch *b, uint16_t i) {
  struct rte_mbuf *m = b->frame[i];
  struct rm_peek k = rm_look_peek(&b->look, i);
  struct rm_flows *table = &p->table[role_side(role)];
  bool alive = true;
  if ((b->look.again >> i & 1) && !b->look.wary && rm_quiet(table, &k, b->look.frame[i], m->pkt_len, p->now, true)) return;
  bool leaves = judge_passed(p, role, b, i, &alive);
  b->dead |= (uint64_t)!alive << i;
  if (leaves) return;
  batch_take_out(b, i);
  rte_pktmbuf_free(m);
}

/* What is kept and measured of frames that came out of a box; what has left already by way of the other goes. */
static void watch_passed(struct plane *p, uint32_t role, struct batch *b) {
  bool serves = (int)role_of_box(role) == serving(p);
  for (uint16_t i = 0; i < b->n; i++) {
    struct rte_mbuf *m = b->frame[i];
    if (!m) continue;
    struct rm_peek k = rm_look_peek(&b->look, i);
    if (p->keeps && !replay_out(p, role, m, &k)) {
      batch_take_out(b, i);
      rte_pktmbuf_free(m);
    } else if (serves && p->grey.on && k.plain) {
      grey_got(p, role_side(role), &(struct grey_seen){b->look.frame[i], &k, true});
    }
  }
}

/* Of those that leave, frames that prove nothing of the box. */
static uint32_t dead_of(const struct batch *b) {
  uint32_t dead = 0;
  for (uint64_t left = b->dead; left; left &= left - 1) dead += b->frame[__builtin_ctzll(left)] != NULL;
  return dead;
}

/* Frames of a box that is no standby, or was none until a moment ago. */
void burst_passed(struct plane *p, uint32_t role, struct batch *b) {
  uint32_t side = role_side(role), box = role_of_box(role);
  bool serves = b->steered || (int)box == serving(p);
  if (seed_expected(p, box)) take_seeds(p, role, b);
  if (b->n == 0) return;
  b->look.observed = true;
  b->look.wary = !serves && serving(p) >= 0 && seed_expected(p, (uint32_t)serving(p));
  batch_begin(p, side, b);
  bool keyed = (fixup_any(p, side, box) || infer_expects(p, side)) && fixup_from(p, role, b->frame, &b->look);
  batch_look(p, side, b, keyed);
  for (uint32_t n = 0; n < b->look.todo_count; n++) passed_frame(p, role, b, b->look.todo[n]);
  batch_count_plain(p, b);
  if (__builtin_expect((p->keeps | p->grey.on) && !b->steered, 0)) watch_passed(p, role, b);
  uint32_t dead = dead_of(b);
  if (b->held) batch_close_ranks(b);
  if (serves) {
    if (!b->steered) note_out(p, side, b->n - dead);
    p->live->box[box].out_packets += b->n;
  } else {
    count(p, RM_COUNT_DRAINED, b->n, b->bytes);
    note_drained(p, b->n);
  }
  port_queue_all(p, role_outer(side), b->frame, b->n, b->bytes);
}

void burst_shadow(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  struct rm_packet packet;
  const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
  count(p, RM_COUNT_SHADOW, 1, m->pkt_len);
  note_shadow(p, role_of_box(role), role_side(role));
  if (rm_parse(frame, m->data_len, &packet) == RM_PARSE_FLOW) {
    if (seed_expected(p, role_of_box(role)) && seed_swallows(p, role, frame, &packet)) return rte_pktmbuf_free(m);
    if (__builtin_expect(p->recorder.on, 0) && twin_tells(&packet)) recorder_shadow(p, role, m, &packet);
    match_shadow(p, role, frame, &packet);
  }
  if (!neighbour_answer(p, role, m)) rte_pktmbuf_free(m);
}

bool burst_drains(const struct plane *p, uint32_t box) {
  return p->now < p->reflex.drain_until && box == p->reflex.previous && (int)box != serving(p);
}

/* What the old box handed over before the new one did must leave before it as well. */
static void drain_first(struct plane *p, uint32_t role) {
  uint32_t old = p->reflex.previous;
  if ((int)role_of_box(role) != serving(p) || old >= RM_BOXES || !burst_drains(p, old)) return;
  for (uint32_t n = 0; n < DRAIN_BURSTS && burst_box(p, role_box(old, role_side(role))); n++) continue;
}

bool burst_box(struct plane *p, uint32_t role) {
  struct batch b;
  uint32_t box = role_of_box(role);
  batch_receive(p, &p->port[role], &b);
  if (b.n == 0) return false;
  if (__builtin_expect(p->bfd.roles >> role & 1, 0)) batch_now_are(&b, bfd_sift(p, role, b.frame, b.n));
  hear(p); /* the path, puts and SYNs that led to these frames were told before them */
  drain_first(p, role);
  if (__builtin_expect(p->probe.takes, 0)) batch_now_are(&b, probe_take(p, role, b.frame, b.n));
  if (__builtin_expect(canary_on(p, role_side(role)) && ((int)box == serving(p) || burst_drains(p, box)), 0))
    batch_now_are(&b, canary_take(p, role, b.frame, b.n));
  if (__builtin_expect(p->steers && serving(p) >= 0, 0)) return steer_box(p, role, b.frame, b.n), true;
  b.steered = false;
  b.orphaned_ns = 0;
  bool passes = (int)box == serving(p) || burst_drains(p, box);
  if (passes) burst_passed(p, role, &b);
  else for (uint16_t i = 0; i < b.n; i++) burst_shadow(p, role, b.frame[i]);
  return true;
}

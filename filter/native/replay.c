/* Replay: frames that entered the old box shortly before a switch by reflex and did not come out are put into the new one,
 * in their order and before any newer frame from that side.
 *
 * Until that is done nothing is received from the outside port, so newer frames wait where they are. A connection is
 * seeded before its first replayed frame. A frame is not replayed if it came out meanwhile (the old box is still
 * drained), if the other end has acknowledged it, or if frames of its kind are not known again when they come out:
 * a doubtful frame is rather lost than sent twice. What comes out of both boxes passes once (once.h).
 */
#include <string.h>
#include "fixup.h"
#include "plane.h"
#include "replay.h"

#define BURST 64              /* replayed in a turn: a port's ring has room for them */
#define WAIT_NS (2 * RM_MS)   /* for workers that have not heard of the switch */
#define ONCE_NS RM_S          /* after a switch both boxes' output is compared for so long: a busy box may be slow to answer */
#define COPY_NS (5 * RM_MS)   /* a copy that is older has come out of the standby, or will not */
#define POOL_PART 4           /* all rings together hold a quarter of the buffers at most */

static bool alone(const struct plane *p) { return p->crew->workers == 1; }
static bool is_on(const struct plane *p, const struct replay *r) { return p->keeps && r->kept.ns; }

int replay_open(struct plane *p) {
  uint32_t limit = rte_mempool_avail_count(p->pool) / POOL_PART / (p->crew->queues * RM_SIDES);
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->has[s]) continue;
    p->replay[s] = crew_memory(sizeof *p->replay[s]);
    if (!p->replay[s]) return plane_fail(p, "Cannot make the hold ring: no memory");
    rm_kept_open(&p->replay[s]->kept, limit);
  }
  if (alone(p)) return 0;
  struct trace_log *log = p->crew->log[p->index] = crew_memory(sizeof *log);
  return log ? 0 : plane_fail(p, "Cannot make the hold ring's log: no memory");
}

/* Nobody will miss it: the frame came out, or is too old. */
static void release(void *frame) {
  if (frame) rte_pktmbuf_free(frame);
}

static void expire(struct plane *p, struct replay *r, uint32_t most) {
  for (void *frame; most-- && (frame = rm_kept_expired(&r->kept, p->now));) release(frame);
}

static void seen(struct plane *p, uint32_t side, const struct rm_trace *trace) {
  struct replay *r = p->replay[side];
  void *frame = rm_kept_seen(&r->kept, trace);
  bool late = p->replayed[side] != p->reflex.switch_number && r->begun == p->reflex.switch_number;
  if (frame && late && (int32_t)(r->kept.last - r->until) < 0) count(p, RM_COUNT_REPLAY_SEEN, 1, 0);
  release(frame);
}

/* What is not known of is not replayed: forget all. */
static void forget(struct plane *p, struct replay *r) {
  for (void *frame; (frame = rm_kept_take(&r->kept)); release(frame))
    count(p, RM_COUNT_REPLAY_DROPPED, 1, ((struct rte_mbuf *)frame)->pkt_len);
}

/* Read what came out on the other side. */
static void listen(struct plane *p, uint32_t side) {
  struct replay *r = p->replay[side];
  for (uint32_t queue = 0; !alone(p) && queue < p->crew->queues; queue++) {
    uint32_t from = crew_worker(p->crew, 1 - side, queue);
    const struct trace_log *log = p->crew->log[from];
    uint64_t start = r->heard[from], end = __atomic_load_n(&log->written, __ATOMIC_ACQUIRE);
    for (uint64_t at = start; at < end; at++) {
      uint64_t word = __atomic_load_n(&log->trace[at % RM_LOG], __ATOMIC_RELAXED);
      struct rm_trace trace;
      memcpy(&trace, &word, sizeof trace);
      seen(p, side, &trace);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    r->heard[from] = end;
    /* The writer may have come round meanwhile, and be at the next place already. */
    if (__atomic_load_n(&log->written, __ATOMIC_RELAXED) - start < RM_LOG) continue;
    r->heard[from] = __atomic_load_n(&log->written, __ATOMIC_ACQUIRE);
    forget(p, r);
  }
}

void replay_keep(struct plane *p, uint32_t side, struct rte_mbuf *m, const struct rm_peek *k, bool copied) {
  struct replay *r = p->replay[side];
  struct rm_place what = {.frame = m, .ns = p->now, .copied = copied};
  if (!rm_trace(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, k, p->crew->trace_secret, &what.trace)) return;
  rte_mbuf_refcnt_update(m, 1);
  void *out = rm_kept_put(&r->kept, &what);
  expire(p, r, 2);
  if (!out) return;
  count(p, RM_COUNT_REPLAY_DROPPED, 1, ((struct rte_mbuf *)out)->pkt_len);
  release(out);
}

static void write_log(struct trace_log *log, const struct rm_trace *trace) {
  uint64_t at = log->written, word;
  memcpy(&word, trace, sizeof word);
  __atomic_store_n(&log->trace[at % RM_LOG], word, __ATOMIC_RELAXED);
  __atomic_store_n(&log->written, at + 1, __ATOMIC_RELEASE);
}

/* Two directions of one connection must not be taken for each other. */
static uint32_t print_of(const struct rm_trace *t, uint32_t in_side) { return t->print ^ in_side << 31; }

static bool compares(const struct plane *p) {
  const struct reflex *r = &p->reflex;
  return r->switch_number && (p->now < r->drain_until || p->now < r->path_since + ONCE_NS);
}

bool replay_out(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct rm_peek *k) {
  uint32_t in_side = 1 - role_side(role);
  struct rm_trace trace;
  if (!rm_trace(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, k, p->crew->trace_secret, &trace)) return true;
  if (alone(p)) seen(p, in_side, &trace);
  else write_log(p->crew->log[p->index], &trace);
  if (!compares(p)) return true;
  /* Either the worker that replays sees what was just written, or this one sees that it was replayed. */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  bool of_new = (int)role_of_box(role) == serving(p);
  if (rm_once_passes(&p->crew->once, p->reflex.switch_number, print_of(&trace, in_side), of_new)) return true;
  count(p, RM_COUNT_REPLAY_SEEN, 1, m->pkt_len);
  return false;
}

/* The other end has acknowledged it, so it arrived, whatever came out. */
static bool is_acknowledged(const struct rm_packet *packet, const struct rm_flow *flow) {
  const struct rm_half *back = &flow->half[1 - packet->dir];
  uint32_t bytes = packet->payload_bytes + !!(packet->tcp_flags & RM_TCP_SYN) + !!(packet->tcp_flags & RM_TCP_FIN);
  return bytes && (back->flags & RM_HALF_SEQ) && (int32_t)(back->ack - (packet->seq + bytes)) >= 0;
}

/* Into the box that serves, behind whatever its connection needs first. */
static void play(struct plane *p, uint32_t side, struct rte_mbuf *m, struct rm_flow *flow, const struct rm_packet *packet) {
  static const struct rm_peek UNKNOWN = {.plain = 0};
  int box = serving(p);
  count(p, RM_COUNT_REPLAYED, 1, m->pkt_len);
  if (box < 0) return port_queue(p, role_outer(1 - side), m, false);
  if (flow && burst_introduce(p, side, rte_pktmbuf_mtod(m, const uint8_t *), packet, flow))
    return hold_frame(p, side, m, seed_claim(side, slot_of(p, side, flow), flow));
  p->live->box[box].in_packets++;
  replay_keep(p, side, m, &UNKNOWN, false);
  port_queue(p, role_box((uint32_t)box, side), fixup_into(p, role_box((uint32_t)box, side), m), false);
}

static void drop(struct plane *p, struct replay *r, enum rm_counter why) {
  struct rte_mbuf *m = rm_kept_take(&r->kept);
  count(p, why, 1, m->pkt_len);
  rte_pktmbuf_free(m);
}

static void replay_one(struct plane *p, uint32_t side, const struct rm_place *oldest) {
  struct replay *r = p->replay[side];
  struct rte_mbuf *m = oldest->frame;
  const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
  struct rm_packet packet;
  struct rm_flow *flow = NULL;
  if (p->reflex.path == RM_PATH_BLOCK) return drop(p, r, RM_COUNT_REPLAY_DROPPED);
  if (!rm_kept_trusts(&r->kept, &oldest->trace)) return drop(p, r, RM_COUNT_REPLAY_UNKNOWN);
  if ((p->rules.inner ? rm_parse_inner : rm_parse)(frame, m->data_len, &packet) == RM_PARSE_FLOW)
    flow = rm_flows_find(&p->table[side], &packet, rm_flows_hash(&p->table[side], &packet));
  if (flow && packet.proto == 6 && is_acknowledged(&packet, flow)) return drop(p, r, RM_COUNT_REPLAY_SEEN);
  bool doubled = oldest->copied && p->now < oldest->ns + COPY_NS;
  if (!rm_once_expect(&p->crew->once, p->reflex.switch_number, print_of(&oldest->trace, side), doubled))
    return drop(p, r, RM_COUNT_REPLAY_DROPPED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  listen(p, side);
  if (oldest->frame != m) return;
  /* Straight through no box lets it out again: this is where it passes, and what the old box still hands over is second. */
  if (serving(p) < 0 && !rm_once_passes(&p->crew->once, p->reflex.switch_number, print_of(&oldest->trace, side), true))
    return drop(p, r, RM_COUNT_REPLAY_SEEN);
  play(p, side, rm_kept_take(&r->kept), flow, &packet);
}

/* Have all that see what comes out on the other side heard of the switch? What they took before is in their logs then. */
static bool all_know(struct plane *p, uint32_t side) {
  bool all = true;
  for (uint32_t queue = 0; !alone(p) && queue < p->crew->queues; queue++) {
    uint32_t i = crew_worker(p->crew, 1 - side, queue);
    if (i == 0) continue; /* it made the switch */
    if (__atomic_load_n(&p->crew->report[i].out, __ATOMIC_ACQUIRE) >> 32 == p->reflex.switch_number) continue;
    crew_wake(p->crew, i);
    all = false;
  }
  return all;
}

/* What went into a box that was dead or dying. Who orders a switch does not say that. */
static bool is_wanted(const struct plane *p, const struct replay *r) {
  const struct reflex *x = &p->reflex;
  return is_on(p, r) && x->previous < RM_BOXES && x->cause != RM_CAUSE_ORDER && x->cause != RM_CAUSE_RETURN;
}

bool replay_go(struct plane *p, uint32_t side) {
  struct replay *r = p->replay[side];
  uint32_t number = p->reflex.switch_number;
  if (r->begun != number) {
    r->begun = number;
    r->begun_ns = p->now;
    r->until = r->kept.end;
    if (!is_wanted(p, r)) r->until = r->kept.first;
  }
  if (!all_know(p, side) && r->until != r->kept.first && p->now < r->begun_ns + WAIT_NS) return true;
  listen(p, side);
  for (uint32_t n = 0; n < BURST; n++) {
    const struct rm_place *oldest = rm_kept_oldest(&r->kept);
    if (!oldest || (int32_t)(r->kept.first - r->until) >= 0) return p->replayed[side] = number, n > 0;
    replay_one(p, side, oldest);
  }
  return true;
}

bool replay_is_empty(struct plane *p) {
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->replay[s]) continue;
    listen(p, s);
    if (rm_kept_oldest(&p->replay[s]->kept)) return false;
  }
  return true;
}

void replay_tick(struct plane *p) {
  uint64_t ns = p->board->command.hold_ns;
  p->keeps = ns != 0;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    struct replay *r = p->replay[s];
    if (!r) continue;
    r->kept.ns = ns;
    listen(p, s);
    expire(p, r, RM_KEPT);
  }
}

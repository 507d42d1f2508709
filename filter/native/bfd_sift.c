/* BFD's frames among those a box sends: found, judged, and handed to their session.
 *
 * What is for a local address of a session on that port never was traffic, and goes no further: its peer asks who has the
 * address, answers who has its own, sends control packets and echoes, and now and then something else.
 */
#include <string.h>
#include "plane.h"

static void discard(struct plane *p, struct bfd_run *run, enum rm_bfd_discard why) {
  p->board->live.bfd_discard[why].packets++;
  if (run) p->board->live.bfd[run - p->bfd.run].discard[why]++;
}

static bool same(const uint8_t a[16], const uint8_t b[16]) { return memcmp(a, b, 16) == 0; }

/* Is it for a session of this port? Frames to somebody else's MAC were never asked. */
static bool claims(const struct bfd *b, uint32_t role, bool to_us, const struct bfd_frame *f) {
  for (uint32_t i = 0; i < b->count; i++) {
    const struct bfd_place *at = &b->place[i];
    if (at->role != role || at->vlan != f->vlan) continue;
    switch (f->kind) {
      case BFD_KIND_ASK:
        if (same(f->target, at->local)) return true;
        break;
      case BFD_KIND_TELL:
        if (to_us && same(f->target, at->gateway)) return true;
        break;
      case BFD_KIND_OTHER: break;
      default:
        if (!to_us) break;
        if (same(f->target, at->local)) return true;
        /* The peer's own echoes, which it wants back. */
        if (same(f->source, at->peer) && same(f->target, at->peer)) return true;
    }
  }
  return false;
}

/* A neighbour that announces itself is heard, and passes on. */
static void overhear(struct plane *p, uint32_t role, const struct bfd_frame *f) {
  for (uint32_t i = 0; i < p->bfd.count; i++) {
    struct bfd_run *run = &p->bfd.run[i];
    const struct bfd_place *at = &p->bfd.place[i];
    const uint8_t *who = f->kind == BFD_KIND_ASK ? f->source : f->target;
    bool known = run->found && !bfd_has_mac(&run->order);
    if (at->role != role || at->vlan != f->vlan || !known || !same(who, at->gateway)) continue;
    memcpy(run->mac, f->mac, 6);
  }
}

static bool is_ours(struct plane *p, uint32_t role, const struct rte_mbuf *m) {
  const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
  if (m->data_len < 14) return false;
  bool to_us = memcmp(frame, p->board->live.port[role].mac, 6) == 0;
  if (!to_us && !(frame[0] & 1)) return false;
  struct bfd_frame f;
  bfd_read_frame(frame, m->data_len, &f);
  if (!to_us && f.kind != BFD_KIND_ASK && f.kind != BFD_KIND_TELL) return false;
  if (claims(&p->bfd, role, to_us, &f)) return true;
  if (p->index == 0 && (f.kind == BFD_KIND_ASK || f.kind == BFD_KIND_TELL)) overhear(p, role, &f);
  return false;
}

uint16_t bfd_sift(struct plane *p, uint32_t role, struct rte_mbuf **frames, uint16_t n) {
  uint16_t left = 0;
  if (n == RM_BURST) p->bfd.full = true;
  for (uint16_t i = 0; i < n; i++) {
    struct rte_mbuf *m = frames[i];
    if (__builtin_expect(!is_ours(p, role, m), 1)) {
      frames[left++] = m;
      continue;
    }
    if (p->index == 0) bfd_take(p, role, m);
    else if (crew_send(p, 0, &(struct message){.kind = MESSAGE_BFD, .slot = role, .pointer = m})) crew_wake(p->crew, 0);
    else rte_pktmbuf_free(m); /* counted as crossing_full */
  }
  return left;
}

static struct bfd_run *run_at(struct plane *p, uint32_t role, const struct bfd_frame *f, bool multihop) {
  for (uint32_t i = 0; i < p->bfd.count; i++) {
    const struct bfd_place *at = &p->bfd.place[i];
    if (at->role == role && at->vlan == f->vlan && at->multihop == multihop && same(f->source, at->peer) &&
        same(f->target, at->local))
      return &p->bfd.run[i];
  }
  return NULL;
}

/* RFC 5880, 6.8.6: the discriminator chooses the session, its ends only where there is none yet. A packet that has the
 * discriminator and not the ends of its session is nobody's: a session has one place. */
static void take_control(struct plane *p, uint32_t role, const struct rte_mbuf *m, const struct bfd_frame *f) {
  bool multihop = f->target_port == BFD_PORT_MULTIHOP;
  struct bfd_run *run = run_at(p, role, f, multihop);
  if (!run) return discard(p, NULL, RM_BFD_NO_SESSION);
  if (!multihop && f->ttl != 255) return discard(p, run, RM_BFD_TTL);
  const uint8_t *payload = rte_pktmbuf_mtod_offset(m, const uint8_t *, f->payload_at);
  enum rm_bfd_discard why = bfd_receive(&run->session, payload, f->payload_bytes, p->now);
  if (why != RM_BFD_TAKEN) return discard(p, run, why);
  struct rm_bfd_view *view = &p->board->live.bfd[run - p->bfd.run];
  view->taken++;
  view->heard_ns = p->now;
  p->bfd.due_ns = 0;
}

/* An echo of ours on its way home, or the peer's, which is sent back. True: the frame was queued. */
static bool take_echo(struct plane *p, uint32_t role, struct rte_mbuf *m, const struct bfd_frame *f) {
  const uint8_t *payload = rte_pktmbuf_mtod_offset(m, const uint8_t *, f->payload_at);
  for (uint32_t i = 0; i < p->bfd.count; i++) {
    const struct bfd_place *at = &p->bfd.place[i];
    struct bfd_run *run = &p->bfd.run[i];
    struct rm_bfd_view *view = &p->board->live.bfd[i];
    if (at->role != role || at->vlan != f->vlan || at->multihop) continue;
    if (same(f->target, at->local) && bfd_take_echo(&run->session, payload, f->payload_bytes, p->now)) {
      view->echoes_back++;
      view->echo_heard_ns = p->now;
      return false;
    }
    bool back = run->order.echo_us && run->session.state == RM_BFD_UP && f->ttl > 1 && rte_mbuf_refcnt_read(m) == 1;
    if (!back || !same(f->source, at->peer) || !same(f->target, at->peer)) continue;
    bfd_turn_back(rte_pktmbuf_mtod(m, uint8_t *), f, f->mac);
    view->echoes_returned++;
    port_queue(p, role, m, false);
    return true;
  }
  discard(p, NULL, RM_BFD_ECHO);
  return false;
}

/* Learn where a session's next hop is. */
static void learn(struct plane *p, uint32_t role, const struct bfd_frame *f, const uint8_t who[16]) {
  for (uint32_t i = 0; i < p->bfd.count; i++) {
    const struct bfd_place *at = &p->bfd.place[i];
    struct bfd_run *run = &p->bfd.run[i];
    if (at->role != role || at->vlan != f->vlan || !same(who, at->gateway) || bfd_has_mac(&run->order)) continue;
    memcpy(run->mac, f->mac, 6);
    run->found = true;
    p->bfd.due_ns = 0;
  }
}

static void answer(struct plane *p, uint32_t role, const struct bfd_frame *f) {
  static const uint8_t NONE[16];
  struct bfd_way way = {.vlan = f->vlan};
  uint8_t frame[BFD_FRAME_MAX];
  memcpy(way.from_mac, p->board->live.port[role].mac, 6);
  memcpy(way.to_mac, f->mac, 6);
  memcpy(way.from, f->target, 16);
  memcpy(way.to, f->source, 16);
  if (same(f->source, NONE)) {
    /* It wants the address for itself: it has to know that it is taken. */
    if (!bfd_is_v4(f->target)) return;
    memcpy(way.to, f->target, 16);
  }
  bfd_send_frame(p, role, frame, bfd_frame_tell(frame, &way));
  learn(p, role, f, f->source);
}

void bfd_take(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  struct bfd_frame f;
  bfd_read_frame(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, &f);
  switch (f.kind) {
    case BFD_KIND_ASK: answer(p, role, &f); break;
    case BFD_KIND_TELL: learn(p, role, &f, f.target); break;
    case BFD_KIND_UDP:
      if (f.target_port == BFD_PORT_ECHO) {
        if (take_echo(p, role, m, &f)) return;
      } else if (f.target_port == BFD_PORT || f.target_port == BFD_PORT_MULTIHOP) take_control(p, role, m, &f);
      else discard(p, NULL, RM_BFD_NOT_BFD);
      break;
    case BFD_KIND_BROKEN: discard(p, NULL, RM_BFD_FRAME); break;
    case BFD_KIND_CHECKSUM: discard(p, NULL, RM_BFD_CHECKSUM); break;
    default: discard(p, NULL, RM_BFD_NOT_BFD); break;
  }
  rte_pktmbuf_free(m);
}

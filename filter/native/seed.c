/* Seeding: play a handshake with the current sequence numbers into the box that has just begun to serve.
 *
 * A mirrored handshake gives the box its entry and binding, but its idea of the windows stays where the last copy was,
 * and a box that tracks windows drops what lies beyond. On the first frame of a connection after a switch the
 * node plays SYN and ACK into the opener's side and SYN-ACK and ACK into the other, then lets the frame follow.
 * What comes out of the box for that never reaches an end host (swallow.c). Several workers: whoever claims the
 * connection plays all of it, by queues of its own into both ports, or step by step with the worker that has them.
 *
 * Sequence numbers: the highest that has come *out* of the old box each way. Anything sent later is a
 * retransmission or new data inside the window, and no end can acknowledge more.
 */
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <string.h>
#include "fixup.h"
#include "plane.h"

#define LOOKS 8 /* at an entry that another worker is writing to, until two are alike */
#define TTL 64
#define OPTION_BYTES 12 /* MSS 4, SACK permitted 2, window scale 3, padding */
#define MSS 1460

struct end { struct rm_flow *flow; uint32_t side; uint8_t dir; }; /* dir: sent by the outer end */
struct segment { uint32_t seq, ack; uint16_t window; uint8_t flags, scale; bool sack; };

static uint32_t emerged(const struct end *e) { return e->flow->half[1 - e->dir].next; }
static const struct rm_half *sent(const struct end *e) { return &e->flow->half[e->dir]; }

static uint8_t *put_ethernet(uint8_t *to, const struct rm_flow *f) {
  memcpy(to, f->outer_mac, 12);
  to += 12;
  if (f->tags) {
    uint16_t tag[2] = {htons(RTE_ETHER_TYPE_VLAN), htons(f->tci)};
    memcpy(to, tag, 4);
    to += 4;
  }
  uint16_t type = htons((f->flags & RM_FLOW_IPV6) ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
  memcpy(to, &type, 2);
  return to + 2;
}

static void put_options(uint8_t *to, const struct segment *s) {
  static const uint8_t SACK[2] = {4, 2};
  memset(to, 1, OPTION_BYTES); /* no-operation */
  to[0] = 2, to[1] = 4, to[2] = MSS >> 8, to[3] = MSS & 0xff;
  if (s->sack) memcpy(to + 4, SACK, 2);
  if (s->scale != 0xff) to[7] = 3, to[8] = 3, to[9] = s->scale;
}

static void put_tcp(struct rte_tcp_hdr *t, const struct end *e, const struct segment *s, uint32_t bytes) {
  const struct rm_flow *f = e->flow;
  *t = (struct rte_tcp_hdr){.src_port = htons(f->port[e->dir]), .dst_port = htons(f->port[1 - e->dir]),
                            .sent_seq = htonl(s->seq), .recv_ack = htonl(s->ack),
                            .data_off = (uint8_t)((bytes / 4) << 4), .tcp_flags = s->flags,
                            .rx_win = htons(s->window)};
  if (s->flags & RM_TCP_SYN) put_options((uint8_t *)(t + 1), s);
}

static void put_ip4(uint8_t *to, const struct end *e, const struct segment *s, uint16_t tcp_bytes) {
  struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)to;
  struct rte_tcp_hdr *t = (struct rte_tcp_hdr *)(ip + 1);
  *ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF, .total_length = htons((uint16_t)(sizeof *ip + tcp_bytes)),
                              .fragment_offset = htons(RTE_IPV4_HDR_DF_FLAG), .time_to_live = TTL,
                              .next_proto_id = IPPROTO_TCP};
  memcpy(&ip->src_addr, e->flow->addr[e->dir] + 12, 4);
  memcpy(&ip->dst_addr, e->flow->addr[1 - e->dir] + 12, 4);
  ip->hdr_checksum = rte_ipv4_cksum(ip);
  put_tcp(t, e, s, tcp_bytes);
  t->cksum = rte_ipv4_udptcp_cksum(ip, t);
}

static void put_ip6(uint8_t *to, const struct end *e, const struct segment *s, uint16_t tcp_bytes) {
  struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)to;
  struct rte_tcp_hdr *t = (struct rte_tcp_hdr *)(ip + 1);
  memset(ip, 0, sizeof *ip);
  ip->vtc_flow = htonl(6u << 28);
  ip->payload_len = htons(tcp_bytes);
  ip->proto = IPPROTO_TCP;
  ip->hop_limits = TTL;
  memcpy(&ip->src_addr, e->flow->addr[e->dir], 16);
  memcpy(&ip->dst_addr, e->flow->addr[1 - e->dir], 16);
  put_tcp(t, e, s, tcp_bytes);
  t->cksum = rte_ipv6_udptcp_cksum(ip, t);
}

/* One segment from an outer end into the serving box, and the expectation that it comes out on the other side. */
static bool prepare(struct plane *p, const struct end *e, const struct segment *s, struct seed *to) {
  struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);
  if (!m) return false;
  bool v6 = e->flow->flags & RM_FLOW_IPV6;
  uint16_t tcp = sizeof(struct rte_tcp_hdr) + ((s->flags & RM_TCP_SYN) ? OPTION_BYTES : 0);
  uint16_t head = (uint16_t)(RTE_ETHER_HDR_LEN + (e->flow->tags ? 4 : 0));
  uint8_t *start = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(head + tcp + (v6 ? 40 : 20)));
  uint8_t *ip = put_ethernet(start, e->flow);
  if (v6) put_ip6(ip, e, s, tcp);
  else put_ip4(ip, e, s, tcp);
  uint32_t box = (uint32_t)serving(p);
  to->frame[to->step] = m;
  to->role[to->step++] = (uint8_t)role_box(box, e->side);
  return swallow_expect(p, role_box(box, 1 - e->side), s->seq, s->ack, s->flags);
}

static bool usable(const struct rm_flow *f) {
  return (f->flags & RM_FLOW_USED) && !(f->flags & RM_FLOW_RESET) && f->age == RM_AGE_TCP && f->tags < 2 &&
         (f->half[0].flags & f->half[1].flags & RM_HALF_SEQ);
}

/* The handshake: opener's SYN, SYN-ACK, ACK, and one ACK back that brings the scaled window. */
static bool handshake(struct plane *p, const struct end *opener, const struct end *other, struct seed *to) {
  uint32_t c = emerged(other), s = emerged(opener);
  const struct rm_half *from = sent(opener), *back = sent(other);
  bool sack = from->flags & back->flags & RM_HALF_SACK;
  /* RFC 7323: scaling counts only when both sides offered it. */
  bool scaled = from->scale != 0xff && back->scale != 0xff;
  struct segment step[RM_SEED_STEPS] = {
      {c - 1, 0, 65535, RM_TCP_SYN, scaled ? from->scale : 0xff, sack},
      {s - 1, c, 65535, RM_TCP_SYN | RM_TCP_ACK, scaled ? back->scale : 0xff, sack},
      {c, s, from->window, RM_TCP_ACK, 0, false},
      {s, c, back->window, RM_TCP_ACK, 0, false},
  };
  for (int i = 0; i < RM_SEED_STEPS; i++)
    if (!prepare(p, i % 2 == 0 ? opener : other, &step[i], to)) return false;
  to->step = 0;
  return true;
}

static void finish(struct plane *p, struct seed *s, enum rm_counter how) {
  count(p, how, 1, 0);
  __atomic_store_n(&p->crew->claim[s->claim], s->done, __ATOMIC_RELEASE);
  __atomic_store_n(&s->busy, 0, __ATOMIC_RELEASE);
}

/* Frames from `first` to before `end` will not be played. */
static void give_up(struct plane *p, struct seed *s, uint8_t first, uint8_t end) {
  for (uint8_t i = first; i < end; i++) rte_pktmbuf_free(s->frame[i]);
  finish(p, s, RM_COUNT_SEED_FULL);
}

/* Each step must be in the box before the next, which enters by the other port. */
void seed_go_on(struct plane *p, struct seed *s) {
  while (s->step < RM_SEED_STEPS) {
    uint32_t role = s->role[s->step], sender = p->port[role].sender;
    if (sender != p->index) {
      if (!crew_send(p, sender, &(struct message){.kind = MESSAGE_SEED, .pointer = s}))
        give_up(p, s, s->step, RM_SEED_STEPS);
      else crew_wake(p->crew, sender);
      return;
    }
    port_queue(p, role, fixup_into(p, role, s->frame[s->step++]), true);
    port_flush(p, &p->port[role]);
  }
  finish(p, s, RM_COUNT_SEEDED);
}

static struct seed *free_seed(struct plane *p) {
  for (struct seed *s = p->seed; s < p->seed + RM_SEEDS; s++)
    if (!__atomic_load_n(&s->busy, __ATOMIC_ACQUIRE)) return s;
  return NULL;
}

/* A copy of an entry that another worker may be writing to: looked at until it stands still for two looks. */
static bool copy_entry(const struct rm_flow *from, struct rm_flow *to) {
  for (int look = 0; look < LOOKS; look++) {
    struct rm_flow again;
    memcpy(to, from, sizeof *to);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    memcpy(&again, from, sizeof again);
    if (memcmp(to, &again, sizeof again) == 0) return true;
  }
  return false;
}

/* A connection is named by the slot of its client side's entry. */
uint32_t seed_claim(uint32_t side, uint32_t slot, const struct rm_flow *flow) {
  return side == RM_SIDE_UP ? slot : flow->peer;
}

static void play(struct plane *p, uint32_t claim, const struct end *opener, const struct end *other) {
  struct seed *s = free_seed(p);
  uint32_t done = p->reflex.switch_number * 2 + 1;
  if (!s) {
    count(p, RM_COUNT_SEED_FULL, 1, 0);
    __atomic_store_n(&p->crew->claim[claim], done, __ATOMIC_RELEASE);
    return;
  }
  s->busy = 1, s->step = 0, s->claim = claim, s->done = done;
  if (handshake(p, opener, other, s)) seed_go_on(p, s);
  else give_up(p, s, 0, s->step);
}

bool seed_flow(struct plane *p, uint32_t side, struct rm_flow *flow) {
  struct rm_flow peer;
  uint32_t slot = slot_of(p, side, flow);
  if (serving(p) < 0 || !usable(flow)) return false;
  bool known = flow->peer != RM_NO_FLOW && copy_entry(&p->entries[1 - side][flow->peer], &peer);
  /* The other entry may have been evicted and reused since. */
  if (!known || peer.peer != slot || !usable(&peer) || !(flow->opener | peer.opener)) {
    count(p, RM_COUNT_SEED_UNPAIRED, 1, 0);
    return false;
  }
  uint32_t claim = seed_claim(side, slot, flow), taken = p->reflex.switch_number * 2, *word = &p->crew->claim[claim];
  uint32_t is = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  /* Another worker may know of a later switch already. */
  if ((int32_t)(is - taken) < 0 &&
      __atomic_compare_exchange_n(word, &is, taken, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    struct end here = {flow, side, flow->outer_dir}, there = {&peer, 1 - side, peer.outer_dir};
    bool opened_here = flow->opener == flow->outer_dir + 1;
    play(p, claim, opened_here ? &here : &there, opened_here ? &there : &here);
    is = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  }
  /* Until it is done frames wait, and behind those that still do. */
  return is == taken || hold_has(p, claim);
}

void seed_rearm(struct plane *p, uint32_t side, struct rm_flow *f) {
  if (f->peer == RM_NO_FLOW) return;
  uint32_t done = p->reflex.switch_number * 2 + 1, *word = &p->crew->claim[seed_claim(side, slot_of(p, side, f), f)];
  /* If it is being played just now, this comes too early to know. */
  if (!__atomic_compare_exchange_n(word, &done, done - 2, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return;
  f->seed_switch = p->reflex.switch_number - 1;
  rm_flow_wake(&p->table[side], f);
}

/* What the old box hands over after the connection was seeded lies beyond what the serving box was told, and so would
 * whatever acknowledges it: it is seeded again with its next frame from this side, which that acknowledgment is. */
void seed_again(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  struct rm_flow *f = rm_flows_find(&p->table[side], packet, rm_flows_hash(&p->table[side], packet));
  if (!f || f->seed_switch != p->reflex.switch_number || f->peer == RM_NO_FLOW) return;
  const struct rm_half *h = &f->half[packet->dir];
  uint32_t end = packet->seq + packet->payload_bytes + !!(packet->tcp_flags & RM_TCP_FIN);
  if (!(h->flags & RM_HALF_SEQ) || (int32_t)(end - h->next) <= 0) return;
  seed_rearm(p, side, f);
}

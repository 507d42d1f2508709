/* Seeding: play a handshake with the current sequence numbers into the box that has just begun to serve.
 *
 * A mirrored handshake gives the box its entry and binding, but its idea of the windows stays where the last copy was,
 * and a box that tracks windows drops what lies beyond. On the first frame of a connection after a switch the
 * node plays SYN and ACK into the opener's side and SYN-ACK and ACK into the other, then lets the frame follow.
 * What comes out of the box for that never reaches an end host (seed_swallows).
 *
 * Sequence numbers: the highest that has come *out* of the old box each way. Anything sent later is a
 * retransmission or new data inside the window, and no end can acknowledge more.
 */
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <string.h>
#include "plane.h"

#define SWALLOW_NS RM_S
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

static void expect(struct plane *p, uint32_t role, const struct segment *s);

/* Send one segment from an outer end into the serving box, and expect it to come out on the other side. */
static bool play(struct plane *p, const struct end *e, const struct segment *s) {
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
  expect(p, role_box(box, 1 - e->side), s);
  port_queue(p, role_box(box, e->side), m, true);
  /* Each step must be in the box before the next, which enters by the other port. */
  port_flush(p, &p->port[role_box(box, e->side)]);
  return true;
}

static bool usable(const struct rm_flow *f) {
  return (f->flags & RM_FLOW_USED) && !(f->flags & RM_FLOW_RESET) && f->age == RM_AGE_TCP && f->tags < 2 &&
         (f->half[0].flags & f->half[1].flags & RM_HALF_SEQ);
}

/* The handshake: opener's SYN, SYN-ACK, ACK, and one ACK back that brings the scaled window. */
static bool handshake(struct plane *p, const struct end *opener, const struct end *other) {
  uint32_t c = emerged(other), s = emerged(opener);
  const struct rm_half *from = sent(opener), *to = sent(other);
  bool sack = from->flags & to->flags & RM_HALF_SACK;
  /* RFC 7323: scaling counts only when both sides offered it. */
  bool scaled = from->scale != 0xff && to->scale != 0xff;
  struct segment step[4] = {
      {c - 1, 0, 65535, RM_TCP_SYN, scaled ? from->scale : 0xff, sack},
      {s - 1, c, 65535, RM_TCP_SYN | RM_TCP_ACK, scaled ? to->scale : 0xff, sack},
      {c, s, from->window, RM_TCP_ACK, 0, false},
      {s, c, to->window, RM_TCP_ACK, 0, false},
  };
  for (int i = 0; i < 4; i++)
    if (!play(p, i % 2 == 0 ? opener : other, &step[i])) return false;
  return true;
}

void seed_flow(struct plane *p, uint32_t side, struct rm_flow *flow) {
  flow->seed_switch = p->reflex.switch_number;
  if (serving(p) < 0 || !usable(flow)) return;
  struct rm_flow *peer = flow->peer == RM_NO_FLOW ? NULL : &p->table[1 - side].entries[flow->peer];
  uint32_t slot = (uint32_t)(flow - p->table[side].entries);
  /* The other entry may have been evicted and reused since. */
  if (!peer || peer->peer != slot || !usable(peer) || !(flow->opener | peer->opener)) {
    count(p, RM_COUNT_SEED_UNPAIRED, 1, 0);
    return;
  }
  peer->seed_switch = p->reflex.switch_number;
  struct end here = {flow, side, flow->outer_dir}, there = {peer, 1 - side, peer->outer_dir};
  bool opened_here = flow->opener == flow->outer_dir + 1;
  p->last_seed_ns = p->now;
  bool done = opened_here ? handshake(p, &here, &there) : handshake(p, &there, &here);
  count(p, done ? RM_COUNT_SEEDED : RM_COUNT_SEED_FULL, 1, 0);
}

static struct swallow *place(struct plane *p, uint32_t role, uint32_t seq, uint32_t ack) {
  uint32_t h = (seq ^ (ack * 2654435761u) ^ role) * 2246822519u;
  return &p->swallow[(h ^ h >> 16) % RM_SWALLOW];
}

/* A connection that is seeded twice in a moment has the same segment in the box twice. */
static void expect(struct plane *p, uint32_t role, const struct segment *s) {
  struct swallow *o = place(p, role, s->seq, s->ack);
  bool same = o->used && o->seq == s->seq && o->ack == s->ack && o->flags == s->flags && o->role == role;
  uint8_t before = same && p->now - o->ns <= SWALLOW_NS && o->used < UINT8_MAX ? o->used : 0;
  *o = (struct swallow){.seq = s->seq, .ack = s->ack, .ns = p->now, .flags = s->flags, .role = (uint8_t)role,
                        .used = (uint8_t)(before + 1)};
}

/* What the old box hands over after the connection was seeded lies beyond what the serving box was told, and so would
 * whatever acknowledges it: it is seeded again with its next frame from this side, which that acknowledgment is. */
static void seed_again(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  struct rm_flow *f = rm_flows_find(&p->table[side], packet, rm_flows_hash(&p->table[side], packet));
  if (!f || f->seed_switch != p->reflex.switch_number) return;
  const struct rm_half *h = &f->half[packet->dir];
  uint32_t end = packet->seq + packet->payload_bytes + !!(packet->tcp_flags & RM_TCP_FIN);
  if (!(h->flags & RM_HALF_SEQ) || (int32_t)(end - h->next) <= 0) return;
  f->seed_switch = p->reflex.switch_number - 1;
  rm_flow_wake(&p->table[side], f);
}

bool seed_expected(const struct plane *p) {
  return p->last_seed_ns != 0 && p->now - p->last_seed_ns <= SWALLOW_NS;
}

/* Is this frame, which came out of a box by `role` and would leave, part of a seed? Each is swallowed once. */
bool seed_swallows(struct plane *p, uint32_t role, const struct rm_packet *packet) {
  if (!seed_expected(p) || packet->proto != IPPROTO_TCP) return false;
  if ((int)role_of_box(role) != serving(p)) seed_again(p, role_side(role), packet);
  if (packet->payload_bytes) return false;
  uint8_t flags = packet->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK | RM_TCP_FIN | RM_TCP_RST);
  uint32_t ack = (flags & RM_TCP_ACK) ? packet->ack : 0;
  struct swallow *s = place(p, role, packet->seq, ack);
  if (!s->used || s->seq != packet->seq || s->ack != ack || s->flags != flags || s->role != role) return false;
  if (p->now - s->ns > SWALLOW_NS) return false;
  s->used--;
  count(p, RM_COUNT_SEED_SWALLOWED, 1, packet->frame_bytes);
  return true;
}

/* The frames of seeds: segments of a handshake with the numbers of now, and datagrams that are nobody's. */
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <string.h>
#include "association.h"
#include "hot.h"
#include "plane.h"

#define TTL 64
#define OPTION_BYTES 12 /* MSS 4, SACK permitted 2, window scale 3, padding */
#define MSS 1460
#define DATAGRAM_HEAD 8u /* of UDP, and of an echo request */
#define ECHO4 8 /* as the first byte of two */
#define ECHO6 128

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

static void put_options(uint8_t *to, const struct seed_segment *s) {
  static const uint8_t SACK[2] = {4, 2};
  memset(to, 1, OPTION_BYTES); /* no-operation */
  to[0] = 2, to[1] = 4, to[2] = MSS >> 8, to[3] = MSS & 0xff;
  if (s->sack) memcpy(to + 4, SACK, 2);
  if (s->scale != 0xff) to[7] = 3, to[8] = 3, to[9] = s->scale;
}

static void put_tcp(struct rte_tcp_hdr *t, const struct rm_flow *f, const struct seed_segment *s, uint32_t bytes) {
  *t = (struct rte_tcp_hdr){.src_port = htons(f->port[f->outer_dir]), .dst_port = htons(f->port[1 - f->outer_dir]),
                            .sent_seq = htonl(s->seq), .recv_ack = htonl(s->ack),
                            .data_off = (uint8_t)((bytes / 4) << 4), .tcp_flags = s->flags,
                            .rx_win = htons(s->window)};
  if (s->flags & RM_TCP_SYN) put_options((uint8_t *)(t + 1), s);
}

static void put_ip4(uint8_t *to, const struct rm_flow *f, uint16_t bytes) {
  struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)to;
  *ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF, .total_length = htons((uint16_t)(sizeof *ip + bytes)),
                              .fragment_offset = htons(RTE_IPV4_HDR_DF_FLAG), .time_to_live = TTL,
                              .next_proto_id = f->proto};
  memcpy(&ip->src_addr, f->addr[f->outer_dir] + 12, 4);
  memcpy(&ip->dst_addr, f->addr[1 - f->outer_dir] + 12, 4);
  ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void put_ip6(uint8_t *to, const struct rm_flow *f, uint16_t bytes) {
  struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)to;
  memset(ip, 0, sizeof *ip);
  ip->vtc_flow = htonl(6u << 28);
  ip->payload_len = htons(bytes);
  ip->proto = f->proto;
  ip->hop_limits = TTL;
  memcpy(&ip->src_addr, f->addr[f->outer_dir], 16);
  memcpy(&ip->dst_addr, f->addr[1 - f->outer_dir], 16);
}

/* A packet of the outer end with so many bytes of transport behind its headers; null: no buffer. */
struct packet { struct rte_mbuf *frame; uint8_t *ip, *transport; };
static bool make_packet(struct plane *p, const struct rm_flow *f, uint16_t bytes, struct packet *made) {
  bool v6 = f->flags & RM_FLOW_IPV6;
  uint16_t head = (uint16_t)(RTE_ETHER_HDR_LEN + (f->tags ? 4 : 0)), ip = v6 ? 40 : 20;
  made->frame = rte_pktmbuf_alloc(p->pool);
  if (!made->frame) return false;
  made->ip = put_ethernet((uint8_t *)rte_pktmbuf_append(made->frame, (uint16_t)(head + ip + bytes)), f);
  made->transport = made->ip + ip;
  if (v6) put_ip6(made->ip, f, bytes);
  else put_ip4(made->ip, f, bytes);
  return true;
}

static uint16_t sum_of(const struct rm_flow *f, const struct packet *of) {
  bool v6 = f->flags & RM_FLOW_IPV6;
  return v6 ? rte_ipv6_udptcp_cksum((void *)of->ip, of->transport) : rte_ipv4_udptcp_cksum((void *)of->ip, of->transport);
}

struct rte_mbuf *seed_segment(struct plane *p, const struct rm_flow *f, const struct seed_segment *s) {
  uint16_t bytes = sizeof(struct rte_tcp_hdr) + ((s->flags & RM_TCP_SYN) ? OPTION_BYTES : 0);
  struct packet made;
  if (!make_packet(p, f, bytes, &made)) return NULL;
  struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)made.transport;
  put_tcp(tcp, f, s, bytes);
  tcp->cksum = sum_of(f, &made);
  return made.frame;
}

uint64_t seed_proof(const struct plane *p, uint64_t token) {
  return fold(token ^ p->crew->trace_secret, 0x9e3779b97f4a7c15ull ^ rotate(p->crew->trace_secret, 31));
}

struct rte_mbuf *seed_datagram(struct plane *p, const struct rm_flow *f, uint64_t token) {
  uint64_t words[2] = {token, seed_proof(p, token)};
  uint16_t bytes = DATAGRAM_HEAD + sizeof words, *sum;
  struct packet made;
  if (!make_packet(p, f, bytes, &made)) return NULL;
  uint16_t head[4] = {htons(f->port[f->outer_dir]), htons(f->port[1 - f->outer_dir]), htons(bytes), 0};
  memcpy(made.transport, head, sizeof head);
  memcpy(made.transport + DATAGRAM_HEAD, words, sizeof words);
  if (f->proto == IPPROTO_UDP) {
    sum = (uint16_t *)made.transport + 3;
    *sum = sum_of(f, &made);
    return made.frame;
  }
  uint16_t echo[4] = {f->proto == IPPROTO_ICMP ? ECHO4 : ECHO6, 0, head[0], 0};
  memcpy(made.transport, echo, sizeof echo);
  sum = (uint16_t *)made.transport + 1;
  *sum = f->proto == IPPROTO_ICMP ? (uint16_t)~rte_raw_cksum(made.transport, bytes) : sum_of(f, &made);
  return made.frame;
}

struct rte_mbuf *seed_heartbeat(struct plane *p, const struct rm_flow *f, const struct seed_beat *beat) {
  uint64_t words[2] = {beat->token, seed_proof(p, beat->token)};
  struct heartbeat h = {.from = f->port[f->outer_dir], .to = f->port[1 - f->outer_dir], .tag = seed_emerged(beat->other), .answer = beat->answer};
  struct packet made;
  if (!make_packet(p, f, RM_HEARTBEAT_BYTES, &made)) return NULL;
  memcpy(h.info, words, sizeof h.info);
  association_beat(made.transport, &h);
  return made.frame;
}

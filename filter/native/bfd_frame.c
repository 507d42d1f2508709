/* Building and reading BFD's frames. Every read is preceded by a comparison with the frame's end. */
#include <string.h>
#include "bfd_frame.h"

enum { ETHER = 14, TAG = 4, ARP = 28, IP4 = 20, IP6 = 40, UDP = 8, ND = 24, ND_OPTION = 8 };
enum { TYPE_IP4 = 0x0800, TYPE_ARP = 0x0806, TYPE_VLAN = 0x8100, TYPE_IP6 = 0x86dd };
enum { PROTO_UDP = 17, PROTO_ICMP6 = 58, SOLICITATION = 135, ADVERTISEMENT = 136 };
enum { OPTION_SOURCE = 1, OPTION_TARGET = 2, NETWORK_CONTROL = 0xc0 };

static const uint8_t V4[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
bool bfd_is_v4(const uint8_t address[16]) { return memcmp(address, V4, sizeof V4) == 0; }

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static void put16(uint8_t *at, uint32_t value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }
static void map4(uint8_t to[16], const uint8_t *ip4) {
  memcpy(to, V4, sizeof V4);
  memcpy(to + sizeof V4, ip4, 4);
}

static uint32_t sum(const uint8_t *bytes, size_t n, uint32_t start) {
  for (size_t i = 0; i + 1 < n; i += 2) start += get16(bytes + i);
  return n % 2 ? start + ((uint32_t)bytes[n - 1] << 8) : start;
}
static uint16_t fold(uint32_t s) {
  while (s >> 16) s = (s & 0xffff) + (s >> 16);
  return (uint16_t)~s;
}
/* Over the pseudo-header and `n` bytes of transport; 0 for what carries a right checksum. */
static uint16_t transport_sum(const uint8_t *addresses, size_t bytes, const uint8_t *transport, size_t n, uint8_t proto) {
  return fold(sum(transport, n, sum(addresses, bytes, (uint32_t)n + proto)));
}

/* ---- reading */

static void read_arp(const uint8_t *arp, size_t n, struct bfd_frame *out) {
  static const uint8_t HEAD[6] = {0, 1, 8, 0, 6, 4};
  if (n < ARP || memcmp(arp, HEAD, sizeof HEAD) != 0) return;
  uint32_t op = get16(arp + 6);
  if (op != 1 && op != 2) return;
  memcpy(out->mac, arp + 8, 6);
  map4(out->source, arp + 14);
  map4(out->target, arp + (op == 1 ? 24 : 14));
  if (memcmp(arp + 14, "\0\0\0", 4) == 0) memset(out->source, 0, 16); /* RFC 5227: it only wants to know */
  out->kind = op == 1 ? BFD_KIND_ASK : BFD_KIND_TELL;
}

/* The link-layer address in a neighbour message's options, else who sent the frame. */
static void read_option(const uint8_t *options, size_t n, uint8_t kind, uint8_t mac[6]) {
  for (size_t at = 0; at + 8 <= n && options[at + 1] != 0; at += 8u * options[at + 1])
    if (options[at] == kind) return (void)memcpy(mac, options + at + 2, 6);
}

static void read_neighbour(const uint8_t *icmp, size_t n, uint8_t hops, struct bfd_frame *out) {
  if (n < ND || hops != 255 || bfd_is_v4(icmp + 8)) return; /* RFC 4861, 7.1: not from beyond a router */
  bool ask = icmp[0] == SOLICITATION;
  if (!ask && icmp[0] != ADVERTISEMENT) return;
  memcpy(out->target, icmp + 8, 16);
  read_option(icmp + ND, n - ND, ask ? OPTION_SOURCE : OPTION_TARGET, out->mac);
  out->kind = ask ? BFD_KIND_ASK : BFD_KIND_TELL;
}

/* `ip`: source and target addresses, one after the other. `at`: of the transport. */
static void read_udp(const uint8_t *frame, size_t at, size_t n, size_t addresses, struct bfd_frame *out) {
  const uint8_t *udp = frame + at;
  out->kind = BFD_KIND_BROKEN;
  if (n < UDP || get16(udp + 4) < UDP || get16(udp + 4) > n) return;
  size_t length = get16(udp + 4);
  bool v4 = bfd_is_v4(out->source), without = get16(udp + 6) == 0;
  out->kind = BFD_KIND_CHECKSUM;
  if (without && !v4) return; /* RFC 8200, 8.1 */
  if (!without && transport_sum(frame + addresses, v4 ? 8 : 32, udp, length, PROTO_UDP) != 0) return;
  out->kind = BFD_KIND_UDP;
  out->source_port = (uint16_t)get16(udp);
  out->target_port = (uint16_t)get16(udp + 2);
  out->payload_at = at + UDP;
  out->payload_bytes = length - UDP;
}

static void read_ip4(const uint8_t *frame, size_t at, size_t n, struct bfd_frame *out) {
  const uint8_t *ip = frame + at;
  out->kind = BFD_KIND_BROKEN;
  if (n < IP4 || ip[0] >> 4 != 4) return;
  size_t head = 4u * (ip[0] & 15), total = get16(ip + 2);
  if (head < IP4 || total < head || total > n) return;
  map4(out->source, ip + 12);
  map4(out->target, ip + 16);
  out->kind = BFD_KIND_CHECKSUM;
  if (fold(sum(ip, head, 0)) != 0) return;
  out->kind = BFD_KIND_IP;
  out->ttl = ip[8];
  if (ip[9] != PROTO_UDP || (get16(ip + 6) & 0x3fff)) return;
  read_udp(frame, at + head, total - head, at + 12, out);
}

static void read_ip6(const uint8_t *frame, size_t at, size_t n, struct bfd_frame *out) {
  const uint8_t *ip = frame + at;
  out->kind = BFD_KIND_BROKEN;
  if (n < IP6 || ip[0] >> 4 != 6 || get16(ip + 4) > n - IP6) return;
  size_t bytes = get16(ip + 4);
  memcpy(out->source, ip + 8, 16);
  memcpy(out->target, ip + 24, 16);
  /* On the wire nobody has such addresses; here they would stand for IPv4. */
  if (bfd_is_v4(out->source) || bfd_is_v4(out->target)) return;
  out->kind = BFD_KIND_IP;
  out->ttl = ip[7];
  if (ip[6] == PROTO_UDP) return read_udp(frame, at + IP6, bytes, at + 8, out);
  if (ip[6] != PROTO_ICMP6) return;
  if (transport_sum(ip + 8, 32, ip + IP6, bytes, PROTO_ICMP6) != 0) out->kind = BFD_KIND_CHECKSUM;
  else read_neighbour(ip + IP6, bytes, ip[7], out);
}

void bfd_read_frame(const uint8_t *frame, size_t n, struct bfd_frame *out) {
  memset(out, 0, sizeof *out);
  if (n < ETHER) return;
  size_t at = ETHER;
  uint32_t type = get16(frame + 12);
  if (type == TYPE_VLAN) {
    if (n < ETHER + TAG) return;
    out->vlan = get16(frame + ETHER) & 0xfff;
    type = get16(frame + ETHER + 2);
    at += TAG;
  }
  memcpy(out->mac, frame + 6, 6);
  out->ip_at = at;
  if (type == TYPE_ARP) read_arp(frame + at, n - at, out);
  else if (type == TYPE_IP4) read_ip4(frame, at, n - at, out);
  else if (type == TYPE_IP6) read_ip6(frame, at, n - at, out);
}

/* ---- building */

static uint8_t *put_ethernet(uint8_t *to, const struct bfd_way *way, uint32_t type) {
  memcpy(to, way->to_mac, 6);
  memcpy(to + 6, way->from_mac, 6);
  to += 12;
  if (way->vlan) {
    put16(to, TYPE_VLAN);
    put16(to + 2, 7u << 13 | way->vlan); /* network control: a queue ahead of the traffic's */
    to += TAG;
  }
  put16(to, type);
  return to + 2;
}

static uint8_t *put_ip4(uint8_t *ip, const struct bfd_way *way, size_t n) {
  memset(ip, 0, IP4);
  ip[0] = 0x45, ip[1] = NETWORK_CONTROL, ip[8] = way->ttl, ip[9] = PROTO_UDP;
  put16(ip + 2, (uint32_t)(IP4 + n));
  memcpy(ip + 12, way->from + 12, 4);
  memcpy(ip + 16, way->to + 12, 4);
  put16(ip + 10, fold(sum(ip, IP4, 0)));
  return ip + IP4;
}

static uint8_t *put_ip6(uint8_t *ip, const struct bfd_way *way, uint8_t proto, size_t n) {
  memset(ip, 0, IP6);
  ip[0] = 0x60 | NETWORK_CONTROL >> 4, ip[6] = proto, ip[7] = way->ttl;
  put16(ip + 4, (uint32_t)n);
  memcpy(ip + 8, way->from, 16);
  memcpy(ip + 24, way->to, 16);
  return ip + IP6;
}

size_t bfd_frame_udp(uint8_t *to, const struct bfd_way *way, const uint8_t *payload, size_t n) {
  bool v4 = bfd_is_v4(way->to);
  uint8_t *ip = put_ethernet(to, way, v4 ? TYPE_IP4 : TYPE_IP6);
  uint8_t *udp = v4 ? put_ip4(ip, way, UDP + n) : put_ip6(ip, way, PROTO_UDP, UDP + n);
  put16(udp, way->from_port);
  put16(udp + 2, way->to_port);
  put16(udp + 4, (uint32_t)(UDP + n));
  put16(udp + 6, 0);
  memcpy(udp + UDP, payload, n);
  uint16_t check = transport_sum(v4 ? ip + 12 : ip + 8, v4 ? 8 : 32, udp, UDP + n, PROTO_UDP);
  put16(udp + 6, check ? check : 0xffff);
  return (size_t)(udp + UDP + n - to);
}

static size_t put_arp(uint8_t *to, const struct bfd_way *way, uint32_t op) {
  static const uint8_t HEAD[6] = {0, 1, 8, 0, 6, 4};
  uint8_t *arp = put_ethernet(to, way, TYPE_ARP);
  memcpy(arp, HEAD, sizeof HEAD);
  put16(arp + 6, op);
  memcpy(arp + 8, way->from_mac, 6);
  memcpy(arp + 14, way->from + 12, 4);
  if (op == 1) memset(arp + 18, 0, 6);
  else memcpy(arp + 18, way->to_mac, 6);
  memcpy(arp + 24, way->to + 12, 4);
  return (size_t)(arp + ARP - to);
}

/* `about`: the address in question; `option`: what from_mac is said to be. */
static size_t put_neighbour(uint8_t *to, const struct bfd_way *way, const uint8_t *about, uint8_t option) {
  uint8_t *ip = put_ethernet(to, way, TYPE_IP6), *icmp = put_ip6(ip, way, PROTO_ICMP6, ND + ND_OPTION);
  bool ask = option == OPTION_SOURCE;
  memset(icmp, 0, ND + ND_OPTION);
  icmp[0] = ask ? SOLICITATION : ADVERTISEMENT;
  if (!ask) icmp[4] = 0x60; /* solicited, override */
  memcpy(icmp + 8, about, 16);
  icmp[ND] = option, icmp[ND + 1] = 1;
  memcpy(icmp + ND + 2, way->from_mac, 6);
  put16(icmp + 2, transport_sum(ip + 8, 32, icmp, ND + ND_OPTION, PROTO_ICMP6));
  return (size_t)(icmp + ND + ND_OPTION - to);
}

size_t bfd_frame_ask(uint8_t *to, const struct bfd_way *way) {
  struct bfd_way all = *way;
  if (bfd_is_v4(way->to)) {
    memset(all.to_mac, 0xff, 6);
    return put_arp(to, &all, 1);
  }
  /* RFC 4291, 2.7.1: the group of those whose address ends like this one. */
  static const uint8_t GROUP[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}, MAC[3] = {0x33, 0x33, 0xff};
  memcpy(all.to, GROUP, sizeof GROUP);
  memcpy(all.to_mac, MAC, sizeof MAC);
  memcpy(all.to_mac + 3, way->to + 13, 3);
  all.ttl = 255;
  return put_neighbour(to, &all, way->to, OPTION_SOURCE);
}

size_t bfd_frame_tell(uint8_t *to, const struct bfd_way *way) {
  struct bfd_way back = *way;
  back.ttl = 255;
  return bfd_is_v4(way->to) ? put_arp(to, way, 2) : put_neighbour(to, &back, way->from, OPTION_TARGET);
}

void bfd_turn_back(uint8_t *frame, const struct bfd_frame *read, const uint8_t mac[6]) {
  uint8_t own[6], *ip = frame + read->ip_at;
  memcpy(own, frame, 6);
  memcpy(frame, mac, 6);
  memcpy(frame + 6, own, 6);
  if (!bfd_is_v4(read->target)) return (void)ip[7]--;
  ip[8]--;
  put16(ip + 10, 0);
  put16(ip + 10, fold(sum(ip, 4u * (ip[0] & 15), 0)));
}

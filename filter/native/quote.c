/* What stands behind the eight bytes of an ICMP error. The quoted packet is cut, so the parser would not have it. */
#include <string.h>
#include "parse.h"
#include "quote.h"

enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58 };

bool rm_quotes(const uint8_t *icmp, uint8_t proto) {
  /* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem. RFC 4443 2.1: below 128. */
  if (proto == ICMPV6) return icmp[0] < 128;
  return proto == ICMP && (icmp[0] == 3 || icmp[0] == 4 || icmp[0] == 5 || icmp[0] == 11 || icmp[0] == 12);
}

static void put_end(struct rm_packet *to, uint32_t end, const uint8_t *address, uint16_t port) {
  static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  memcpy(to->addr[end], MAPPED, 12);
  memcpy(to->addr[end] + (to->ipv6 ? 0 : 12), address, to->ipv6 ? 16 : 4);
  to->port[end] = port;
}

static bool read_ports(const uint8_t *t, uint8_t proto, uint16_t port[2]) {
  bool echo = proto == ICMP ? t[0] == 8 || t[0] == 0 : proto == ICMPV6 && (t[0] == 128 || t[0] == 129);
  port[0] = read16(t + (echo ? 4 : 0));
  port[1] = read16(t + (echo ? 4 : 2));
  return echo || proto == TCP || proto == UDP;
}

bool rm_quote(const uint8_t *frame, const struct rm_packet *error, struct rm_packet *out) {
  uint32_t at = error->transport_offset, end = error->payload_offset + error->payload_bytes;
  if ((error->proto != ICMP && error->proto != ICMPV6) || error->inner || end > error->frame_bytes) return false;
  if (end < at + RM_QUOTE_BYTES + 1 || !rm_quotes(frame + at, error->proto)) return false;
  const uint8_t *ip = frame + at + RM_QUOTE_BYTES;
  *out = (struct rm_packet){.vlan = error->vlan, .ipv6 = ip[0] >> 4 == 6, .frame_bytes = error->frame_bytes};
  uint32_t head = out->ipv6 ? 40u : (ip[0] & 15u) * 4u, bytes = end - at - RM_QUOTE_BYTES;
  if ((!out->ipv6 && ip[0] >> 4 != 4) || head < 20 || bytes < head + RM_QUOTE_BYTES) return false;
  if (!out->ipv6 && (read16(ip + 6) & 0x1fff)) return false;
  const uint8_t *from = ip + (out->ipv6 ? 8 : 12), *to = from + (out->ipv6 ? 16 : 4);
  out->proto = out->ipv6 ? ip[6] : ip[9];
  out->ip_offset = (uint16_t)(at + RM_QUOTE_BYTES);
  out->transport_offset = out->payload_offset = (uint16_t)(out->ip_offset + head);
  uint16_t port[2];
  if (!read_ports(ip + head, out->proto, port)) return false;
  int order = memcmp(from, to, out->ipv6 ? 16 : 4);
  out->dir = order > 0 || (order == 0 && port[0] > port[1]);
  put_end(out, out->dir, from, port[0]);
  put_end(out, 1 - out->dir, to, port[1]);
  out->payload_bytes = bytes - head;
  out->verdict = RM_PARSE_FLOW;
  return true;
}

/* Parser: from the bytes of a frame to a flow key, or to the reason why it has none.
 *
 * One walk from the outside in. `at` is where the next header starts and `end` where it must stop: first
 * the end of the frame, then the end that the IP header names, so link padding is never read as payload.
 * Every read is preceded by a comparison of the two; there is no other bound to trust.
 */
#include <string.h>
#include "filter.h"
#include "parse.h"

#define ETHERNET_BYTES 14u
#define TAG_BYTES 4u
#define TAGS_MAX 4u
#define EXTENSIONS_MAX 8u
#define SCALE_MAX 14u /* RFC 7323 2.3: a larger shift counts as 14 */

enum { PROTO_HOP = 0, PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ROUTING = 43, PROTO_FRAGMENT = 44 };
enum { PROTO_AH = 51, PROTO_ICMPV6 = 58, PROTO_DESTINATION = 60, PROTO_SCTP = 132 };

/* Window scale and SACK-permitted of a SYN. A broken option ends the walk, it does not spoil the segment. */
static void parse_syn_options(const uint8_t *at, const uint8_t *end, struct rm_packet *out) {
  while (at < end) {
    uint8_t kind = *at;
    if (kind == 0) return;
    if (kind == 1) {
      at++;
      continue;
    }
    if (end - at < 2 || at[1] < 2 || at[1] > end - at) return;
    if (kind == 3 && at[1] == 3) out->scale = at[2] > SCALE_MAX ? SCALE_MAX : at[2];
    if (kind == 4 && at[1] == 2) out->sack = 1;
    at += at[1];
  }
}

static uint8_t parse_tcp(const uint8_t *at, uint32_t bytes, struct rm_packet *out) {
  if (bytes < 20) return RM_PARSE_SHORT_TRANSPORT;
  uint32_t header = (at[12] >> 4) * 4u;
  if (header < 20 || header > bytes) return RM_PARSE_BAD_TCP_OFFSET;
  out->port[0] = read16(at);
  out->port[1] = read16(at + 2);
  out->seq = read32(at + 4);
  out->ack = read32(at + 8);
  out->tcp_flags = at[13];
  out->window = read16(at + 14);
  out->payload_offset += header;
  out->payload_bytes = bytes - header;
  if (out->tcp_flags & RM_TCP_SYN) parse_syn_options(at + 20, at + header, out);
  return RM_PARSE_FLOW;
}

static uint8_t parse_ported(const uint8_t *at, uint32_t bytes, uint32_t header, struct rm_packet *out) {
  if (bytes < header) return RM_PARSE_SHORT_TRANSPORT;
  out->port[0] = read16(at);
  out->port[1] = read16(at + 2);
  out->payload_offset += header;
  out->payload_bytes = bytes - header;
  return RM_PARSE_FLOW;
}

static uint8_t parse_icmp(const uint8_t *at, uint32_t bytes, struct rm_packet *out) {
  if (bytes < 8) return RM_PARSE_SHORT_TRANSPORT;
  uint8_t type = at[0];
  if (out->ipv6 && type >= 133 && type <= 137) return RM_PARSE_NEIGHBOUR;
  bool echo = out->ipv6 ? type == 128 || type == 129 : type == 8 || type == 0;
  if (echo) out->port[0] = out->port[1] = read16(at + 4);
  out->payload_offset += 8;
  out->payload_bytes = bytes - 8;
  return RM_PARSE_FLOW;
}

/* `at`: offset of the transport header. Ports are left in the order of the wire: source, destination. */
static uint8_t parse_transport(const uint8_t *frame, uint32_t at, uint32_t end, struct rm_packet *out) {
  uint32_t bytes = end - at;
  out->transport_offset = out->payload_offset = at;
  switch (out->proto) {
    case PROTO_TCP: return parse_tcp(frame + at, bytes, out);
    case PROTO_UDP: return parse_ported(frame + at, bytes, 8, out);
    case PROTO_SCTP: return parse_ported(frame + at, bytes, 12, out);
    case PROTO_ICMP:
      if (!out->ipv6) return parse_icmp(frame + at, bytes, out);
      break;
    case PROTO_ICMPV6:
      if (out->ipv6) return parse_icmp(frame + at, bytes, out);
      break;
  }
  out->payload_bytes = bytes;
  return RM_PARSE_FLOW;
}

/* A fragment with what its transport header was found to be. */
static uint8_t settle_fragment(struct rm_packet *out, uint8_t transport) {
  if (out->fragment == RM_FRAGMENT_FIRST && transport != RM_PARSE_FLOW) out->fragment = RM_FRAGMENT_BARE;
  return RM_PARSE_FRAGMENT;
}

static uint8_t parse_ipv4(const uint8_t *frame, uint32_t at, uint32_t end, struct rm_packet *out) {
  const uint8_t *ip = frame + at;
  if (end - at < 20) return RM_PARSE_SHORT_IP;
  if (ip[0] >> 4 != 4) return RM_PARSE_BAD_IP_VERSION;
  uint32_t header = (ip[0] & 15u) * 4u, total = read16(ip + 2);
  if (header < 20 || header > end - at) return RM_PARSE_BAD_IP_HEADER;
  if (total < header || total > end - at) return RM_PARSE_BAD_IP_LENGTH;
  out->proto = ip[9];
  for (int i = 0; i < 2; i++) {
    uint32_t address;
    memcpy(&address, ip + 12 + 4 * i, 4);
    store64(out->addr[i] + 8, 0xffff0000u | (uint64_t)address << 32);
  }
  uint32_t place = read16(ip + 6) & 0x3fff; /* more fragments, or an offset */
  if (__builtin_expect(place == 0, 1)) return parse_transport(frame, at + header, at + total, out);
  out->fragment_id = read16(ip + 4);
  out->fragment = place & 0x1fff ? RM_FRAGMENT_LATER : RM_FRAGMENT_FIRST;
  bool first = out->fragment == RM_FRAGMENT_FIRST;
  return settle_fragment(out, first ? parse_transport(frame, at + header, at + total, out) : RM_PARSE_FRAGMENT);
}

/* Walk the extension headers; returns RM_PARSE_FLOW with `*at` on the transport header. */
static uint8_t skip_extensions(const uint8_t *frame, uint32_t *at, uint32_t end, struct rm_packet *out) {
  for (uint32_t seen = 0;; seen++) {
    const uint8_t *h = frame + *at;
    uint32_t bytes;
    switch (out->proto) {
      case PROTO_HOP:
      case PROTO_ROUTING:
      case PROTO_DESTINATION:
      case PROTO_FRAGMENT:
      case PROTO_AH: break;
      default: return RM_PARSE_FLOW;
    }
    if (seen == EXTENSIONS_MAX) return RM_PARSE_DEEP_IPV6;
    if (end - *at < 8) return RM_PARSE_BAD_IP_HEADER;
    if (out->proto == PROTO_FRAGMENT) {
      /* RFC 6946: a fragment header with offset 0 and no more to come is a whole packet. */
      uint32_t place = read16(h + 2) & 0xfff9;
      if (place && out->fragment) return RM_PARSE_FRAGMENT;
      if (place) {
        out->fragment_id = read32(h + 4);
        out->fragment = place & 0xfff8 ? RM_FRAGMENT_LATER : RM_FRAGMENT_FIRST;
        if (out->fragment == RM_FRAGMENT_LATER) return RM_PARSE_FRAGMENT;
      }
      bytes = 8;
    } else {
      bytes = out->proto == PROTO_AH ? (h[1] + 2u) * 4u : (h[1] + 1u) * 8u;
    }
    if (bytes > end - *at) return RM_PARSE_BAD_IP_HEADER;
    out->proto = h[0];
    *at += bytes;
  }
}

static uint8_t parse_ipv6(const uint8_t *frame, uint32_t at, uint32_t end, struct rm_packet *out) {
  const uint8_t *ip = frame + at;
  if (end - at < 40) return RM_PARSE_SHORT_IP;
  if (ip[0] >> 4 != 6) return RM_PARSE_BAD_IP_VERSION;
  uint32_t payload = read16(ip + 4);
  if (payload > end - at - 40) return RM_PARSE_BAD_IP_LENGTH;
  out->ipv6 = 1;
  out->proto = ip[6];
  for (int i = 0; i < 4; i++) store64((uint8_t *)out->addr + 8 * i, load64(ip + 8 + 8 * i));
  at += 40;
  end = at + payload;
  uint8_t verdict = skip_extensions(frame, &at, end, out);
  if (verdict == RM_PARSE_FLOW) verdict = parse_transport(frame, at, end, out);
  return out->fragment ? settle_fragment(out, verdict) : verdict;
}

/* Put the lower (address, port) end first and remember which way the frame went. */
static inline void order_key(struct rm_packet *out) {
  if (out->verdict != RM_PARSE_FLOW && out->fragment != RM_FRAGMENT_FIRST) return;
  uint64_t a[2] = {load64(out->addr[0]), load64(out->addr[0] + 8)}, b[2] = {load64(out->addr[1]), load64(out->addr[1] + 8)};
  /* As numbers of the wire's order; memcmp() would be a call. */
  int high = a[0] == b[0];
  uint64_t one = __builtin_bswap64(a[high]), two = __builtin_bswap64(b[high]);
  if (one < two || (one == two && out->port[0] <= out->port[1])) return;
  uint16_t port = out->port[0];
  for (int i = 0; i < 2; i++) store64(out->addr[0] + 8 * i, b[i]), store64(out->addr[1] + 8 * i, a[i]);
  out->port[0] = out->port[1];
  out->port[1] = port;
  out->dir = 1;
}

static inline bool is_link_local(const uint8_t *destination) {
  static const uint8_t prefix[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
  return memcmp(destination, prefix, 5) == 0 && destination[5] < 16;
}

static inline uint8_t parse_ip(const uint8_t *frame, struct rm_stretch in, struct rm_packet *out) {
  out->ip_offset = (uint16_t)in.at;
  if (in.type == RM_TYPE_IPV4) return parse_ipv4(frame, in.at, in.end, out);
  if (in.type == RM_TYPE_IPV6) return parse_ipv6(frame, in.at, in.end, out);
  return in.type == TYPE_ARP ? RM_PARSE_NEIGHBOUR : RM_PARSE_NOT_IP;
}

/* From the Ethernet header at `at` on. */
static inline uint8_t parse_link(const uint8_t *frame, uint32_t at, uint32_t bytes, struct rm_packet *out) {
  uint16_t type = read16(frame + at + 12);
  at += ETHERNET_BYTES;
  while (type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD) {
    if (out->tags == TAGS_MAX) return RM_PARSE_DEEP_VLAN;
    if (bytes - at < TAG_BYTES) return RM_PARSE_SHORT_VLAN;
    out->vlan = read16(frame + at) & 0x0fff;
    type = read16(frame + at + 2);
    at += TAG_BYTES;
    out->tags++;
  }
  return parse_ip(frame, (struct rm_stretch){at, bytes, type}, out);
}

static inline uint8_t parse_frame(const uint8_t *frame, uint32_t bytes, struct rm_packet *out) {
  if (bytes < ETHERNET_BYTES) return RM_PARSE_SHORT_ETHERNET;
  if (is_link_local(frame)) return RM_PARSE_LINK_LOCAL;
  return parse_link(frame, 0, bytes, out);
}

uint8_t rm_parse_stretch(const uint8_t *frame, struct rm_stretch in, struct rm_packet *out) {
  uint8_t tags = out->tags;
  if (in.type != RM_TYPE_ETHERNET) out->verdict = parse_ip(frame, in, out);
  else if (in.end - in.at < ETHERNET_BYTES) out->verdict = RM_PARSE_SHORT_ETHERNET;
  else out->tags = 0, out->verdict = parse_link(frame, in.at, in.end, out);
  out->tags = tags;
  order_key(out);
  return out->verdict;
}

uint8_t rm_parse(const uint8_t *frame, uint32_t bytes, struct rm_packet *out) {
  memset(out, 0, sizeof *out);
  out->scale = 0xff;
  out->frame_bytes = bytes;
  out->verdict = parse_frame(frame, bytes, out);
  order_key(out);
  return out->verdict;
}

uint8_t rm_parse_looked(const struct rm_look *l, uint32_t i, struct rm_packet *out) {
  const uint8_t *frame = l->frame[i];
  uint32_t facts = l->facts[i], at = facts >> RM_LOOK_AT_SHIFT, bytes = l->bytes[i];
  bool tcp = facts & RM_LOOK_TCP, opens = tcp && (frame[at + 13] & RM_TCP_SYN); /* then there are options to read */
  if (!(facts & RM_LOOK_EVERYDAY) || opens) return (l->inner ? rm_parse_inner : rm_parse)(frame, bytes, out);
  *out = (struct rm_packet){
      .verdict = RM_PARSE_FLOW, .dir = facts >> (RM_LOOK_KIND_SHIFT + 1) & 1, .proto = tcp ? PROTO_TCP : PROTO_UDP, .scale = 0xff,
      .tags = at > ETHERNET_BYTES + 20, .vlan = (uint16_t)(l->rest[i] >> 16), .ip_offset = (uint16_t)(at - 20),
      .transport_offset = (uint16_t)at, .payload_offset = (uint16_t)(at + 8),
      .port = {(uint16_t)(l->ports[i] >> 16), (uint16_t)l->ports[i]}, .payload_bytes = l->payload[i], .frame_bytes = bytes,
  };
  store64(out->addr[0] + 8, 0xffff0000u | (uint64_t)l->near[i] << 32);
  store64(out->addr[1] + 8, 0xffff0000u | (uint64_t)l->far[i] << 32);
  if (!tcp) return RM_PARSE_FLOW;
  out->payload_offset = (uint16_t)(at + (frame[at + 12] >> 4) * 4);
  out->tcp_flags = frame[at + 13];
  out->seq = read32(frame + at + 4);
  out->ack = read32(frame + at + 8);
  out->window = read16(frame + at + 14);
  return RM_PARSE_FLOW;
}

/* Tunnels: find the packet inside a packet.
 *
 * Each opener looks at one kind of outer header and says where the inside starts, ends, and what it is. Every length is
 * compared with the end that the header around it names, so a lie inside a tunnel reaches no byte outside it.
 */
#include "parse.h"

enum { TYPE_MPLS = 0x8847, TYPE_MPLS_MULTICAST = 0x8848, TYPE_PPPOE = 0x8864 };
enum { PROTO_IPIP = 4, PROTO_UDP = 17, PROTO_IPV6 = 41, PROTO_GRE = 47 };
enum { PORT_VXLAN = 4789, PORT_GTPU = 2152 };
enum { PPP_IPV4 = 0x0021, PPP_IPV6 = 0x0057 };
#define LABELS_MAX 8u
#define GTP_EXTENSIONS_MAX 8u

/* IP by its first four bits; 0: neither version. */
static uint16_t ip_type(uint8_t first) {
  return first >> 4 == 4 ? RM_TYPE_IPV4 : first >> 4 == 6 ? RM_TYPE_IPV6 : 0;
}

static bool open_mpls(const uint8_t *frame, struct rm_stretch *in) {
  for (uint32_t n = 0; n < LABELS_MAX; n++) {
    if (in->end - in->at < 5) return false;
    bool last = frame[in->at + 2] & 1;
    in->at += 4;
    if (!last) continue;
    in->type = ip_type(frame[in->at]);
    if (in->type) return true;
    /* Four zero bits: the control word of a pseudowire (RFC 4448 4.6), then Ethernet. */
    if (frame[in->at] >> 4 != 0 || in->end - in->at < 4) return false;
    in->at += 4;
    in->type = RM_TYPE_ETHERNET;
    return true;
  }
  return false;
}

static bool open_pppoe(const uint8_t *frame, struct rm_stretch *in) {
  const uint8_t *h = frame + in->at;
  if (in->end - in->at < 8 || h[0] != 0x11 || h[1] != 0) return false;
  uint32_t length = read16(h + 4), protocol = read16(h + 6);
  if (length < 2 || length > in->end - in->at - 6) return false;
  in->end = in->at + 6 + length;
  in->at += 8;
  in->type = protocol == PPP_IPV4 ? RM_TYPE_IPV4 : RM_TYPE_IPV6;
  return protocol == PPP_IPV4 || protocol == PPP_IPV6;
}

static bool open_gre(const uint8_t *frame, struct rm_stretch *in) {
  const uint8_t *h = frame + in->at;
  if (in->end - in->at < 4) return false;
  uint32_t flags = read16(h);
  if (flags & 0x4007) return false; /* source routing, or another version */
  uint32_t header = 4u + 4u * (!!(flags & 0x8000) + !!(flags & 0x2000) + !!(flags & 0x1000));
  if (header > in->end - in->at) return false;
  in->at += header;
  in->type = read16(h + 2);
  return true;
}

static bool open_vxlan(const uint8_t *frame, struct rm_stretch *in) {
  if (in->end - in->at < 8 || !(frame[in->at] & 0x08)) return false;
  in->at += 8;
  in->type = RM_TYPE_ETHERNET;
  return true;
}

static bool open_gtp(const uint8_t *frame, struct rm_stretch *in) {
  const uint8_t *h = frame + in->at;
  if (in->end - in->at < 8 || h[0] >> 4 != 3 || h[1] != 255) return false; /* version 1, GTP and not GTP', G-PDU */
  uint32_t length = read16(h + 2);
  if (length > in->end - in->at - 8) return false;
  in->end = in->at + 8 + length;
  in->at += 8;
  if (h[0] & 7) { /* any of the flags: all three optional fields are there */
    if (in->end - in->at < 4) return false;
    uint8_t next = h[0] & 4 ? frame[in->at + 3] : 0;
    in->at += 4;
    for (uint32_t n = 0; next; n++) {
      if (n == GTP_EXTENSIONS_MAX || in->at == in->end) return false;
      uint32_t bytes = frame[in->at] * 4u;
      if (bytes == 0 || bytes > in->end - in->at) return false;
      in->at += bytes;
      next = frame[in->at - 1];
    }
  }
  if (in->at == in->end) return false;
  in->type = ip_type(frame[in->at]);
  return in->type != 0;
}

/* Of a packet with a flow: what its payload is. */
static bool open_transport(const uint8_t *frame, const struct rm_packet *p, struct rm_stretch *in) {
  *in = (struct rm_stretch){p->payload_offset, p->payload_offset + p->payload_bytes, 0};
  switch (p->proto) {
    case PROTO_IPIP: in->type = RM_TYPE_IPV4; return true;
    case PROTO_IPV6: in->type = RM_TYPE_IPV6; return true;
    case PROTO_GRE: return open_gre(frame, in);
    case PROTO_UDP: break;
    default: return false;
  }
  uint16_t port = read16(frame + p->transport_offset + 2);
  if (port == PORT_VXLAN) return open_vxlan(frame, in);
  return port == PORT_GTPU && open_gtp(frame, in);
}

/* Of a frame that is not IP: `end` is where it ends. */
static bool open_link(const uint8_t *frame, const struct rm_packet *p, uint32_t end, struct rm_stretch *in) {
  *in = (struct rm_stretch){p->ip_offset, end, read16(frame + p->ip_offset - 2)};
  return in->type == TYPE_PPPOE ? open_pppoe(frame, in) : in->type == TYPE_MPLS || in->type == TYPE_MPLS_MULTICAST;
}

uint8_t rm_parse_inner(const uint8_t *frame, uint32_t bytes, struct rm_packet *out) {
  uint32_t end = bytes; /* of what lies around */
  rm_parse(frame, bytes, out);
  struct rm_packet at = *out;
  for (uint8_t depth = 1; depth <= RM_INNER_MAX; depth++) {
    struct rm_stretch in;
    if (at.verdict == RM_PARSE_FLOW ? !open_transport(frame, &at, &in)
                                    : at.verdict != RM_PARSE_NOT_IP || !open_link(frame, &at, end, &in))
      break;
    bool labelled = in.type == TYPE_MPLS || in.type == TYPE_MPLS_MULTICAST;
    if (labelled && !open_mpls(frame, &in)) break;
    at = (struct rm_packet){.scale = 0xff, .frame_bytes = bytes, .tags = out->tags, .vlan = at.vlan, .inner = depth};
    end = in.end;
    rm_parse_stretch(frame, in, &at);
    if (at.verdict == RM_PARSE_FLOW || at.verdict == RM_PARSE_FRAGMENT) *out = at;
    else if (in.type != RM_TYPE_ETHERNET) break; /* nothing tells what it is */
  }
  return out->verdict;
}

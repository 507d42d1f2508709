/* Peek: the few fields of an everyday frame that tell its flow and whether there is anything to do for it.
 *
 * For one frame, of all kinds that are plain. look.c does the same for a burst of the most frequent kind.
 */
#include "hot.h"
#include "parse.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17, PORT_VXLAN = 4789, PORT_GTPU = 2152 };
#define MAC_BYTES 12u

static inline bool is_link_local(const uint8_t *frame) {
  uint64_t to = __builtin_bswap64(load64(frame)) >> 16;
  return to >> 4 == 0x0180c200000ull;
}

/* What lies behind the IP header, `bytes` long: true if it is as everyday as the rest. */
static inline bool peek_transport(const uint8_t *at, uint32_t bytes, uint8_t proto, bool inner, struct rm_peek *out) {
  if (proto == PROTO_TCP) {
    if (bytes < 20) return false;
    uint32_t header = (uint32_t)(at[12] >> 4) * 4u;
    if (header < 20 || header > bytes) return false;
    out->payload_bytes = bytes - header;
    out->calm = !(at[13] & (RM_TCP_SYN | RM_TCP_FIN | RM_TCP_RST));
    out->tcp = 1;
    return true;
  }
  if (proto != PROTO_UDP || bytes < 8) return false;
  uint16_t to = read16(at + 2);
  if (inner && (to == PORT_VXLAN || to == PORT_GTPU)) return false;
  out->payload_bytes = bytes - 8;
  out->calm = 1;
  out->tcp = 0;
  return true;
}

/* The end with the lower (address, port) comes first in a key; numbers as on the wire. */
static inline void finish(uint64_t hash, bool dir, struct rm_peek *out) {
  out->hash = hash;
  out->kind = (uint8_t)(dir << 1 | (out->payload_bytes != 0));
  out->plain = 1;
}

static inline void peek_ipv4(const struct rm_flows *t, const uint8_t *ip, uint32_t room, uint16_t vlan, bool inner,
                             struct rm_peek *out) {
  if (room < 28 || ip[0] != 0x45) return;
  uint32_t total = read16(ip + 2);
  if (total < 28 || total > room || (read16(ip + 6) & 0x3fff)) return;
  if (!peek_transport(ip + 20, total - 20, ip[9], inner, out)) return;
  uint64_t from = (uint64_t)read32(ip + 12) << 16 | read16(ip + 20);
  uint64_t to = (uint64_t)read32(ip + 16) << 16 | read16(ip + 22);
  bool dir = from > to;
  uint64_t low = dir ? to : from, high = dir ? from : to;
  uint32_t a = __builtin_bswap32((uint32_t)(low >> 16)), b = __builtin_bswap32((uint32_t)(high >> 16));
  finish(hash_key4(t, a, b, key_rest((uint16_t)low, (uint16_t)high, vlan, ip[9], 0)), dir, out);
}

static inline void peek_ipv6(const struct rm_flows *t, const uint8_t *ip, uint32_t room, uint16_t vlan, bool inner,
                             struct rm_peek *out) {
  if (room < 48 || ip[0] >> 4 != 6) return;
  uint32_t payload = read16(ip + 4);
  if (payload > room - 40 || !peek_transport(ip + 40, payload, ip[6], inner, out)) return;
  uint64_t w[4] = {load64(ip + 8), load64(ip + 16), load64(ip + 24), load64(ip + 32)};
  uint16_t port0 = read16(ip + 40), port1 = read16(ip + 42);
  uint64_t a = __builtin_bswap64(w[0]), b = __builtin_bswap64(w[2]);
  if (a == b) a = __builtin_bswap64(w[1]), b = __builtin_bswap64(w[3]);
  bool dir = a > b || (a == b && port0 > port1);
  if (dir) {
    uint64_t swapped[4] = {w[2], w[3], w[0], w[1]};
    finish(hash_key6(t, swapped, key_rest(port1, port0, vlan, ip[6], 1)), dir, out);
  } else {
    finish(hash_key6(t, w, key_rest(port0, port1, vlan, ip[6], 1)), dir, out);
  }
}

/* Tagged frames and IPv6: kept out of the way of the rest. */
static __attribute__((noinline)) void peek_other(const struct rm_flows *t, const uint8_t *frame, uint32_t bytes, bool inner,
                                                 struct rm_peek *out) {
  uint32_t at = MAC_BYTES + 2;
  uint16_t vlan = 0, type = read16(frame + MAC_BYTES);
  if (type == TYPE_VLAN) {
    vlan = read16(frame + at) & 0x0fff;
    type = read16(frame + at + 2);
    at += 4;
  }
  if (type == RM_TYPE_IPV4) peek_ipv4(t, frame + at, bytes - at, vlan, inner, out);
  else if (type == RM_TYPE_IPV6) peek_ipv6(t, frame + at, bytes - at, vlan, inner, out);
  out->transport_offset = (uint16_t)(at + (type == RM_TYPE_IPV4 ? 20 : 40));
}

void rm_peek(const struct rm_flows *t, const uint8_t *frame, uint32_t bytes, bool inner, struct rm_peek *out) {
  out->plain = 0;
  out->slot = RM_NO_FLOW;
  if (bytes < 42 || is_link_local(frame)) return;
  if (__builtin_expect(read16(frame + MAC_BYTES) != RM_TYPE_IPV4, 0)) return peek_other(t, frame, bytes, inner, out);
  peek_ipv4(t, frame + MAC_BYTES + 2, bytes - MAC_BYTES - 2, 0, inner, out);
  out->transport_offset = MAC_BYTES + 2 + 20;
}

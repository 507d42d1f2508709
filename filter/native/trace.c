/* Traces: a few words of the header, mixed. Every read is of what the parser has found to be there. */
#include <arpa/inet.h>
#include <string.h>
#include "parse.h"
#include "trace.h"

#define PROTO_ICMP 1
#define PROTO_ICMPV6 58
#define WHOLE_BYTES 64 /* of a payload that no checksum tells of, so much is read */

/* Where the parts of a packet are. */
struct place { uint32_t ip, transport, end; uint8_t proto, ipv6, fragment; };

static inline uint16_t load16(const uint8_t *at) { uint16_t v; return memcpy(&v, at, sizeof v), v; }
static inline uint32_t load32(const uint8_t *at) { uint32_t v; return memcpy(&v, at, sizeof v), v; }

static inline uint64_t mix(uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd6e8feb86659fd93ull);
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of 16-bit words as they lie in memory, modulo 2^16 - 1; a sum that is no more than 2^48. */
static inline uint32_t fold_sum(uint64_t sum) {
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum >= 0xffff ? (uint32_t)sum - 0xffff : (uint32_t)sum;
}

/* What a checksum would be of the rest, without the words that sum to `without`. */
static inline uint32_t rest_sum(uint16_t checksum, uint64_t without) {
  return fold_sum((uint64_t)(uint16_t)~checksum + 0xffff - fold_sum(without));
}

static inline uint64_t addresses_sum(const uint8_t *frame, const struct place *at) {
  const uint8_t *a = frame + at->ip + (at->ipv6 ? 8 : 12);
  if (!at->ipv6) return (uint64_t)load32(a) + load32(a + 4);
  uint64_t sum = 0;
  for (uint32_t i = 0; i < 32; i += 4) sum += load32(a + i);
  return sum;
}

/* Up to `most` bytes from `from` on. */
static __attribute__((noinline)) uint64_t mix_bytes(const uint8_t *frame, uint32_t from, const struct place *at, uint32_t most) {
  uint64_t h = at->end - from;
  uint32_t end = at->end - from > most ? from + most : at->end;
  for (; from + 8 <= end; from += 8) h = mix(h, load64(frame + from));
  if (from == end) return h;
  uint64_t last = 0;
  while (from < end) last = last << 8 | frame[from++];
  return mix(h, last);
}

/* The first sixteen bytes of a payload. */
static inline uint64_t mix_start(const uint8_t *frame, uint32_t from, const struct place *at) {
  if (__builtin_expect(at->end - from < 16, 0)) return mix_bytes(frame, from, at, 16);
  return mix(load64(frame + from), load64(frame + from + 8));
}

static inline uint64_t print_tcp(const uint8_t *frame, const struct place *at, uint32_t payload_bytes) {
  const uint8_t *t = frame + at->transport;
  uint64_t rest = (uint64_t)payload_bytes << 8 | (t[13] & 0x3f); /* without the bits of congestion */
  return mix(load64(t + 4), rest);
}

static inline uint64_t print_udp(const uint8_t *frame, const struct place *at, uint32_t payload_bytes) {
  const uint8_t *t = frame + at->transport;
  uint16_t checksum = load16(t + 6);
  if (checksum == 0) return mix_bytes(frame, at->transport + 8, at, WHOLE_BYTES);
  uint64_t sum = rest_sum(checksum, addresses_sum(frame, at) + load32(t));
  /* The sum alone is sixteen bits, and of counters in the payload it tells little. */
  return mix(mix_start(frame, at->transport + 8, at), sum << 32 | payload_bytes);
}

/* The rest of the pseudo-header that ICMPv6's checksum covers (RFC 4443 2.3): length, which fits a frame, and protocol. */
static inline uint64_t pseudo_sum(const struct place *at) {
  return (uint64_t)htons((uint16_t)(at->end - at->transport)) + htons(PROTO_ICMPV6);
}

/* A box between IPv6 and IPv4 makes an echo of the other kind of each (RFC 7915 4.2, 5.2); errors it makes anew. */
static inline uint8_t echo_of(uint8_t type) { return type == 128 ? 8 : type == 129 ? 0 : type; }

static __attribute__((noinline)) uint64_t print_icmp(const uint8_t *frame, const struct place *at) {
  const uint8_t *t = frame + at->transport;
  bool v6 = at->proto == PROTO_ICMPV6;
  uint64_t without = (uint64_t)load16(t) + load16(t + 4) + (v6 ? addresses_sum(frame, at) + pseudo_sum(at) : 0);
  uint64_t head = (uint64_t)(v6 ? echo_of(t[0]) : t[0]) << 24 | (uint64_t)t[1] << 16 | load16(t + 6);
  return mix(head << 16 | rest_sum(load16(t + 2), without), at->end - at->transport);
}

/* Protocols that a NAT leaves alone but for addresses; SCTP's ports and checksum stand before byte 12. */
static __attribute__((noinline)) uint64_t print_other(const uint8_t *frame, const struct place *at) {
  uint32_t from = at->transport + (at->proto == 132 && !at->fragment && at->end >= at->transport + 12 ? 12 : 0);
  uint64_t h = mix_bytes(frame, from, at, WHOLE_BYTES);
  return at->fragment && !at->ipv6 ? mix(h, load32(frame + at->ip + 4)) : h;
}

static inline uint16_t end_of(const uint8_t *address, uint32_t bytes, uint16_t port) {
  uint64_t h = load32(address);
  if (bytes == 16) h = load64(address) * 0x9e3779b97f4a7c15ull + load64(address + 8);
  return (uint16_t)((h << 16 ^ port) * 0xd6e8feb86659fd93ull >> 48);
}

static inline void finish(const uint8_t *frame, const struct place *at, uint64_t print, struct rm_trace *out) {
  bool ports = !at->fragment && (at->proto == 6 || at->proto == 17 || at->proto == 132);
  uint32_t bytes = at->ipv6 ? 16 : 4;
  const uint8_t *a = frame + at->ip + (at->ipv6 ? 8 : 12), *t = frame + at->transport;
  enum rm_trace_kind kind = at->fragment ? RM_TRACE_OTHER : at->proto == 6 ? RM_TRACE_TCP
                            : at->proto == 17 ? RM_TRACE_UDP : RM_TRACE_OTHER;
  out->print = ((uint32_t)(print >> 32) & ~RM_TRACE_KIND) | kind;
  out->from = end_of(a, bytes, ports ? load16(t) : 0);
  out->to = end_of(a + bytes, bytes, ports ? load16(t + 2) : 0);
}

static __attribute__((noinline)) bool find_place(const uint8_t *frame, uint32_t bytes, struct place *at, uint32_t *payload_bytes) {
  struct rm_packet p;
  uint8_t verdict = rm_parse(frame, bytes, &p);
  if (verdict != RM_PARSE_FLOW && verdict != RM_PARSE_FRAGMENT) return false;
  bool bare = p.fragment == RM_FRAGMENT_LATER || p.fragment == RM_FRAGMENT_BARE;
  *at = (struct place){.ip = p.ip_offset, .proto = p.proto, .ipv6 = p.ipv6, .fragment = p.fragment != RM_FRAGMENT_NONE};
  at->transport = p.transport_offset ? p.transport_offset : p.ip_offset + (p.ipv6 ? 40u : (frame[p.ip_offset] & 15u) * 4u);
  uint32_t length = p.ipv6 ? 40u + read16(frame + p.ip_offset + 4) : read16(frame + p.ip_offset + 2);
  at->end = p.ip_offset + length < bytes ? p.ip_offset + length : bytes;
  if (at->end < at->transport) return false;
  if (bare) at->proto = 0;
  *payload_bytes = p.payload_bytes;
  return true;
}

bool rm_trace(const uint8_t *frame, uint32_t bytes, const struct rm_peek *k, uint64_t secret, struct rm_trace *out) {
  struct place at;
  uint32_t payload_bytes;
  if (__builtin_expect(k->plain, 1)) {
    bool v6 = k->transport_offset >= 54; /* plain: 20 bytes of IPv4 or 40 of IPv6, behind one tag at most */
    at = (struct place){.ip = k->transport_offset - (v6 ? 40u : 20u), .transport = k->transport_offset,
                        .proto = k->tcp ? 6 : 17, .ipv6 = v6};
    uint32_t head = k->tcp ? (frame[k->transport_offset + 12] >> 4) * 4u : 8u;
    at.end = at.transport + head + k->payload_bytes;
    payload_bytes = k->payload_bytes;
  } else if (!find_place(frame, bytes, &at, &payload_bytes)) {
    return false;
  }
  uint64_t proto = at.proto == PROTO_ICMPV6 ? PROTO_ICMP : at.proto;
  uint64_t print = at.proto == 6                                               ? print_tcp(frame, &at, payload_bytes)
                   : at.proto == 17                                            ? print_udp(frame, &at, payload_bytes)
                   : proto == PROTO_ICMP && at.end >= at.transport + 8 ? print_icmp(frame, &at)
                                                                               : print_other(frame, &at);
  finish(frame, &at, (print ^ proto) * (secret | 1), out);
  return true;
}

/* The bytes of probes: the token that goes in, and how a frame that came out is known again.
 *
 * A box may change addresses, ports, MACs and the TTL. What survives is the payload (ICMP, UDP), and of a SYN its sequence
 * number and window. A token is signed with a key of this plane, so a user's packet cannot pass for one, and whoever
 * recognises it needs no table.
 *
 *   payload: | number, 4 | track, 2 | mark, 2 | signature, 8 |
 *   SYN:     sequence = number, 12 bits | track, 6 | signature, 14;  window = signature, 16
 */
#include <string.h>
#include "parse.h"
#include "probe_core.h"

enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58 };
#define SYN 2u
#define RST 4u
#define ACK 16u
#define TRACK_BITS 7 /* of the eighteen in a sequence number; the rest is the number of the probe */

static uint64_t mix(const struct probe_key *k, uint64_t a) {
  __uint128_t product = (__uint128_t)(a ^ k->k0) * (k->k1 | 1);
  uint64_t x = (uint64_t)product ^ (uint64_t)(product >> 64);
  product = (__uint128_t)(x ^ k->k1) * 0x9e3779b97f4a7c15ull;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t head_of(const struct probe_key *k, struct probe_id id) {
  return (uint64_t)id.number | (uint64_t)id.track << 32 | (k->k1 >> 48) << 48;
}

static uint32_t sequence_of(const struct probe_key *k, uint32_t top, uint16_t *window) {
  uint64_t signature = mix(k, top);
  *window = (uint16_t)(signature >> 48 | 0x400); /* a window of nothing would be odd */
  return top << 14 | (uint32_t)(signature & 0x3fff);
}

static void write16(uint8_t *at, uint32_t v) { at[0] = (uint8_t)(v >> 8), at[1] = (uint8_t)v; }
static void write32(uint8_t *at, uint32_t v) { write16(at, v >> 16), write16(at + 2, v & 0xffff); }

static uint32_t sum_of(const uint8_t *at, uint32_t bytes) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < bytes; i += 2) sum += read16(at + i);
  return sum;
}

/* Bytes at `at`, which the checksum covers from an even distance, were `before` and are new. RFC 1624. */
static void amend(uint8_t *sum_at, uint32_t before, uint32_t after) {
  uint32_t sum = (uint32_t)(~read16(sum_at) & 0xffff);
  while (before >> 16) before = (before & 0xffff) + (before >> 16);
  sum += (~before & 0xffff) + after;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  write16(sum_at, (~sum & 0xffff) ? ~sum & 0xffff : 0xffff);
}

void probe_stamp(const struct probe_key *k, const struct rm_probe *probe, const struct rm_probe_frame *from, struct probe_id id,
                 uint8_t *frame) {
  memcpy(frame, from->frame, from->bytes);
  if (probe->kind == RM_PROBE_RAW) return;
  uint8_t *at = frame + from->token_at, *sum_at = frame + from->sum_at;
  if (probe->kind == RM_PROBE_TCP) {
    uint32_t before = sum_of(at, 2) + sum_of(at + 4, 4) + sum_of(at + 14, 2);
    uint16_t window;
    if (probe->expect == RM_PROBE_ANSWERED)
      write16(at, read16(at) + track_box(id.track) * RM_PROBE_PORTS + id.number % RM_PROBE_PORTS);
    write32(at + 4, sequence_of(k, (id.number & RM_TCP_NUMBERS) << TRACK_BITS | id.track, &window));
    write16(at + 14, window);
    return amend(sum_at, before, sum_of(at, 2) + sum_of(at + 4, 4) + sum_of(at + 14, 2));
  }
  uint32_t before = sum_of(at, RM_PROBE_TOKEN);
  uint64_t head = head_of(k, id), signature = mix(k, head);
  memcpy(at, &head, 8);
  memcpy(at + 8, &signature, 8);
  amend(sum_at, before, sum_of(at, RM_PROBE_TOKEN));
}

/* Where the transport header is, and the IP packet's end. */
struct inside { uint32_t at, end; uint8_t proto; };

static bool look_inside(const uint8_t *frame, uint32_t bytes, struct inside *in) {
  uint32_t at = 12;
  if (bytes < 42) return false;
  for (int tags = 0; tags < 2 && read16(frame + at) == TYPE_VLAN; tags++) at += 4;
  uint16_t type = read16(frame + at);
  at += 2;
  const uint8_t *ip = frame + at;
  if (type == RM_TYPE_IPV4 && bytes - at >= 20) {
    uint32_t header = (ip[0] & 15u) * 4u, total = read16(ip + 2);
    if (header < 20 || total < header || total > bytes - at || (read16(ip + 6) & 0x3fff)) return false;
    *in = (struct inside){at + header, at + total, ip[9]};
    return true;
  }
  if (type != RM_TYPE_IPV6 || bytes - at < 40 || read16(ip + 4) > bytes - at - 40) return false;
  *in = (struct inside){at + 40, at + 40 + read16(ip + 4), ip[6]};
  return true;
}

static bool read_token(const struct probe_key *k, const uint8_t *at, struct probe_id *id) {
  uint64_t head = load64(at);
  if (head >> 48 != k->k1 >> 48 || load64(at + 8) != mix(k, head)) return false;
  *id = (struct probe_id){(uint32_t)(head >> 32) & 0xffff, (uint32_t)head};
  return id->track < RM_TRACKS;
}

static bool read_sequence(const struct probe_key *k, uint32_t sequence, struct probe_id *id, uint16_t *window) {
  uint32_t top = sequence >> 14;
  if (sequence_of(k, top, window) != sequence) return false;
  *id = (struct probe_id){top & ((1u << TRACK_BITS) - 1), top >> TRACK_BITS};
  return true;
}

static struct probe_found recognise_tcp(const struct probe_key *k, const uint8_t *tcp) {
  struct probe_found found = {PROBE_IS_OTHER, {0, 0}};
  uint8_t flags = tcp[13] & (SYN | RST | ACK | 1);
  uint16_t window;
  if (flags == SYN) {
    if (read_sequence(k, read32(tcp + 4), &found.id, &window) && window == read16(tcp + 14)) found.is = PROBE_IS_SENT;
  } else if (flags == (SYN | ACK) || flags == (RST | ACK)) {
    if (read_sequence(k, read32(tcp + 8) - 1, &found.id, &window)) found.is = PROBE_IS_ANSWER;
  } else if (flags == RST) {
    if (read_sequence(k, read32(tcp + 4) - 1, &found.id, &window)) found.is = PROBE_IS_RESET;
  }
  return found;
}

_Static_assert(RM_TRACKS <= 1u << TRACK_BITS && RM_TCP_NUMBERS < 1u << (18 - TRACK_BITS), "bits of a sequence number");

struct probe_found probe_recognise(const struct probe_key *k, const uint8_t *frame, uint32_t bytes) {
  struct probe_found found = {PROBE_IS_OTHER, {0, 0}};
  struct inside in;
  if (!look_inside(frame, bytes, &in)) return found;
  const uint8_t *at = frame + in.at;
  uint32_t room = in.end - in.at;
  if (in.proto == IP_TCP) return room < 20 ? found : recognise_tcp(k, at);
  if ((in.proto != IP_UDP && in.proto != IP_ICMP && in.proto != IP_ICMP6) || room < 8 + RM_PROBE_TOKEN) return found;
  if (!read_token(k, at + 8, &found.id)) return found;
  bool reply = (in.proto == IP_ICMP && at[0] == 0) || (in.proto == IP_ICMP6 && at[0] == 129);
  found.is = reply ? PROBE_IS_ANSWER : PROBE_IS_SENT;
  return found;
}

/* Its mark ends where the packet ends: padding and what stands before it may differ. */
bool probe_is_raw(const struct rm_probe_frame *raw, const uint8_t *frame, uint32_t bytes) {
  struct inside in = {0, bytes, 0};
  if (raw->mark_bytes == 0) return false;
  if (raw->mark_at > 14 && !look_inside(frame, bytes, &in)) return false;
  uint32_t at = raw->mark_at > 14 ? in.end - raw->mark_bytes : 14;
  if (raw->mark_at > 14 ? in.end - in.at < raw->mark_bytes : bytes < at + raw->mark_bytes) return false;
  return memcmp(frame + at, raw->frame + raw->mark_at, raw->mark_bytes) == 0;
}

bool probe_reset_of(uint8_t *frame, uint32_t bytes) {
  struct inside in;
  uint8_t swap[16];
  if (!look_inside(frame, bytes, &in) || in.proto != IP_TCP || in.end - in.at < 20) return false;
  uint8_t *tcp = frame + in.at;
  if ((tcp[13] & (SYN | ACK)) != (SYN | ACK)) return false;
  bool four = read16(frame + in.at - 22) == RM_TYPE_IPV4;
  uint8_t *ip = frame + in.at - (four ? 20 : 40), *addr = ip + (four ? 12 : 8);
  uint32_t n = four ? 4 : 16, ack = read32(tcp + 8);
  if (four && ip[0] != 0x45) return false;
  memcpy(swap, addr, n), memcpy(addr, addr + n, n), memcpy(addr + n, swap, n);
  memcpy(swap, tcp, 2), memcpy(tcp, tcp + 2, 2), memcpy(tcp + 2, swap, 2);
  memcpy(swap, frame, 6), memcpy(frame, frame + 6, 6), memcpy(frame + 6, swap, 6);
  memset(tcp + 4, 0, 16);
  write32(tcp + 4, ack);
  tcp[12] = 5 << 4, tcp[13] = RST;
  uint32_t head = four ? 20 : 0, total = head + 20;
  write16(four ? ip + 2 : ip + 4, total);
  if (four) {
    write16(ip + 10, 0);
    uint32_t sum = sum_of(ip, 20);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    write16(ip + 10, ~sum & 0xffff);
  }
  uint32_t sum = sum_of(addr, 2 * n) + IP_TCP + 20 + sum_of(tcp, 20);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  write16(tcp + 16, ~sum & 0xffff);
  return true;
}

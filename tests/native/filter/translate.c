/* Translation, by generated packets of every kind: there and back is the identity, and every checksum that was right is right
 * in between. Then broken and cut ones, in allocations of exactly their size. What is translated by a plan is the same, byte for byte.
 *
 *   translate RUNS SEED     prints how many of each kind there were, and whether edges of SACK and plans were many
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alias.h"
#include "quote.h"
#include "translate.h"

enum { ICMP = 1, TCP = 6, UDP = 17, GRE = 47, ICMPV6 = 58, SCTP = 132 };
enum kind { KIND_TCP, KIND_UDP, KIND_UDP_BARE, KIND_ECHO, KIND_OTHER, KIND_SCTP, KIND_FIRST, KIND_LATER, KIND_ERROR, KINDS };
static const char *const KIND_NAME[KINDS] = {"tcp", "udp", "udp without checksum", "echo", "other", "sctp", "first fragment", "later fragment", "error"};

#define FRAME_MAX 2048u

static uint64_t state, done[KINDS][2], edges, plans;

static uint64_t chance(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void must(bool holds, const char *what, enum kind kind, bool v6) {
  if (holds) return;
  fprintf(stderr, "broken: %s of %s, IPv%d\n", what, KIND_NAME[kind], v6 ? 6 : 4);
  exit(1);
}

static void put16(uint8_t *at, uint32_t v) { at[0] = (uint8_t)(v >> 8), at[1] = (uint8_t)v; }
static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static uint32_t add(uint32_t sum, const uint8_t *at, uint32_t n) {
  for (uint32_t i = 0; i + 1 < n; i += 2) sum += get16(at + i);
  if (n % 2) sum += (uint32_t)at[n - 1] << 8;
  return sum;
}
static uint16_t folded(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)sum;
}

/* Of a transport of `n` bytes under the header `ip`, its checksum included: 0xffff if that is right. */
static uint16_t whole_sum(const uint8_t *ip, uint8_t proto, const uint8_t *at, uint32_t n) {
  bool v6 = ip[0] >> 4 == 6;
  uint32_t sum = add(0, at, n);
  if (proto != ICMP) sum = add(sum + proto + n, ip + (v6 ? 8 : 12), v6 ? 32 : 8);
  return folded(sum);
}

static uint32_t sum_at(uint8_t proto) { return proto == TCP ? 16 : proto == UDP ? 6 : 2; }

static void make_sum(const uint8_t *ip, uint8_t proto, uint8_t *at, uint32_t n) {
  put16(at + sum_at(proto), 0);
  uint16_t sum = (uint16_t)~whole_sum(ip, proto, at, n);
  put16(at + sum_at(proto), proto == UDP && sum == 0 ? 0xffff : sum);
}

/* CRC32c by its definition, a bit at a time. */
static uint32_t crc(const uint8_t *at, uint32_t n) {
  uint32_t c = UINT32_MAX;
  for (uint32_t i = 0; i < 8 * n; i++) c = (c >> 1) ^ (((c ^ (at[i / 8] >> i % 8)) & 1) ? 0x82f63b78u : 0);
  return ~c;
}
static void put_crc(uint8_t *t, uint32_t n) {
  memset(t + 8, 0, 4);
  uint32_t c = crc(t, n);
  for (uint32_t i = 0; i < 4; i++) t[8 + i] = (uint8_t)(c >> 8 * i);
}
static bool has_crc(const uint8_t *t, uint32_t n) {
  uint8_t *own = malloc(n);
  memcpy(own, t, n);
  put_crc(own, n);
  bool same = memcmp(own, t, n) == 0;
  free(own);
  return same;
}

static void fill(uint8_t *at, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) at[i] = (uint8_t)chance();
}

/* What a header of 60 bytes may hold: timestamps and edges of SACK, at even and odd offsets. */
static void put_options(uint8_t *t) {
  uint32_t at = 20, pad = (uint32_t)(chance() % 3);
  t[12] = 0xf0;
  memset(t + 20, 1, 40);
  at += pad;
  if (chance() % 2) t[at] = 8, t[at + 1] = 10, fill(t + at + 2, 8), at += 10 + (uint32_t)(chance() % 2);
  uint32_t edges = (uint32_t)(chance() % 4) * 8;
  if (edges && at + 2 + edges <= 60) t[at] = 5, t[at + 1] = (uint8_t)(2 + edges), fill(t + at + 2, edges);
}

/* An IP packet of `kind` at `ip`; returns its length. `room`: for its transport and payload, at least 64. */
static uint32_t make_ip(uint8_t *ip, enum kind kind, bool v6, uint32_t room) {
  uint8_t proto = kind == KIND_TCP ? TCP : kind == KIND_UDP || kind == KIND_UDP_BARE || kind == KIND_FIRST || kind == KIND_LATER ? UDP
                  : kind == KIND_OTHER ? GRE : kind == KIND_SCTP ? SCTP : v6 ? ICMPV6 : ICMP;
  bool fragment = kind == KIND_FIRST || kind == KIND_LATER;
  uint32_t head = v6 ? (fragment ? 48 : 40) : 20, bytes = 24 + (uint32_t)(chance() % (room - 24));
  uint8_t *t = ip + head;
  fill(ip, head + bytes);
  if (v6) {
    ip[0] = 0x60, put16(ip + 4, head - 40 + bytes), ip[6] = fragment ? 44 : proto;
    if (fragment) ip[40] = proto, ip[41] = 0, put16(ip + 42, kind == KIND_FIRST ? 1 : 0x100);
  } else {
    ip[0] = 0x45, put16(ip + 2, head + bytes), ip[9] = proto, put16(ip + 6, kind == KIND_FIRST ? 0x2000 : kind == KIND_LATER ? 0x0020 : 0x4000);
    put16(ip + 10, 0), put16(ip + 10, (uint16_t)~folded(add(0, ip, 20)));
  }
  if (proto == TCP) t[12] = 0x50, t[13] = chance() % 4 ? 0x10 : 2;
  if (proto == TCP && bytes >= 64) put_options(t);
  if (proto == UDP && kind != KIND_LATER) put16(t + 4, bytes);
  if (kind == KIND_ECHO) t[0] = v6 ? 128 : 8, t[1] = 0;
  if (kind == KIND_UDP_BARE) put16(t + 6, 0);
  else if (kind == KIND_SCTP) put_crc(t, bytes);
  else if (kind != KIND_OTHER && kind != KIND_LATER) make_sum(ip, proto, t, bytes);
  return head + bytes;
}

/* An error about a packet that goes the other way. */
static uint32_t make_error(uint8_t *ip, bool v6) {
  uint32_t head = v6 ? 40 : 20;
  enum kind about = (enum kind)(chance() % (KIND_ECHO + 1));
  uint8_t *icmp = ip + head, *quoted = icmp + 8, proto = v6 ? ICMPV6 : ICMP;
  uint32_t whole = make_ip(quoted, about, v6, 600), keep = head + 8 + (uint32_t)(chance() % (whole - head - 7));
  fill(ip, head + 8);
  icmp[0] = v6 ? 1 : 3, icmp[1] = 1;
  if (v6) ip[0] = 0x60, put16(ip + 4, 8 + keep), ip[6] = proto;
  else ip[0] = 0x45, put16(ip + 2, head + 8 + keep), ip[9] = proto, put16(ip + 6, 0);
  uint32_t at = v6 ? 8 : 12, n = v6 ? 16 : 4;
  memcpy(ip + at + n, quoted + at, n); /* to who sent it */
  if (chance() % 2) memcpy(ip + at, quoted + at + n, n);
  if (!v6) put16(ip + 10, 0), put16(ip + 10, (uint16_t)~folded(add(0, ip, 20)));
  make_sum(ip, proto, icmp, 8 + keep);
  return head + 8 + keep;
}

static struct twin_tuple other_ends(bool v6, bool echo) {
  struct twin_tuple to;
  fill((uint8_t *)&to, sizeof to);
  for (int end = 0; end < 2 && !v6; end++) memset(to.addr[end], 0, 10), memset(to.addr[end] + 10, 0xff, 2);
  if (echo) to.port[1] = to.port[0];
  return to;
}

/* Whatever has a checksum that can be told. */
static void check_sums(const uint8_t *ip, enum kind kind, bool v6) {
  uint32_t head = v6 ? 40 : 20, bytes = v6 ? get16(ip + 4) : get16(ip + 2) - 20;
  uint8_t proto = v6 ? ip[6] : ip[9];
  if (v6 && proto == 44) head = 48, bytes -= 8, proto = ip[40];
  if (!v6) must(folded(add(0, ip, 20)) == 0xffff, "header checksum", kind, v6);
  if (kind == KIND_UDP_BARE) must(get16(ip + head + 6) == 0, "checksum that was none", kind, v6);
  else if (kind == KIND_SCTP) must(has_crc(ip + head, bytes), "CRC32c", kind, v6);
  else if (kind != KIND_OTHER && kind != KIND_LATER) must(whole_sum(ip, proto, ip + head, bytes) == 0xffff, "checksum", kind, v6);
  if (kind != KIND_ERROR) return;
  const uint8_t *quoted = ip + head + 8;
  if (!v6) must(folded(add(0, quoted, 20)) == 0xffff, "quoted header checksum", kind, v6);
  uint32_t all = v6 ? 40 + get16(quoted + 4) : get16(quoted + 2);
  if (all != bytes - 8 || !get16(quoted + head + sum_at(v6 ? quoted[6] : quoted[9]))) return;
  must(whole_sum(quoted, v6 ? quoted[6] : quoted[9], quoted + head, all - head) == 0xffff, "quoted checksum", kind, v6);
}

/* Later fragments keep their addresses' order of the wire. */
static bool has_ends(const struct rm_packet *p, const struct twin_tuple *to, bool ports) {
  struct twin_tuple is = twin_tuple(p);
  return memcmp(is.addr, to->addr, sizeof is.addr) == 0 && (!ports || (is.port[0] == to->port[0] && is.port[1] == to->port[1]));
}

static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

/* The numbers are what they were and what was added to them, option by option. */
static void check_numbers(const uint8_t *was, const uint8_t *is, const struct translate_numbers *by) {
  bool acks = was[13] & 0x10;
  must(get32(is + 4) == get32(was + 4) + by->seq, "sequence number", KIND_TCP, false);
  must(get32(is + 8) == get32(was + 8) + (acks ? by->ack : 0), "acknowledgment", KIND_TCP, false);
  for (uint32_t at = 20, end = (was[12] >> 4) * 4u; at < end; at += was[at] == 1 ? 1 : was[at + 1]) {
    if (was[at] == 8) must(get32(is + at + 2) == get32(was + at + 2) + by->clock, "timestamp", KIND_TCP, false);
    if (was[at] == 8) must(get32(is + at + 6) == get32(was + at + 6) + (acks ? by->echo : 0), "echoed timestamp", KIND_TCP, false);
    for (uint32_t i = at + 2; was[at] == 5 && i < at + was[at + 1]; i += 4) must(get32(is + i) == get32(was + i) + by->ack, "edge", KIND_TCP, false), edges++;
  }
}

static struct translate_numbers other_numbers(bool back, const struct translate_numbers *of) {
  if (back) return (struct translate_numbers){0u - of->seq, 0u - of->ack, 0u - of->clock, 0u - of->echo};
  return (struct translate_numbers){(uint32_t)chance(), (uint32_t)chance(), (uint32_t)chance(), (uint32_t)chance()};
}

/* Nothing, one half or all of it is another; sums of all ones and of none have to come out alike as well. */
static void by_plan(const uint8_t *whole, uint32_t n, const struct rm_packet *p) {
  if (p->verdict != RM_PARSE_FLOW || p->ipv6 || p->fragment || p->inner || (p->proto != TCP && p->proto != UDP)) return;
  if (p->transport_offset != p->ip_offset + 20u) return;
  uint8_t *twice = malloc(n), *once = malloc(n), *sum = twice + p->transport_offset + sum_at(p->proto);
  struct twin_tuple is = twin_tuple(p), to = other_ends(false, false);
  for (uint32_t end = 0; end < 2; end++) {
    if (chance() % 3 == 0) memcpy(to.addr[end], is.addr[end], 16);
    if (chance() % 3 == 0) to.port[end] = is.port[end];
  }
  memcpy(twice, whole, n);
  if (chance() % 4 == 0) memset(sum, chance() % 2 ? 0xff : 0, 2);
  if (chance() % 4 == 0) memset(twice + p->ip_offset + 10, chance() % 2 ? 0xff : 0, 2);
  memcpy(once, twice, n);
  struct translate_plan plan;
  struct translate_numbers by = {.seq = chance() % 2 ? (uint32_t)chance() : 0, .ack = chance() % 2 ? (uint32_t)chance() : 0};
  must(translate_can(p, &to) && translate_plan(&is, &to, &plan), "refusal of a plan", KIND_TCP, false);
  plan.ack = by.ack;
  translate_frame(twice, p, &to);
  translate_numbers(twice, p, &by, NULL);
  translate_planned(once, p->transport_offset, &plan, by.seq);
  must(memcmp(once, twice, n) == 0, "a plan", p->proto == TCP ? KIND_TCP : KIND_UDP, false);
  to.addr[chance() % 2][0] = 1;
  must(!translate_plan(&is, &to, &plan), "a plan for another family", KIND_TCP, false);
  plans++;
  free(twice), free(once);
}

static void one(enum kind kind) {
  static uint8_t before[FRAME_MAX];
  bool v6 = chance() % 2, tagged = chance() % 2;
  uint32_t at = tagged ? 18 : 14;
  fill(before, at);
  before[0] &= 0xfe;
  if (tagged) put16(before + 12, 0x8100);
  put16(before + at - 2, v6 ? 0x86dd : 0x0800);
  uint32_t n = at + (kind == KIND_ERROR ? make_error(before + at, v6) : make_ip(before + at, kind, v6, 1200));
  uint8_t *frame = malloc(n);
  struct rm_packet p, quoted;
  memcpy(frame, before, n);
  rm_parse(frame, n, &p);
  check_sums(frame + at, kind, v6);
  by_plan(frame, n, &p);
  bool error = rm_quote(frame, &p, &quoted);
  must(error == (kind == KIND_ERROR), "quote", kind, v6);
  struct rm_packet *of = error ? &quoted : &p;
  struct twin_tuple back = twin_tuple(of), to = other_ends(v6, of->proto == ICMP || of->proto == ICMPV6);
  bool ports = kind != KIND_OTHER && kind != KIND_LATER;
  if (!ports) memcpy(to.port, back.port, sizeof to.port);
  must(translate_can(of, &to), "refusal", kind, v6);
  if (error) must(translate_error(frame, &p, &quoted, &to), "refusal", kind, v6);
  else translate_frame(frame, &p, &to);
  struct translate_numbers by = other_numbers(false, NULL), undo = other_numbers(true, &by);
  translate_numbers(frame, of, &by, error ? &p : NULL);
  if (kind == KIND_TCP) check_numbers(before + of->transport_offset, frame + of->transport_offset, &by);
  check_sums(frame + at, kind, v6);
  rm_parse(frame, n, &p);
  if (error) must(rm_quote(frame, &p, &quoted), "quote", kind, v6);
  must(has_ends(of, &to, ports), "ends", kind, v6);
  if (error) must(translate_error(frame, &p, &quoted, &back), "refusal", kind, v6);
  else translate_frame(frame, &p, &back);
  translate_numbers(frame, of, &undo, error ? &p : NULL);
  must(memcmp(frame, before, n) == 0, "there and back", kind, v6);
  done[kind][v6]++;
  free(frame);
}

/* A frame that is cut and damaged: nothing is read or written beyond it. */
static void broken(void) {
  static uint8_t whole[FRAME_MAX];
  bool v6 = chance() % 2;
  enum kind kind = (enum kind)(chance() % KINDS);
  fill(whole, 14);
  whole[0] &= 0xfe, put16(whole + 12, v6 ? 0x86dd : 0x0800);
  uint32_t n = 14 + (kind == KIND_ERROR ? make_error(whole + 14, v6) : make_ip(whole + 14, kind, v6, 128));
  for (uint32_t i = 0; i < 4; i++) whole[14 + chance() % (n - 14)] ^= (uint8_t)(1u << chance() % 8);
  uint32_t bytes = chance() % 2 ? n : 14 + (uint32_t)(chance() % (n - 13));
  uint8_t *frame = malloc(bytes);
  memcpy(frame, whole, bytes);
  struct rm_packet p, quoted;
  struct twin_tuple to = other_ends(chance() % 2, false);
  uint8_t verdict = rm_parse(frame, bytes, &p);
  by_plan(frame, bytes, &p);
  if (verdict == RM_PARSE_FLOW || verdict == RM_PARSE_FRAGMENT) {
    struct translate_numbers by = other_numbers(false, NULL);
    if (verdict == RM_PARSE_FLOW && rm_quote(frame, &p, &quoted)) {
      if (translate_error(frame, &p, &quoted, &to)) translate_numbers(frame, &quoted, &by, &p);
    } else if (translate_can(&p, &to)) {
      translate_frame(frame, &p, &to), translate_numbers(frame, &p, &by, NULL);
    }
    uint32_t clock;
    translate_clock(frame, &p, &clock);
  }
  free(frame);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uint64_t runs = strtoull(argv[1], NULL, 10);
  state = strtoull(argv[2], NULL, 10);
  for (uint64_t i = 0; i < runs; i++) one((enum kind)(i % KINDS)), broken();
  for (uint32_t k = 0; k < KINDS; k++) printf("%s %" PRIu64 "\n", KIND_NAME[k], done[k][0] + done[k][1]);
  printf("edges %s\nplans %s\n", edges > runs / 80 ? "many" : "few", plans > runs / 8 ? "many" : "few");
  return 0;
}

/* One word at a time: put it, and move on the checksums over it. */
#include <string.h>
#include "association.h"
#include "parse.h"
#include "translate.h"

enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58, SCTP = 132 };
enum { SACK = 5, TIMESTAMPS = 8 };

static void write16(uint8_t *to, uint16_t v) { to[0] = (uint8_t)(v >> 8), to[1] = (uint8_t)v; }

/* In 16 bits; 0 only of 0, so it stays known whether anything has changed. */
static uint16_t folded(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* By how much a checksum over some words has to move on: RFC 1624, equation 3, of all of them together. 0: none has changed. */
static void move_sum(uint8_t *at, uint32_t change) {
  if (change) write16(at, (uint16_t)~folded((uint16_t)~read16(at) + change));
}

/* That of UDP; RFC 768: one that comes out as 0 is sent as all ones. */
static void move_sum_udp(uint8_t *at, uint32_t change) {
  move_sum(at, change);
  if (read16(at) == 0) write16(at, 0xffff);
}

/* What one word adds to it. */
static uint32_t change_of(uint16_t before, uint16_t after) { return before == after ? 0 : (uint32_t)(uint16_t)~before + after; }

static uint32_t put_word(uint8_t *at, uint16_t v) {
  uint32_t change = change_of(read16(at), v);
  write16(at, v);
  return change;
}

static uint32_t put_address(uint8_t *at, const uint8_t address[16], bool ipv6) {
  uint32_t change = 0;
  for (uint32_t i = ipv6 ? 0 : 12; i < 16; i += 2, at += 2) change += put_word(at, read16(address + i));
  return change;
}

struct twin_tuple translate_turned(const struct twin_tuple *of) {
  struct twin_tuple t = {.port = {of->port[1], of->port[0]}};
  memcpy(t.addr[0], of->addr[1], 16);
  memcpy(t.addr[1], of->addr[0], 16);
  return t;
}

static bool is_mapped(const uint8_t address[16]) {
  static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return memcmp(address, MAPPED, 12) == 0;
}

static bool same_family(const struct rm_packet *p, const struct twin_tuple *to) {
  return p->ipv6 || (is_mapped(to->addr[0]) && is_mapped(to->addr[1]));
}

bool translate_can(const struct rm_packet *p, const struct twin_tuple *to) {
  struct twin_tuple is = twin_tuple(p);
  bool ports = is.port[0] != to->port[0] || is.port[1] != to->port[1];
  bool whole = p->fragment == RM_FRAGMENT_NONE && p->payload_offset + p->payload_bytes <= p->frame_bytes;
  return !p->inner && same_family(p, to) && !(p->proto == SCTP && ports && !whole);
}

/* Other ports of SCTP. What the checksum was wrong by it stays wrong by; one that is 0 was not made (RFC 9653). */
static void put_association(uint8_t *transport, const struct rm_packet *p, const struct twin_tuple *to) {
  uint32_t sum, none = 0, n = p->payload_offset + p->payload_bytes - p->transport_offset;
  memcpy(&sum, transport + 8, 4);
  memcpy(transport + 8, &none, 4);
  uint32_t wrong = sum ^ association_sum(transport, n);
  write16(transport, to->port[0]);
  write16(transport + 2, to->port[1]);
  if (sum) sum = wrong ^ association_sum(transport, n);
  memcpy(transport + 8, &sum, 4);
}

/* Where the transport's checksum lies; null: it has none, or that is not there. */
static uint8_t *sum_of(uint8_t *transport, uint8_t proto, uint32_t bytes) {
  uint32_t at = proto == TCP ? 16 : proto == UDP ? 6 : 2;
  if ((proto != TCP && proto != UDP && proto != ICMP && proto != ICMPV6) || bytes < at + 2) return NULL;
  return proto == UDP && read16(transport + at) == 0 ? NULL : transport + at;
}

static bool has_ports(const uint8_t *transport, uint8_t proto) {
  if (proto == ICMP) return transport[0] == 8 || transport[0] == 0;
  return proto == TCP || proto == UDP || (proto == ICMPV6 && (transport[0] == 128 || transport[0] == 129));
}

static uint32_t put_ports(uint8_t *transport, uint8_t proto, const struct twin_tuple *to) {
  if (proto == ICMP || proto == ICMPV6) return put_word(transport + 4, to->port[0]);
  return put_word(transport, to->port[0]) + put_word(transport + 2, to->port[1]);
}

/* Addresses and, if the transport header is there, ports. `above`: a checksum over all of it; null: none. */
static void put_ends(uint8_t *frame, const struct rm_packet *p, const struct twin_tuple *to, uint8_t *above, bool whole) {
  uint8_t *ip = frame + p->ip_offset, *transport = frame + p->transport_offset;
  uint8_t *sum = whole ? sum_of(transport, p->proto, p->payload_offset + p->payload_bytes - p->transport_offset) : NULL;
  /* A checksum that lies under another one has to move that on as well: by its own change, at the end. */
  uint16_t sum_before = sum ? read16(sum) : 0, head_before = p->ipv6 ? 0 : read16(ip + 10);
  uint32_t bytes = p->ipv6 ? 16 : 4, at = p->ipv6 ? 8 : 12, ports = 0;
  uint32_t ends = put_address(ip + at, to->addr[0], p->ipv6) + put_address(ip + at + bytes, to->addr[1], p->ipv6);
  if (whole && has_ports(transport, p->proto)) ports = put_ports(transport, p->proto, to);
  if (!p->ipv6) move_sum(ip + 10, ends);
  if (sum && p->proto == UDP) move_sum_udp(sum, ends + ports);
  else if (sum) move_sum(sum, p->proto == ICMP ? ports : ends + ports);
  if (!above) return;
  uint32_t sums = (sum ? change_of(sum_before, read16(sum)) : 0) + (p->ipv6 ? 0 : change_of(head_before, read16(ip + 10)));
  move_sum(above, ends + ports + sums);
}

void translate_frame(uint8_t *frame, const struct rm_packet *p, const struct twin_tuple *to) {
  put_ends(frame, p, to, NULL, p->fragment == RM_FRAGMENT_NONE || p->fragment == RM_FRAGMENT_FIRST);
  struct twin_tuple is = twin_tuple(p);
  bool ports = is.port[0] != to->port[0] || is.port[1] != to->port[1];
  if (p->proto == SCTP && ports) put_association(frame + p->transport_offset, p, to);
}

/* Whose address this is in the quoted packet, as it is to be. */
static const uint8_t *renamed(const uint8_t *address, const struct twin_tuple *before, const struct twin_tuple *to) {
  for (uint32_t end = 0; end < 2; end++)
    if (memcmp(address, before->addr[end], 16) == 0) return to->addr[end];
  return address;
}

bool translate_error(uint8_t *frame, const struct rm_packet *error, const struct rm_packet *quoted, const struct twin_tuple *to) {
  if (!same_family(quoted, to) || quoted->ipv6 != error->ipv6) return false;
  struct twin_tuple before = twin_tuple(quoted), outer = twin_tuple(error), ends = outer;
  put_ends(frame, quoted, to, frame + error->transport_offset + 2, true);
  memcpy(ends.addr[0], renamed(outer.addr[0], &before, to), 16);
  memcpy(ends.addr[1], renamed(outer.addr[1], &before, to), 16);
  translate_frame(frame, error, &ends);
  return true;
}

/* Bytes of a segment's header that are there; 0: no whole number is. */
static uint32_t header_bytes(const uint8_t *t, const struct rm_packet *p, bool quoted) {
  uint32_t whole = p->payload_offset + p->payload_bytes, there = (whole < p->frame_bytes ? whole : p->frame_bytes) - p->transport_offset;
  if (p->proto != TCP || p->inner || p->fragment == RM_FRAGMENT_LATER || there < (quoted ? 8u : 20u)) return 0;
  uint32_t header = there > 12 ? (t[12] >> 4) * 4u : there;
  return header < there ? header : there;
}

/* Add to a number at any offset of a header; checksums go by words at even ones. Returns what they have to move on by. */
static uint32_t add_number(uint8_t *header, uint32_t at, uint32_t by) {
  uint32_t v = read32(header + at) + by;
  if (by == 0) return 0;
  if (at % 2 == 0) return put_word(header + at, (uint16_t)(v >> 16)) + put_word(header + at + 2, (uint16_t)v);
  uint32_t change = put_word(header + at - 1, (uint16_t)(header[at - 1] << 8 | v >> 24));
  change += put_word(header + at + 1, (uint16_t)(v >> 8));
  return change + put_word(header + at + 3, (uint16_t)(v << 8 | header[at + 4]));
}

/* The next option behind `at`, or one that ends the walk: kind 0. */
struct option { uint32_t at, end; uint8_t kind; };
static struct option next_option(const uint8_t *t, uint32_t at, uint32_t end) {
  while (at < end && t[at] == 1) at++;
  if (end < at + 2 || t[at] == 0 || t[at + 1] < 2 || t[at + 1] > end - at) return (struct option){.kind = 0};
  return (struct option){at, at + t[at + 1], t[at]};
}

static uint32_t add_options(uint8_t *t, uint32_t end, const struct translate_numbers *by) {
  bool acks = t[13] & RM_TCP_ACK;
  uint32_t change = 0;
  for (struct option o = next_option(t, 20, end); o.kind; o = next_option(t, o.end, end)) {
    if (o.kind == SACK)
      for (uint32_t at = o.at + 2; at + 4 <= o.end; at += 4) change += add_number(t, at, by->ack);
    if (o.kind != TIMESTAMPS || o.end - o.at != 10) continue;
    change += add_number(t, o.at + 2, by->clock);
    if (acks) change += add_number(t, o.at + 6, by->echo);
  }
  return change;
}

/* All numbers of a header of which `bytes` are there. */
static uint32_t add_numbers(uint8_t *t, uint32_t bytes, const struct translate_numbers *by) {
  uint32_t change = add_number(t, 4, by->seq);
  if (bytes >= 14 && (t[13] & RM_TCP_ACK)) change += add_number(t, 8, by->ack);
  /* A header that is cut may end within a word. */
  if (bytes > 20 && bytes == (t[12] >> 4) * 4u) change += add_options(t, bytes, by);
  return change;
}

void translate_numbers(uint8_t *frame, const struct rm_packet *p, const struct translate_numbers *by, const struct rm_packet *error) {
  if (!(by->seq | by->ack | by->clock | by->echo)) return;
  uint8_t *t = frame + p->transport_offset, *above = error ? frame + error->transport_offset + 2 : NULL;
  uint32_t bytes = header_bytes(t, p, error != NULL);
  if (bytes == 0) return;
  uint8_t *sum = bytes >= 18 ? t + 16 : NULL;
  uint16_t before = sum ? read16(sum) : 0;
  uint32_t change = add_numbers(t, bytes, by);
  if (sum) move_sum(sum, change);
  if (above) move_sum(above, change + (sum ? change_of(before, read16(sum)) : 0));
}

bool translate_plan(const struct twin_tuple *is, const struct twin_tuple *to, struct translate_plan *plan) {
  uint32_t ends = 0, ports = 0;
  for (uint32_t end = 0; end < 2; end++) {
    if (!is_mapped(is->addr[end]) || !is_mapped(to->addr[end])) return false;
    for (uint32_t i = 12; i < 16; i += 2) ends += change_of(read16(is->addr[end] + i), read16(to->addr[end] + i));
    ports += change_of(is->port[end], to->port[end]);
    memcpy(&plan->addr[end], to->addr[end] + 12, 4);
    write16((uint8_t *)&plan->ports + 2 * end, to->port[end]);
  }
  plan->head = folded(ends);
  plan->above = folded(ends + ports);
  plan->ack = 0;
  return true;
}

void translate_planned(uint8_t *frame, uint32_t transport_offset, const struct translate_plan *plan, uint32_t seq) {
  uint8_t *t = frame + transport_offset, *ip = t - 20;
  memcpy(ip + 12, plan->addr, sizeof plan->addr);
  memcpy(t, &plan->ports, sizeof plan->ports);
  move_sum(ip + 10, plan->head);
  if (ip[9] == TCP) {
    struct translate_numbers by = {.seq = seq, .ack = plan->ack};
    move_sum(t + 16, plan->above + (by.seq | by.ack ? add_numbers(t, (t[12] >> 4) * 4u, &by) : 0));
  } else if (read16(t + 6)) {
    move_sum_udp(t + 6, plan->above);
  }
}

bool translate_clock(const uint8_t *frame, const struct rm_packet *p, uint32_t *clock) {
  const uint8_t *t = frame + p->transport_offset;
  uint32_t bytes = header_bytes(t, p, false);
  for (struct option o = next_option(t, 20, bytes); bytes && o.kind; o = next_option(t, o.end, bytes)) {
    if (o.kind != TIMESTAMPS || o.end - o.at != 10) continue;
    *clock = read32(t + o.at + 2);
    return true;
  }
  return false;
}

/* Announcements: where both boxes have an IP address, but on different MAC addresses, the network is told after a switch who
 * has it now.
 *
 * What a box says of itself by ARP or neighbour advertisements is noted, also while it stands by. The standby is asked
 * once in a while, without an address of its own (RFC 5227 2.1.1, RFC 4861 7.2.2), until it knows. Boxes with equal
 * MAC addresses, and addresses that only one box has, are nothing to announce.
 */
#include <rte_ether.h>
#include <string.h>
#include "parse.h"
#include "plane.h"

#define ASK_NS (10 * RM_S)
#define ARP_BYTES 28u
#define FRAME_MIN 60u
#define SOLICITATION 135
#define ADVERTISEMENT 136
#define OVERRIDE 0x20
static const uint64_t AFTER_NS[] = {0, 200 * RM_MS, RM_S}; /* a word may be lost, and a host be slow to listen */

static bool is_known(const struct address *a, uint32_t box) { return a->known & 1u << box; }

static struct address *find(struct plane *p, uint32_t side, const uint8_t ip[16]) {
  struct addresses *t = &p->addresses[side];
  for (uint32_t i = 0; i < t->count; i++)
    if (memcmp(t->of[i].ip, ip, 16) == 0) return &t->of[i];
  if (t->count == RM_ADDRESSES) return NULL; /* a NAT's pool may be larger; the rest is left to the boxes */
  struct address *fresh = &t->of[t->count++];
  *fresh = (struct address){0};
  memcpy(fresh->ip, ip, 16);
  return fresh;
}

static bool is_ip4(const uint8_t ip[16]) {
  return memcmp(ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
}

/* Whose address the sender says it has: of an ARP frame or an advertisement. */
static bool read_claim(const uint8_t *frame, const struct rm_packet *packet, uint8_t ip[16], uint8_t mac[6]) {
  if (!packet->ipv6) {
    const uint8_t *arp = frame + packet->ip_offset;
    if (packet->frame_bytes < packet->ip_offset + ARP_BYTES || memcmp(arp + 14, "\0\0\0", 4) == 0) return false;
    memcpy(ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    memcpy(ip + 12, arp + 14, 4);
    memcpy(mac, arp + 8, 6);
    return true;
  }
  const uint8_t *icmp = frame + packet->transport_offset;
  if (!packet->transport_offset || packet->frame_bytes < packet->transport_offset + 32u) return false;
  if (icmp[0] != ADVERTISEMENT || icmp[24] != 2) return false; /* with the address of its link as its first option */
  memcpy(ip, icmp + 8, 16);
  memcpy(mac, icmp + 26, 6);
  return true;
}

void announce_learn(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet) {
  uint8_t ip[16], mac[6];
  if (!p->board->command.announce || packet->tags || !read_claim(frame, packet, ip, mac)) return;
  struct address *a = find(p, role_side(role), ip);
  if (!a) return;
  uint32_t box = role_of_box(role);
  memcpy(a->mac[box], mac, 6);
  a->known |= (uint8_t)(1u << box);
}

/* The multicast group of who may have an address, and the Ethernet address of a group. */
static void group_of(const uint8_t target[16], uint8_t group[16]) {
  static const uint8_t SOLICITED[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  memcpy(group, SOLICITED, 13);
  memcpy(group + 13, target + 13, 3);
}

static void put_arp(uint8_t *f, const struct address *a, const uint8_t mac[6], bool asks) {
  static const uint8_t HEAD[8] = {0x08, 0x06, 0, 1, 8, 0, 6, 4};
  memset(f, 0xff, 6);
  memcpy(f + 6, mac, 6);
  memcpy(f + 12, HEAD, 8);
  f[20] = 0, f[21] = 1; /* a request: it is what every host listens to (RFC 5227 3) */
  memcpy(f + 22, mac, 6);
  if (!asks) memcpy(f + 28, a->ip + 12, 4);
  memcpy(f + 38, a->ip + 12, 4);
}

static uint16_t icmp6_sum(const uint8_t *ip, const uint8_t *icmp, uint32_t bytes) {
  uint32_t sum = 58 + bytes;
  for (int i = 8; i < 40; i += 2) sum += read16(ip + i);
  for (uint32_t i = 0; i < bytes; i += 2) sum += read16(icmp + i);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* Returns its length. */
static uint32_t put_neighbour(uint8_t *f, const struct address *a, const uint8_t mac[6], bool asks) {
  static const uint8_t ALL[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  uint8_t *ip = f + 14, *icmp = ip + 40, bytes = asks ? 24 : 32;
  f[12] = 0x86, f[13] = 0xdd;
  ip[0] = 0x60, ip[5] = bytes, ip[6] = 58, ip[7] = 255;
  if (asks) group_of(a->ip, ip + 24);
  else memcpy(ip + 8, a->ip, 16), memcpy(ip + 24, ALL, 16);
  f[0] = f[1] = 0x33;
  memcpy(f + 2, ip + 36, 4);
  memcpy(f + 6, mac, 6);
  icmp[0] = asks ? SOLICITATION : ADVERTISEMENT;
  icmp[4] = asks ? 0 : OVERRIDE;
  memcpy(icmp + 8, a->ip, 16);
  if (!asks) icmp[24] = 2, icmp[25] = 1, memcpy(icmp + 26, mac, 6);
  uint16_t sum = icmp6_sum(ip, icmp, bytes);
  icmp[2] = (uint8_t)(sum >> 8), icmp[3] = (uint8_t)sum;
  return 54u + bytes;
}

/* Who has the address, or: `mac` has it. */
static void send_word(struct plane *p, uint32_t role, const struct address *a, const uint8_t mac[6], bool asks) {
  struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);
  uint8_t *frame = m ? (uint8_t *)rte_pktmbuf_append(m, 54 + 32) : NULL;
  if (!frame) return rte_pktmbuf_free(m); /* the next time */
  memset(frame, 0, 54 + 32);
  uint32_t bytes = FRAME_MIN;
  if (is_ip4(a->ip)) put_arp(frame, a, mac, asks);
  else bytes = put_neighbour(frame, a, mac, asks);
  rte_pktmbuf_trim(m, (uint16_t)(54 + 32 - bytes));
  port_queue(p, role, m, false);
}

/* Does another box have this address on another MAC? */
static bool differs(const struct address *a, uint32_t box) {
  for (uint32_t other = 0; other < RM_BOXES; other++)
    if (other != box && is_known(a, other) && memcmp(a->mac[other], a->mac[box], 6) != 0) return true;
  return false;
}

static void announce(struct plane *p, uint32_t side, uint32_t box) {
  const struct addresses *t = &p->addresses[side];
  for (uint32_t i = 0; i < t->count; i++) {
    const struct address *a = &t->of[i];
    if (!is_known(a, box) || !differs(a, box)) continue;
    send_word(p, role_outer(side), a, a->mac[box], false);
    count(p, RM_COUNT_ANNOUNCED, 1, 0);
  }
}

/* The standbys, if they have not said yet whether they have an address that the serving box has. */
static void ask(struct plane *p, uint32_t side, uint32_t box) {
  struct addresses *t = &p->addresses[side];
  for (uint32_t i = 0; i < t->count; i++) {
    struct address *a = &t->of[i];
    if (!is_known(a, box) || (a->asked_ns && p->now - a->asked_ns < ASK_NS)) continue;
    for (uint32_t other = 0; role_box(other, side) < p->roles; other++) {
      if (other == box || is_known(a, other)) continue;
      a->asked_ns = p->now;
      uint32_t role = role_box(other, side);
      send_word(p, role, a, p->board->live.port[role].mac, true);
    }
  }
}

void announce_tick(struct plane *p) {
  int box = serving(p);
  if (!p->board->command.announce) return;
  if (p->announced_switch != p->reflex.switch_number) {
    p->announced_switch = p->reflex.switch_number;
    p->announcements = 0;
  }
  bool due = p->reflex.switch_number && box >= 0 && p->announcements < sizeof AFTER_NS / sizeof *AFTER_NS &&
             p->now >= p->reflex.path_since + AFTER_NS[p->announcements];
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    if (!p->has[side]) continue;
    if (due) announce(p, side, (uint32_t)box);
    if (box >= 0) ask(p, side, (uint32_t)box);
  }
  if (due) p->announcements++;
}

/* Who is where, for the standby: it may not speak to the network, so the node answers its ARP requests and
 * neighbour solicitations from what it has seen. Otherwise the standby would start its service by waiting for them.
 */
#include <string.h>
#include <rte_arp.h>
#include <rte_ether.h>
#include "hot.h"
#include "plane.h"

#define ARP_BYTES 28u
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define SOLICITATION 135
#define ADVERTISEMENT 136
#define WAYS 4u
#define SETS (RM_NEIGHBOURS / WAYS)
#define ADVERTISE_BYTES 32 /* ICMPv6 header, flags, target, link-layer address option */

static struct neighbour *set_of(struct plane *p, uint32_t side, const uint8_t ip[16]) {
  uint64_t half[2], secret = p->crew->trace_secret;
  memcpy(half, ip, sizeof half);
  /* Hosts of one network differ in the last bits alone, which every bit of the place has to hear of. */
  uint64_t h = fold(half[0] ^ secret, half[1] ^ rotate(secret, 31) ^ 0x9e3779b97f4a7c15u);
  return &p->neighbour[side][h % SETS * WAYS];
}

static struct neighbour *find(struct plane *p, uint32_t side, const uint8_t ip[16]) {
  struct neighbour *set = set_of(p, side, ip);
  for (struct neighbour *n = set; n < set + WAYS; n++)
    if (n->used && memcmp(n->ip, ip, 16) == 0) return n;
  return NULL;
}

/* How sure we are: a host said so itself, or it only sent a frame that may have come through a router. */
enum { GUESSED = 1, SAID = 2 };
struct known { const uint8_t *mac; uint8_t how; };

static void tell(struct plane *p, uint32_t side, const uint8_t ip[16], const uint8_t *mac, uint8_t how) {
  struct message m = {.kind = MESSAGE_NEIGHBOUR, .how = how};
  memcpy(m.ip, ip, 16);
  memcpy(m.mac, mac, 6);
  crew_send_side(p, side, &m);
}

/* Where a host goes that is not there yet: to a free place, else in turn to one of which no more was known. */
static struct neighbour *place_for(struct plane *p, uint32_t side, const uint8_t ip[16], uint8_t how) {
  struct neighbour *set = set_of(p, side, ip);
  for (struct neighbour *n = set; n < set + WAYS; n++)
    if (!n->used) return n;
  for (uint32_t i = 0; i < WAYS; i++) {
    struct neighbour *n = set + (p->neighbour_turn++ % WAYS);
    if (n->used <= how) return n;
  }
  return NULL;
}

/* True: that is new. */
static bool note(struct plane *p, uint32_t side, const uint8_t ip[16], const struct known *k) {
  struct neighbour *n = find(p, side, ip);
  if (n && n->used >= k->how && memcmp(n->mac, k->mac, 6) == 0) return false;
  if (!n) n = place_for(p, side, ip, k->how);
  if (!n) return false;
  memcpy(n->ip, ip, 16);
  memcpy(n->mac, k->mac, 6);
  n->used = k->how;
  return true;
}

static void remember(struct plane *p, uint32_t side, const uint8_t ip[16], const uint8_t *mac, uint8_t how) {
  /* Which worker of this side will be asked is not known. */
  if (note(p, side, ip, &(struct known){mac, how}) && p->crew->queues > 1) tell(p, side, ip, mac, how);
}

void neighbour_take(struct plane *p, const struct message *said) {
  note(p, p->has[RM_SIDE_UP] ? RM_SIDE_UP : RM_SIDE_DOWN, said->ip, &(struct known){said->mac, said->how});
}

static void map4(uint8_t to[16], const uint8_t *ip4) {
  memset(to, 0, 10);
  memset(to + 10, 0xff, 2);
  memcpy(to + 12, ip4, 4);
}

static bool is_arp(const uint8_t *frame, const struct rm_packet *packet) {
  const uint8_t *type = frame + packet->ip_offset - 2;
  return type[0] == 0x08 && type[1] == 0x06 && packet->frame_bytes >= packet->ip_offset + ARP_BYTES;
}

void neighbour_learn(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet) {
  uint8_t ip[16];
  if (packet->verdict == RM_PARSE_FLOW) { /* a new flow: its sender is the host itself or a router's far side */
    memcpy(ip, packet->addr[packet->dir], 16);
    remember(p, side, ip, frame + 6, GUESSED);
  } else if (is_arp(frame, packet)) {
    const uint8_t *arp = frame + packet->ip_offset;
    map4(ip, arp + 14);
    if (memcmp(arp + 14, "\0\0\0", 4) != 0) remember(p, side, ip, arp + 8, SAID);
  } else if (packet->ipv6) {
    memcpy(ip, frame + packet->ip_offset + 8, 16);
    if (ip[0] | ip[1]) remember(p, side, ip, frame + 6, SAID);
  }
}

/* Turn an ARP request into the reply to it, in place. */
static void arp_reply(uint8_t *frame, uint8_t *arp, const uint8_t mac[6]) {
  uint8_t asked[4], asker[10];
  memcpy(asked, arp + 24, 4);
  memcpy(asker, arp + 8, 10);
  memcpy(frame, frame + 6, 6);
  memcpy(frame + 6, mac, 6);
  arp[7] = ARP_REPLY;
  memcpy(arp + 8, mac, 6);
  memcpy(arp + 14, asked, 4);
  memcpy(arp + 18, asker, 10);
}

static uint16_t icmp6_checksum(const uint8_t *ip, const uint8_t *icmp, uint32_t bytes) {
  uint32_t sum = 58 + bytes;
  for (int i = 8; i < 40; i += 2) sum += (uint32_t)ip[i] << 8 | ip[i + 1];
  for (uint32_t i = 0; i < bytes; i += 2) sum += (uint32_t)icmp[i] << 8 | icmp[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* Turn a neighbour solicitation into an advertisement (RFC 4861, 4.4), in place. Offsets as parsed. */
static bool advertise(struct rte_mbuf *m, const struct rm_packet *packet, const uint8_t mac[6]) {
  uint32_t bytes = packet->transport_offset + ADVERTISE_BYTES;
  if (packet->transport_offset != packet->ip_offset + 40) return false;
  if (m->pkt_len < bytes && !rte_pktmbuf_append(m, (uint16_t)(bytes - m->pkt_len))) return false;
  if (m->pkt_len > bytes) rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - bytes));
  uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + packet->ip_offset;
  uint8_t *icmp = frame + packet->transport_offset;
  memcpy(frame, frame + 6, 6);
  memcpy(frame + 6, mac, 6);
  memcpy(ip + 24, ip + 8, 16);
  memcpy(ip + 8, icmp + 8, 16);
  ip[4] = 0, ip[5] = ADVERTISE_BYTES, ip[7] = 255;
  icmp[0] = ADVERTISEMENT, icmp[1] = 0, icmp[2] = 0, icmp[3] = 0;
  icmp[4] = 0x60, icmp[5] = 0, icmp[6] = 0, icmp[7] = 0; /* solicited, override */
  icmp[24] = 2, icmp[25] = 1;
  memcpy(icmp + 26, mac, 6);
  uint16_t sum = icmp6_checksum(ip, icmp, ADVERTISE_BYTES);
  icmp[2] = (uint8_t)(sum >> 8), icmp[3] = (uint8_t)sum;
  return true;
}

/* A request for an address, and for which one. */
struct request { struct rte_mbuf *m; struct rm_packet packet; uint8_t *frame, *body, ip[16]; bool arp; };

static bool is_request(struct rte_mbuf *m, struct request *r) {
  uint8_t *frame = r->frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = r->ip;
  r->m = m;
  if (rm_parse(frame, m->pkt_len, &r->packet) != RM_PARSE_NEIGHBOUR) return false;
  const struct rm_packet packet = r->packet;
  bool arp = r->arp = is_arp(frame, &packet);
  uint8_t *body = r->body = frame + (arp ? packet.ip_offset : packet.transport_offset);
  if (arp && body[7] == ARP_REQUEST && memcmp(body + 14, body + 24, 4) != 0) map4(ip, body + 24);
  else if (!arp && packet.transport_offset && body[0] == SOLICITATION &&
           m->pkt_len >= packet.transport_offset + 24u && (frame[packet.ip_offset + 8] | frame[packet.ip_offset + 9]))
    memcpy(ip, body + 8, 16);
  else return false; /* announcements and duplicate address detection are not for the network */
  return true;
}

static bool reply(struct plane *p, uint32_t role, const struct request *r, const uint8_t from[6]) {
  struct rte_mbuf *m = r->m;
  uint8_t mac[6];
  memcpy(mac, from, 6);
  if (r->arp) arp_reply(r->frame, r->body, mac);
  else if (!advertise(m, &r->packet, mac)) return false;
  count(p, RM_COUNT_ARP_ANSWERED, 1, 0);
  port_queue(p, role, m, false);
  return true;
}

bool neighbour_find(struct plane *p, uint32_t side, const uint8_t ip[16], uint8_t mac[6]) {
  const struct neighbour *n = find(p, side, ip);
  if (n) memcpy(mac, n->mac, 6);
  return n != NULL;
}

/* Answer a request that the standby sent on `role`. Returns true when the frame was turned into the answer
 * and queued; otherwise the caller still owns it. */
bool neighbour_answer(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  struct request r;
  bool asks = is_request(m, &r);
  if (r.packet.verdict == RM_PARSE_NEIGHBOUR) announce_learn(p, role, r.frame, &r.packet);
  if (!asks) return false;
  uint8_t mac[6];
  if (!neighbour_find(p, role_side(role), r.ip, mac)) return count(p, RM_COUNT_ARP_UNKNOWN, 1, 0), false;
  return reply(p, role, &r, mac);
}

bool neighbour_answer_own(struct plane *p, uint32_t role, struct rte_mbuf *m, const uint8_t mac[6]) {
  struct request r;
  return is_request(m, &r) && probe_owns(p, role_side(role), r.ip) && reply(p, role, &r, mac);
}

/* Guard: for a moment after a switch the new box may not end connections that are known to be alive.
 *
 * A box that has never heard of a connection may answer its next packet with a reset or an ICMP error, which kills it at
 * the end that gets it. Such a frame is held back, and the connection is seeded anew with its next packet. What the other
 * end itself has sent went in on the other side shortly before: by the sequence number, which a NAT leaves alone.
 */
#include <string.h>
#include "parse.h"
#include "plane.h"

#define SENT_SHIFT 20            /* times are kept in 2^20 ns */
#define SENT_NS (2 * RM_S)       /* a box that holds a reset for longer has lost it */
#define UNREACHABLE4 3
#define TOO_BIG_CODE4 4          /* tells the path's MTU, ends nothing */
#define UNREACHABLE6 1
#define ICMP_BYTES 8u

/* An ending: a reset, or an error about a packet of a flow. */
struct ending { struct rm_packet flow; uint32_t number; };

static bool is_error(const uint8_t *icmp, uint8_t proto) {
  return proto == 1 ? icmp[0] == UNREACHABLE4 && icmp[1] != TOO_BIG_CODE4 : proto == 58 && icmp[0] == UNREACHABLE6;
}

static void put_end(struct rm_packet *to, uint32_t end, const uint8_t *address, uint16_t port) {
  static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  memcpy(to->addr[end], MAPPED, 12);
  memcpy(to->addr[end] + (to->ipv6 ? 0 : 12), address, to->ipv6 ? 16 : 4);
  to->port[end] = port;
}

/* The flow of the packet that an ICMP error quotes, of which eight bytes of transport are enough. */
static bool read_quote(const uint8_t *ip, uint32_t bytes, struct ending *out) {
  struct rm_packet *f = &out->flow;
  if (bytes < 1) return false;
  f->ipv6 = ip[0] >> 4 == 6;
  uint32_t head = f->ipv6 ? 40u : (ip[0] & 15u) * 4u;
  if (head < 20 || bytes < head + ICMP_BYTES) return false;
  const uint8_t *t = ip + head, *from = ip + (f->ipv6 ? 8 : 12), *to = from + (f->ipv6 ? 16 : 4);
  f->proto = f->ipv6 ? ip[6] : ip[9];
  if (f->proto != 6 && f->proto != 17) return false;
  uint16_t source = read16(t), target = read16(t + 2);
  int order = memcmp(from, to, f->ipv6 ? 16 : 4);
  bool turned = order > 0 || (order == 0 && source > target);
  put_end(f, turned, from, source);
  put_end(f, !turned, to, target);
  f->verdict = RM_PARSE_FLOW;
  /* Of a datagram a NAT changes the checksum, but not who numbered it and how long it is. */
  out->number = f->proto == 6 ? read32(t + 4) : f->ipv6 ? read32(ip + 4) : read32(ip + 2);
  return true;
}

static bool read_ending(const uint8_t *frame, const struct rm_packet *packet, struct ending *out) {
  if (packet->inner) return false;
  if (packet->proto == 6) {
    *out = (struct ending){.flow = *packet, .number = packet->seq};
    return packet->tcp_flags & RM_TCP_RST;
  }
  uint32_t at = packet->transport_offset, quoted = at + ICMP_BYTES, end = packet->payload_offset + packet->payload_bytes;
  if ((packet->proto != 1 && packet->proto != 58) || end < quoted || !is_error(frame + at, packet->proto)) return false;
  *out = (struct ending){.flow = {.vlan = packet->vlan}};
  return read_quote(frame + quoted, end - quoted, out);
}

static uint64_t *place(struct plane *p, uint32_t number, uint32_t side) {
  return &p->crew->ending[((number ^ side << 31) * 0x9e3779b1u) >> 20];
}

void guard_note(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet) {
  struct ending e;
  if (p->board->command.guard_ns == 0 || !read_ending(frame, packet, &e)) return;
  uint64_t word = (uint64_t)e.number << 32 | ((p->now >> SENT_SHIFT << 1) & 0xffffffff) | side;
  __atomic_store_n(place(p, e.number, side), word, __ATOMIC_RELEASE);
}

/* Did the end on the other side send it? */
static bool was_sent(struct plane *p, uint32_t side, uint32_t number) {
  uint64_t word = __atomic_load_n(place(p, number, side), __ATOMIC_ACQUIRE);
  uint32_t age = ((uint32_t)(p->now >> SENT_SHIFT << 1) - ((uint32_t)word & ~1u)) >> 1;
  return (uint32_t)(word >> 32) == number && (word & 1) == side && age <= SENT_NS >> SENT_SHIFT;
}

bool guard_stops(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet) {
  const struct reflex *r = &p->reflex;
  uint32_t side = role_side(role);
  struct ending e;
  if (!r->switch_number || p->now >= r->path_since + p->board->command.guard_ns) return false;
  if ((int)role_of_box(role) != serving(p) || !read_ending(frame, packet, &e)) return false;
  struct rm_flow *f = rm_flows_find(&p->table[side], &e.flow, rm_flows_hash(&p->table[side], &e.flow));
  /* From before the switch, answered, and closed by neither end. */
  if (!f || !(f->flags & RM_FLOW_PASSES) || f->first_ns >= r->path_since || was_sent(p, 1 - side, e.number)) return false;
  count(p, RM_COUNT_GUARDED, 1, packet->frame_bytes);
  seed_rearm(p, side, f);
  return true;
}

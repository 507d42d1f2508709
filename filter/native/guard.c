/* Guard: for a moment after a switch the new box may not end connections that are known to be alive.
 *
 * A box that has never heard of a connection may answer its next packet with a reset or an ICMP error, which kills it at
 * the end that gets it. Such a frame is held back, and the connection is seeded anew with its next packet. What the other
 * end itself has sent went in on the other side shortly before: by the sequence number, which a NAT leaves alone.
 */
#include <string.h>
#include "parse.h"
#include "plane.h"
#include "quote.h"

#define SENT_SHIFT 20            /* times are kept in 2^20 ns */
#define SENT_NS (2 * RM_S)       /* a box that holds a reset for longer has lost it */
#define UNREACHABLE4 3
#define TOO_BIG_CODE4 4          /* tells the path's MTU, ends nothing */
#define UNREACHABLE6 1

/* An ending: a reset, or an error about a packet of a flow. */
struct ending { struct rm_packet flow; uint32_t number; };

static bool is_error(const uint8_t *icmp, uint8_t proto) {
  return proto == 1 ? icmp[0] == UNREACHABLE4 && icmp[1] != TOO_BIG_CODE4 : proto == 58 && icmp[0] == UNREACHABLE6;
}

static bool read_ending(const uint8_t *frame, const struct rm_packet *packet, struct ending *out) {
  if (packet->inner) return false;
  if (packet->proto == 6) {
    *out = (struct ending){.flow = *packet, .number = packet->seq};
    return packet->tcp_flags & RM_TCP_RST;
  }
  struct rm_packet *f = &out->flow;
  if (!rm_quote(frame, packet, f) || !is_error(frame + packet->transport_offset, packet->proto)) return false;
  if (f->proto != 6 && f->proto != 17) return false;
  const uint8_t *ip = frame + f->ip_offset;
  /* Of a datagram a NAT changes the checksum, but not who numbered it and how long it is. */
  out->number = f->proto == 6 ? read32(frame + f->transport_offset + 4) : f->ipv6 ? read32(ip + 4) : read32(ip + 2);
  return true;
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
  if (!f) return false;
  /* The number under which it went in on the other side. */
  struct numbers_gap gap[2];
  numbers_of(p, side, f, gap);
  if (e.flow.proto == 6) e.number += gap[e.flow.dir != f->outer_dir].seq;
  /* From before the switch, answered, and closed by neither end. */
  if (!(f->flags & RM_FLOW_PASSES) || f->first_ns >= r->path_since || was_sent(p, 1 - side, e.number)) return false;
  count(p, RM_COUNT_GUARDED, 1, packet->frame_bytes);
  seed_rearm(p, side, f);
  return true;
}

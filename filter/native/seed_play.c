/* One frame of a seed: what is known of the connection, the frame, and its way into the box. */
#include <netinet/in.h>
#include <string.h>
#include "entry.h"
#include "fixup.h"
#include "plane.h"

#define THIRD 2u             /* the frame by which the opener says that all is well, or that it is over */
#define MOVED_MAX (1u << 28) /* bytes in the time that a seed takes, at 10 Gbit/s */
#define REF(worker, place, serial) ((uint32_t)(worker) << 24 | (uint32_t)(place) << 8 | (serial))

static uint32_t place_of(const struct plane *p, const struct seed *s) { return (uint32_t)(s - p->seeding->seed); }

bool seed_measure(const struct plane *p, struct seed *s) {
  struct rm_flow *from = &s->flow[s->opener], *to = &s->flow[1 - s->opener];
  struct numbers_gap gap[2];
  /* It stays the same for the life of a connection: what was known once is not forgotten. */
  if (numbers_between(p, s->opener, from, to, gap)) memcpy(s->gap, gap, sizeof s->gap);
  return (s->gap[0].seq | s->gap[1].seq) || numbers_change(p, s->box);
}

bool seed_crosses(const struct seed *s) { return (s->flow[RM_SIDE_UP].flags ^ s->flow[RM_SIDE_DOWN].flags) & RM_FLOW_IPV6; }

/* What a box lets out under numbers of which nobody knows is followed as well. Those of an end go on, and not by so much meanwhile. */
static bool goes_on(const struct rm_flow *then, const struct rm_flow *now) {
  for (uint32_t dir = 0; dir < 2; dir++)
    if (now->half[dir].next - then->half[dir].next >= MOVED_MAX) return false;
  return true;
}

bool seed_renew(const struct plane *p, struct seed *s) {
  struct rm_flow up, down;
  if (!entry_copy(&p->entries[RM_SIDE_UP][s->slot[RM_SIDE_UP]], &up) || !seed_usable(&up)) return false;
  if (!entry_copy(&p->entries[RM_SIDE_DOWN][s->slot[RM_SIDE_DOWN]], &down) || !seed_usable(&down)) return false;
  if (!goes_on(&s->flow[RM_SIDE_UP], &up) || !goes_on(&s->flow[RM_SIDE_DOWN], &down)) return false;
  s->flow[RM_SIDE_UP] = up;
  s->flow[RM_SIDE_DOWN] = down;
  return true;
}

/* The worker that has a port of one queue plays the frame, and says so. */
static bool play_away(struct plane *p, struct seed *s, uint32_t role, struct rte_mbuf *m) {
  uint32_t sender = p->port[role].sender;
  struct message said = {.kind = MESSAGE_SEED, .how = s->serial, .window = (uint16_t)place_of(p, s), .slot = role, .pointer = m};
  if (!crew_send(p, sender, &said)) return rte_pktmbuf_free(m), false;
  s->steps.away = true;
  crew_wake(p->crew, sender);
  return true;
}

bool seed_look(struct plane *p, struct seed *s) {
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    struct fixup_of of = {.side = side, .box = s->box, .slot = s->slot[side], .flow = &s->flow[side]};
    if (!fixup_guise(p, &of, &s->guise[side])) return false;
  }
  return true;
}

/* What is behind all steps: the opener takes back what it said, and the other end denies that it ever heard of it. A tracker that has
 * seen nothing but an opening believes a denial that has no number of its own (RFC 9293 3.10.7.1: an end without a connection resets from 0). */
static void put_endings(const struct seed *s, struct seed_segment *step, struct seed_numbers *out) {
  step[RM_SEED_RESET] = (struct seed_segment){.seq = step[THIRD].seq, .flags = RM_TCP_RST, .scale = 0xff};
  out[RM_SEED_RESET] = (struct seed_numbers){out[THIRD].seq, 0};
  step[RM_SEED_DENIAL] = (struct seed_segment){.flags = RM_TCP_RST, .scale = 0xff};
  out[RM_SEED_DENIAL] = (struct seed_numbers){0u - s->gap[1].seq, 0};
}

/* The frame of a step, and by what it is known again; null: no buffer. */
static struct rte_mbuf *make_frame(struct plane *p, const struct seed *s, uint32_t n, struct swallowing *what) {
  const struct rm_flow *opener = &s->flow[s->opener], *other = &s->flow[1 - s->opener];
  if (opener->proto != IPPROTO_TCP) {
    uint64_t token = p->now ^ (uint64_t)p->index << 56 ^ ++p->seeding->tokens << 40;
    what->seq = (uint32_t)(token >> 32), what->ack = (uint32_t)token;
    if (opener->proto != IPPROTO_SCTP) return seed_datagram(p, opener, token);
    const struct rm_flow *from = n == 0 ? opener : other;
    return seed_heartbeat(p, from, &(struct seed_beat){n == 0 ? other : opener, token, n != 0});
  }
  struct seed_segment step[RM_SEED_DENIAL + 1];
  struct seed_numbers out[RM_SEED_DENIAL + 1];
  seed_handshake(opener, other, s->gap, step, out);
  if (s->removes && n == THIRD) step[n].flags = RM_TCP_RST | RM_TCP_ACK;
  put_endings(s, step, out);
  const struct alias_guise *guise = &s->guise[role_side(what->role)];
  what->ends = guise->ends;
  what->first.seq = out[n].seq;
  what->seq = out[n].seq - guise->shift, what->ack = out[n].ack, what->flags = step[n].flags;
  return seed_segment(p, n % 2 == 0 ? opener : other, &step[n]);
}

/* Who finds this frame come out is to tell. */
static bool is_told(const struct seed *s, uint32_t n) {
  return n == 0 || (n == 1 && (s->steps.answers || s->steps.proves)) || (n == THIRD && (s->steps.confirms || s->removes));
}

bool seed_play(struct plane *p, struct seed *s, uint32_t n) {
  uint32_t side = n % 2 == 0 ? s->opener : 1u - s->opener, role = role_box(s->box, side);
  struct swallowing what = {.role = role_box(s->box, 1 - side), .first = {.seed = RM_SEED_NONE}};
  struct rte_mbuf *m = make_frame(p, s, n, &what);
  if (!m) return false;
  if (is_told(s, n))
    what.first = (struct seed_found){REF(p->index, place_of(p, s), s->serial), s->slot[1 - side], twin_word(&s->flow[1 - side]), what.first.seq};
  if (!swallow_expect(p, &what)) return rte_pktmbuf_free(m), false;
  fixup_played(p, m, &s->flow[side], &s->guise[side]);
  if (p->port[role].sender != p->index) return play_away(p, s, role, m);
  port_queue(p, role, m, true);
  if (!s->steps.paced) port_flush(p, &p->port[role]);
  return true;
}

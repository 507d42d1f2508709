/* Swallowing: frames of seeds that come out of the box again are held back, each once.
 *
 * One table for all workers, because who plays a frame and who receives it may be two. A place is written before the
 * frame is played and cleared by who finds it; its state changes by compare and exchange alone.
 */
#include <netinet/in.h>
#include <string.h>
#include "association.h"
#include "hot.h"
#include "plane.h"

#define SWALLOW_NS RM_S
#define DATAGRAM_NS (10 * RM_S)
#define SETS (RM_SWALLOWS / RM_SWALLOW_WAYS)
#define BUSY 1u /* being written; a whole one has flags, which are never 1 in all */

/* Time in 2^20 ns, then role and TCP flags: 48, 8 and 8 bits. */
static uint64_t pack(uint64_t now, uint32_t role, uint8_t flags) { return now >> 20 << 16 | role << 8 | flags; }
/* Another worker's clock may have been read a moment later than ours. */
static bool is_over(uint64_t what, uint64_t now) {
  uint64_t then = what >> 16, present = now >> 20;
  return what == 0 || (what != BUSY && present > then && present - then > SWALLOW_NS >> 20);
}

static struct swallow *set_of(struct plane *p, uint64_t numbers, uint32_t role) {
  uint64_t h = (numbers ^ (uint64_t)role << 29) * 0x9e3779b97f4a7c15ull;
  h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ull; /* sequence numbers may be alike in their low bits */
  return &p->crew->swallow[(h >> 32) % SETS * RM_SWALLOW_WAYS];
}

/* A box that renumbers lets an opening out under a number of its own, but under ends that are known. */
static uint64_t ends_of(const struct plane *p, const struct twin_tuple *ends) {
  uint64_t w[4], h = p->crew->trace_secret ^ ((uint64_t)ends->port[0] << 16 | ends->port[1]);
  memcpy(w, ends->addr, sizeof w);
  for (uint32_t i = 0; i < 4; i++) h = fold(h ^ w[i], 0x9e3779b97f4a7c15ull ^ rotate(p->crew->trace_secret, 31));
  return h;
}

static bool expect(struct plane *p, const struct swallowing *w, uint64_t numbers) {
  struct swallow *set = set_of(p, numbers, w->role);
  /* Nothing but the node knows a datagram for what it is: a box that is slow must not let it out unseen. */
  uint64_t until = w->flags ? p->now : p->now + DATAGRAM_NS, *last = &p->crew->last_seed_ns[role_of_box(w->role)];
  if (until > __atomic_load_n(last, __ATOMIC_RELAXED)) __atomic_store_n(last, until, __ATOMIC_RELAXED);
  for (struct swallow *s = set; s < set + RM_SWALLOW_WAYS; s++) {
    uint64_t what = __atomic_load_n(&s->what, __ATOMIC_RELAXED);
    if (!is_over(what, p->now)) continue;
    if (!__atomic_compare_exchange_n(&s->what, &what, BUSY, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
    __atomic_store_n(&s->numbers, numbers, __ATOMIC_RELAXED);
    s->first = w->first;
    __atomic_store_n(&s->what, pack(p->now, w->role, w->flags), __ATOMIC_RELEASE);
    return true;
  }
  return false;
}

/* A reset that denies a connection has no number of its own: all of them are alike but for their ends. */
static bool is_denial(uint8_t flags, uint32_t seq) { return (flags & (RM_TCP_RST | RM_TCP_ACK)) == RM_TCP_RST && seq == 0; }

bool swallow_expect(struct plane *p, const struct swallowing *w) {
  bool denies = is_denial(w->flags, w->seq);
  if (((w->flags & RM_TCP_SYN) || denies) && !expect(p, w, ends_of(p, &w->ends))) return false;
  return denies || expect(p, w, (uint64_t)w->seq << 32 | w->ack);
}

bool seed_expected(const struct plane *p, uint32_t box) {
  uint64_t last = __atomic_load_n(&p->crew->last_seed_ns[box], __ATOMIC_RELAXED);
  return last != 0 && (p->now <= last || p->now - last <= SWALLOW_NS);
}

/* Take it out of the table; false: it is not there. *first: what is known of it. */
static bool take(struct plane *p, uint32_t role, const struct rm_packet *packet, uint64_t numbers, struct seed_found *first) {
  uint8_t flags = packet->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK | RM_TCP_FIN | RM_TCP_RST);
  struct swallow *set = set_of(p, numbers, role);
  for (struct swallow *s = set; s < set + RM_SWALLOW_WAYS; s++) {
    uint64_t what = __atomic_load_n(&s->what, __ATOMIC_ACQUIRE);
    if (what == BUSY || (what & 0xffff) != (role << 8 | flags) || is_over(what, p->now)) continue;
    if (__atomic_load_n(&s->numbers, __ATOMIC_RELAXED) != numbers) continue;
    *first = s->first;
    if (__atomic_compare_exchange_n(&s->what, &what, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return true;
  }
  return false;
}

/* A datagram of a seed is known by what it carries, however late and from wherever it comes. */
static bool has_token(const struct plane *p, const uint8_t *frame, const struct rm_packet *packet, uint64_t *token) {
  if (packet->fragment || packet->inner || !seed_takes(packet->proto)) return false;
  bool there = packet->payload_bytes == RM_SEED_TOKEN && packet->payload_offset + RM_SEED_TOKEN <= packet->frame_bytes;
  const uint8_t *carried = packet->proto == IPPROTO_SCTP ? association_info(frame, packet) : there ? frame + packet->payload_offset : NULL;
  if (!carried) return false;
  uint64_t word[2];
  memcpy(word, carried, sizeof word);
  *token = word[0];
  return word[1] == seed_proof(p, word[0]);
}

bool seed_swallows(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet) {
  uint64_t numbers = (uint64_t)packet->seq << 32 | ((packet->tcp_flags & RM_TCP_ACK) ? packet->ack : 0);
  bool tcp = packet->proto == IPPROTO_TCP;
  if (tcp ? packet->payload_bytes != 0 : !has_token(p, frame, packet, &numbers)) return false;
  struct seed_found first, same;
  bool known = take(p, role, packet, numbers, &first);
  if (tcp && ((packet->tcp_flags & RM_TCP_SYN) || is_denial(packet->tcp_flags, packet->seq))) {
    struct twin_tuple ends = twin_tuple(packet);
    bool named = take(p, role, packet, ends_of(p, &ends), &same);
    if (named && !known) known = true, first = same;
  }
  if (!known && tcp) return false;
  if (known && first.seed != RM_SEED_NONE) seed_found(p, role, frame, packet, &first);
  count(p, RM_COUNT_SEED_SWALLOWED, 1, packet->frame_bytes);
  return true;
}

/* Swallowing: frames of seeds that come out of the box again are held back, each once.
 *
 * One table for all workers, because who plays a frame and who receives it may be two. A place is written before the
 * frame is played and cleared by who finds it; its state changes by compare and exchange alone.
 */
#include <netinet/in.h>
#include "plane.h"

#define SWALLOW_NS RM_S
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
  return &p->crew->swallow[(h >> 32) % SETS * RM_SWALLOW_WAYS];
}

bool swallow_expect(struct plane *p, uint32_t role, uint32_t seq, uint32_t ack, uint8_t flags) {
  uint64_t numbers = (uint64_t)seq << 32 | ack;
  struct swallow *set = set_of(p, numbers, role);
  __atomic_store_n(&p->crew->last_seed_ns, p->now, __ATOMIC_RELAXED);
  for (struct swallow *s = set; s < set + RM_SWALLOW_WAYS; s++) {
    uint64_t what = __atomic_load_n(&s->what, __ATOMIC_RELAXED);
    if (!is_over(what, p->now)) continue;
    if (!__atomic_compare_exchange_n(&s->what, &what, BUSY, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
    __atomic_store_n(&s->numbers, numbers, __ATOMIC_RELAXED);
    __atomic_store_n(&s->what, pack(p->now, role, flags), __ATOMIC_RELEASE);
    return true;
  }
  return false;
}

bool seed_expected(const struct plane *p) {
  uint64_t last = __atomic_load_n(&p->crew->last_seed_ns, __ATOMIC_RELAXED);
  return last != 0 && (p->now <= last || p->now - last <= SWALLOW_NS);
}

/* Is this frame, which came out of a box by `role` and would leave, part of a seed? */
bool seed_swallows(struct plane *p, uint32_t role, const struct rm_packet *packet) {
  if (!seed_expected(p) || packet->proto != IPPROTO_TCP) return false;
  if ((int)role_of_box(role) != serving(p)) seed_again(p, role_side(role), packet);
  if (packet->payload_bytes) return false;
  uint8_t flags = packet->tcp_flags & (RM_TCP_SYN | RM_TCP_ACK | RM_TCP_FIN | RM_TCP_RST);
  uint64_t numbers = (uint64_t)packet->seq << 32 | ((flags & RM_TCP_ACK) ? packet->ack : 0);
  struct swallow *set = set_of(p, numbers, role);
  for (struct swallow *s = set; s < set + RM_SWALLOW_WAYS; s++) {
    uint64_t what = __atomic_load_n(&s->what, __ATOMIC_ACQUIRE);
    if (what == BUSY || (what & 0xffff) != (role << 8 | flags) || is_over(what, p->now)) continue;
    if (__atomic_load_n(&s->numbers, __ATOMIC_RELAXED) != numbers) continue;
    if (!__atomic_compare_exchange_n(&s->what, &what, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) continue;
    count(p, RM_COUNT_SEED_SWALLOWED, 1, packet->frame_bytes);
    return true;
  }
  return false;
}

/* Memory of the plane: frame buffers for all workers, and the flow tables of each. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include "fixup.h"
#include "plane.h"

#define HUGE_BYTES (2u << 20)

/* AF_XDP takes the whole buffer, mempool header and mbuf included, as one chunk of 2048 bytes to one page. */
#define XDP_ROOM_MIN (2048 - 64 - (uint32_t)sizeof(struct rte_mbuf))
#define XDP_ROOM_MAX (4096 - 2 * 64 - (uint32_t)sizeof(struct rte_mbuf))
#define AROUND (16 + RTE_PKTMBUF_HEADROOM) /* two tags put back, or virtio's own header; and DPDK's room */

/* Bytes of a frame buffer. With AF_XDP among the ports the largest frame shrinks to what fits, and the board says so. */
static uint32_t frame_room(struct rm_setup *s) {
  uint32_t room = s->frame_bytes_max + AROUND;
  bool xdp = false;
  for (uint32_t r = 0; r < RM_ROLES; r++) xdp |= strncmp(s->spec[r], "af_xdp:", 7) == 0;
  if (!xdp) return room;
  if (room < XDP_ROOM_MIN) return XDP_ROOM_MIN;
  if (room <= XDP_ROOM_MAX) return room;
  s->frame_bytes_max = XDP_ROOM_MAX - AROUND;
  return XDP_ROOM_MAX;
}

/* Memory that one buffer takes in its pool: an odd number of cache lines (DPDK spreads them over memory channels), and
 * none crosses a page border, which with small pages costs room. */
static uint32_t footprint(const struct rm_setup *s, uint32_t room) {
  uint32_t page = 4096, lines = (64 + (uint32_t)sizeof(struct rte_mbuf) + room + 63) / 64;
  uint32_t bytes = (lines | 1) * 64;
  if (s->huge) return bytes;
  return bytes <= page ? page / (page / bytes) : (bytes + page - 1) / page * page;
}

/* Frames in flight at most: both rings of all ports, and what a turn holds. Several workers share them by a stack without
 * locks: a worker that the kernel puts aside in the middle of it must not stop the others. */
int memory_pool(struct plane *p) {
  struct rm_setup *s = &p->board->setup;
  uint32_t room = frame_room(s);
  uint64_t budget = (uint64_t)s->memory_mib * (1 << 20) * 6 / 10 / footprint(s, room);
  uint32_t n = budget < 1024 ? 1024 : budget > 65535 ? 65535 : (uint32_t)budget;
  uint32_t workers = p->crew->workers, at_hand = workers == 1 || n / 8 / workers > 256 ? 256 : n / 8 / workers;
  p->pool = rte_pktmbuf_pool_create_by_ops("frames", n, at_hand, 0, (uint16_t)room, SOCKET_ID_ANY,
                                           workers == 1 ? "ring_mp_mc" : "lf_stack");
  for (uint32_t i = 1; i < workers; i++) p->crew->worker[i]->pool = p->pool;
  if (!p->pool)
    return plane_fail(p, "Cannot make %u frame buffers of %u bytes: %s (raise plane.memory_mib)", n, room,
                      rte_strerror(rte_errno));
  return 0;
}

/* The sides it has, of which it has a part. */
int memory_tables(struct plane *p) {
  uint32_t slots = p->board->setup.flow_slots / p->crew->queues;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->has[s]) continue;
    uint64_t secret[2];
    if (getrandom(secret, sizeof secret, 0) != sizeof secret) return plane_fail(p, "Cannot read random numbers");
    size_t bytes = slots / RM_WAYS * sizeof(struct rm_flow_bucket);
    struct rm_flow_bucket *buckets = aligned_alloc(HUGE_BYTES, (bytes + HUGE_BYTES - 1) & ~(size_t)(HUGE_BYTES - 1));
    if (!buckets) return plane_fail(p, "Cannot make a flow table of %u places: no memory", slots);
    madvise(buckets, bytes, MADV_HUGEPAGE); /* where it is to be had */
    memset(buckets, 0, bytes);
    rm_flows_open(&p->table[s], p->entries[s] + p->queue * slots, buckets, slots, secret);
    p->table[s].budget = &p->budget;
  }
  return match_open(p) < 0 || fixup_open(p) < 0 || infer_open(p) < 0 || value_open(p) < 0 ? -1 : walk_open(p);
}

/* What measures the plane: the same turns as in service, beside a bare loop that only moves frames.
 *
 * Linked into libremediate-bench.so together with the plane's own objects; the product has none of it. Both loops
 * take frames from the same source and hand them to the same sink, on one thread, and are timed by what
 * that thread was given of the processor, so that a neighbour on the core does not count.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "board.h"
#include "fixup.h"
#include "plane.h"
#include "twin.h"

#define STALL_WINDOW_NS RM_MS
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum rm_bench_mode { RM_BENCH_IO, RM_BENCH_PLANE };

struct rm_slice { uint64_t packets, cpu_ns, wall_ns, copies; };

static struct plane *bench;

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * RM_S + (uint64_t)t.tv_nsec;
}

/* Start everything on the board at `path`, which is set up. 0, or -1 with the reason in header.error or, if there is
 * no such board, nowhere. Once per process, and every call from the same thread. */
RM_EXPORT int32_t rm_bench_open(const char *path);
RM_EXPORT int32_t rm_bench_open(const char *path) {
  uint64_t bytes;
  int32_t error;
  struct rm_board *board = rm_board_open(path, &bytes, &error);
  bench = aligned_alloc(64, (sizeof *bench + 63) & ~63ul);
  if (!board || !bench) return -1;
  memset(bench, 0, sizeof *bench);
  bench->board = board;
  /* Its maker has large pages, which this map of it gets only when it asks; a plane is the maker. */
  madvise(board, bytes, MADV_COLLAPSE);
  return plane_start(bench);
}

/* What a wire would do: from upstream to the primary, without looking. */
static void io_turn(void) {
  struct rte_mbuf *frame[RM_BURST];
  struct port *from = &bench->port[RM_UPSTREAM], *to = &bench->port[RM_PRIMARY_IN];
  uint16_t n = from->driver->receive(from, frame, RM_BURST);
  from->view->rx_packets += n;
  uint16_t sent = to->driver->send(to, frame, n);
  if (sent < n) rte_pktmbuf_free_bulk(frame + sent, n - sent);
}

/* Frames count where they first come from: from any port, or from outside alone where there are boxes that hand them over again. */
static uint32_t sources = RM_ROLES;

static uint64_t received(void) {
  uint64_t n = 0;
  for (uint32_t r = 0; r < sources; r++) n += bench->board->live.port[r].rx_packets;
  return n;
}

static uint64_t copies(void) {
  return bench->board->live.port[RM_REDUNDANT_IN].mirrored_packets +
         bench->board->live.port[RM_REDUNDANT_OUT].mirrored_packets;
}

/* A primary and a standby that change nothing: what goes in by one port comes out of the other. */
#define BOX_FRAMES 1024 /* that a box holds at most, as in a NIC's ring */
static struct box_way { struct rte_mbuf *frame[BOX_FRAMES]; uint32_t first, count; } way_out[RM_REDUNDANT_OUT + 1];
static bool boxes, shadow;

/* What others hold as well is copied: what a box hands over has a buffer of its own, into which the plane may write. */
static struct rte_mbuf *through(struct plane *p, struct rte_mbuf *m) {
  if (rte_mbuf_refcnt_read(m) == 1) return m;
  struct rte_mbuf *own = rte_pktmbuf_copy(m, p->pool, 0, UINT32_MAX);
  rte_pktmbuf_free(m);
  return own;
}

static uint16_t box_send(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  bool mute = port->role >= RM_REDUNDANT_IN && !shadow;
  struct box_way *to = &way_out[port->role ^ 1];
  for (uint16_t i = 0; i < n; i++) {
    if (to->count == BOX_FRAMES) return i;
    struct rte_mbuf *m = through(port->plane, frames[i]);
    if (m && mute) rte_pktmbuf_free(m);
    else if (m) to->frame[(to->first + to->count++) % BOX_FRAMES] = m;
  }
  return n;
}

static uint16_t box_receive(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  struct box_way *from = &way_out[port->role];
  uint16_t got = from->count < n ? (uint16_t)from->count : n;
  for (uint16_t i = 0; i < got; i++) frames[i] = from->frame[(from->first + i) % BOX_FRAMES];
  from->first = (from->first + got) % BOX_FRAMES;
  from->count -= got;
  return got;
}

/* What is known of the servers' side by comparing, where openings of clients come out: nothing, or as after hours of it that each flow
 * is the same. Else flows that began while nothing was compared would have no verdict to be counted. */
static void know(bool all) {
  static struct twins twins;
  uint32_t side = RM_SIDE_DOWN, slots = bench->board->header.flow_slots;
  twins.entries = bench->entries[side];
  twins.word = (uint32_t *)((char *)bench->board + bench->board->header.twin_offset[side]);
  memset(twins.word, 0, (size_t)slots * sizeof *twins.word);
  for (uint32_t slot = 0; all && slot < slots; slot++)
    if (twins.entries[slot].flags & RM_FLOW_USED) twins_learn(&twins, slot, 1, TWIN_EQUAL);
}

/* Put such boxes behind the ports. The standby hands over what it gets, or with `hands_over` 0 nothing. Copies are made and freed
 * alike, so what differs is the plane's work and a ring of pointers. May be called again. */
RM_EXPORT void rm_bench_boxes(uint32_t hands_over);
RM_EXPORT void rm_bench_boxes(uint32_t hands_over) {
  static struct port_driver box;
  bool now = hands_over != 0;
  box = port_gen;
  box.receive = box_receive, box.send = box_send;
  for (uint32_t r = RM_PRIMARY_IN; r <= RM_REDUNDANT_OUT; r++) bench->port[r].driver = &box;
  know(now);
  boxes = true, shadow = now, sources = RM_PRIMARY_IN;
}

/* How many flows a standby is known to have as the primary has them, and otherwise or not at all. */
RM_EXPORT void rm_bench_match(uint64_t *equal, uint64_t *other);
RM_EXPORT void rm_bench_match(uint64_t *equal, uint64_t *other) {
  *equal = *other = 0;
  for (uint32_t i = RM_MATCH_CLASSES; i < 2 * RM_MATCH_CLASSES; i++) {
    *equal += bench->board->live.match[i].equal;
    *other += bench->board->live.match[i].different + bench->board->live.match[i].dropped;
  }
}

/* Move about `packets` frames in one mode and say what it took. 0, or -1: nothing comes. */
RM_EXPORT int32_t rm_bench_slice(uint32_t mode, uint64_t packets, struct rm_slice *out);
RM_EXPORT int32_t rm_bench_slice(uint32_t mode, uint64_t packets, struct rm_slice *out) {
  uint64_t first = received(), copied = copies(), idle = 0, last = first, now;
  uint64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  while ((now = received()) - first < packets) {
    for (int i = 0; i < 64; i++) {
      if (mode == RM_BENCH_IO) io_turn();
      else plane_turn(bench);
    }
    idle = now == last ? idle + 1 : 0;
    if (idle > 100000) return -1;
    last = now;
  }
  *out = (struct rm_slice){.packets = now - first, .cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu,
                           .wall_ns = clock_ns(CLOCK_MONOTONIC) - wall, .copies = copies() - copied};
  return 0;
}

/* Latency: from a paced frame's arrival to the moment the sink has it: the primary or, where boxes hand over, either end of the way. */
static struct { uint32_t window[2048], *all, *calm; uint32_t step_ns, slots; bool stalled; } histogram;

static uint16_t timed_send(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  uint32_t now = (uint32_t)clock_ns(CLOCK_MONOTONIC);
  for (uint16_t i = 0; i < n; i++) {
    uint32_t slot = (now - frames[i]->hash.rss) / histogram.step_ns;
    if (slot >= histogram.slots) {
      slot = histogram.slots - 1;
      histogram.stalled = true;
    }
    histogram.window[slot]++;
  }
  return port_gen.send(port, frames, n);
}

static void close_window(void) {
  for (uint32_t i = 0; i < histogram.slots; i++) {
    histogram.all[i] += histogram.window[i];
    if (!histogram.stalled) histogram.calm[i] += histogram.window[i];
  }
  memset(histogram.window, 0, sizeof histogram.window);
  histogram.stalled = false;
}

/* Serve a paced source for `ns` and fill two histograms of `slots` (at most 2048) steps of `step_ns`: of all frames,
 * and of the milliseconds in which none took longer than the last step, which means that the machine
 * itself stood still. */
RM_EXPORT void rm_bench_latency(uint64_t ns, uint32_t step_ns, uint32_t slots, uint32_t *all, uint32_t *calm);
RM_EXPORT void rm_bench_latency(uint64_t ns, uint32_t step_ns, uint32_t slots, uint32_t *all, uint32_t *calm) {
  struct port_driver timed = port_gen;
  timed.send = timed_send;
  uint32_t first = boxes ? RM_UPSTREAM : RM_PRIMARY_IN, last = boxes ? RM_DOWNSTREAM : RM_PRIMARY_IN;
  const struct port_driver *before = bench->port[first].driver;
  memset(&histogram, 0, sizeof histogram);
  histogram.all = all, histogram.calm = calm, histogram.step_ns = step_ns;
  histogram.slots = slots < 2048 ? slots : 2048;
  for (uint32_t r = first; r <= last; r++) bench->port[r].driver = &timed;
  uint64_t start = clock_ns(CLOCK_MONOTONIC), window = start;
  while (bench->now < start + ns) {
    plane_turn(bench);
    if (bench->now - window < STALL_WINDOW_NS) continue;
    window = bench->now;
    close_window();
  }
  for (uint32_t r = first; r <= last; r++) bench->port[r].driver = before;
}

/* Make the capture ring at `path` if there is none yet, and want frames of it, as RM_TAP_BIT(). 0, or -1: no ring. */
RM_EXPORT int32_t rm_bench_capture(const char *path, uint32_t wanted);
RM_EXPORT int32_t rm_bench_capture(const char *path, uint32_t wanted) {
  int32_t error;
  if (!bench->capture.file) capture_open(&bench->capture, rm_capture_create(path, bench->board, 1, &error), 0);
  if (!bench->capture.file) return -1;
  bench->capture.file->wanted = wanted;
  return 0;
}

/* The same for the flight recorder: `rate` decisions per second at most, 0 turns it off. */
RM_EXPORT int32_t rm_bench_recorder(const char *path, uint32_t rate);
RM_EXPORT int32_t rm_bench_recorder(const char *path, uint32_t rate) {
  int32_t error;
  struct capture *c = &bench->recorder.capture;
  if (!c->file) capture_open(c, rm_recorder_create(path, bench->board, 1, &error), 0);
  if (!c->file) return -1;
  bench->board->command.recorder_rate = rate;
  c->file->wanted = rate ? UINT32_MAX : 0;
  return 0;
}

/* Bytes of the part of a place that every packet of its flow needs. */
RM_EXPORT uint32_t rm_bench_flow_bytes(void);
RM_EXPORT uint32_t rm_bench_flow_bytes(void) { return (uint32_t)(sizeof(struct rm_flow_bucket) / RM_WAYS); }

/* Let both boxes know `percent` of the client side's flows by other numbers; 0: none. Returns how many that are. */
RM_EXPORT uint32_t rm_bench_aliases(uint32_t percent);
RM_EXPORT uint32_t rm_bench_aliases(uint32_t percent) {
  struct rm_flows *t = &bench->table[RM_SIDE_UP];
  uint32_t known = 0;
  bench->board->command.fixup = 1;
  for (uint32_t slot = 0; slot < t->slots; slot++) {
    if (!t->buckets[slot / RM_WAYS].signature[slot % RM_WAYS]) continue;
    const struct rm_flow *f = &t->entries[slot];
    bool is = (uint32_t)((slot * 2654435761ull >> 8) % 100) < percent;
    known += is;
    for (uint32_t box = 0; box < 2; box++)
      fixup_learn(bench, RM_SIDE_UP, box, f, &(struct alias_guise){.ends = alias_own(f), .shift = is ? 77 : 0});
  }
  return known;
}

/* Bytes of memory for each place of one side's table, whatever it is for; and for a flow that is translated, on top. */
RM_EXPORT uint32_t rm_bench_place_bytes(void);
RM_EXPORT uint32_t rm_bench_place_bytes(void) {
  uint32_t words = 7; /* twin, carried, half a claim and a list of resync, two of aliases, and what was tried, rounded up */
  return (uint32_t)(sizeof(struct rm_flow) + sizeof(struct rm_flow_bucket) / RM_WAYS + sizeof(struct numbers)) + 4 * words;
}
RM_EXPORT uint32_t rm_bench_alias_bytes(void);
RM_EXPORT uint32_t rm_bench_alias_bytes(void) { return sizeof(struct alias) + sizeof(struct alias_quick); }

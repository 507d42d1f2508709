/* The plane's life: memory, ports, and the loop. Called once per process, returns when told to stop.
 *
 * Every worker runs the same loop over what it has; worker 0 alone watches links, orders and the boxes. The loop polls while there is traffic and sleeps on its descriptors when there is none. Ports without a
 * descriptor (NICs driven from user space) shorten the sleep instead of ending it.
 */
#include <errno.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "board.h"
#include "fixup.h"
#include "plane.h"
#include "steer.h"

#define REFRESH_NS (10 * RM_MS) /* missed counters, flow count; link of NICs that are slow to tell */
#define LINK_NS (50 * 1000ull)  /* netlink while busy */
#define JUDGE_NS (20 * 1000ull) /* far below every time that is judged; judging costs as much as some frames */
#define TICK_NS (1 * RM_MS)
#define SWEEP_BUCKETS 16        /* in that time */
#define NAP_US 100              /* with a port that cannot wake us */
#define WATCH_US 1000           /* while a way waits for an answer */
#define QUIET_US 5000           /* bounds how long an order waits */

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * RM_S + (uint64_t)t.tv_nsec;
}

static void set_clock(struct plane *p, uint64_t now) { p->now = p->reflex.now = now; }

/* EAL keeps pointers into its arguments. */
int plane_eal(struct plane *p) {
  static char text[32][128];
  static char *argv[33];
  const struct rm_setup *s = &p->board->setup;
  int n = 0;
#define ARG(...) (snprintf(text[n], sizeof text[n], __VA_ARGS__), argv[n] = text[n], n++)
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  ARG("remediate");
  /* No files of DPDK's own. Without hugepages memory is "legacy", which excludes --in-memory. */
  ARG(s->huge ? "--in-memory" : "--no-shconf");
  ARG("--no-telemetry");
  ARG("--log-level=lib.*:error");
  ARG("--log-level=pmd.*:error");
  ARG("--log-level=pmd.net.memif:critical"); /* each call to a server that is not there would be a line */
  if (s->core != RM_NO_CPU) ARG("--lcores=0@%u", s->core);
  else ARG("--lcores=0@(0-%ld)", cores - 1);
  if (!s->huge) {
    ARG("--no-huge");
    ARG("-m");
    ARG("%u", s->memory_mib);
  }
  int pci = 0;
  for (uint32_t r = 0; r < RM_ROLES; r++)
    if (port_is_pci(s->spec[r])) pci++, ARG("-a"), ARG("%s", s->spec[r]);
  if (pci == 0) ARG("--no-pci");
#undef ARG
  if (rte_eal_init(n, argv) < 0)
    return plane_fail(p, "Cannot start DPDK: %s (%s)", rte_strerror(rte_errno),
                      s->huge ? "are there free hugepages?" : "no hugepages used");
  p->board->live.huge = s->huge;
  return 0;
}

/* Take over rules that control has finished writing; an odd generation means it is at it. */
static void take_rules(struct plane *p) {
  const struct rm_command *c = &p->board->command;
  uint32_t before = __atomic_load_n(&c->rule_generation, __ATOMIC_ACQUIRE);
  if ((before & 1) || before == p->rules.generation || c->rule_count > RM_RULES) return;
  struct rm_rules fresh = {.generation = before, .count = c->rule_count, .inner = c->inner};
  uint64_t bytes = c->budget_bytes, packets = c->budget_packets;
  memcpy(fresh.age_ns, c->age_ns, sizeof fresh.age_ns);
  memcpy(fresh.rule, c->rules, sizeof fresh.rule);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  if (__atomic_load_n(&c->rule_generation, __ATOMIC_RELAXED) != before) return;
  p->rules = fresh;
  p->budget_bytes = bytes;
  p->budget_packets = packets;
  standby_refresh(p);
  rules_rename(p->live->rule, &fresh);
  if (p->index) return;
  if (p->live != &p->board->live) rules_rename(p->board->live.rule, &fresh);
  if (p->crew->workers == 1) p->board->live.rule_done = before; /* else when all have them: sum.c */
}

/* What the worker's tables and budget have counted. */
static void count_filter(struct plane *p) {
  struct rm_live *live = p->live;
  uint64_t evicted = 0, evicted_live = 0, expired = 0;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    live->flows[s] = p->table[s].live;
    evicted += p->table[s].evicted;
    evicted_live += p->table[s].evicted_live;
    expired += p->table[s].expired;
  }
  live->counter[RM_COUNT_FLOW_EVICTED].packets = evicted;
  live->counter[RM_COUNT_FLOW_EVICTED_LIVE].packets = evicted_live;
  live->counter[RM_COUNT_FLOW_EXPIRED].packets = expired;
  for (uint32_t i = 0; i < RM_WHYS; i++) {
    live->shed[i].packets = p->budget.shed_packets[i];
    live->shed[i].bytes = p->budget.shed_bytes[i];
  }
}

/* The worker's own line of the board. */
static void count_worker(struct plane *p) {
  struct rm_worker *row = &p->board->live.worker[p->index];
  uint64_t rx = 0, tx = 0;
  for (uint32_t r = 0; r < p->roles; r++) rx += p->live->port[r].rx_packets, tx += p->live->port[r].tx_packets;
  row->rx_packets = rx;
  row->tx_packets = tx;
  row->turns = p->live->turns;
  row->loop_ns_max = p->live->loop_ns_max;
  row->cpu_ns = p->live->cpu_ns;
  row->heartbeat_ns = p->now;
}

/* What goes round tables, a little at a time. */
static void step_round(struct plane *p) {
  for (uint32_t s = 0; s < RM_SIDES; s++)
    if (p->has[s]) rm_flows_sweep(&p->table[s], &p->rules, p->now, SWEEP_BUCKETS / RM_PACE);
  match_step(p);
  value_step(p);
  fixup_step(p);
}

static void housekeep(struct plane *p) {
  for (uint32_t steps = pace_take(&p->pace, p->now); steps > 0; steps--) step_round(p);
  if (p->now - p->last_tick_ns >= TICK_NS) {
    p->last_tick_ns = p->now;
    plane_yield(p);
    ports_links(p);
    replay_tick(p);
    announce_tick(p);
  }
  if (p->now - p->last_refresh_ns < REFRESH_NS) return;
  p->last_refresh_ns = p->now;
  grow(p);
  ports_refresh(p);
  capture_clock(&p->capture);
  if (p->recorder.on) recorder_tick(p);
  take_rules(p);
  standby_refresh(p);
  bfd_take_orders(p);
  probe_command(p);
  grey_command(p);
  p->live->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  plane_priority(p, p->live->cpu_ns);
  count_filter(p);
  count_worker(p);
  if (p->index) return;
  propagate_tick(p);
  p->board->live.bypass = bypass_tick(&p->bypass, p->board->command.bypass == RM_BYPASS_ON, p->now);
  p->board->live.draining = p->now < p->reflex.drain_until;
  if (p->crew->workers > 1) crew_sum(p);
}

/* Readers see the board's own word if the worker is alone, else worker 0 looks at all of these. */
static void set_poll(struct plane *p, enum rm_poll poll) {
  __atomic_store_n(&p->live->poll, poll, __ATOMIC_RELAXED);
  __atomic_store_n(&p->board->live.worker[p->index].poll, poll, __ATOMIC_RELAXED);
}

static long idle_us(const struct plane *p) {
  if (p->pace.due) return 0;
  for (uint32_t r = 0; r < p->roles; r++)
    if (p->port[r].receives && p->port[r].fd < 0) return NAP_US; /* BFD is content with that */
  bool seeds = p->seeding && (p->seeding->count || walk_goes(p)); /* a far end has none */
  if (p->reflex.moving || seeds || (p->steers && p->steering->moving)) return NAP_US;
  bool watches = p->reflex.way[0].put || p->reflex.way[1].put || p->now < p->reflex.drain_until;
  long us = watches ? WATCH_US : QUIET_US;
  return p->bfd.roles ? bfd_nap_us(p, us) : us;
}

/* Until a port has something to do of its own accord. */
static long port_nap_us(const struct plane *p, long us) {
  for (uint32_t r = 0; r < p->roles; r++) {
    uint64_t wake = p->port[r].receives ? p->port[r].wake_ns : 0;
    if (wake && wake < p->now + (uint64_t)us * 1000) us = wake <= p->now ? 0 : (long)((wake - p->now) / 1000);
  }
  return us;
}

static long nap_us(const struct plane *p) {
  long us = idle_us(p), probing = p->probe.count ? probe_nap_us(p) : us;
  return port_nap_us(p, probing < us ? probing : us);
}

/* The node itself stood still. */
static void note_stall(struct plane *p, uint64_t lost_ns) {
  if (p->probe.count) probes_excuse(&p->probe.probes, lost_ns);
  if (p->grey.on) grey_stall(p);
  if (p->index == 0) return reflex_own_stall(&p->reflex, lost_ns);
  p->tally.stall_ns = lost_ns;
  p->tally.stalls++;
}

/* Say that it sleeps, and then look once more whether somebody told something before that. */
static bool go_to_bed(struct plane *p) {
  struct crew *crew = p->crew;
  __atomic_store_n(&crew->bed[p->index].asleep, 1, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (uint32_t from = 0; from < crew->workers; from++)
    if (from != p->index && crossing_waits(crew->crossing[p->index][from])) return false;
  return true;
}

static void get_up(struct plane *p) {
  struct bed *bed = &p->crew->bed[p->index];
  __atomic_store_n(&bed->asleep, 0, __ATOMIC_RELAXED);
  uint64_t times;
  (void)!read(bed->fd, &times, sizeof times);
}

void plane_sleep(struct plane *p) {
  struct pollfd f[RM_ROLES + 2];
  nfds_t n = 0;
  bool alone = p->crew->workers == 1;
  if (p->index == 0) f[n++] = (struct pollfd){p->netlink, POLLIN, 0};
  if (!alone) f[n++] = (struct pollfd){p->crew->bed[p->index].fd, POLLIN, 0};
  for (uint32_t r = 0; r < p->roles; r++)
    if (p->port[r].receives && p->port[r].fd >= 0) f[n++] = (struct pollfd){p->port[r].fd, POLLIN, 0};
  long us = nap_us(p);
  struct timespec t = {0, us * 1000};
  set_poll(p, RM_POLL_SLEEP);
  if (alone || go_to_bed(p)) ppoll(f, n, &t, NULL);
  if (!alone) get_up(p);
  uint64_t woke = clock_ns(CLOCK_MONOTONIC), late = woke - p->now;
  uint64_t bar = p->board->command.stall_ns;
  /* Being woken late says nothing about the box. */
  if (bar && late > (uint64_t)us * 1000 + bar) note_stall(p, late - (uint64_t)us * 1000);
  if (p->bfd.roles && late > (uint64_t)us * 1000) bfd_lost(p, late - (uint64_t)us * 1000);
  set_clock(p, woke);
  if (p->index == 0) link_poll(p);
}

/* When all have looked at their ports. */
static uint64_t slowest_ns(const struct plane *p) {
  uint64_t slowest = p->now;
  for (uint32_t i = 1; i < p->crew->workers; i++) {
    uint64_t looked = __atomic_load_n(&p->crew->report[i].looked_ns, __ATOMIC_RELAXED);
    if (looked < slowest) slowest = looked;
  }
  return slowest;
}

/* A worker alone sees everything itself. Several tell each other with every judgement. */
static void judge(struct plane *p) {
  if (p->crew->workers == 1 && !p->reflex.moving && p->now - p->judged_ns < JUDGE_NS) return;
  p->judged_ns = p->now;
  crew_judge(p);
}

bool plane_turn(struct plane *p) {
  bool any = false;
  uint64_t before = p->now;
  struct rm_live *live = p->live;
  __atomic_store_n(&p->turn, p->turn + 1, __ATOMIC_RELEASE);
  set_clock(p, clock_ns(CLOCK_MONOTONIC));
  capture_turn(&p->capture);
  recorder_turn(p);
  uint64_t took = p->now - before, bar = p->board->command.stall_ns;
  if (took > live->loop_ns_max) live->loop_ns_max = took;
  if (bar && took > bar) note_stall(p, took);
  if (p->bfd.roles) bfd_lost(p, took);
  hear(p);
  for (uint32_t side = 0; side < RM_SIDES; side++)
    if (p->has[side]) any |= burst_outer(p, side);
  for (uint32_t role = RM_PRIMARY_IN; role < p->roles; role++)
    if (p->has[role_side(role)]) any |= burst_box(p, role);
  walk_turn(p);
  if (p->seeding->count) seed_turn(p);
  if (p->held_count) hold_release(p);
  if (p->index == 0) inject_frames(p);
  if (p->steering) steer_turn(p);
  if (__builtin_expect(p->reflex.moving, 0)) pause_look(p);
  if (p->bfd.roles && p->index == 0) bfd_turn(p);
  if (p->probe.count) probe_turn(p);
  if (p->grey.on) grey_turn(p);
  for (uint32_t role = 0; role < p->roles; role++) port_flush(p, &p->port[role]);
  if (p->index == 0) {
    reflex_order(&p->reflex);
    judge(p);
    p->board->live.heartbeat_ns = slowest_ns(p);
  } else {
    crew_report(p);
    __atomic_store_n(&p->crew->report[p->index].looked_ns, p->now, __ATOMIC_RELEASE);
  }
  housekeep(p);
  live->turns++;
  __atomic_store_n(&p->turn, p->turn + 1, __ATOMIC_RELEASE);
  return any || p->held_count || p->pause[0].count || p->pause[1].count;
}

static void loop(struct plane *p) {
  uint64_t spin = (uint64_t)p->board->setup.spin_us * 1000, last_link = 0;
  set_clock(p, clock_ns(CLOCK_MONOTONIC));
  while (!__atomic_load_n(&p->board->command.stop, __ATOMIC_RELAXED)) {
    bool any = plane_turn(p);
    if (p->index == 0 && p->now - last_link > LINK_NS) {
      last_link = p->now;
      link_poll(p);
    }
    if (any) set_poll(p, RM_POLL_BUSY);
    else if (p->now - p->last_packet_ns >= spin) plane_sleep(p);
  }
  if (p->index == 0) bfd_close(p);
  count_filter(p);
  count_worker(p);
}

int plane_start(struct plane *p) {
  if (plane_eal(p) < 0 || crew_open(p) < 0 || memory_pool(p) < 0) return -1;
  for (uint32_t i = 0; i < p->crew->workers; i++) {
    struct plane *worker = p->crew->worker[i];
    set_clock(worker, clock_ns(CLOCK_MONOTONIC));
    if (memory_tables(worker) < 0) return -1;
  }
  if (ports_open(p, 0, p->roles) < 0 || link_open(p) < 0 || probe_open(p) < 0) return -1;
  for (uint32_t i = 0; i < p->crew->workers; i++) {
    if (replay_open(p->crew->worker[i]) < 0 || steer_open(p->crew->worker[i]) < 0) return -1;
    standby_refresh(p->crew->worker[i]);
    take_rules(p->crew->worker[i]);
  }
  bool link[RM_BOXES][RM_SIDES] = {{false}};
  for (uint32_t r = RM_PRIMARY_IN; r < p->roles; r++) link[role_of_box(r)][role_side(r)] = p->port[r].view->link;
  bypass_find(p);
  p->reflex.board = p->board;
  set_clock(p, clock_ns(CLOCK_MONOTONIC));
  reflex_open(&p->reflex, role_of_box(p->roles), link);
  crew_start(p);
  p->board->live.order_done = p->board->command.order_sequence;
  return 0;
}

static int fail(struct rm_board *board) {
  board->header.state = RM_STATE_FAILED;
  return 3;
}

/* All workers, until control says stop. */
static int serve(struct plane *p) {
  struct rm_board *b = p->board;
  set_clock(p, clock_ns(CLOCK_MONOTONIC));
  b->live.heartbeat_ns = p->now;
  for (uint32_t i = 1; i < p->crew->workers; i++) {
    capture_open(&p->crew->worker[i]->capture, p->capture.file, i);
    capture_open(&p->crew->worker[i]->recorder.capture, p->recorder.capture.file, i);
  }
  bool launched = crew_launch(p, loop) == 0;
  if (launched) {
    __atomic_store_n(&b->header.state, RM_STATE_RUNNING, __ATOMIC_RELEASE);
    loop(p);
  }
  __atomic_store_n(&b->command.stop, 1, __ATOMIC_RELAXED);
  crew_join(p);
  if (p->crew->workers > 1) crew_sum(p);
  return launched ? 0 : -1;
}

/* Run the plane on a board made by rm_board_create() and set up by its caller, until command.stop. `capture`: made by
 * rm_capture_create() for it, or null; `recorder`: by rm_recorder_create(). Returns 0, or 3 with the reason in
 * header.error. Blocks; once per process. */
RM_EXPORT int32_t rm_plane_run(void *board, void *capture, void *recorder);
RM_EXPORT int32_t rm_plane_run(void *board, void *capture, void *recorder) {
  struct plane *p = aligned_alloc(64, (sizeof *p + 63) & ~63ul);
  struct rm_board *b = board;
  if (!p) return 3;
  memset(p, 0, sizeof *p);
  p->board = b;
  capture_open(&p->capture, capture, 0);
  capture_open(&p->recorder.capture, recorder, 0);
  b->header.state = RM_STATE_STARTING;
  prctl(PR_SET_TIMERSLACK, 1);
  setpriority(PRIO_PROCESS, 0, -20); /* of this thread; the loop sleeps when idle, so it starves nobody */
  if (plane_start(p) < 0 || serve(p) < 0) return fail(b);
  bypass_close(&p->bypass);
  propagate_close(p);
  ports_close(p, 0, p->roles);
  close(p->netlink);
  b->header.state = RM_STATE_STOPPED;
  rte_eal_cleanup();
  return 0;
}

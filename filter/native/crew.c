/* The crew's life: one `struct plane` for each worker, a thread for all but the first, crossings between all of them.
 *
 * Workers of even index have the client side, those of odd index the server side, so that both directions of a flow
 * come to the worker that has its entry. With more than two, each has one receive queue of the ports of its side.
 */
#include <errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>
#include "plane.h"

void *crew_memory(size_t bytes) {
  void *memory = aligned_alloc(RM_CACHE_LINE, (bytes + RM_CACHE_LINE - 1) & ~(size_t)(RM_CACHE_LINE - 1));
  if (memory) memset(memory, 0, bytes);
  return memory;
}

uint32_t crew_worker(const struct crew *crew, uint32_t side, uint32_t queue) {
  return crew->workers == 1 ? 0 : 2 * queue + side;
}

uint32_t crew_owner(const struct plane *p, uint32_t side, uint32_t slot) {
  const struct crew *crew = p->crew;
  return crew_worker(crew, side, slot / (p->board->setup.flow_slots / crew->queues));
}

static bool is_count(uint32_t cores) { return cores >= 1 && cores <= RM_WORKERS && (cores & (cores - 1)) == 0; }

static void describe(struct plane *p) {
  struct rm_worker *row = &p->board->live.worker[p->index];
  uint32_t core = p->board->setup.core;
  *row = (struct rm_worker){.cpu = core == RM_NO_CPU ? RM_NO_CPU : core + p->index, .queue = p->queue};
  for (uint32_t r = 0; r < p->roles; r++) row->ports |= p->has[role_side(r)] ? 1u << r : 0;
}

static int add_worker(struct crew *crew, struct plane *p, uint32_t index) {
  bool alone = crew->workers == 1;
  p->crew = crew;
  p->index = index;
  p->queue = index / 2;
  p->roles = crew->roles;
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    p->has[side] = alone || side == index % 2;
    p->entries[side] = (struct rm_flow *)((char *)p->board + p->board->header.flow_offset[side]);
  }
  /* Counted apart, so that no two write to one line; worker 0 adds up. */
  p->live = alone ? &p->board->live : crew_memory(sizeof *p->live);
  crew->worker[index] = p;
  crew->bed[index].fd = alone ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  describe(p);
  if (!p->live) return plane_fail(p, "Cannot make worker %u: no memory", index);
  if (!alone && crew->bed[index].fd < 0) return plane_fail(p, "Cannot make worker %u: %s", index, strerror(errno));
  return 0;
}

static int add_crossings(struct crew *crew, struct plane *first) {
  for (uint32_t to = 0; to < crew->workers; to++) {
    for (uint32_t from = 0; from < crew->workers; from++) {
      if (to == from) continue;
      crew->crossing[to][from] = crew_memory(sizeof(struct crossing));
      if (!crew->crossing[to][from]) return plane_fail(first, "Cannot make crossings between workers: no memory");
    }
  }
  return 0;
}

void *crew_reserve(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

int crew_open(struct plane *first) {
  const struct rm_setup *s = &first->board->setup;
  uint32_t cores = s->cores ? s->cores : 1;
  if (!is_count(cores)) return plane_fail(first, "Cannot run on %u cores: 1, 2, 4, 8 and 16 are possible", cores);
  struct crew *crew = crew_memory(sizeof *crew);
  uint32_t *claim = crew_memory((size_t)s->flow_slots * sizeof *claim);
  if (!crew || !claim) return plane_fail(first, "Cannot make the plane's workers: no memory");
  crew->workers = first->board->live.workers = cores;
  crew->queues = cores == 1 ? 1 : cores / 2;
  crew->claim = claim;
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    size_t bytes = (size_t)s->flow_slots * sizeof *crew->numbers[side];
    crew->numbers[side] = crew_reserve(bytes);
    if (!crew->numbers[side]) return plane_fail(first, "Cannot make the plane's workers: no memory");
    madvise(crew->numbers[side], bytes, MADV_HUGEPAGE); /* where they are to be had */
  }
  crew->roles = ports_count(s);
  if (getrandom(&crew->trace_secret, sizeof crew->trace_secret, 0) < 0)
    return plane_fail(first, "Cannot read random numbers");
  if (add_worker(crew, first, 0) < 0) return -1;
  for (uint32_t i = 1; i < cores; i++) {
    struct plane *p = crew_memory(sizeof *p);
    if (!p) return plane_fail(first, "Cannot make worker %u: no memory", i);
    p->board = first->board;
    if (add_worker(crew, p, i) < 0) return -1;
  }
  return add_crossings(crew, first);
}

void crew_wake(struct crew *crew, uint32_t worker) {
  struct bed *bed = &crew->bed[worker];
  /* Either it sees what was told before, or we see that it sleeps. */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (!__atomic_load_n(&bed->asleep, __ATOMIC_RELAXED)) return;
  uint64_t one = 1;
  (void)!write(bed->fd, &one, sizeof one); /* full: it will wake */
}

static void pin(struct plane *p) {
  struct rm_worker *row = &p->board->live.worker[p->index];
  if (row->cpu == RM_NO_CPU) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(row->cpu, &set);
  /* There is no such CPU: it runs where there is room, and says that it is not pinned. */
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0) return;
  row->cpu = RM_NO_CPU;
  CPU_ZERO(&set);
  for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) CPU_SET((size_t)cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

struct launch { struct plane *p; void (*loop)(struct plane *p); };

static void *run(void *argument) {
  struct launch it = *(struct launch *)argument;
  free(argument);
  pin(it.p);
  prctl(PR_SET_TIMERSLACK, 1);
  setpriority(PRIO_PROCESS, 0, -20);
  /* Without a number of DPDK's it has no frame buffers at hand and takes them from the common store, which is slower. */
  bool known = rte_thread_register() == 0;
  it.loop(it.p);
  if (known) rte_thread_unregister();
  return NULL;
}

int crew_launch(struct plane *first, void (*loop)(struct plane *p)) {
  struct crew *crew = first->crew;
  for (uint32_t i = 1; i < crew->workers; i++) {
    struct launch *it = malloc(sizeof *it);
    int e = ENOMEM;
    if (it) {
      *it = (struct launch){crew->worker[i], loop};
      e = pthread_create(&crew->worker[i]->thread, NULL, run, it);
    }
    if (e == 0) {
      pthread_setname_np(crew->worker[i]->thread, "plane-worker");
      continue;
    }
    free(it);
    return plane_fail(first, "Cannot start worker %u: %s", i, strerror(e));
  }
  return 0;
}

void crew_join(struct plane *first) {
  struct crew *crew = first->crew;
  for (uint32_t i = 1; i < crew->workers; i++) {
    crew_wake(crew, i);
    if (crew->worker[i]->thread) pthread_join(crew->worker[i]->thread, NULL);
  }
}

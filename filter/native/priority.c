/* How the kernel schedules a worker. Its rank changes with how much of its core it uses.
 */
#include <sched.h>
#include <unistd.h>
#include "plane.h"

#define PRIORITY 10             /* of SCHED_FIFO: above ordinary work, below the kernel's own threads */
/* How long one may be hogged before it is seen: what ordinary threads of the machine wait for, boxes in software among them. */
#define PRIORITY_NS (20 * RM_MS)
#define YIELD_NS (1 * RM_MS)

/* Of the process, by its first thread, for workers may have been pinned: fewer than the machine has in a container. */
static uint64_t processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(getpid(), sizeof set, &set) == 0) return (uint64_t)CPU_COUNT(&set);
  return (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

/* Before everything else on its core while it leaves room for others, as one of them when it does not: a real-time
 * thread that never sleeps would be stopped by the kernel for 50 ms of each second. Workers that share a core share
 * that room, or together they would leave none. */
void plane_priority(struct plane *p, uint64_t cpu_ns) {
  uint64_t passed = p->now - p->priority_ns, used = cpu_ns - p->priority_cpu_ns;
  if (passed < PRIORITY_NS) return;
  uint64_t cpus = processors(), workers = p->crew->workers;
  bool room = used * 10 * (workers > cpus ? workers : cpus) < passed * 7 * cpus;
  p->priority_ns = p->now;
  p->priority_cpu_ns = cpu_ns;
  if (room == p->real_time) return;
  struct sched_param how = {.sched_priority = room ? PRIORITY : 0};
  /* Not permitted: stays as it is. */
  if (sched_setscheduler(0, (room ? SCHED_FIFO : SCHED_OTHER) | SCHED_RESET_ON_FORK, &how) == 0) p->real_time = room;
}

/* Real-time threads of one rank take no turns by themselves: another worker or a far end on this core would wait. */
void plane_yield(struct plane *p) {
  if (!p->real_time || p->now - p->yield_ns < YIELD_NS) return;
  p->yield_ns = p->now;
  sched_yield();
}

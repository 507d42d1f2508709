/* Growing: ports of further boxes, opened while the plane runs.
 *
 * Opening a port waits for the kernel, so a thread does it that has nothing else to do. When all ports are open it says so
 * by one number, which each worker takes over in a turn of its own; worker 0 lets the new boxes join. Ports are never
 * taken away: a box that leaves keeps them.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plane.h"

struct opening { struct plane *first; uint32_t from, to, sequence; };

/* Everywhere but in the worker's place, whose schedule and processor a thread inherits. */
static void step_aside(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) CPU_SET((size_t)cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  pthread_setschedparam(pthread_self(), SCHED_OTHER, &(struct sched_param){0});
}

static void *open_further(void *argument) {
  struct opening it = *(struct opening *)argument;
  struct crew *crew = it.first->crew;
  struct rm_live *live = &it.first->board->live;
  free(argument);
  step_aside();
  bool failed = ports_open(it.first, it.from, it.to) < 0;
  if (failed) ports_close(it.first, it.from, it.to);
  else __atomic_store_n(&crew->roles, it.to, __ATOMIC_RELEASE);
  live->open_failed = failed;
  __atomic_store_n(&live->open_done, it.sequence, __ATOMIC_RELEASE);
  __atomic_store_n(&crew->opening, false, __ATOMIC_RELEASE);
  return NULL;
}

static void refuse(struct plane *p, uint32_t sequence, const char *why) {
  plane_fail(p, "Cannot open ports: %s", why);
  p->board->live.open_failed = 1;
  __atomic_store_n(&p->board->live.open_done, sequence, __ATOMIC_RELEASE);
}

/* Carry out control's order, one at a time. */
static void begin(struct plane *p) {
  uint32_t sequence = __atomic_load_n(&p->board->command.open_sequence, __ATOMIC_ACQUIRE);
  if (__atomic_load_n(&p->crew->opening, __ATOMIC_ACQUIRE) || sequence == p->board->live.open_done) return;
  uint32_t to = ports_count(&p->board->setup);
  struct opening *it = malloc(sizeof *it);
  if (!it || to <= p->roles) return free(it), refuse(p, sequence, it ? "there are no more" : "no memory");
  *it = (struct opening){p, p->roles, to, sequence};
  pthread_t thread;
  p->crew->opening = true;
  int e = pthread_create(&thread, NULL, open_further, it);
  if (e == 0) return (void)pthread_detach(thread);
  p->crew->opening = false;
  free(it);
  refuse(p, sequence, strerror(e));
}

static void take_over(struct plane *p, uint32_t roles) {
  struct rm_worker *row = &p->board->live.worker[p->index];
  for (uint32_t r = p->roles; r < roles; r++) row->ports |= p->has[role_side(r)] ? 1u << r : 0;
  for (uint32_t r = p->roles; r < roles && p->index == 0; r += RM_SIDES)
    reflex_add(&p->reflex, (bool[]){p->port[r].view->link, p->port[r + 1].view->link});
  p->roles = roles;
}

void grow(struct plane *p) {
  uint32_t roles = __atomic_load_n(&p->crew->roles, __ATOMIC_ACQUIRE);
  if (roles != p->roles) take_over(p, roles);
  if (p->index == 0) begin(p);
}

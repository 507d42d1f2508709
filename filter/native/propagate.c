/* Propagation: when an outside link is lost, others go down with it, so that who stands behind them can see it.
 *
 * A link is lost if it is down and the node has not taken it down itself, or let it up so shortly ago that it may still
 * be coming. So a link the node took is evidence of nothing: neither of a dead box nor of another loss, and two cannot hold
 * each other down. Worker 0 looks every few milliseconds; who has to wait for the kernel is another thread.
 */
#include <pthread.h>
#include <rte_cycles.h>
#include <stdlib.h>
#include "plane.h"

#define GRACE_NS (5 * RM_S) /* a link of copper takes so long to come up */

static bool is_coming(const struct plane *p, const struct port *port) {
  return port->released_ns && p->now - port->released_ns < GRACE_NS;
}

bool propagate_hides(const struct plane *p, const struct port *port) {
  return p->board->live.port[port->role].taken || is_coming(p, port);
}

static bool is_lost(const struct plane *p, uint32_t side) {
  const struct port *port = &p->port[role_outer(side)];
  return !port->view->link && !propagate_hides(p, port);
}

struct errand { struct port *port; bool up; };

static void *run(void *argument) {
  struct errand it = *(struct errand *)argument;
  free(argument);
  it.port->driver->set_link(it.port, it.up);
  __atomic_store_n(&it.port->errand, 0, __ATOMIC_RELEASE);
  return NULL;
}

/* False: the last time is not over yet, or there is no thread to be had; to be tried again. */
static bool send_thread(struct port *port, bool up) {
  struct errand *it;
  pthread_t thread;
  if (__atomic_load_n(&port->errand, __ATOMIC_ACQUIRE) || !(it = malloc(sizeof *it))) return false;
  *it = (struct errand){port, up};
  port->errand = 1;
  if (pthread_create(&thread, NULL, run, it) == 0) return pthread_detach(thread), true;
  free(it);
  port->errand = 0;
  return false;
}

static void move(struct plane *p, struct port *port, bool up) {
  struct rm_port *view = &p->board->live.port[port->role];
  if (!port->driver->set_link || !send_thread(port, up)) return;
  __atomic_store_n(&view->taken, !up, __ATOMIC_RELAXED);
  port->released_ns = up ? p->now : 0;
  event_write(p->board, p->now, &(struct rm_event){.kind = RM_EVENT_LINK, .cause = RM_CAUSE_PROPAGATION, .before = !up,
                                                   .after = up, .subject = port->role});
}

/* It was given its time and did not come: now it is a lost link like any other. */
static void end_grace(struct plane *p, struct port *port) {
  if (!port->released_ns || is_coming(p, port)) return;
  port->released_ns = 0;
  if (!port->view->link) reflex_link(&p->reflex, port->role, false);
}

void propagate_tick(struct plane *p) {
  uint32_t mode = p->board->command.propagate;
  bool lost[RM_SIDES] = {mode && is_lost(p, RM_SIDE_UP), mode && is_lost(p, RM_SIDE_DOWN)}, wanted[RM_ROLES] = {false};
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    wanted[role_outer(1 - side)] = lost[side] && !lost[1 - side];
    for (uint32_t box = 0; box < RM_BOXES; box++) wanted[role_box(box, side)] = lost[side] && mode == RM_PROPAGATE_BOTH;
  }
  for (uint32_t r = 0; r < p->roles; r++) {
    struct port *port = &p->port[r];
    bool taken = p->board->live.port[r].taken;
    end_grace(p, port);
    /* What is down of itself cannot be taken. */
    if (wanted[r] && !taken && port->view->link) move(p, port, false);
    else if (!wanted[r] && taken) move(p, port, true);
  }
}

void propagate_close(struct plane *p) {
  for (uint32_t r = 0; r < p->roles; r++) {
    struct port *port = &p->port[r];
    while (__atomic_load_n(&port->errand, __ATOMIC_ACQUIRE)) rte_delay_us_sleep(1000);
    if (!p->board->live.port[r].taken) continue;
    port->driver->set_link(port, true);
    p->board->live.port[r].taken = 0;
  }
}

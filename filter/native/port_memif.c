/* What memif needs beside its driver.
 *
 * The driver answers its socket in DPDK's interrupt thread without a lock, so its device is stopped and started in that
 * thread as well. When the other end goes, the same thread unmaps the rings. A worker looks only at the begin of a
 * burst whether they are there, so they stay until every worker has come to the end of its turn.
 */
#include <rte_alarm.h>
#include <rte_ethdev.h>
#include <unistd.h>
#include "plane.h"

#define DIAL_NS (100 * RM_MS)  /* between two calls to a server that is not there */
#define PATIENCE_NS (2 * RM_S) /* for one that has taken the call */
#define LOOK_US 20

/* The linker gives the driver the second for the first (--wrap). */
void __real_memif_free_regions(struct rte_eth_dev *device);
void __wrap_memif_free_regions(struct rte_eth_dev *device);

static struct crew *users; /* of every memif of this process */

void memif_open(struct port *port, const char *spec, bool answered) {
  struct memif *memif = &port->memif;
  if (strncmp(spec, "memif:", 6) != 0) return;
  users = port->plane->crew;
  memif->dials = !strstr(spec, ",role=server");
  memif->called_ns = rm_mono_ns();
  memif->call = answered ? MEMIF_ANSWERED : MEMIF_UNANSWERED;
}

static void end_call(struct port *port, bool answered) {
  __atomic_store_n(&port->memif.call, answered ? MEMIF_ANSWERED : MEMIF_UNANSWERED, __ATOMIC_RELEASE);
}

/* In the interrupt thread, where links come up: one that did meanwhile is left alone. */
static void call(void *context) {
  struct port *port = context;
  struct rte_eth_link link = {0};
  bool up = rte_eth_link_get_nowait(port->dpdk, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
  if (!up) rte_eth_dev_stop(port->dpdk);
  end_call(port, up || rte_eth_dev_start(port->dpdk) == 0);
}

void memif_follow(struct port *port, uint64_t now) {
  struct memif *memif = &port->memif;
  uint32_t last = __atomic_load_n(&memif->call, __ATOMIC_ACQUIRE);
  uint64_t since = port->plane->board->live.port[port->role].link_ns;
  uint64_t wait = last == MEMIF_ANSWERED ? PATIENCE_NS : DIAL_NS;
  if (last == MEMIF_CALLING || now - since < DIAL_NS || now - memif->called_ns < wait) return;
  memif->called_ns = now;
  __atomic_store_n(&memif->call, MEMIF_CALLING, __ATOMIC_RELAXED);
  if (rte_eal_alarm_set(1, call, port) < 0) end_call(port, false);
}

void memif_close(struct port *port) {
  if (port->memif.dials) rte_eal_alarm_cancel(call, port);
}

/* The driver has said by now that it is not connected. What a worker stored when its turn began may be seen a moment
 * after what it read then, so the first look comes after a pause. */
void __wrap_memif_free_regions(struct rte_eth_dev *device) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  usleep(LOOK_US);
  for (uint32_t i = 0; users && i < users->workers; i++) {
    const struct plane *worker = users->worker[i];
    uint64_t turn = __atomic_load_n(&worker->turn, __ATOMIC_ACQUIRE);
    while (turn % 2 && __atomic_load_n(&worker->turn, __ATOMIC_ACQUIRE) == turn) usleep(LOOK_US);
  }
  __real_memif_free_regions(device);
}

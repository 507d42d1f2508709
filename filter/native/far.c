/* The far end of remote ports: two channels of a node, each joined to a local interface of a box that stands here.
 *
 *   upstream    listen:  channel 1  <->  primary-in   packet socket -- the box's client side
 *   downstream  listen:  channel 2  <->  primary-out  packet socket -- its server side
 *
 * It decides nothing: what comes by one of a pair leaves by the other. The node hears of each local carrier at once, and of
 * the end of this process; what a port does not take is dropped and counted there, as in the plane. Roles, ports, buffers and
 * the board are the plane's own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <rte_eal.h>
#include "board.h"
#include "remote.h"

#define ROLES RM_REDUNDANT_IN /* the first so many of enum rm_role */
#define REFRESH_NS (10 * RM_MS)
#define LINK_NS (50 * 1000ull)

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * RM_S + (uint64_t)t.tv_nsec;
}

static bool move(struct plane *p, uint32_t from, uint32_t to) {
  struct rte_mbuf *frame[RM_BURST];
  struct port *in = &p->port[from], *out = &p->port[to];
  uint16_t n = in->driver->receive(in, frame, RM_BURST);
  if (n == 0) return false;
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < n; i++) bytes += frame[i]->pkt_len;
  in->view->rx_packets += n;
  in->view->rx_bytes += bytes;
  uint16_t sent = out->driver->send(out, frame, n);
  out->view->tx_packets += sent;
  for (uint16_t i = sent; i < n; i++) bytes -= frame[i]->pkt_len;
  out->view->tx_bytes += bytes;
  if (sent < n) {
    out->view->tx_full += (uint64_t)(n - sent);
    rte_pktmbuf_free_bulk(frame + sent, n - sent);
  }
  p->last_packet_ns = p->now;
  return true;
}

/* What the node hears of the local port, and wants of it. */
static void join_links(struct plane *p, uint32_t side) {
  struct port *local = &p->port[role_box(0, side)];
  struct remote *r = remote_of(&p->port[role_outer(side)]);
  bool down = r->session.open && r->peer.down;
  r->local_link = local->view->link;
  r->local_mtu = local->view->mtu;
  if (down == (local->view->taken != 0)) return;
  local->view->taken = down;
  local->driver->set_link(local, !down);
}

static bool turn(struct plane *p, uint64_t *refreshed, uint64_t *linked) {
  bool any = false;
  p->now = p->reflex.now = clock_ns(CLOCK_MONOTONIC);
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    any |= move(p, role_outer(side), role_box(0, side));
    any |= move(p, role_box(0, side), role_outer(side));
    join_links(p, side);
  }
  if (p->now - *linked >= LINK_NS) *linked = p->now, link_poll(p);
  plane_yield(p);
  if (p->now - *refreshed >= REFRESH_NS) {
    *refreshed = p->now;
    ports_refresh(p);
    p->live->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    plane_priority(p, p->live->cpu_ns);
  }
  p->live->turns++;
  p->board->live.heartbeat_ns = p->now;
  return any;
}

static int start(struct plane *p) {
  if (plane_eal(p) < 0 || crew_open(p) < 0 || memory_pool(p) < 0) return -1;
  p->roles = p->crew->roles = ROLES;
  p->now = p->reflex.now = clock_ns(CLOCK_MONOTONIC);
  p->reflex.board = p->board;
  if (ports_open(p, 0, ROLES) < 0 || link_open(p) < 0) return -1;
  bool link[RM_BOXES][RM_SIDES] = {{p->port[RM_PRIMARY_IN].view->link, p->port[RM_PRIMARY_OUT].view->link}};
  reflex_open(&p->reflex, 1, link);
  return 0;
}

/* Run a far end on a board made by rm_board_create() and set up by its caller: the first four ports, one core. Until
 * command.stop. Returns 0, or 3 with the reason in header.error. Blocks; once per process. */
RM_EXPORT int32_t rm_far_run(void *board);
RM_EXPORT int32_t rm_far_run(void *board) {
  struct plane *p = aligned_alloc(RM_CACHE_LINE, (sizeof *p + RM_CACHE_LINE - 1) & ~(size_t)(RM_CACHE_LINE - 1));
  struct rm_board *b = board;
  uint64_t refreshed = 0, linked = 0;
  if (!p) return 3;
  memset(p, 0, sizeof *p);
  p->board = b;
  b->header.state = RM_STATE_STARTING;
  prctl(PR_SET_TIMERSLACK, 1);
  setpriority(PRIO_PROCESS, 0, -20);
  if (start(p) < 0) return b->header.state = RM_STATE_FAILED, 3;
  __atomic_store_n(&b->header.state, RM_STATE_RUNNING, __ATOMIC_RELEASE);
  uint64_t spin = (uint64_t)b->setup.spin_us * 1000;
  while (!__atomic_load_n(&b->command.stop, __ATOMIC_RELAXED))
    if (!turn(p, &refreshed, &linked) && p->now - p->last_packet_ns >= spin) plane_sleep(p);
  ports_close(p, 0, ROLES);
  close(p->netlink);
  b->header.state = RM_STATE_STOPPED;
  rte_eal_cleanup();
  return 0;
}

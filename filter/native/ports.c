/* Ports: from a name in the configuration to something that moves frames.
 *
 * Kernel interfaces go by our own packet sockets (port_socket.c), made traffic by port_gen.c, what is on another machine by
 * port_remote.c, everything else by DPDK drivers (port_dpdk.c). Queues live here: a turn collects what leaves by a port and sends it at once. Every
 * worker has every port to send by; it receives from those of its side.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "plane.h"

int plane_fail(struct plane *p, const char *format, ...) {
  va_list a;
  va_start(a, format);
  vsnprintf(p->board->header.error, sizeof p->board->header.error, format, a);
  va_end(a);
  return -1;
}

static const char *const ROLE_NAME[RM_ROLES] = {
    "upstream",     "downstream",    "primary-in",     "primary-out",    "redundant-in",
    "redundant-out", "redundant-2-in", "redundant-2-out", "redundant-3-in", "redundant-3-out"};

/* The driver of a port, and what it is told. */
static const struct port_driver *driver_of(const char **spec) {
  static const struct { const char *prefix; const struct port_driver *driver; } OWN[] = {{"af_packet:", &port_socket},
                                                                                        {"gen:", &port_gen},
                                                                                        {"remote:", &port_remote},
                                                                                        {"listen:", &port_listen}};
  for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++) {
    size_t n = strlen(OWN[i].prefix);
    if (strncmp(*spec, OWN[i].prefix, n) != 0) continue;
    *spec += n;
    return OWN[i].driver;
  }
  return &port_dpdk;
}

static int port_open(struct plane *p, uint32_t role) {
  struct port *port = &p->port[role], *first = &p->crew->worker[0]->port[role];
  const char *spec = p->board->setup.spec[role], *argument = spec;
  *port = (struct port){.view = &p->live->port[role], .plane = p, .role = role, .fd = -1, .sender = p->index,
                        .receives = p->has[role_side(role)], .first = p->index ? first : NULL,
                        .carrier = {.up = -1, .down = -1}};
  const struct port_driver *driver = driver_of(&argument);
  snprintf(port->view->driver, sizeof port->view->driver, "%s", driver->name);
  if (driver->open(p, port, argument) < 0) {
    char reason[RM_ERROR_BYTES];
    snprintf(reason, sizeof reason, "%s", p->board->header.error);
    return plane_fail(p, "Cannot open port %s (%s): %.160s", ROLE_NAME[role], spec, reason);
  }
  if (!port->driver) port->driver = driver;
  return 0;
}

/* What the first worker found out of a port holds for all; the board shows it. */
static void show(struct plane *first, uint32_t role) {
  const struct rm_port *from = first->port[role].view;
  struct rm_port *board = &first->board->live.port[role];
  for (uint32_t i = 1; i < first->crew->workers; i++) first->crew->worker[i]->port[role].view->link = from->link;
  if (board != from) *board = *from;
}

/* Further boxes follow one another, each with both ports. */
uint32_t ports_count(const struct rm_setup *s) {
  uint32_t roles = RM_REDUNDANT_2_IN;
  while (roles < RM_ROLES && s->spec[roles][0] && s->spec[roles + 1][0]) roles += RM_SIDES;
  return roles;
}

int ports_open(struct plane *first, uint32_t from, uint32_t to) {
  const struct crew *crew = first->crew;
  for (uint32_t r = from; r < to; r++) {
    for (uint32_t i = 0; i < crew->workers; i++)
      if (port_open(crew->worker[i], r) < 0) return -1;
    for (uint32_t i = 0; i < crew->workers; i++) {
      struct port *port = &crew->worker[i]->port[r];
      if (port->driver->start && port->driver->start(crew->worker[i], port) < 0) return -1;
    }
    show(first, r);
  }
  return 0;
}

void ports_close(struct plane *first, uint32_t from, uint32_t to) {
  for (uint32_t i = first->crew->workers; i-- > 0;)
    for (uint32_t r = from; r < to; r++) {
      struct port *port = &first->crew->worker[i]->port[r];
      if (port->driver) port->driver->close(port);
      port->driver = NULL;
    }
}

void ports_refresh(struct plane *p) {
  for (uint32_t r = 0; r < p->roles; r++) p->port[r].driver->refresh(&p->port[r], p->now);
}

void ports_links(struct plane *p) {
  for (uint32_t r = 0; r < p->roles; r++)
    if (p->port[r].driver->link) p->port[r].driver->link(&p->port[r], p->now);
}

static uint64_t bytes_of(struct rte_mbuf *const *frames, uint16_t n) {
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < n; i++) bytes += frames[i]->pkt_len;
  return bytes;
}

/* What leaves by a port of the standby are copies: losing one is no loss of traffic. */
static bool is_standby(const struct plane *p, uint32_t role) {
  return role >= RM_PRIMARY_IN && serving(p) >= 0 && serving(p) != (int)role_of_box(role);
}

/* Another worker sends for this one. */
static void hand_over(struct plane *p, struct port *port, uint16_t n) {
  for (uint16_t i = 0; i < n; i++) {
    struct message m = {.kind = MESSAGE_FRAME, .slot = port->role, .pointer = port->queue[i]};
    if (crossing_put(p->crew->crossing[port->sender][p->index], &m)) continue;
    count(p, RM_COUNT_HANDOVER_FULL, 1, port->queue[i]->pkt_len);
    rte_pktmbuf_free(port->queue[i]);
  }
  crew_wake(p->crew, port->sender);
}

void port_flush(struct plane *p, struct port *port) {
  uint16_t n = port->queued;
  uint64_t bytes = port->queued_bytes; /* what is sent is no longer ours to look at */
  if (n == 0) return;
  port->queued = 0;
  port->queued_bytes = 0;
  if (p->tally.untold) crew_report(p);
  if (port->sender != p->index) return hand_over(p, port, n);
  capture_frames(p, RM_TAP_OUT, port->role, port->queue, n);
  uint16_t sent = port->driver->send(port, port->queue, n), left = n - sent;
  /* A full port drops here and nowhere else: waiting would stop every other port. */
  uint64_t lost = left ? bytes_of(port->queue + sent, left) : 0;
  port->view->tx_packets += sent;
  port->view->tx_bytes += bytes - lost;
  if (left == 0) return;
  port->view->tx_full += left;
  count(p, is_standby(p, port->role) ? RM_COUNT_MIRROR_FULL : RM_COUNT_TX_FULL, left, lost);
  rte_pktmbuf_free_bulk(port->queue + sent, left);
}

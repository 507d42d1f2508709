/* Carrier of kernel interfaces, told by rtnetlink: the loop reads one non-blocking socket.
 *
 * DPDK drivers of real NICs are asked for their link state by ports_links() instead.
 */
#include <errno.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "plane.h"

int link_open(struct plane *p) {
  struct sockaddr_nl from = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
  p->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (p->netlink < 0 || bind(p->netlink, (struct sockaddr *)&from, sizeof from) < 0)
    return plane_fail(p, "Cannot watch links: %s", strerror(errno));
  return 0;
}

/* Worker 0 tells everybody, and is told by the others. */
void link_set(struct plane *p, struct port *port, bool up) {
  if (port->view->link == (up ? 1u : 0u)) return;
  if (p->index) {
    crew_send(p, 0, &(struct message){.kind = MESSAGE_LINK, .slot = port->role});
    return crew_wake(p->crew, 0);
  }
  struct rm_port *board = &p->board->live.port[port->role];
  for (uint32_t i = 0; i < p->crew->workers; i++)
    __atomic_store_n(&p->crew->worker[i]->port[port->role].view->link, up, __ATOMIC_RELAXED);
  board->link = up;
  board->link_changes++;
  board->link_ns = p->now;
  if (!propagate_hides(p, port)) reflex_link(&p->reflex, port->role, up);
}

static void take(struct plane *p, const struct nlmsghdr *h) {
  const struct ifinfomsg *i = NLMSG_DATA(h);
  bool up = h->nlmsg_type == RTM_NEWLINK && (i->ifi_flags & IFF_UP) && (i->ifi_flags & IFF_LOWER_UP);
  for (uint32_t r = 0; r < p->roles; r++) {
    struct port *port = &p->port[r];
    if (port->interface != i->ifi_index) continue;
    /* The message may be older than what a refused frame has told. */
    link_set(p, port, up && carrier_read(&port->carrier) != CARRIER_DOWN);
  }
}

/* The socket overflowed: what was lost is unknown, so ask for everything again. */
static void ask_again(struct plane *p) {
  struct { struct nlmsghdr h; struct ifinfomsg i; } ask = {
      .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_GETLINK,
            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
  (void)!send(p->netlink, &ask, ask.h.nlmsg_len, 0);
}

void link_poll(struct plane *p) {
  static _Alignas(8) char buffer[16384];
  for (;;) {
    ssize_t n = recv(p->netlink, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && errno == ENOBUFS) {
      ask_again(p);
      continue;
    }
    if (n <= 0) return;
    int left = (int)n;
    for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, (uint32_t)left); h = NLMSG_NEXT(h, left))
      if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK) take(p, h);
  }
}

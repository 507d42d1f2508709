/* A kernel interface as a port: one packet socket, whole bursts per system call, frames straight
 * into and out of packet buffers.
 *
 * Every worker has a socket of its own to send by. Several that receive share the frames by the kernel's symmetric hash
 * (PACKET_FANOUT_HASH), in the order in which they joined, so that a flow has the same worker on every port.
 *
 * Why not DPDK's af_packet driver: it puts back every VLAN tag the kernel took off as 802.1Q, which turns the
 * outer tag of QinQ into another protocol; it hides its descriptors, so the loop could not sleep on
 * them; and it does not follow the carrier. The kernel tells the tag's real protocol, so the wire stays a wire.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rte_malloc.h>
#include "plane.h"

#define BUFFER_BYTES (8 << 20) /* 5,000 full frames: 5 ms at 10 Gbit/s, a stall of the node's own */
#define TAG_BYTES 4
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000 /* Linux 5.19 */
#endif
#define ASK_NS 50000ull          /* asking costs some microseconds */
#define HOLD_DOWN_NS (50 * RM_MS) /* the kernel's own word on a link is older than this at most */

/* What one burst needs beside the frames; receive buffers stay allocated between calls. */
struct scratch {
  struct rte_mbuf *ready[RM_BURST];
  struct mmsghdr message[RM_BURST];
  struct iovec vector[RM_BURST];
  char control[RM_BURST][CMSG_SPACE(sizeof(struct tpacket_auxdata))] __attribute__((aligned(8)));
  struct mmsghdr out[RM_QUEUE];
  struct iovec out_vector[RM_QUEUE];
};

static int interface_number(int fd, const char *name, int request, struct ifreq *r) {
  memset(r, 0, sizeof *r);
  snprintf(r->ifr_name, sizeof r->ifr_name, "%s", name);
  return ioctl(fd, request, r);
}

static int set_options(struct plane *p, int fd, int index) {
  int on = 1, bytes = BUFFER_BYTES;
  struct packet_mreq all = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
  if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0)
    return plane_fail(p, "no promiscuous mode: %s", strerror(errno));
  if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0)
    return plane_fail(p, "the kernel gives no PACKET_AUXDATA: %s", strerror(errno));
  /* What we send ourselves must not come back as received. */
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0)
    return plane_fail(p, "the kernel gives no PACKET_IGNORE_OUTGOING (needs 4.20): %s", strerror(errno));
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  return 0;
}

static int read_interface(struct plane *p, struct port *port, const char *name) {
  struct ifreq r;
  if (interface_number(port->fd, name, SIOCGIFHWADDR, &r) < 0) return plane_fail(p, "%s", strerror(errno));
  memcpy(port->view->mac, r.ifr_hwaddr.sa_data, 6);
  if (interface_number(port->fd, name, SIOCGIFMTU, &r) < 0) return plane_fail(p, "%s", strerror(errno));
  port->view->mtu = (uint32_t)r.ifr_mtu;
  if (interface_number(port->fd, name, SIOCGIFFLAGS, &r) < 0) return plane_fail(p, "%s", strerror(errno));
  if (!(r.ifr_flags & IFF_UP)) {
    r.ifr_flags |= IFF_UP;
    if (ioctl(port->fd, SIOCSIFFLAGS, &r) < 0) return plane_fail(p, "interface is down: %s", strerror(errno));
    interface_number(port->fd, name, SIOCGIFFLAGS, &r);
  }
  port->view->link = (r.ifr_flags & IFF_RUNNING) != 0;
  return 0;
}

static void socket_close(struct port *port) {
  struct scratch *s = (struct scratch *)port->scratch;
  if (port->fd >= 0) close(port->fd);
  if (s)
    for (int i = 0; i < RM_BURST; i++) rte_pktmbuf_free(s->ready[i]);
  rte_free(s);
  if (!port->first) carrier_close(&port->carrier);
  port->fd = -1;
  port->scratch = NULL;
}

/* Take no frame until all have joined, or those that came before would be there twice. */
static int shut(struct plane *p, int fd) {
  struct sock_filter nothing = {BPF_RET | BPF_K, 0, 0, 0};
  struct sock_fprog program = {1, &nothing};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0) return 0;
  return plane_fail(p, "the kernel gives no SO_ATTACH_FILTER: %s", strerror(errno));
}

/* Share what arrives with the sockets of the workers before this one. The kernel chooses the group's number. */
static int join(struct plane *p, struct port *port) {
  const struct port *first = &p->crew->worker[crew_worker(p->crew, role_side(port->role), 0)]->port[port->role];
  int how = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING, group = 0;
  socklen_t bytes = sizeof group;
  if (port == first) how |= PACKET_FANOUT_FLAG_UNIQUEID;
  else if (getsockopt(first->fd, SOL_PACKET, PACKET_FANOUT, &group, &bytes) < 0)
    return plane_fail(p, "no PACKET_FANOUT: %s", strerror(errno));
  int argument = (group & 0xffff) | how << 16;
  if (setsockopt(port->fd, SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument) == 0) return 0;
  return plane_fail(p, "the kernel cannot share its frames among %u workers (needs 5.19): %s", p->crew->queues,
                    strerror(errno));
}

static bool is_shared(const struct port *port) { return port->receives && port->plane->crew->queues > 1; }

static int bind_socket(struct plane *p, struct port *port) {
  /* Without a protocol it sends and never receives. */
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = port->receives ? htons(ETH_P_ALL) : 0,
                           .sll_ifindex = port->interface};
  if (is_shared(port) && shut(p, port->fd) < 0) return -1;
  if (bind(port->fd, (struct sockaddr *)&to, sizeof to) < 0)
    return plane_fail(p, "cannot bind a packet socket: %s", strerror(errno));
  return is_shared(port) ? join(p, port) : 0;
}

static int socket_open(struct plane *p, struct port *port, const char *name) {
  port->interface = (int)if_nametoindex(name);
  if (port->interface == 0) return plane_fail(p, "there is no interface %s", name);
  port->scratch = rte_zmalloc("socket", sizeof(struct scratch), 0);
  if (!port->scratch) return plane_fail(p, "no memory");
  /* Protocol 0 until bound: frames of other interfaces must never arrive here. */
  port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (port->fd < 0) {
    plane_fail(p, "packet sockets need CAP_NET_RAW and CONFIG_PACKET: %s", strerror(errno));
    return socket_close(port), -1;
  }
  if (set_options(p, port->fd, port->interface) < 0 || read_interface(p, port, name) < 0 || bind_socket(p, port) < 0)
    return socket_close(port), -1;
  if (port->first) port->carrier = port->first->carrier;
  else carrier_open(&port->carrier, name, port->interface);
  return 0;
}

static int socket_start(struct plane *p, struct port *port) {
  int none = 0;
  if (!is_shared(port) || setsockopt(port->fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none) == 0) return 0;
  return plane_fail(p, "the kernel gives no SO_DETACH_FILTER: %s", strerror(errno));
}

/* Put back a tag the kernel took off, with its own protocol. Returns false when there is no room. */
static bool restore_tag(struct rte_mbuf *m, const struct msghdr *header) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR((struct msghdr *)header, c)) {
    if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
    struct tpacket_auxdata a;
    memcpy(&a, CMSG_DATA(c), sizeof a);
    if (!(a.tp_status & TP_STATUS_VLAN_VALID)) return true;
    uint16_t protocol = (a.tp_status & TP_STATUS_VLAN_TPID_VALID) ? a.tp_vlan_tpid : ETHERTYPE_VLAN;
    uint8_t *start = (uint8_t *)rte_pktmbuf_prepend(m, TAG_BYTES);
    if (!start) return false;
    memmove(start, start + TAG_BYTES, 2 * ETHER_ADDR_LEN);
    uint16_t tag[2] = {htons(protocol), htons(a.tp_vlan_tci)};
    memcpy(start + 2 * ETHER_ADDR_LEN, tag, sizeof tag);
    return true;
  }
  return true;
}

static uint16_t prepare(struct port *port, struct scratch *s, uint16_t n) {
  for (uint16_t i = 0; i < n; i++) {
    if (!s->ready[i]) s->ready[i] = rte_pktmbuf_alloc(port->plane->pool);
    struct rte_mbuf *m = s->ready[i];
    if (!m) return i;
    s->vector[i] = (struct iovec){rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m)};
    s->message[i].msg_hdr = (struct msghdr){.msg_iov = &s->vector[i], .msg_iovlen = 1,
                                            .msg_control = s->control[i], .msg_controllen = sizeof s->control[i]};
  }
  return n;
}

static uint16_t socket_receive(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  struct scratch *s = (struct scratch *)port->scratch;
  uint16_t room = prepare(port, s, n > RM_BURST ? RM_BURST : n), kept = 0;
  if (room == 0) return 0;
  int got = recvmmsg(port->fd, s->message, room, MSG_DONTWAIT | MSG_TRUNC, NULL);
  for (int i = 0; i < got; i++) {
    struct rte_mbuf *m = s->ready[i];
    uint32_t bytes = s->message[i].msg_len;
    s->ready[i] = NULL;
    if (bytes > s->vector[i].iov_len) {
      count(port->plane, RM_COUNT_TOO_BIG, 1, bytes);
      rte_pktmbuf_free(m);
      continue;
    }
    m->data_len = (uint16_t)bytes;
    m->pkt_len = bytes;
    if (restore_tag(m, &s->message[i].msg_hdr)) frames[kept++] = m;
    else rte_pktmbuf_free(m);
  }
  return kept;
}

/* Frames of this port that the kernel refuses one by one, larger than its MTU above all: dropped here. */
static void refuse(struct port *port, const struct rte_mbuf *frame) {
  port->view->tx_full++;
  count(port->plane, RM_COUNT_TOO_BIG, 1, frame->pkt_len);
}

/* A carrier that is gone refuses every frame at once, while the news of it waits for a kernel worker, which on a busy
 * machine takes milliseconds. A queue that is full refuses them as well: so the kernel is asked which of the two it is. */
static void refused(struct port *port) {
  struct plane *p = port->plane;
  if (p->now - port->asked_ns < ASK_NS) return;
  port->asked_ns = p->now;
  if (carrier_read(&port->carrier) == CARRIER_DOWN) link_set(p, port, false);
}

static uint16_t socket_send(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  struct scratch *s = (struct scratch *)port->scratch;
  for (uint16_t i = 0; i < n; i++) {
    s->out_vector[i] = (struct iovec){rte_pktmbuf_mtod(frames[i], void *), frames[i]->data_len};
    s->out[i].msg_hdr = (struct msghdr){.msg_iov = &s->out_vector[i], .msg_iovlen = 1};
  }
  uint16_t sent = 0;
  while (sent < n) {
    int now = sendmmsg(port->fd, s->out + sent, n - sent, MSG_DONTWAIT);
    if (now > 0) {
      sent = (uint16_t)(sent + now);
    } else if (errno == EMSGSIZE || errno == EINVAL) {
      refuse(port, frames[sent++]);
    } else if (errno != EINTR) {
      if (errno == ENOBUFS || errno == ENETDOWN || errno == ENXIO) refused(port);
      break; /* full or down: the rest is dropped and counted by the caller */
    }
  }
  rte_pktmbuf_free_bulk(frames, sent);
  return sent;
}

/* Asked now and then in case a message about the link was lost. */
static void read_link(struct port *port, uint64_t now) {
  struct ifreq r;
  if (now - port->plane->board->live.port[port->role].link_ns < HOLD_DOWN_NS) return;
  memset(&r, 0, sizeof r);
  r.ifr_ifindex = port->interface;
  if (ioctl(port->fd, SIOCGIFNAME, &r) < 0 || ioctl(port->fd, SIOCGIFFLAGS, &r) < 0)
    return link_set(port->plane, port, false); /* the interface is gone */
  enum carrier_state carrier = carrier_read(&port->carrier);
  bool up = carrier == CARRIER_UNKNOWN ? (r.ifr_flags & IFF_RUNNING) : carrier == CARRIER_UP;
  link_set(port->plane, port, (r.ifr_flags & IFF_UP) && up);
}

static void socket_refresh(struct port *port, uint64_t now) {
  struct tpacket_stats s;
  socklen_t bytes = sizeof s;
  /* Reading clears it in the kernel. */
  if (port->receives && getsockopt(port->fd, SOL_PACKET, PACKET_STATISTICS, &s, &bytes) == 0)
    port->view->rx_missed += s.tp_drops;
  if (!port->first) read_link(port, now);
}

/* By the flag of the interface: whoever stands behind it loses the carrier. */
void interface_set_link(struct port *port, bool up) {
  struct ifreq r;
  memset(&r, 0, sizeof r);
  r.ifr_ifindex = port->interface;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  if (ioctl(fd, SIOCGIFNAME, &r) == 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0) {
    r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
    ioctl(fd, SIOCSIFFLAGS, &r);
  }
  close(fd);
}

const struct port_driver port_socket = {"af_packet", socket_open, socket_start, socket_receive, socket_send, socket_refresh,
                                        NULL, socket_close, interface_set_link};

/* A port whose interface is on another machine, reached by a channel over UDP (remote.h).
 *
 * One worker has the channel of a port, and the others of its side hand over what they send. What the channel does not take,
 * for want of room in the kernel or of a session, is refused as by any other port, so a slow network costs copies while the
 * box stands by and nothing else ever.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <rte_malloc.h>
#include "remote.h"

#define BUFFER_BYTES (8 << 20) /* as port_socket.c */
#define BURSTS 4               /* read in a turn, at most */

static int open_socket(struct plane *p, struct port *port, const struct remote_settings *s) {
  int bytes = BUFFER_BYTES, always = IP_PMTUDISC_DO;
  const struct sockaddr_storage *local = s->listens ? &s->at : &s->local;
  socklen_t local_bytes = s->listens ? s->at_bytes : s->local_bytes;
  int fd = socket(s->at.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return plane_fail(p, "no UDP socket: %s", strerror(errno));
  port->fd = fd;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  /* A router that has to cut datagrams says so instead. */
  if (s->at.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &always, sizeof always);
  else setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &always, sizeof always);
  if (local_bytes && bind(fd, (const struct sockaddr *)local, local_bytes) < 0)
    return plane_fail(p, "cannot bind its address: %s", strerror(errno));
  /* Without a route it waits for one. */
  if (!s->listens) (void)!connect(fd, (const struct sockaddr *)&s->at, s->at_bytes);
  return 0;
}

static int make(struct plane *p, struct remote *r) {
  uint8_t fresh[CHANNEL_NONCE];
  struct channel_unit *units = rte_zmalloc("remote", REMOTE_UNITS * sizeof *units, 0);
  struct channel_place *places = rte_zmalloc("remote", REMOTE_WINDOW * sizeof *places, 0);
  uint8_t *memory = rte_malloc("remote", r->set.ring_bytes, 0);
  r->buffer = rte_malloc("remote", REMOTE_BATCH * sizeof *r->buffer, 0);
  r->incoming = rte_malloc("remote", REMOTE_BATCH * sizeof *r->incoming, 0);
  r->out.unit = units, r->out.memory = memory, r->in.place = places;
  if (!units || !places || !memory || !r->buffer || !r->incoming) return plane_fail(p, "no memory (raise plane.memory_mib)");
  channel_out_open(&r->out, units, REMOTE_UNITS, memory, r->set.ring_bytes);
  channel_in_open(&r->in, places, REMOTE_WINDOW);
  r->in.wait_ns = r->set.wait_ns;
  r->in.reorder_ns = r->set.reorder_ns;
  if (getentropy(fresh, sizeof fresh) < 0) return plane_fail(p, "Cannot read random numbers");
  channel_session_open(&r->session, fresh);
  return 0;
}

static void remote_close(struct port *port) {
  struct remote *r = (struct remote *)port->scratch;
  if (port->first || !r) return;
  remote_bye(r);
  for (void *frame; (frame = channel_drain(&r->in));) rte_pktmbuf_free(frame);
  rte_pktmbuf_free(r->partial);
  channel_seal_close(&r->seal), channel_seal_close(&r->unseal);
  memset(&r->set.secret, 0, sizeof r->set.secret);
  rte_free(r->out.unit), rte_free(r->out.memory), rte_free(r->in.place), rte_free(r->buffer), rte_free(r->incoming);
  rte_free(r);
  port->scratch = NULL;
  if (port->fd >= 0) close(port->fd);
  port->fd = -1;
}

/* The first worker makes it, the one that receives from the port uses it. */
static int open_remote(struct plane *p, struct port *port, const char *argument, bool listens) {
  uint32_t owner = crew_worker(p->crew, role_side(port->role), 0);
  port->sender = owner;
  if (p->crew->queues > 1)
    return plane_fail(p, "its frames come by one socket, so plane.cores = %u cannot share them: 1 and 2 can", p->crew->workers);
  if (port->first) {
    struct remote *r = remote_of(port);
    port->fd = port->first->fd;
    if (p->index == owner) r->port = port;
    return 0;
  }
  struct remote *r = rte_zmalloc("remote", sizeof *r, 0);
  if (!r) return plane_fail(p, "no memory");
  port->scratch = (uint8_t *)r;
  r->port = port;
  r->local_link = true;
  r->local_mtu = p->board->setup.frame_bytes_max - 18; /* Ethernet header and a tag */
  if (remote_parse(p, argument, &r->set) < 0) return remote_close(port), -1;
  r->set.listens = listens;
  r->set.vni = 1 + role_side(port->role);
  r->seal.encrypts = r->unseal.encrypts = r->set.encrypts;
  if (open_socket(p, port, &r->set) < 0 || make(p, r) < 0) return remote_close(port), -1;
  remote_measure(r);
  port->view->mtu = r->local_mtu;
  p->board->live.channel[port->role].present = 1;
  return 0;
}

static int remote_open(struct plane *p, struct port *port, const char *argument) { return open_remote(p, port, argument, false); }
static int listen_open(struct plane *p, struct port *port, const char *argument) { return open_remote(p, port, argument, true); }

/* Both ports of a box are to be one box's: what the node puts into it by one and then by the other must arrive so. */
static int remote_start(struct plane *p, struct port *port) {
  const struct port *first = &p->crew->worker[0]->port[port->role], *other = &p->crew->worker[0]->port[port->role ^ 1];
  if (p->index || other->driver != first->driver) return 0;
  remote_of(first)->sibling = remote_of(other);
  remote_of(other)->sibling = remote_of(first);
  return 0;
}

/* To worker 0 a lost carrier is told at once, one that came back when it looks. */
static void follow_carrier(struct remote *r) {
  if (__atomic_exchange_n(&r->carrier, r->up, __ATOMIC_RELAXED) == r->up) return;
  if (!r->up || r->port->plane->index == 0) link_set(r->port->plane, r->port, r->up);
}

static uint16_t remote_receive(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  struct remote *r = remote_of(port);
  uint16_t got = remote_pull(r, frames, n);
  for (int burst = 0; burst < BURSTS && got < n; burst++) {
    int read = remote_read(r);
    got = (uint16_t)(got + remote_pull(r, frames + got, (uint16_t)(n - got)));
    if (read < (int)REMOTE_BATCH) break;
  }
  remote_tick(r, port->plane->now);
  got = (uint16_t)(got + remote_pull(r, frames + got, (uint16_t)(n - got)));
  follow_carrier(r);
  port->wake_ns = remote_due(r);
  return got;
}

static uint16_t port_remote_send(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  struct remote *r = remote_of(port);
  uint16_t sent = r->up ? remote_send(r, frames, n) : 0;
  rte_pktmbuf_free_bulk(frames, sent);
  uint64_t due = remote_due(r);
  if (due < port->wake_ns) port->wake_ns = due;
  return sent;
}

/* By the channel's own worker alone; there is no other writer. */
static void show(struct remote *r) {
  struct rm_channel *c = &r->port->plane->board->live.channel[r->port->role];
  c->open = r->session.open;
  c->unit_bytes = r->unit_bytes;
  c->sessions = r->sessions;
  c->sent = r->units, c->again = r->out.again, c->gone = r->out.gone, c->shed = r->out.shed;
  c->received = r->received, c->asked = r->in.asked, c->recovered = r->in.recovered, c->lost = r->in.lost;
  c->repeated = r->in.repeated, c->beyond = r->in.beyond, c->torn = r->torn, c->refused = r->refused;
  c->far_lost = r->peer_lost;
  c->rtt_ns = r->rtt_ns;
}

static void remote_refresh(struct port *port, uint64_t now) {
  struct remote *r = remote_of(port);
  if (r->port == port) {
    show(r);
    if (now - r->route_ns >= RM_S) r->route_ns = now, remote_measure(r);
  }
  if (port->first) return;
  /* There by one port and back by the other; silence is worker 0's to judge. */
  if (port->role >= RM_PRIMARY_IN && !r->set.listens)
    for (uint32_t side = 0; side < RM_SIDES; side++)
      port->plane->reflex.box[role_of_box(port->role)].learnt[side].slack_ns = 2 * __atomic_load_n(&r->slack_ns, __ATOMIC_RELAXED);
  link_set(port->plane, port, __atomic_load_n(&r->carrier, __ATOMIC_RELAXED));
}

/* The far end does it, and says that its port has no carrier. */
static void remote_set_link(struct port *port, bool up) { __atomic_store_n(&remote_of(port)->want_down, !up, __ATOMIC_RELAXED); }

const struct port_driver port_remote = {"remote", remote_open, remote_start, remote_receive, port_remote_send, remote_refresh,
                                        NULL, remote_close, remote_set_link};
/* Of the far end: it waits to be called. */
const struct port_driver port_listen = {"listen", listen_open, remote_start, remote_receive, port_remote_send, remote_refresh,
                                        NULL, remote_close, remote_set_link};

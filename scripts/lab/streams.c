/* Two UDP streams there and back, past a box that fails: when did the first frame take the other path, what was lost?
 *
 *   streams FROM TO ADDRESS PPS FLOWS MS                          no failure
 *   streams FROM TO ADDRESS PPS FLOWS MS at WALL_S                something else fails then, to the nanosecond
 *   streams FROM TO ADDRESS PPS FLOWS MS cut BOX PEER AT_MS IF... takes these interfaces of BOX down
 *
 * FROM, TO, BOX and PEER are names of namespaces; PEER is where the far ends of the interfaces are. One stream is a
 * datagram a millisecond, the other PPS over FLOWS flows; the far end echoes. One process has both ends, so all times are
 * of one clock, and arrivals are stamped by the kernel. The redundant box sets a DSCP: what has it came by the other path.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define MAGIC 0x524d5354u
#define PORT 7002
#define STREAMS 2
#define FLOWS_MAX 64
#define PROBE_NS 1000000ull
#define CATCH_UP 32           /* datagrams a late sender makes up for; more would measure its burst */
#define LINGER_NS 300000000ull
#define FLIGHT_NS 20000000ull /* what was sent so long before the event had arrived by then */

struct message { uint32_t magic, stream, flow, sequence; uint8_t pad[48]; };
struct mark { uint64_t sent, up, down; uint32_t flow; bool up_other, down_other; };
struct stream {
  struct mark *mark;
  uint32_t sent, max;
  uint64_t late, duplicates, reordered;
  uint32_t highest[2][FLOWS_MAX + 1];
};
struct run {
  struct stream stream[STREAMS];
  int client[FLOWS_MAX + 1], server; /* client 0 is the probe's */
  uint32_t flows;
  uint64_t start_ns, interval_ns, ms;
  uint64_t event_ns, acted_ns, noticed_ns; /* 0: none */
  const char *box, *peer;
  uint64_t cut_ms;
  char **interface;
  int interfaces;
  volatile bool over;
};

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}
static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static void die(const char *what) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
  exit(1);
}

static void enter(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) die("enter the namespace");
  close(fd);
}

static int udp_socket(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, bytes = 4 << 20;
  if (fd < 0) die("make a socket");
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  return fd;
}

static void open_ends(struct run *r, const char *from, const char *to, const char *address) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)}, any = a;
  if (inet_pton(AF_INET, address, &a.sin_addr) != 1) die("read the address");
  enter(to);
  r->server = udp_socket();
  if (bind(r->server, (struct sockaddr *)&any, sizeof any) < 0) die("bind the port");
  enter(from);
  for (uint32_t i = 0; i <= r->flows; i++) {
    r->client[i] = udp_socket();
    if (connect(r->client[i], (struct sockaddr *)&a, sizeof a) < 0) die("connect");
  }
}

struct arrival { struct message m; struct sockaddr_in from; uint64_t ns; bool other; };

/* The kernel stamps with the wall clock; the offset is taken at each reading, so a step of it does no harm. */
static void read_control(struct msghdr *h, struct arrival *a) {
  uint64_t wall = clock_ns(CLOCK_REALTIME);
  a->ns = now_ns();
  a->other = false;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) a->other = *CMSG_DATA(c) != 0;
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    struct timespec t;
    memcpy(&t, CMSG_DATA(c), sizeof t);
    uint64_t stamp = (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
    if (stamp < wall && wall - stamp < NS) a->ns -= wall - stamp;
  }
}

static bool receive(int fd, struct arrival *a) {
  for (;;) {
    char control[128];
    struct iovec v = {.iov_base = &a->m, .iov_len = sizeof a->m};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control,
                       .msg_name = &a->from, .msg_namelen = sizeof a->from};
    ssize_t n = recvmsg(fd, &h, 0);
    if (n < 0 && errno == EAGAIN) return false;
    if (n < (ssize_t)sizeof a->m || a->m.magic != MAGIC || a->m.stream >= STREAMS || a->m.flow > FLOWS_MAX) continue;
    read_control(&h, a);
    return true;
  }
}

static void note(struct run *r, const struct arrival *a, uint32_t way) {
  struct stream *s = &r->stream[a->m.stream];
  if (a->m.sequence >= s->max) return;
  struct mark *m = &s->mark[a->m.sequence];
  uint64_t *at = way ? &m->down : &m->up;
  if (*at) {
    s->duplicates++;
    return;
  }
  *at = a->ns;
  *(way ? &m->down_other : &m->up_other) = a->other;
  uint32_t *highest = &s->highest[way][a->m.flow];
  if (a->m.sequence + 1 < *highest) s->reordered++;
  else *highest = a->m.sequence + 1;
}

static void *receive_loop(void *argument) {
  struct run *r = argument;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t i = 0; i <= r->flows + 1; i++) {
    int fd = i > r->flows ? r->server : r->client[i];
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0) die("watch a socket");
  }
  while (!r->over) {
    struct epoll_event e[16];
    int n = epoll_wait(epoll, e, 16, 20);
    for (int i = 0; i < n; i++) {
      struct arrival a;
      bool server = e[i].data.fd == r->server;
      while (receive(e[i].data.fd, &a)) {
        if (server) sendto(r->server, &a.m, sizeof a.m, 0, (struct sockaddr *)&a.from, sizeof a.from);
        note(r, &a, server ? 0 : 1);
      }
    }
  }
  close(epoll);
  return NULL;
}

static void send_one(struct run *r, uint32_t stream, uint32_t flow) {
  struct stream *s = &r->stream[stream];
  if (s->sent >= s->max) return;
  struct message m = {.magic = MAGIC, .stream = stream, .flow = flow, .sequence = s->sent};
  struct mark *mark = &s->mark[s->sent++];
  mark->flow = flow;
  mark->sent = now_ns();
  if (send(r->client[flow], &m, sizeof m, 0) < 0) return; /* refused: the echo will be missing */
}

/* Numbers of datagrams that are due by now; a sender that was kept off the processor makes up for a few. */
static void send_due(struct run *r, uint32_t stream, uint64_t now, uint64_t interval) {
  struct stream *s = &r->stream[stream];
  uint64_t due = (now - r->start_ns) / interval, made = s->sent + s->late;
  if (due > made + CATCH_UP) s->late += due - made - CATCH_UP;
  for (made = s->sent + s->late; made < due; made++) send_one(r, stream, stream ? 1 + s->sent % r->flows : 0);
}

static void send_all(struct run *r) {
  uint64_t end = r->start_ns + r->ms * 1000000, next = r->start_ns;
  for (uint64_t now = now_ns(); now < end; now = now_ns()) {
    send_due(r, 0, now, PROBE_NS);
    send_due(r, 1, now, r->interval_ns);
    next += r->interval_ns;
    if (next < now) next = now;
    struct timespec t = {.tv_sec = (time_t)(next / NS), .tv_nsec = (long)(next % NS)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
  }
}

struct link_request { struct nlmsghdr h; struct ifinfomsg i; };

static int link_socket(const char *ns, uint32_t groups) {
  struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = groups};
  enter(ns);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) die("open a netlink socket");
  return fd;
}

/* When the far end's namespace is told of the first link without carrier. */
static void *watch_links(void *argument) {
  struct run *r = argument;
  int fd = link_socket(r->peer, RTMGRP_LINK);
  while (!r->over && !r->noticed_ns) {
    char buffer[16384];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, 50) <= 0) continue;
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    uint64_t at = now_ns();
    for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
      struct ifinfomsg *i = NLMSG_DATA(h);
      bool dark = h->nlmsg_type == RTM_NEWLINK && (i->ifi_flags & IFF_UP) && !(i->ifi_flags & IFF_RUNNING);
      if (dark && r->event_ns && !r->noticed_ns) r->noticed_ns = at;
    }
  }
  close(fd);
  return NULL;
}

/* Both requests in one system call: a box that loses power takes both links with it. */
static void *cut_links(void *argument) {
  struct run *r = argument;
  int fd = link_socket(r->box, 0);
  struct link_request request[4] = {0};
  for (int i = 0; i < r->interfaces; i++) {
    request[i].h = (struct nlmsghdr){.nlmsg_len = sizeof *request, .nlmsg_type = RTM_NEWLINK,
                                     .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK, .nlmsg_seq = (uint32_t)i};
    request[i].i = (struct ifinfomsg){.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(r->interface[i]),
                                      .ifi_change = IFF_UP};
    if (request[i].i.ifi_index == 0) die("find the interface");
  }
  uint64_t at = r->start_ns + r->cut_ms * 1000000;
  struct timespec t = {.tv_sec = (time_t)(at / NS), .tv_nsec = (long)(at % NS)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
  r->event_ns = now_ns();
  if (send(fd, request, sizeof *request * (size_t)r->interfaces, 0) < 0) die("take the links down");
  r->acted_ns = now_ns();
  close(fd);
  return NULL;
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* Longest time without an arrival that ends after the event; without an event, of all. When the last was sent, the next
 * arrival would have been due. */
static uint64_t longest_gap(const struct run *r, const struct stream *s, bool down) {
  uint64_t *at = calloc(s->sent + 2u, sizeof *at), gap = 0;
  uint32_t n = 0;
  if (!at) die("allocate memory");
  for (uint32_t i = 0; i < s->sent; i++) {
    uint64_t ns = down ? s->mark[i].down : s->mark[i].up;
    if (ns) at[n++] = ns;
  }
  qsort(at, n, sizeof *at, by_value);
  if (s->sent && s->mark[s->sent - 1].sent > (n ? at[n - 1] : 0)) at[n++] = s->mark[s->sent - 1].sent;
  for (uint32_t i = 1; i < n; i++)
    if (at[i] >= r->event_ns && at[i] - at[i - 1] > gap) gap = at[i] - at[i - 1];
  free(at);
  return gap;
}

struct finding { uint64_t lost, lost_before, other_before, first_other; };

static struct finding judge(const struct run *r, const struct stream *s) {
  struct finding f = {0};
  for (uint32_t i = 0; i < s->sent; i++) {
    const struct mark *m = &s->mark[i];
    uint64_t up = m->up_other ? m->up : 0, down = m->down_other ? m->down : 0;
    if (!m->down) *(r->event_ns && m->sent + FLIGHT_NS < r->event_ns ? &f.lost_before : &f.lost) += 1;
    uint64_t other = up && (!down || up < down) ? up : down;
    if (!other) continue;
    if (!r->event_ns || other < r->event_ns) f.other_before++;
    else if (!f.first_other || other - r->event_ns < f.first_other) f.first_other = other - r->event_ns;
  }
  return f;
}

static void report(const struct run *r) {
  uint64_t event = r->event_ns;
  printf("{\"eventNs\":%lu,\"actedNs\":%lu,\"noticedNs\":%lu,\"streams\":[", event, r->acted_ns ? r->acted_ns - event : 0,
         r->noticed_ns ? r->noticed_ns - event : 0);
  for (uint32_t i = 0; i < STREAMS; i++) {
    const struct stream *s = &r->stream[i];
    struct finding f = judge(r, s);
    printf("%s{\"sent\":%u,\"late\":%lu,\"lost\":%lu,\"lostBefore\":%lu,\"duplicates\":%lu,\"reordered\":%lu,"
           "\"otherBefore\":%lu,\"firstOtherNs\":%lu,\"gapUpNs\":%lu,\"gapDownNs\":%lu}",
           i ? "," : "", s->sent, s->late, f.lost, f.lost_before, s->duplicates, s->reordered, f.other_before,
           f.first_other, longest_gap(r, s, false), longest_gap(r, s, true));
  }
  printf("]}\n");
}

static void prepare(struct run *r, int argc, char **argv) {
  uint64_t pps = strtoull(argv[4], NULL, 10);
  r->flows = (uint32_t)atoi(argv[5]);
  r->ms = strtoull(argv[6], NULL, 10);
  if (pps < 100 || pps > 100000 || !r->flows || r->flows > FLOWS_MAX || !r->ms || r->ms > 900000) exit(2);
  r->interval_ns = NS / pps;
  for (uint32_t i = 0; i < STREAMS; i++) {
    r->stream[i].max = (uint32_t)(r->ms * (i ? pps : 1000) / 1000 + 1);
    r->stream[i].mark = calloc(r->stream[i].max, sizeof(struct mark));
    if (!r->stream[i].mark) die("allocate memory");
  }
  if (argc == 9 && !strcmp(argv[7], "at"))
    r->event_ns = strtoull(argv[8], NULL, 10) * NS - clock_ns(CLOCK_REALTIME) + now_ns();
  if (argc > 11 && argc <= 15 && !strcmp(argv[7], "cut")) {
    r->box = argv[8], r->peer = argv[9], r->cut_ms = strtoull(argv[10], NULL, 10);
    r->interface = argv + 11, r->interfaces = argc - 11;
  }
  open_ends(r, argv[1], argv[2], argv[3]);
}

int main(int argc, char **argv) {
  static struct run r;
  struct sched_param p = {.sched_priority = 20};
  if (argc < 7) {
    fprintf(stderr, "Usage: streams FROM TO ADDRESS PPS FLOWS MS [at WALL_S | cut BOX PEER AT_MS IF...]\n");
    return 2;
  }
  sched_setscheduler(0, SCHED_FIFO, &p); /* without the right to, the figures are only noisier */
  prepare(&r, argc, argv);
  pthread_t receiver, cutter, watcher;
  r.start_ns = now_ns() + 20000000;
  if (pthread_create(&receiver, NULL, receive_loop, &r)) die("start a thread");
  if (r.box && (pthread_create(&watcher, NULL, watch_links, &r) || pthread_create(&cutter, NULL, cut_links, &r)))
    die("start a thread");
  struct timespec t = {.tv_sec = (time_t)(r.start_ns / NS), .tv_nsec = (long)(r.start_ns % NS)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
  send_all(&r);
  t = (struct timespec){.tv_nsec = LINGER_NS};
  nanosleep(&t, NULL);
  if (r.box) pthread_join(cutter, NULL);
  r.over = true;
  if (r.box) pthread_join(watcher, NULL);
  pthread_join(receiver, NULL);
  report(&r);
  return 0;
}

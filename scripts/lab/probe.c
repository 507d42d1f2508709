/* UDP echo probe: how long is the path dead, and what does it add?
 *
 *   probe echo PORT                                    answers every datagram
 *   probe send ADDRESS PORT INTERVAL_US DURATION_MS    one line of JSON on standard output
 * SIGTERM ends it before its time, with the same report.
 *
 * Both ends run with real-time priority and replies are stamped by the kernel, so that the figures speak of
 * the path and not of who got the processor. All times are CLOCK_MONOTONIC in ns, RTT in us.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PROBE_MAGIC 0x524d5042u
#define LINGER_NS 500000000ull /* replies this late after the last request still count */
#define RUNS_MAX 2000
#define NS 1000000000ull

struct message {
  uint32_t magic;
  uint32_t sequence;
  uint8_t pad[56];
};

static volatile sig_atomic_t ended;

static void on_term(int number) {
  (void)number;
  ended = 1;
}

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
  exit(1);
}

static void real_time(void) {
  struct sched_param p = {.sched_priority = 20};
  sched_setscheduler(0, SCHED_FIFO, &p); /* without the right to, the figures are only noisier */
}

static int udp_socket(int family) {
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  int on = 1, bytes = 1 << 20;
  if (fd < 0) die("make a socket");
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  return fd;
}

_Noreturn static void echo(uint16_t port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = udp_socket(AF_INET);
  if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) die("bind the port");
  for (;;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, -1);
    struct message m;
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t n;
    while ((n = recvfrom(fd, &m, sizeof m, 0, (struct sockaddr *)&from, &length)) > 0)
      sendto(fd, &m, (size_t)n, 0, (struct sockaddr *)&from, length);
  }
}

struct run {
  uint32_t count;
  uint64_t *sent, *received;
  uint64_t answered, duplicates;
};

/* The kernel stamps with the wall clock; the offset is taken at each reading, so a step of it does no harm. */
static void receive_all(int fd, struct run *r) {
  for (;;) {
    struct message m;
    char control[128];
    struct iovec v = {.iov_base = &m, .iov_len = sizeof m};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &h, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) continue; /* an ICMP error of a dead path: the missing reply is the finding */
    if (n < (ssize_t)sizeof m || m.magic != PROBE_MAGIC || m.sequence >= r->count) continue;
    uint64_t mono = clock_ns(CLOCK_MONOTONIC), wall = clock_ns(CLOCK_REALTIME);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
      struct timespec t;
      memcpy(&t, CMSG_DATA(c), sizeof t);
      uint64_t stamp = (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
      if (stamp < wall && wall - stamp < NS) mono -= wall - stamp;
    }
    if (r->received[m.sequence]) r->duplicates++;
    else r->received[m.sequence] = mono, r->answered++;
  }
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void print_rtt(const struct run *r, uint32_t sent) {
  uint64_t *rtt = calloc(sent + 1u, sizeof *rtt);
  uint32_t n = 0;
  if (!rtt) die("allocate memory");
  for (uint32_t i = 0; i < sent; i++)
    if (r->received[i]) rtt[n++] = r->received[i] > r->sent[i] ? r->received[i] - r->sent[i] : 0;
  qsort(rtt, n, sizeof *rtt, by_value);
  printf("\"received\":%u,\"rttP50Us\":%.1f,\"rttP99Us\":%.1f,\"rttMaxUs\":%.1f,", n,
         n ? (double)rtt[n / 2] / 1e3 : 0.0, n ? (double)rtt[(uint64_t)n * 99 / 100] / 1e3 : 0.0,
         n ? (double)rtt[n - 1] / 1e3 : 0.0);
  free(rtt);
}

/* Losses: [first sequence, count, sent ns of the first lost, sent ns of the next answered].
 * Gaps: [arrival ns before, length ns] between two replies in order of arrival, from three intervals up. */
static void print_runs(struct run *r, uint32_t sent, uint64_t interval) {
  uint32_t printed = 0, i = 0;
  printf("\"losses\":[");
  while (i < sent) {
    uint32_t first = i;
    while (i < sent && !r->received[i]) i++;
    if (i > first && printed < RUNS_MAX) {
      uint64_t until = i < sent ? r->sent[i] : r->sent[sent - 1] + interval;
      printf("%s[%u,%u,%llu,%llu]", printed++ ? "," : "", first, i - first,
             (unsigned long long)r->sent[first], (unsigned long long)until);
    }
    i++;
  }
  printf("],\"gaps\":[");
  qsort(r->received, sent, sizeof *r->received, by_value);
  uint64_t before = 0;
  printed = 0;
  for (i = 0; i < sent; i++) {
    uint64_t at = r->received[i];
    if (!at) continue;
    if (before && at - before >= 3 * interval && printed < RUNS_MAX)
      printf("%s[%llu,%llu]", printed++ ? "," : "", (unsigned long long)before, (unsigned long long)(at - before));
    before = at;
  }
  printf("]");
}

static void send_one(int fd, struct run *r, uint32_t sequence) {
  struct message m = {.magic = PROBE_MAGIC, .sequence = sequence};
  r->sent[sequence] = clock_ns(CLOCK_MONOTONIC);
  /* A refused send is a lost request: the reply will be missing. */
  if (send(fd, &m, sizeof m, 0) < 0) return;
}

static int send_all(const char *address, uint16_t port, uint64_t interval, uint64_t duration) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = a.sin_port};
  int ipv6 = inet_pton(AF_INET6, address, &a6.sin6_addr) == 1;
  if (!ipv6 && inet_pton(AF_INET, address, &a.sin_addr) != 1) die("read the address");
  struct run r = {.count = (uint32_t)(duration / interval)};
  r.sent = calloc(r.count, sizeof *r.sent);
  r.received = calloc(r.count, sizeof *r.received);
  if (!r.count || !r.sent || !r.received) die("allocate memory");
  int fd = udp_socket(ipv6 ? AF_INET6 : AF_INET), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  if (timer < 0 || connect(fd, ipv6 ? (void *)&a6 : (void *)&a, ipv6 ? sizeof a6 : sizeof a) < 0) die("connect");
  struct timespec every = {.tv_sec = (time_t)(interval / NS), .tv_nsec = (long)(interval % NS)};
  struct itimerspec t = {.it_interval = every, .it_value = every};
  timerfd_settime(timer, 0, &t, NULL);
  signal(SIGTERM, on_term);
  uint32_t next = 0, late = 0;
  uint64_t started = clock_ns(CLOCK_MONOTONIC), over = 0;
  while (!over || (r.answered < next && clock_ns(CLOCK_MONOTONIC) < over)) {
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = timer, .events = POLLIN}};
    poll(p, over ? 1 : 2, 10);
    receive_all(fd, &r);
    if (ended && next && !over) over = clock_ns(CLOCK_MONOTONIC) + LINGER_NS;
    uint64_t due = 0;
    if (over || read(timer, &due, sizeof due) != (ssize_t)sizeof due) continue;
    late += (uint32_t)(due - 1); /* not sent at all: a burst would measure the queue */
    send_one(fd, &r, next++);
    if (next == r.count || clock_ns(CLOCK_MONOTONIC) - started >= duration)
      over = clock_ns(CLOCK_MONOTONIC) + LINGER_NS;
  }
  printf("{\"sent\":%u,\"late\":%u,\"duplicates\":%llu,\"startedNs\":%llu,\"endedNs\":%llu,", next, late,
         (unsigned long long)r.duplicates, (unsigned long long)r.sent[0],
         (unsigned long long)r.sent[next - 1]);
  print_rtt(&r, next);
  print_runs(&r, next, interval);
  printf("}\n");
  free(r.sent);
  free(r.received);
  return 0;
}

int main(int argc, char **argv) {
  real_time();
  if (argc == 3 && !strcmp(argv[1], "echo")) echo((uint16_t)atoi(argv[2]));
  if (argc == 6 && !strcmp(argv[1], "send")) {
    uint64_t interval = strtoull(argv[4], NULL, 10) * 1000, duration = strtoull(argv[5], NULL, 10) * 1000000;
    if (interval && duration / interval <= 10000000)
      return send_all(argv[2], (uint16_t)atoi(argv[3]), interval, duration);
  }
  fprintf(stderr, "Usage: probe echo PORT | probe send ADDRESS PORT INTERVAL_US DURATION_MS\n");
  return 2;
}

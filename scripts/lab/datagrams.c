/* UDP sessions that depend on who is who: which of them live through a failure?
 *
 *   datagrams serve PORT
 *   datagrams talk ADDRESS PORT SESSIONS EVERY_MS DURATION_MS     one line of JSON on standard output
 *
 * The server answers data only from an address and port that has said hello before, with the session's number, as a game, a
 * VPN or a call does: a session that comes under another name all of a sudden is nobody's. The client says hello until it is
 * answered and then never again. A session is alive if what it sent in the last second before the end was answered.
 * Times: CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SESSIONS_MAX 8192u
#define PLACES (4 * SESSIONS_MAX) /* of the server's table */
#define MAGIC 0x524d4455u
#define MS 1000000ull
#define ALIVE_NS (1000 * MS)
#define HELLO_NS (200 * MS) /* between two tries */

enum kind { HELLO = 1, DATA };
struct message { uint32_t magic, kind, session, number; uint64_t sent_ns; };
struct session { int fd; uint32_t number; uint64_t due_ns, answered_ns; uint32_t sent, answered; };
struct place { struct sockaddr_in from; uint32_t session; int used; };

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

_Noreturn static void die(const char *what) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
  exit(1);
}

/* Who has this address and port, or the place where it would be. */
static struct place *find(struct place *table, const struct sockaddr_in *from) {
  uint32_t at = (from->sin_addr.s_addr ^ (uint32_t)from->sin_port << 16) * 2654435761u >> 8;
  for (uint32_t n = 0; n < PLACES; n++, at++) {
    struct place *p = &table[at % PLACES];
    if (!p->used || (p->from.sin_addr.s_addr == from->sin_addr.s_addr && p->from.sin_port == from->sin_port)) return p;
  }
  return NULL;
}

_Noreturn static void serve(uint16_t port) {
  static struct place table[PLACES];
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)}, from;
  int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 22;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) die("listen");
  for (;;) {
    struct message m;
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(fd, &m, sizeof m, 0, (struct sockaddr *)&from, &length);
    if (n != sizeof m || m.magic != MAGIC) continue;
    struct place *p = find(table, &from);
    if (!p || (m.kind == DATA && (!p->used || p->session != m.session))) continue;
    *p = (struct place){from, m.session, 1};
    sendto(fd, &m, sizeof m, 0, (struct sockaddr *)&from, length);
  }
}

static void open_session(struct session *s, int epoll, const struct sockaddr *to) {
  socklen_t bytes = to->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  s->fd = socket(to->sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
  if (s->fd < 0 || connect(s->fd, to, bytes) < 0) die("make a socket");
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &e) < 0) die("wait for a socket");
}

static void say(struct session *s, uint64_t now, uint64_t every) {
  int open = s->answered > 0;
  struct message m = {MAGIC, open ? DATA : HELLO, s->number, s->sent, now};
  s->due_ns = now + (open ? every : HELLO_NS);
  /* What the kernel does not take now is as lost as on the way. */
  if (send(s->fd, &m, sizeof m, 0) == sizeof m) s->sent++;
}

static void hear(struct session *s) {
  struct message m;
  while (recv(s->fd, &m, sizeof m, 0) == sizeof m) {
    if (m.magic != MAGIC || m.session != s->number) continue;
    if (m.sent_ns > s->answered_ns) s->answered_ns = m.sent_ns;
    s->answered++;
  }
}

static int talk(const struct sockaddr *to, uint32_t count, uint64_t every, uint64_t duration) {
  struct session *sessions = calloc(count, sizeof *sessions);
  struct rlimit files = {count + 64, count + 64};
  int epoll = epoll_create1(0);
  if (!sessions || setrlimit(RLIMIT_NOFILE, &files) < 0) die("make room for so many sockets");
  uint64_t started = now_ns(), now = started;
  for (uint32_t i = 0; i < count; i++) {
    sessions[i].number = i;
    sessions[i].due_ns = started + i * every / count; /* no burst of all at once */
    open_session(&sessions[i], epoll, to);
  }
  while (now - started < duration) {
    struct epoll_event e[256];
    int n = epoll_wait(epoll, e, 256, 1);
    for (int i = 0; i < n; i++) hear(e[i].data.ptr);
    now = now_ns();
    for (uint32_t i = 0; i < count; i++)
      if (now >= sessions[i].due_ns) say(&sessions[i], now, every);
  }
  uint32_t opened = 0, alive = 0;
  uint64_t sent = 0, answered = 0;
  for (uint32_t i = 0; i < count; i++) {
    opened += sessions[i].answered > 0;
    alive += sessions[i].answered > 0 && now - sessions[i].answered_ns < ALIVE_NS;
    sent += sessions[i].sent;
    answered += sessions[i].answered;
  }
  printf("{\"sessions\":%u,\"opened\":%u,\"alive\":%u,\"sent\":%llu,\"answered\":%llu}\n", count, opened, alive,
         (unsigned long long)sent, (unsigned long long)answered);
  free(sessions);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "serve")) serve((uint16_t)atoi(argv[2]));
  if (argc == 7 && !strcmp(argv[1], "talk")) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = to.sin_port};
    bool ipv6 = inet_pton(AF_INET6, argv[2], &to6.sin6_addr) == 1, reads = ipv6 || inet_pton(AF_INET, argv[2], &to.sin_addr) == 1;
    uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10);
    uint64_t every = strtoull(argv[5], NULL, 10) * MS, duration = strtoull(argv[6], NULL, 10) * MS;
    if (reads && count > 0 && count <= SESSIONS_MAX && every > 0 && every <= ALIVE_NS)
      return talk(ipv6 ? (struct sockaddr *)&to6 : (struct sockaddr *)&to, count, every, duration);
  }
  fprintf(stderr, "Usage: datagrams serve PORT | datagrams talk ADDRESS PORT SESSIONS EVERY_MS DURATION_MS\n");
  return 2;
}

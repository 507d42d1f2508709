/* Long TCP flows: which of them live through a failure, and for how long did each stand still?
 *
 *   longflows serve PORT
 *   longflows fetch ADDRESS PORT FLOWS BYTES_PER_SECOND DURATION_MS [SILENT_FROM_MS SILENT_MS]     one line of JSON on standard output
 * SIGTERM ends it before its time, with the same report. Silent: neither end says anything then.
 *
 * The server sends numbered, patterned records at the asked pace and says in each how many bytes of the client's
 * trickle it has seen; the client checks every byte. So a flow counts as alive only if both directions still move
 * at the end, and content that changed on the way is told apart from a connection that broke. Times: CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RECORD 1024
#define TRICKLE 64
#define TICK_NS 4000000ull
#define TRICKLE_TICKS 25        /* a trickle record every 100 ms */
#define ALIVE_NS 1000000000ull  /* a live flow got data and progress this shortly before the end */
#define SILENT_NS 10000000ull
#define SILENT_MS_MAX 655350u
#define CATCH_UP 64             /* records a flow may be behind its pace and still make up for */
#define FLOWS_MAX 4096
#define MAGIC 0x524d4c46u

struct hello {
  uint32_t magic, flow, rate;
  uint16_t silent_from, silent; /* in steps of SILENT_NS, from when this was said on */
};
struct record {
  uint32_t magic, flow;
  uint64_t sequence, uploaded;
  uint8_t body[RECORD - 24];
};

enum state { CONNECTING, OPEN, RESET, CLOSED, CORRUPT, REFUSED };
static const char *const STATES[] = {"connecting", "open", "reset", "closed", "corrupt", "refused"};

struct flow {
  int fd;
  enum state state;
  uint32_t id, rate;
  struct silence { uint64_t from, until; } silence;
  uint64_t since, sequence, bytes;    /* bytes: received */
  uint64_t uploaded;                  /* server: seen; client: sent */
  uint64_t confirmed, confirmed_ns;   /* client: what the server has seen, and when that last grew */
  uint64_t last_ns, gap_ns, gap_at_ns;
  uint32_t in_bytes, out_bytes, out_at, hello_bytes;
  uint8_t in[RECORD], out[RECORD];
};

static volatile sig_atomic_t ended;

static void on_term(int number) {
  (void)number;
  ended = 1;
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint8_t pattern(uint32_t flow, uint64_t sequence, uint32_t at) {
  return (uint8_t)(flow * 131u + (uint32_t)sequence * 31u + at * 7u + (at >> 6));
}

static void stop(struct flow *f, enum state state) {
  f->state = state;
  close(f->fd);
  f->fd = -1;
}

/* Sends what is left in `out`. True when all of it is gone. */
static int flush(struct flow *f) {
  while (f->out_at < f->out_bytes) {
    ssize_t n = send(f->fd, f->out + f->out_at, f->out_bytes - f->out_at, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n < 0) return stop(f, RESET), 0;
    f->out_at += (uint32_t)n;
  }
  return 1;
}

static int is_silent(const struct flow *f, uint64_t now) { return now >= f->silence.from && now < f->silence.until; }

static struct silence silence_of(const struct hello *h, uint64_t now) {
  uint64_t from = now + h->silent_from * SILENT_NS;
  return (struct silence){from, from + h->silent * SILENT_NS};
}

static void serve_tick(struct flow *f, uint64_t now) {
  if (f->fd < 0 || f->hello_bytes < sizeof(struct hello)) return;
  if (is_silent(f, now)) {
    f->since += now - f->last_ns;
    f->last_ns = now;
    return;
  }
  f->last_ns = now;
  uint64_t due = (now - f->since) / 1000 * f->rate / 1000000 / RECORD;
  if (due > f->sequence + CATCH_UP) f->since += TICK_NS; /* what it could not send for long is not owed */
  while (flush(f) && f->sequence < due) {
    struct record r = {.magic = MAGIC, .flow = f->id, .sequence = f->sequence, .uploaded = f->uploaded};
    for (uint32_t i = 0; i < sizeof r.body; i++) r.body[i] = pattern(f->id, f->sequence, i);
    memcpy(f->out, &r, sizeof r);
    f->out_bytes = sizeof r;
    f->out_at = 0;
    f->sequence++;
  }
}

/* Takes the greeting, byte by byte as it comes. 0: it is not one of ours. */
static int greet(struct flow *f, uint8_t byte, uint64_t now) {
  struct hello h;
  f->in[f->hello_bytes++] = byte;
  if (f->hello_bytes < sizeof h) return 1;
  memcpy(&h, f->in, sizeof h);
  f->id = h.flow;
  f->rate = h.rate;
  f->since = f->last_ns = now;
  f->silence = silence_of(&h, now);
  return h.magic == MAGIC && h.rate >= RECORD;
}

static void serve_read(struct flow *f, uint64_t now) {
  uint8_t buffer[4096];
  ssize_t n;
  while ((n = recv(f->fd, buffer, sizeof buffer, 0)) > 0) {
    for (ssize_t i = 0; i < n; i++) {
      int good = f->hello_bytes < sizeof(struct hello)
                     ? greet(f, buffer[i], now)
                     : buffer[i] == pattern(f->id, 0, (uint32_t)f->uploaded++);
      if (good) continue;
      struct linger hard = {.l_onoff = 1}; /* close with RST: the client is to see it */
      setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      return stop(f, CORRUPT);
    }
  }
  if (n == 0) stop(f, CLOSED);
  else if (errno != EAGAIN && errno != EINTR) stop(f, RESET);
}

static int ticker(int epoll) {
  struct timespec every = {.tv_nsec = (long)TICK_NS};
  struct itimerspec t = {.it_interval = every, .it_value = every};
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
  if (fd < 0 || timerfd_settime(fd, 0, &t, NULL) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
    die("make a timer");
  return fd;
}

static void adopt(int epoll, int fd, struct flow **table) {
  for (int i = 0; i < FLOWS_MAX; i++) {
    if (table[i] && table[i]->fd >= 0) continue;
    if (!table[i]) table[i] = malloc(sizeof **table);
    if (!table[i]) die("allocate memory");
    memset(table[i], 0, sizeof **table);
    table[i]->fd = fd;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = table[i]};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    return;
  }
  close(fd); /* full */
}

_Noreturn static void serve(uint16_t port) {
  static struct flow *table[FLOWS_MAX];
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  int on = 1, epoll = epoll_create1(0), fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1024) < 0) die("listen");
  struct epoll_event l = {.events = EPOLLIN, .data.ptr = table};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &l);
  int timer = ticker(epoll);
  for (;;) {
    struct epoll_event e[64];
    int n = epoll_wait(epoll, e, 64, -1), taken;
    uint64_t now = now_ns(), beats;
    for (int i = 0; i < n; i++) {
      struct flow *f = e[i].data.ptr;
      if (e[i].data.ptr == table) {
        while ((taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          setsockopt(taken, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          adopt(epoll, taken, table);
        }
      } else if (f) {
        if (f->fd >= 0) serve_read(f, now);
      } else if (read(timer, &beats, sizeof beats) > 0) {
        for (int k = 0; k < FLOWS_MAX && table[k]; k++) serve_tick(table[k], now);
      }
    }
  }
}

static void note_data(struct flow *f, uint64_t now) {
  if (f->last_ns && now - f->last_ns > f->gap_ns) {
    f->gap_ns = now - f->last_ns;
    f->gap_at_ns = f->last_ns;
  }
  f->last_ns = now;
}

static int record_ok(struct flow *f, uint64_t now) {
  struct record r;
  memcpy(&r, f->in, sizeof r);
  if (r.magic != MAGIC || r.flow != f->id || r.sequence != f->sequence || r.uploaded > f->uploaded) return 0;
  for (uint32_t i = 0; i < sizeof r.body; i++)
    if (r.body[i] != pattern(f->id, r.sequence, i)) return 0;
  f->sequence++;
  if (r.uploaded > f->confirmed) {
    f->confirmed = r.uploaded;
    f->confirmed_ns = now;
  }
  return 1;
}

static void fetch_read(struct flow *f, uint64_t now) {
  ssize_t n;
  while ((n = recv(f->fd, f->in + f->in_bytes, RECORD - f->in_bytes, 0)) > 0) {
    note_data(f, now);
    f->bytes += (uint64_t)n;
    f->in_bytes += (uint32_t)n;
    if (f->in_bytes < RECORD) continue;
    f->in_bytes = 0;
    if (!record_ok(f, now)) return stop(f, CORRUPT);
  }
  if (n == 0) stop(f, CLOSED);
  else if (errno != EAGAIN && errno != EINTR) stop(f, RESET);
}

static void fetch_event(struct flow *f, uint32_t events, uint64_t now) {
  if (f->fd < 0) return;
  if (f->state == CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) return stop(f, error == ECONNREFUSED ? REFUSED : RESET);
    f->state = OPEN;
  }
  if (f->state == OPEN && (events & (EPOLLIN | EPOLLERR | EPOLLHUP))) fetch_read(f, now);
}

static void trickle(struct flow *f, const struct hello *asked, uint64_t now) {
  if (f->state != OPEN || !flush(f) || is_silent(f, now)) return;
  uint32_t at = 0;
  if (!f->hello_bytes) {
    struct hello h = *asked;
    h.flow = f->id;
    f->silence = silence_of(&h, now);
    memcpy(f->out, &h, sizeof h);
    f->hello_bytes = at = sizeof h;
  }
  for (uint32_t i = 0; i < TRICKLE; i++) f->out[at + i] = pattern(f->id, 0, (uint32_t)f->uploaded++);
  f->out_bytes = at + TRICKLE;
  f->out_at = 0;
  flush(f);
}

static void open_flow(struct flow *f, int epoll, const struct sockaddr *to) {
  int on = 1;
  f->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (f->fd < 0) die("make a socket");
  setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* Edge-triggered for writing: one wake-up tells that the connection stands. */
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = f};
  epoll_ctl(epoll, EPOLL_CTL_ADD, f->fd, &e);
  if (connect(f->fd, to, to->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) < 0 && errno != EINPROGRESS) stop(f, REFUSED);
}

/* [state, longest gap ms, start of that gap ns, bytes, alive] of every flow. */
static void report(struct flow *flows, uint32_t count, uint64_t end) {
  printf("{\"endedNs\":%llu,\"flows\":[", (unsigned long long)end);
  for (uint32_t i = 0; i < count; i++) {
    struct flow *f = &flows[i];
    int alive = f->state == OPEN && end - f->last_ns < ALIVE_NS && end - f->confirmed_ns < ALIVE_NS;
    if (f->state == OPEN) note_data(f, end);
    printf("%s[\"%s\",%.1f,%llu,%llu,%s]", i ? "," : "", STATES[f->state], (double)f->gap_ns / 1e6,
           (unsigned long long)f->gap_at_ns, (unsigned long long)f->bytes, alive ? "true" : "false");
  }
  printf("]}\n");
}

static int fetch(const struct sockaddr *to, uint32_t count, const struct hello *asked, uint64_t duration) {
  struct flow *flows = calloc(count, sizeof *flows);
  int epoll = epoll_create1(0), timer = ticker(epoll);
  if (!flows) die("allocate memory");
  uint64_t started = now_ns(), now = started, beats, ticks = 0;
  for (uint32_t i = 0; i < count; i++) {
    flows[i].id = i;
    open_flow(&flows[i], epoll, to);
  }
  signal(SIGTERM, on_term);
  while (now - started < duration && !ended) {
    struct epoll_event e[64];
    int n = epoll_wait(epoll, e, 64, 100);
    now = now_ns();
    for (int i = 0; i < n; i++) {
      if (e[i].data.ptr) fetch_event(e[i].data.ptr, e[i].events, now);
      else if (read(timer, &beats, sizeof beats) > 0) ticks++;
      else continue;
      if (e[i].data.ptr) continue;
      /* A share of the flows on each tick: no burst of all at once. */
      for (uint32_t k = (uint32_t)(ticks % TRICKLE_TICKS); k < count; k += TRICKLE_TICKS) trickle(&flows[k], asked, now);
    }
  }
  report(flows, count, now);
  free(flows);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && !strcmp(argv[1], "serve")) serve((uint16_t)atoi(argv[2]));
  if ((argc == 7 || argc == 9) && !strcmp(argv[1], "fetch")) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = to.sin_port};
    bool ipv6 = inet_pton(AF_INET6, argv[2], &to6.sin6_addr) == 1, reads = ipv6 || inet_pton(AF_INET, argv[2], &to.sin_addr) == 1;
    uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10), rate = (uint32_t)strtoul(argv[5], NULL, 10);
    uint64_t duration = strtoull(argv[6], NULL, 10) * 1000000;
    unsigned long from = argc == 9 ? strtoul(argv[7], NULL, 10) : 0, silent = argc == 9 ? strtoul(argv[8], NULL, 10) : 0;
    struct hello asked = {MAGIC, 0, rate, (uint16_t)(from * 1000000 / SILENT_NS), (uint16_t)(silent * 1000000 / SILENT_NS)};
    if (from <= SILENT_MS_MAX && silent <= SILENT_MS_MAX && reads && count > 0 && count <= FLOWS_MAX && rate >= RECORD)
      return fetch(ipv6 ? (struct sockaddr *)&to6 : (struct sockaddr *)&to, count, &asked, duration);
  }
  fprintf(stderr, "Usage: longflows serve PORT | longflows fetch ADDRESS PORT FLOWS BYTES_PER_SECOND DURATION_MS [SILENT_FROM_MS SILENT_MS]\n");
  return 2;
}

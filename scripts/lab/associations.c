/* SCTP associations made of packets, for a kernel that has no SCTP: which of them live through a failure?
 *
 *   associations serve PORT
 *   associations talk ADDRESS PORT COUNT EVERY_MS DURATION_MS     one line of JSON on standard output
 * SIGTERM ends it before its time, with the same report.
 *
 * As much of RFC 9260 as a box looks at: four packets open an association, every packet has the tag that its receiver drew and a
 * checksum over all of it. The server answers data only under the address, port and tag that opened the association. Whatever
 * else an end receives is counted as strange: what a node plays into a box must not get here. Times: CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 512u
#define PORT_FIRST 30000u /* of the client */
#define MS 1000000ull
#define ALIVE_NS (1000 * MS)
#define AGAIN_NS (200 * MS) /* between two tries of opening */
#define PACKET 256

enum { DATA = 0, INIT = 1, INIT_ACK = 2, SACK = 3, COOKIE_ECHO = 10, COOKIE_ACK = 11 };
struct header { uint16_t from, to; uint32_t tag, sum; };
struct init { uint8_t type, flags; uint16_t length; uint32_t tag, window; uint16_t out, in; uint32_t tsn; };
struct cookie { uint16_t type, length; uint32_t client, server; }; /* the parameter, which the chunk of the echo is as well */
struct data { uint8_t type, flags; uint16_t length; uint32_t tsn; uint16_t stream, sequence; uint32_t protocol, number, strange; };
struct sack { uint8_t type, flags; uint16_t length; uint32_t tsn, window; uint16_t gaps, doubles; };
struct packet { uint32_t bytes; uint8_t byte[PACKET]; };
/* Of the client one for each port; of the server one for each that has opened one. */
struct association {
  struct sockaddr_in peer;
  uint16_t port;
  uint32_t own, other, tsn;
  enum { NEW, ECHOED, OPEN } state;
  uint64_t due_ns, answered_ns, sent_ns;
  uint32_t sent, answered;
};

static volatile sig_atomic_t ended;

static void on_term(int number) {
  (void)number;
  ended = 1;
}

_Noreturn static void die(const char *what) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static uint32_t drawn(void) {
  uint32_t v;
  do if (getrandom(&v, sizeof v, 0) != sizeof v) die("draw a number");
  while (v == 0);
  return v;
}

/* CRC32c, a bit at a time. */
static uint32_t sum_of(const uint8_t *at, uint32_t bytes) {
  uint32_t c = UINT32_MAX;
  for (uint32_t i = 0; i < 8 * bytes; i++) c = c >> 1 ^ (((c ^ at[i / 8] >> i % 8) & 1) ? 0x82f63b78u : 0);
  return ~c;
}

static void add(struct packet *p, const void *chunk, uint32_t bytes) {
  memcpy(p->byte + p->bytes, chunk, bytes);
  p->bytes += bytes;
}

static struct packet begin(const struct association *a) {
  struct packet p = {0};
  struct header h = {.from = htons(a->port), .to = a->peer.sin_port, .tag = a->other};
  add(&p, &h, sizeof h);
  return p;
}

static void finish(int fd, const struct association *a, struct packet *p) {
  uint32_t sum = sum_of(p->byte, p->bytes);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = a->peer.sin_addr};
  memcpy(p->byte + 8, &sum, sizeof sum);
  /* What the kernel does not take now is as lost as on the way. */
  if (sendto(fd, p->byte, p->bytes, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno != ENOBUFS) return;
}

static void send_init(int fd, const struct association *a, uint8_t type, const struct cookie *cookie) {
  struct packet p = begin(a);
  struct init i = {.type = type, .length = htons((uint16_t)(sizeof i + (cookie ? sizeof *cookie : 0))), .tag = a->own,
                   .window = htonl(65536), .out = htons(1), .in = htons(1), .tsn = htonl(a->tsn)};
  if (type == INIT) memset(p.byte + 4, 0, 4);
  add(&p, &i, sizeof i);
  if (cookie) add(&p, cookie, sizeof *cookie);
  finish(fd, a, &p);
}

static void send_cookie(int fd, const struct association *a, uint16_t type, uint32_t client, uint32_t server) {
  struct packet p = begin(a);
  struct cookie c = {htons((uint16_t)(type << 8)), htons(type == COOKIE_ECHO ? sizeof c : 4), client, server};
  add(&p, &c, type == COOKIE_ECHO ? sizeof c : 4);
  finish(fd, a, &p);
}

static void send_data(int fd, struct association *a, const struct data *heard, uint32_t number, uint32_t strange) {
  struct packet p = begin(a);
  struct sack s = {.type = SACK, .length = htons(sizeof s), .tsn = heard ? heard->tsn : 0, .window = htonl(65536)};
  struct data d = {.type = DATA, .flags = 3, .length = htons(sizeof d), .tsn = htonl(a->tsn++), .number = number, .strange = strange};
  if (heard) add(&p, &s, sizeof s);
  add(&p, &d, sizeof d);
  finish(fd, a, &p);
}

/* The next packet behind its IP header; false: there is none. */
struct heard { struct header head; struct in_addr from; uint32_t bytes; uint8_t chunk[PACKET]; };
static int receive(int fd, struct heard *h) {
  uint8_t at[1500];
  ssize_t n = recv(fd, at, sizeof at, MSG_DONTWAIT);
  if (n < 0) return 0;
  uint32_t ip = (at[0] & 15u) * 4, bytes = (uint32_t)n < ip ? 0 : (uint32_t)n - ip;
  memset(h, 0, sizeof *h);
  memcpy(&h->from, at + 12, 4);
  if (bytes < sizeof h->head + 4 || bytes > PACKET) return 1;
  memcpy(&h->head, at + ip, sizeof h->head);
  memset(at + ip + 8, 0, 4);
  if (sum_of(at + ip, bytes) != h->head.sum) return 1; /* without chunks it is strange */
  h->bytes = bytes - sizeof h->head;
  memcpy(h->chunk, at + ip + sizeof h->head, h->bytes);
  return 1;
}

/* The data of a packet, behind an acknowledgement or not. */
static int data_of(const struct heard *h, struct data *d) {
  uint32_t at = h->bytes && h->chunk[0] == SACK ? sizeof(struct sack) : 0;
  if (h->bytes < at + sizeof *d) return 0;
  memcpy(d, h->chunk + at, sizeof *d);
  return d->type == DATA;
}

static int raw_socket(void) {
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_SCTP), room = 1 << 22;
  if (fd < 0) die("make a socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  return fd;
}

/* Opens with its third packet, as far as the server is concerned. False: strange. */
static int serve_one(int fd, struct association *table, const struct heard *h, uint32_t strange) {
  struct association is = {.peer = {.sin_addr = h->from, .sin_port = h->head.from}, .port = ntohs(h->head.to)}, *a = table;
  while (a < table + COUNT_MAX && a->own && (a->peer.sin_addr.s_addr != h->from.s_addr || a->peer.sin_port != h->head.from)) a++;
  struct init i;
  struct cookie c;
  struct data d;
  if (a == table + COUNT_MAX || h->bytes == 0) return 0;
  if (h->chunk[0] == INIT && h->bytes == sizeof i && h->head.tag == 0) {
    memcpy(&i, h->chunk, sizeof i);
    is.other = i.tag, is.own = drawn(), is.tsn = 1;
    send_init(fd, &is, INIT_ACK, &(struct cookie){htons(7), htons(sizeof c), is.other, is.own});
    return 1;
  }
  if (h->chunk[0] == COOKIE_ECHO && h->bytes == sizeof c) {
    memcpy(&c, h->chunk, sizeof c);
    is.other = c.client, is.own = c.server, is.tsn = 1;
    if (h->head.tag != c.server) return 0;
    if (a->own != is.own) *a = is;
    send_cookie(fd, a, COOKIE_ACK, 0, 0);
    return 1;
  }
  if (!a->own || h->head.tag != a->own) return 0;
  if (data_of(h, &d)) send_data(fd, a, &d, d.number, strange);
  return h->chunk[0] == DATA || h->chunk[0] == SACK;
}

_Noreturn static void serve(uint16_t port) {
  static struct association table[COUNT_MAX];
  int fd = raw_socket();
  uint32_t strange = 0;
  for (;;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct heard h;
    poll(&p, 1, -1);
    while (receive(fd, &h)) strange += h.head.to == htons(port) && !serve_one(fd, table, &h, strange);
  }
}

static void say(int fd, struct association *a, uint64_t now, uint64_t every) {
  a->due_ns = now + (a->state == OPEN ? every : AGAIN_NS);
  if (a->state == NEW) return send_init(fd, a, INIT, NULL);
  if (a->state == ECHOED) return send_cookie(fd, a, COOKIE_ECHO, a->own, a->other);
  a->sent_ns = now;
  send_data(fd, a, NULL, ++a->sent, 0);
}

/* False: strange. */
static int hear(int fd, struct association *a, const struct heard *h, uint64_t now, uint32_t *far) {
  struct init i;
  struct data d;
  if (h->bytes == 0 || h->from.s_addr != a->peer.sin_addr.s_addr || h->head.from != a->peer.sin_port || h->head.tag != a->own) return 0;
  if (h->chunk[0] == INIT_ACK && h->bytes == sizeof i + sizeof(struct cookie)) {
    memcpy(&i, h->chunk, sizeof i);
    if (a->state != NEW) return 1; /* a repetition crossed the answer */
    a->other = i.tag, a->state = ECHOED, a->due_ns = now;
    return 1;
  }
  if (h->chunk[0] == COOKIE_ACK) {
    if (a->state == ECHOED) a->state = OPEN, a->due_ns = now;
    return 1;
  }
  if (!data_of(h, &d)) return 0;
  if (d.number == a->sent) a->answered++, a->answered_ns = a->sent_ns;
  if (d.strange > *far) *far = d.strange;
  struct packet p = begin(a);
  add(&p, &(struct sack){.type = SACK, .length = htons(sizeof(struct sack)), .tsn = d.tsn, .window = htonl(65536)}, sizeof(struct sack));
  finish(fd, a, &p);
  return 1;
}

static int talk(const struct sockaddr_in *to, uint32_t count, uint64_t every, uint64_t duration) {
  static struct association all[COUNT_MAX];
  int fd = raw_socket();
  uint64_t started = now_ns(), now = started;
  uint32_t strange = 0, far = 0, opened = 0, alive = 0, sent = 0, answered = 0;
  for (uint32_t i = 0; i < count; i++)
    all[i] = (struct association){.peer = *to, .port = (uint16_t)(PORT_FIRST + i), .own = drawn(), .tsn = 1, .due_ns = started + i * every / count};
  signal(SIGTERM, on_term);
  while (now - started < duration && !ended) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct heard h;
    poll(&p, 1, 1);
    now = now_ns();
    while (receive(fd, &h)) {
      uint32_t at = ntohs(h.head.to) - PORT_FIRST;
      strange += at >= count || !hear(fd, &all[at], &h, now, &far);
    }
    for (uint32_t i = 0; i < count; i++)
      if (now >= all[i].due_ns) say(fd, &all[i], now, every);
  }
  for (uint32_t i = 0; i < count; i++) {
    opened += all[i].state == OPEN;
    alive += all[i].answered > 0 && now - all[i].answered_ns < ALIVE_NS;
    sent += all[i].sent, answered += all[i].answered;
  }
  printf("{\"sessions\":%u,\"opened\":%u,\"alive\":%u,\"sent\":%u,\"answered\":%u,\"strange\":%u}\n", count, opened, alive, sent, answered,
         strange + far);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "serve")) serve((uint16_t)atoi(argv[2]));
  if (argc == 7 && !strcmp(argv[1], "talk")) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10);
    uint64_t every = strtoull(argv[5], NULL, 10) * MS, duration = strtoull(argv[6], NULL, 10) * MS;
    if (inet_pton(AF_INET, argv[2], &to.sin_addr) == 1 && count > 0 && count <= COUNT_MAX && every > 0 && every <= ALIVE_NS)
      return talk(&to, count, every, duration);
  }
  fprintf(stderr, "Usage: associations serve PORT | associations talk ADDRESS PORT COUNT EVERY_MS DURATION_MS\n");
  return 2;
}

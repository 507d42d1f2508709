/* Load for a device between veth links, and a gauge of the processor it runs on.
 *
 *   links load INTERFACE FRAMES_PER_S MILLISECONDS RUN   0 frames: as many as the link takes; one line of JSON
 *   links gauge PROCESSOR                                answers each byte on standard input with a line of JSON
 *
 * The gauge is a thread that only looks at the clock, at the lowest priority: whenever the clock jumps, somebody else had
 * the processor. That counts interrupts and the kernel's packet work as well, which no process is charged for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull
#define FRAME_BYTES 64
#define BURST 16
#define FLOWS 1000
#define LIFE 50      /* frames of a connection: its SYN, its first ACK, and what follows */
#define JUMP_NS 400  /* a look at the clock takes a tenth of it, the shortest interrupt more */
#define HOSTS 250

static void die(const char *what) {
  fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static atomic_uint_fast64_t gauge_had;
static int gauge_processor;

/* Adds up the time between looks that were not disturbed. What is missing from it went to somebody else, also while
 * this thread gets nothing at all. */
static void *watch_clock(void *nothing) {
  cpu_set_t one;
  struct sched_param idle = {0};
  CPU_ZERO(&one);
  CPU_SET(gauge_processor, &one);
  if (sched_setaffinity(0, sizeof one, &one) < 0) die("move the gauge to its processor");
  if (sched_setscheduler(0, SCHED_IDLE, &idle) < 0) die("give the gauge the lowest priority");
  for (uint64_t last = now_ns(), had = 0, now;; last = now) {
    now = now_ns();
    if (now - last > JUMP_NS) continue;
    had += now - last;
    atomic_store_explicit(&gauge_had, had, memory_order_relaxed);
  }
  return nothing;
}

static int gauge(int processor) {
  pthread_t thread;
  char byte;
  gauge_processor = processor;
  uint64_t start = now_ns();
  if (pthread_create(&thread, NULL, watch_clock, NULL) != 0) die("start the gauge");
  while (read(STDIN_FILENO, &byte, 1) == 1) {
    uint64_t elapsed = now_ns() - start, had = atomic_load(&gauge_had);
    printf("{\"elapsedNs\":%llu,\"lostNs\":%llu}\n", (unsigned long long)elapsed,
           (unsigned long long)(elapsed > had ? elapsed - had : 0));
    fflush(stdout);
  }
  return 0;
}

struct __attribute__((packed)) frame {
  uint8_t mac[12];
  uint16_t type;
  uint8_t version, tos;
  uint16_t total, id, fragment;
  uint8_t ttl, proto;
  uint16_t sum;
  uint32_t from, to;
  uint16_t source, target;
  uint32_t seq, ack;
  uint8_t offset, flags;
  uint16_t window, tcp_sum, urgent;
  uint8_t payload[FRAME_BYTES - 54];
};
_Static_assert(sizeof(struct frame) == FRAME_BYTES, "no room in between");

struct load {
  int fd;
  uint32_t run;
  uint64_t made, sent, refused, syns, first_acks;
  struct frame frame[BURST];
  struct iovec vector[BURST];
  struct mmsghdr message[BURST];
};

static uint16_t ip_sum(const struct frame *f) {
  uint16_t half[10];
  uint32_t sum = 0;
  memcpy(half, &f->version, sizeof half);
  for (int i = 0; i < 10; i++) sum += i == 5 ? 0 : half[i];
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~((sum & 0xffff) + (sum >> 16));
}

/* Connections take turns; each lives for LIFE frames and is followed by one from another port. Where in its life the
 * first one begins differs, so that openings are spread evenly. */
static void make(struct load *l, struct frame *f) {
  uint32_t flow = (uint32_t)(l->made % FLOWS), age = (uint32_t)(l->made / FLOWS) + flow % LIFE;
  uint32_t step = age % LIFE, life = age / LIFE;
  f->from = htonl(0x0a000000u | (l->run & 255) << 16 | flow / HOSTS << 8 | (flow % HOSTS + 1));
  f->to = htonl(0xc0a80000u | (flow & 3));
  f->source = htons((uint16_t)(1024 + life % 64000));
  f->target = htons(443);
  f->seq = htonl(life * 100000 + step * (uint32_t)sizeof f->payload);
  f->ack = step == 0 ? 0 : htonl(1);
  f->flags = step == 0 ? 2 : 16;
  f->sum = 0;
  f->sum = ip_sum(f);
  l->syns += step == 0;
  l->first_acks += step == 1 && (life > 0 || flow % LIFE == 0);
  l->made++;
}

static void open_link(struct load *l, const char *name) {
  static const struct frame empty = {.mac = {2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 0x11}, .version = 0x45, .ttl = 64,
                                     .proto = 6, .offset = 0x50, .window = 0xffff};
  int on = 1;
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
  if (to.sll_ifindex == 0) die("find the interface");
  l->fd = socket(AF_PACKET, SOCK_RAW, 0);
  if (l->fd < 0) die("make a packet socket");
  if (setsockopt(l->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0) die("bypass the queue of the link");
  if (bind(l->fd, (struct sockaddr *)&to, sizeof to) < 0) die("bind to the interface");
  for (int i = 0; i < BURST; i++) {
    l->frame[i] = empty;
    l->frame[i].type = htons(ETHERTYPE_IP);
    l->frame[i].total = htons(FRAME_BYTES - 14);
    l->vector[i] = (struct iovec){&l->frame[i], FRAME_BYTES};
    l->message[i].msg_hdr = (struct msghdr){.msg_iov = &l->vector[i], .msg_iovlen = 1};
  }
}

static void send_burst(struct load *l, int n) {
  for (int i = 0; i < n; i++) make(l, &l->frame[i]);
  for (int at = 0; at < n;) {
    int sent = sendmmsg(l->fd, l->message + at, (unsigned)(n - at), 0);
    if (sent > 0) {
      at += sent;
      l->sent += (uint64_t)sent;
    } else if (errno == ENOBUFS || errno == EAGAIN) {
      at++; /* the far end's queue is full: lost on the link, as on a real one */
      l->refused++;
    } else if (errno != EINTR) {
      die("send a frame");
    }
  }
}

static int load(const char *name, double per_second, uint64_t ms, uint32_t run) {
  struct load *l = calloc(1, sizeof *l);
  if (!l) die("allocate memory");
  l->run = run;
  open_link(l, name);
  uint64_t start = now_ns(), end = start + ms * 1000000, now;
  while ((now = now_ns()) < end) {
    uint64_t due = per_second > 0 ? (uint64_t)((double)(now - start) * per_second / 1e9) : l->made + BURST;
    uint64_t left = due > l->made ? due - l->made : 0;
    if (left == 0) {
      struct timespec pause = {.tv_nsec = 50000};
      nanosleep(&pause, NULL); /* the timer is late by as much again, so a burst follows */
      continue;
    }
    send_burst(l, left > BURST ? BURST : (int)left);
  }
  printf("{\"ns\":%llu,\"made\":%llu,\"refused\":%llu,\"syns\":%llu,\"firstAcks\":%llu}\n",
         (unsigned long long)(now - start), (unsigned long long)l->made, (unsigned long long)l->refused,
         (unsigned long long)l->syns, (unsigned long long)l->first_acks);
  free(l);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "gauge")) return gauge(atoi(argv[2]));
  if (argc == 6 && !strcmp(argv[1], "load"))
    return load(argv[2], atof(argv[3]), strtoull(argv[4], NULL, 10), (uint32_t)atoi(argv[5]));
  fprintf(stderr, "Usage: links load INTERFACE FRAMES_PER_S MILLISECONDS RUN | links gauge PROCESSOR\n");
  return 2;
}

/* A load for tests of the plane: flows in both directions, every frame numbered within its direction and flow.
 *
 *   load A B PPS FLOWS               UDP; one letter: r report, s stop sending and report when all is quiet
 *   load A B PPS FLOWS IN OUT RENEW  the same, every second flow TCP that opens anew each RENEW frames (0: once);
 *                                    what comes by IN and OUT are copies of what was sent at A and B
 */
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>
#include "frames.h"

#define FLOWS_MAX 64
#define TCP_SYN 2
#define TCP_SYN_ACK 0x12
#define TCP_PSH_ACK 0x18
#define SEQUENCE_MAX (1u << 20)
#define MAGIC 0x6672616du
#define STEP_MS 1
#define QUIET_NS 1000000000ull
#define CATCH_UP 64

struct mark { uint32_t magic, direction, flow, sequence; };
/* The mark lies behind a TCP header, or as far into a datagram. */
struct __attribute__((packed)) load_frame {
  uint8_t ethernet[14], ip[20], transport[20];
  struct mark mark;
  uint8_t pad[10];
};
struct way {
  uint8_t *seen[FLOWS_MAX], *copied[FLOWS_MAX];
  uint32_t highest[FLOWS_MAX];
  uint64_t sent, received, copies;
};
struct load {
  int fd[2], copy_fd[2];
  uint32_t flows, renew;
  bool copies; /* are listened for, and every second flow is TCP */
  struct way way[2];
  uint64_t reordered, duplicated, foreign, last_ns, gap_ns;
  uint64_t openings; /* frames that open a flow: SYN, SYN-ACK and the ACK that follows; the first datagram each way */
};

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint16_t checksum(const uint8_t *data, uint32_t bytes) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < bytes; i += 2) sum += (uint32_t)data[i] << 8 | data[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void put32(uint8_t *to, uint32_t value) {
  uint32_t wire = htonl(value);
  memcpy(to, &wire, sizeof wire);
}

static bool is_tcp(const struct load *l, uint32_t flow) { return l->copies && flow % 2; }

/* Number of a frame within its connection. */
static uint32_t since_opening(const struct load *l, uint32_t number) {
  return l->renew ? number % l->renew : number;
}

static void write_tcp(const struct load *l, struct load_frame *f) {
  uint32_t payload = sizeof *f - offsetof(struct load_frame, mark), n = since_opening(l, f->mark.sequence);
  uint32_t first = 1000 + 1000003 * ((f->mark.sequence - n) / (l->renew ? l->renew : 1));
  f->ip[9] = IPPROTO_TCP;
  put32(f->transport + 4, first + n * payload + (n > 0));
  put32(f->transport + 8, n || f->mark.direction ? first : 0);
  f->transport[12] = 0x50;
  f->transport[13] = n ? TCP_PSH_ACK : f->mark.direction ? TCP_SYN_ACK : TCP_SYN;
  f->transport[14] = f->transport[15] = 0xff; /* window */
}

static struct load_frame make_frame(const struct load *l, uint32_t direction, uint32_t flow, uint32_t sequence) {
  struct load_frame f = {
      .ethernet = {2, 0, 0, 0, (uint8_t)(2 - direction), 1, 2, 0, 0, 0, (uint8_t)(1 + direction), 1, 8, 0},
      .ip = {0x45, 0, 0, sizeof f - 14, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0, 10, 1, 0, (uint8_t)(1 + flow), 10, 2, 0, 1},
      .transport = {0x9c, 0x40, 0x1b, 0x58, 0, sizeof f - 34, 0, 0}, /* 40000 > 7000, no checksum */
      .mark = {MAGIC, direction, flow, sequence}};
  if (direction) {
    uint8_t source[4], port[2];
    memcpy(source, f.ip + 12, 4), memcpy(f.ip + 12, f.ip + 16, 4), memcpy(f.ip + 16, source, 4);
    memcpy(port, f.transport, 2), memcpy(f.transport, f.transport + 2, 2), memcpy(f.transport + 2, port, 2);
  }
  if (is_tcp(l, flow)) write_tcp(l, &f);
  uint16_t sum = checksum(f.ip, sizeof f.ip);
  f.ip[10] = (uint8_t)(sum >> 8), f.ip[11] = (uint8_t)sum;
  return f;
}

static void send_next(struct load *l, uint32_t direction) {
  struct way *w = &l->way[direction];
  uint64_t number = w->sent / l->flows;
  uint32_t flow = (uint32_t)(w->sent % l->flows);
  if (number >= SEQUENCE_MAX) return;
  struct load_frame f = make_frame(l, direction, flow, (uint32_t)number);
  if (send(l->fd[direction], &f, sizeof f, 0) != (ssize_t)sizeof f) return;
  w->sent++;
  uint32_t n = is_tcp(l, flow) ? since_opening(l, (uint32_t)number) : (uint32_t)number;
  if (n == 0 || (n == 1 && is_tcp(l, flow) && direction == 0)) l->openings++;
}

/* The mark of a frame that this load has sent in `direction`. */
static bool read_mark(struct load *l, uint32_t direction, const uint8_t *frame, uint32_t bytes, struct mark *m) {
  struct load_frame f = {0};
  memcpy(&f, frame, bytes < sizeof f ? bytes : sizeof f);
  *m = f.mark;
  bool ours = bytes >= sizeof f && m->magic == MAGIC && m->direction == direction && m->flow < l->flows;
  if (ours && m->sequence < SEQUENCE_MAX) return true;
  l->foreign++;
  return false;
}

static void take(struct load *l, uint32_t direction, const uint8_t *frame, uint32_t bytes) {
  struct mark m;
  if (!read_mark(l, direction, frame, bytes, &m)) return;
  struct way *w = &l->way[direction];
  uint64_t now = now_ns();
  if (l->last_ns && now - l->last_ns > l->gap_ns) l->gap_ns = now - l->last_ns;
  l->last_ns = now;
  if (w->seen[m.flow][m.sequence]++) {
    l->duplicated++;
    return;
  }
  w->received++;
  if (m.sequence + 1 < w->highest[m.flow]) l->reordered++;
  else w->highest[m.flow] = m.sequence + 1;
}

static void take_copy(struct load *l, uint32_t direction, const uint8_t *frame, uint32_t bytes) {
  struct mark m;
  if (!read_mark(l, direction, frame, bytes, &m)) return;
  if (l->way[direction].copied[m.flow][m.sequence]++) l->duplicated++;
  else l->way[direction].copies++;
}

static void receive_all(struct load *l) {
  for (uint32_t end = 0; end < 2; end++) {
    uint32_t bytes;
    for (uint8_t *frame; (frame = receive_frame(l->fd[end], &bytes));) take(l, 1 - end, frame, bytes);
    if (!l->copies) continue;
    for (uint8_t *frame; (frame = receive_frame(l->copy_fd[end], &bytes));) take_copy(l, end, frame, bytes);
  }
}

/* How often, in the order of sending, a frame that was copied follows one that was not, or the other way round. */
static uint64_t changes(const struct load *l, uint32_t direction) {
  const struct way *w = &l->way[direction];
  uint64_t n = 0;
  bool before = false;
  for (uint64_t i = 0; l->copies && i < w->sent; i++) {
    bool now = w->copied[i % l->flows][i / l->flows];
    n += now != before;
    before = now;
  }
  return n;
}

static void report(const struct load *l, bool last) {
  const struct way *up = &l->way[0], *down = &l->way[1];
  uint64_t sent = up->sent + down->sent, received = up->received + down->received;
  printf("{\"sent\":%lu,\"received\":%lu,\"lost\":%lu,\"reordered\":%lu,\"duplicated\":%lu,"
         "\"foreign\":%lu,\"gapUs\":%lu,\"lostUp\":%lu,\"openings\":%lu,\"copies\":[%lu,%lu],\"changes\":[%lu,%lu]}\n",
         sent, received, sent - received, l->reordered, l->duplicated, l->foreign, l->gap_ns / 1000,
         up->sent - up->received, l->openings, up->copies, down->copies, last ? changes(l, 0) : 0,
         last ? changes(l, 1) : 0);
  fflush(stdout);
}

/* Wait until nothing has come for a while or all has. */
static void settle(struct load *l) {
  uint64_t since = now_ns();
  l->last_ns = 0;
  while (l->way[0].sent + l->way[1].sent > l->way[0].received + l->way[1].received) {
    struct pollfd wait[2] = {{l->fd[0], POLLIN, 0}, {l->fd[1], POLLIN, 0}};
    poll(wait, 2, 100);
    receive_all(l);
    if (now_ns() - (l->last_ns > since ? l->last_ns : since) > QUIET_NS) return;
  }
  /* Duplicates may still be on their way. */
  poll(NULL, 0, 50);
  receive_all(l);
}

static struct load *open_load(int n, char **argument) {
  struct load *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  l->flows = (uint32_t)strtoul(argument[3], NULL, 10);
  if (l->flows == 0 || l->flows > FLOWS_MAX) return NULL;
  l->copies = n > 4;
  l->renew = l->copies ? (uint32_t)strtoul(argument[6], NULL, 10) : 0;
  for (uint32_t i = 0; i < 2; i++) {
    l->fd[i] = open_port(argument[i]);
    if (l->copies) l->copy_fd[i] = open_port(argument[4 + i]);
  }
  for (uint32_t i = 0; i < 2 * l->flows; i++) {
    struct way *w = &l->way[i & 1];
    if (!(w->seen[i / 2] = calloc(SEQUENCE_MAX, 1)) || !(w->copied[i / 2] = calloc(SEQUENCE_MAX, 1))) return NULL;
  }
  return l;
}

static int run(struct load *l, uint64_t per_second) {
  uint64_t start = now_ns();
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    uint64_t due = (now_ns() - start) * per_second / 2000000000ull;
    for (uint32_t i = 0; i < CATCH_UP; i++)
      for (uint32_t d = 0; d < 2; d++)
        if (l->way[d].sent < due) send_next(l, d);
    receive_all(l);
    struct pollfd wait[1] = {{STDIN_FILENO, POLLIN, 0}};
    poll(wait, 1, STEP_MS);
    if (!wait[0].revents) continue;
    char letter;
    if (!read_all(&letter, 1)) return 0;
    if (letter == 's') settle(l);
    report(l, letter == 's');
    if (letter == 's') return 0;
  }
}

int main(int n, char **argument) {
  if (n != 5 && n != 8) {
    fprintf(stderr, "usage: load A B PPS FLOWS [IN OUT RENEW]\n");
    return 2;
  }
  hurry();
  struct load *l = open_load(n - 1, argument + 1);
  return l ? run(l, strtoull(argument[3], NULL, 10)) : 1;
}

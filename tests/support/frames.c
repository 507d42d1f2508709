/* Raw frames for tests of the plane: a bench that sends and records, a transparent box, a load that counts.
 *
 * Every program ends when its standard input closes, so a test that dies leaves none behind. A tag that the
 * kernel took off is put back with its own protocol: what is reported is what was on the wire.
 *
 *   frames bench IF...               records on both pipes: port (1 byte), length (4, little endian), frame
 *   frames box IN OUT                one letter: p pass, d drop, i drop what enters by IN, o by OUT
 *   frames load A B PPS FLOWS        one letter: r report, s stop sending and report when all is quiet
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES_MAX 65536
#define PORTS_MAX 16
#define TAG_BYTES 4
#define BUFFER_BYTES (16 << 20)

static void fail(const char *what, const char *which) {
  fprintf(stderr, "frames: Cannot %s %s: %s\n", what, which, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int open_port(const char *name) {
  int on = 1, bytes = BUFFER_BYTES, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  to.sll_ifindex = (int)if_nametoindex(name);
  struct packet_mreq all = {.mr_ifindex = to.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
  if (fd < 0 || to.sll_ifindex == 0) fail("open", name);
  if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0 ||
      bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
    fail("set up", name);
  return fd;
}

/* Put the tag back that the kernel keeps beside the frame; `frame` has room for it in front. */
static uint8_t *restore_tag(uint8_t *frame, const struct tpacket_auxdata *aux) {
  if (!(aux->tp_status & TP_STATUS_VLAN_VALID)) return frame;
  uint16_t type = (aux->tp_status & TP_STATUS_VLAN_TPID_VALID) ? aux->tp_vlan_tpid : ETHERTYPE_VLAN;
  uint16_t tag[2] = {htons(type), htons(aux->tp_vlan_tci)};
  memmove(frame - TAG_BYTES, frame, 2 * ETHER_ADDR_LEN);
  memcpy(frame - TAG_BYTES + 2 * ETHER_ADDR_LEN, tag, sizeof tag);
  return frame - TAG_BYTES;
}

/* The next frame waiting at a port, or null. It lies in a buffer of its own until the next call. */
static uint8_t *receive_frame(int fd, uint32_t *bytes) {
  static uint8_t buffer[TAG_BYTES + FRAME_BYTES_MAX];
  char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
  struct iovec vector = {buffer + TAG_BYTES, FRAME_BYTES_MAX};
  struct msghdr m = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_TRUNC);
  if (n < 0) return NULL;
  uint8_t *frame = buffer + TAG_BYTES;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
    struct tpacket_auxdata aux;
    if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
    memcpy(&aux, CMSG_DATA(c), sizeof aux);
    frame = restore_tag(frame, &aux);
  }
  *bytes = (uint32_t)(buffer + TAG_BYTES - frame) + (uint32_t)n;
  return frame;
}

/* False at the end of the pipe. */
static bool read_all(void *to, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    ssize_t n = read(STDIN_FILENO, (char *)to + got, bytes - got);
    if (n <= 0) return false;
    got += (size_t)n;
  }
  return true;
}

static void write_all(const void *from, size_t bytes) {
  for (size_t put = 0; put < bytes;) {
    ssize_t n = write(STDOUT_FILENO, (const char *)from + put, bytes - put);
    if (n <= 0) exit(0); /* nobody listens any more */
    put += (size_t)n;
  }
}

static void write_record(uint8_t port, const uint8_t *frame, uint32_t bytes) {
  write_all(&port, 1);
  write_all(&bytes, sizeof bytes);
  write_all(frame, bytes);
}

/* What the kernel did not take is reported as a record of port 0x80 + port. */
static bool send_record(const int *fd, int ports) {
  static uint8_t frame[FRAME_BYTES_MAX];
  uint8_t port;
  uint32_t bytes;
  if (!read_all(&port, 1) || !read_all(&bytes, sizeof bytes)) return false;
  if (port >= ports || bytes > sizeof frame || !read_all(frame, bytes)) return false;
  while (send(fd[port], frame, bytes, 0) < 0) {
    if (errno == EINTR || errno == ENOBUFS) continue;
    write_record((uint8_t)(0x80 | port), frame, bytes);
    break;
  }
  return true;
}

static int bench(int ports, char **name) {
  struct pollfd wait[PORTS_MAX + 1];
  int fd[PORTS_MAX];
  if (ports > PORTS_MAX) return 1;
  for (int i = 0; i < ports; i++) wait[i] = (struct pollfd){fd[i] = open_port(name[i]), POLLIN, 0};
  wait[ports] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
  write_record(0xff, NULL, 0); /* ready */
  for (;;) {
    poll(wait, (nfds_t)ports + 1, -1);
    for (int i = 0; i < ports; i++) {
      uint32_t bytes;
      for (uint8_t *frame; (frame = receive_frame(fd[i], &bytes));) write_record((uint8_t)i, frame, bytes);
    }
    if ((wait[ports].revents & (POLLIN | POLLHUP)) && !send_record(fd, ports)) return 0;
  }
}

/* A box that changes nothing and can fail silently. */
static int box(char **name) {
  int fd[2] = {open_port(name[0]), open_port(name[1])};
  struct pollfd wait[3] = {{fd[0], POLLIN, 0}, {fd[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  uint64_t passed = 0, dropped = 0;
  char mode = 'p';
  printf("ready\n");
  for (;;) {
    fflush(stdout);
    poll(wait, 3, -1);
    if (wait[2].revents) {
      char letter;
      if (!read_all(&letter, 1)) return 0;
      mode = letter;
      printf("{\"passed\":%lu,\"dropped\":%lu}\n", passed, dropped);
    }
    for (int i = 0; i < 2; i++) {
      uint32_t bytes;
      for (uint8_t *frame; (frame = receive_frame(fd[i], &bytes));) {
        bool drops = mode == 'd' || mode == (i == 0 ? 'i' : 'o');
        if (!drops && send(fd[1 - i], frame, bytes, 0) == (ssize_t)bytes) passed++;
        else dropped++;
      }
    }
  }
}

/* The load: UDP flows in both directions, every frame numbered within its direction and flow. */
#define FLOWS_MAX 64
#define SEQUENCE_MAX (1u << 20)
#define MAGIC 0x6672616du
#define STEP_MS 1
#define QUIET_NS 1000000000ull
#define CATCH_UP 64

struct mark { uint32_t magic, direction, flow, sequence; };
struct load_frame { uint8_t ethernet[14], ip[20], udp[8]; struct mark mark; uint8_t pad[22]; } __attribute__((packed));
struct way { uint8_t *seen[FLOWS_MAX]; uint32_t highest[FLOWS_MAX]; uint64_t sent, received; };
struct load {
  int fd[2];
  uint32_t flows;
  struct way way[2];
  uint64_t reordered, duplicated, foreign, last_ns, gap_ns;
};

static uint16_t checksum(const uint8_t *data, uint32_t bytes) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < bytes; i += 2) sum += (uint32_t)data[i] << 8 | data[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static struct load_frame make_frame(uint32_t direction, uint32_t flow, uint32_t sequence) {
  struct load_frame f = {
      .ethernet = {2, 0, 0, 0, (uint8_t)(2 - direction), 1, 2, 0, 0, 0, (uint8_t)(1 + direction), 1, 8, 0},
      .ip = {0x45, 0, 0, sizeof f - 14, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, (uint8_t)(1 + flow), 10, 2, 0, 1},
      .udp = {0x9c, 0x40, 0x1b, 0x58, 0, sizeof f - 34, 0, 0}, /* 40000 > 7000, no checksum */
      .mark = {MAGIC, direction, flow, sequence}};
  if (direction) {
    uint8_t source[4], port[2];
    memcpy(source, f.ip + 12, 4), memcpy(f.ip + 12, f.ip + 16, 4), memcpy(f.ip + 16, source, 4);
    memcpy(port, f.udp, 2), memcpy(f.udp, f.udp + 2, 2), memcpy(f.udp + 2, port, 2);
  }
  uint16_t sum = checksum(f.ip, sizeof f.ip);
  f.ip[10] = (uint8_t)(sum >> 8), f.ip[11] = (uint8_t)sum;
  return f;
}

static void send_next(struct load *l, uint32_t direction) {
  struct way *w = &l->way[direction];
  uint64_t number = w->sent / l->flows;
  if (number >= SEQUENCE_MAX) return;
  struct load_frame f = make_frame(direction, (uint32_t)(w->sent % l->flows), (uint32_t)number);
  if (send(l->fd[direction], &f, sizeof f, 0) == (ssize_t)sizeof f) w->sent++;
}

static void take(struct load *l, uint32_t direction, const uint8_t *frame, uint32_t bytes) {
  struct load_frame f;
  memcpy(&f, frame, bytes < sizeof f ? bytes : sizeof f);
  struct mark m = f.mark;
  bool ours = bytes >= sizeof f && m.magic == MAGIC && m.direction == direction && m.flow < l->flows;
  if (!ours || m.sequence >= SEQUENCE_MAX) {
    l->foreign++;
    return;
  }
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

static void receive_all(struct load *l) {
  for (uint32_t end = 0; end < 2; end++) {
    uint32_t bytes;
    for (uint8_t *frame; (frame = receive_frame(l->fd[end], &bytes));) take(l, 1 - end, frame, bytes);
  }
}

static void report(const struct load *l) {
  uint64_t sent = l->way[0].sent + l->way[1].sent, received = l->way[0].received + l->way[1].received;
  printf("{\"sent\":%lu,\"received\":%lu,\"lost\":%lu,\"reordered\":%lu,\"duplicated\":%lu,"
         "\"foreign\":%lu,\"gapUs\":%lu,\"lostUp\":%lu}\n",
         sent, received, sent - received, l->reordered, l->duplicated, l->foreign, l->gap_ns / 1000,
         l->way[0].sent - l->way[0].received);
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

static int load(char **argument) {
  struct load *l = calloc(1, sizeof *l);
  uint64_t per_second = strtoull(argument[2], NULL, 10), start = now_ns();
  if (!l) return 1;
  l->flows = (uint32_t)strtoul(argument[3], NULL, 10);
  if (l->flows == 0 || l->flows > FLOWS_MAX) return 1;
  for (uint32_t i = 0; i < 2; i++) l->fd[i] = open_port(argument[i]);
  for (uint32_t i = 0; i < 2 * l->flows; i++)
    if (!(l->way[i & 1].seen[i / 2] = calloc(SEQUENCE_MAX, 1))) return 1;
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
    report(l);
    if (letter == 's') return 0;
  }
}

int main(int n, char **argument) {
  const char *what = n > 1 ? argument[1] : "";
  prctl(PR_SET_TIMERSLACK, 1);
  setpriority(PRIO_PROCESS, 0, -20); /* a real box does not share its processor with a test */
  if (n > 2 && strcmp(what, "bench") == 0) return bench(n - 2, argument + 2);
  if (n == 4 && strcmp(what, "box") == 0) return box(argument + 2);
  if (n == 6 && strcmp(what, "load") == 0) return load(argument + 2);
  fprintf(stderr, "usage: frames bench IF... | box IN OUT | load A B PPS FLOWS\n");
  return 2;
}

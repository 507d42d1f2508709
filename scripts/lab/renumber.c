/* A box's part that renumbers TCP, as firewalls do that hide weak initial sequence numbers: what each side sends gets a random
 * number added, drawn for each connection and direction. An instrument of the lab.
 *
 *   renumber A B     moves frames between interfaces A (the clients' side) and B until it is ended
 *
 * A SYN from A opens a connection; another one with another number draws anew. What is unknown passes as it is, and a box
 * that tracks connections behind it drops that.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define CONNECTIONS 65536u /* a place each; who comes later takes it */
#define FRAME_MAX 2048
enum { SYN = 2, ACK = 16, SACK = 5 };

/* By client and server: what is added to what each of them sends. */
struct connection { uint32_t addr[2], opened, add[2]; uint16_t port[2]; };
static struct connection table[CONNECTIONS];

static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static void put32(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v; }

static uint32_t draw(void) {
  uint32_t v = 0;
  if (getrandom(&v, sizeof v, 0) != sizeof v) perror("getrandom");
  return v;
}

static void make_sum(uint8_t *ip, uint8_t *t, uint32_t n) {
  uint32_t sum = 6 + n;
  t[16] = t[17] = 0;
  for (uint32_t i = 12; i < 20; i += 2) sum += get16(ip + i);
  for (uint32_t i = 0; i + 1 < n; i += 2) sum += get16(t + i);
  if (n % 2) sum += (uint32_t)t[n - 1] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  t[16] = (uint8_t)(~sum >> 8), t[17] = (uint8_t)~sum;
}

/* `from`: 0 the client sent it, 1 the server. */
static struct connection *find(const uint8_t *ip, const uint8_t *t, int from) {
  uint32_t addr[2] = {get32(ip + (from ? 16 : 12)), get32(ip + (from ? 12 : 16))};
  uint16_t port[2] = {(uint16_t)get16(t + (from ? 2 : 0)), (uint16_t)get16(t + (from ? 0 : 2))};
  uint32_t hash = (addr[0] ^ addr[1] * 31u ^ (uint32_t)port[0] << 8 ^ port[1]) * 2654435761u;
  struct connection *c = &table[hash >> 16];
  int opens = !from && (t[13] & (SYN | ACK)) == SYN;
  int same = !memcmp(c->addr, addr, sizeof addr) && !memcmp(c->port, port, sizeof port);
  if (opens && (!same || c->opened != get32(t + 4))) {
    *c = (struct connection){.opened = get32(t + 4), .add = {draw(), draw()}};
    memcpy(c->addr, addr, sizeof addr);
    memcpy(c->port, port, sizeof port);
    same = 1;
  }
  return same ? c : NULL;
}

static void move_edges(uint8_t *t, uint32_t end, uint32_t by) {
  for (uint32_t at = 20; at < end && t[at]; at += t[at] == 1 ? 1 : t[at + 1]) {
    if (t[at] == 1) continue;
    if (at + 2 > end || t[at + 1] < 2 || at + t[at + 1] > end) return;
    for (uint32_t i = at + 2; t[at] == SACK && i + 4 <= at + t[at + 1]; i += 4) put32(t + i, get32(t + i) - by);
  }
}

static void renumber(uint8_t *frame, uint32_t n, int from) {
  uint8_t *ip = frame + 14;
  if (n < 54 || get16(frame + 12) != ETHERTYPE_IP || ip[0] != 0x45 || ip[9] != 6 || (get16(ip + 6) & 0x3fff)) return;
  uint8_t *t = ip + 20;
  uint32_t bytes = get16(ip + 2) - 20, header = (t[12] >> 4) * 4u;
  if (bytes + 34 > n || header < 20 || header > bytes) return;
  const struct connection *c = find(ip, t, from);
  if (!c) return;
  put32(t + 4, get32(t + 4) + c->add[from]);
  if (t[13] & ACK) {
    put32(t + 8, get32(t + 8) - c->add[1 - from]);
    move_edges(t, header, c->add[1 - from]);
  }
  make_sum(ip, t, bytes);
}

static int tap(const char *name) {
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), on = 1;
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
  struct packet_mreq all = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
  if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0) {
    perror(name);
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  struct pollfd side[2] = {{tap(argv[1]), POLLIN, 0}, {tap(argv[2]), POLLIN, 0}};
  puts("ready");
  fflush(stdout);
  while (poll(side, 2, -1) >= 0) {
    for (int from = 0; from < 2; from++) {
      static uint8_t frame[FRAME_MAX];
      ssize_t n = side[from].revents ? recv(side[from].fd, frame, sizeof frame, MSG_DONTWAIT) : -1;
      if (n <= 0) continue;
      renumber(frame, (uint32_t)n, from);
      if (send(side[1 - from].fd, frame, (size_t)n, 0) < 0) continue; /* its queue is full or its link down: lost, as on a wire */
    }
  }
  return 1;
}

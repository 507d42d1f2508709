/* A crowd: as many TCP connections as one likes, made of frames, and what of them lives. No socket of the kernel knows them.
 *
 *   crowd client INTERFACE MAC FLOWS     MAC: of the box on this side
 *   crowd server INTERFACE MAC
 *
 * The client is told on standard input: "open" opens all connections, "speak" sends a byte in each and waits for the answer,
 * again after 250 ms; a line of JSON answers. End of input ends both; then the server tells what it has seen. A connection is
 * known by its sequence numbers, which a NAT leaves alone, so the server keeps nothing, and what a node plays is told
 * from what the ends have sent: its SYNs have numbers that neither end began with.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 256             /* connections that wait for an answer at once: a port of a box holds them */
#define AGAIN_NS 250000000ull
#define TRIES 12
#define STEP 1024u             /* of sequence numbers, from connection to connection */
#define CLIENT_ISN 16u
#define SERVER_ISN 512u
#define PORTS 50000u           /* of each client address */
#define PORT_FIRST 2000u
#define CLIENT_NET 0x0a010064u /* 10.1.0.100 */
#define SERVER_IP 0x0a020064u  /* 10.2.0.100 */
#define MTU 1514

struct segment { uint32_t from, to, seq, ack; uint16_t sport, dport; uint8_t flags; uint32_t bytes; };
struct counts { uint64_t sent_acks, seen_acks, leaked; };

static int wire;
static uint8_t own_mac[6], box_mac[6];
static bool client;
static struct counts counts;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what) { perror(what), exit(1); }

static void open_wire(const char *interface) {
  wire = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  if (wire < 0 || ioctl(wire, SIOCGIFHWADDR, &request) < 0) die("Cannot open the interface");
  memcpy(own_mac, request.ifr_hwaddr.sa_data, 6);
  int bytes = 32 << 20, one = 1;
  setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(wire, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(interface)};
  if (bind(wire, (struct sockaddr *)&at, sizeof at) < 0) die("Cannot bind to the interface");
}

static uint32_t add(uint32_t sum, const void *data, size_t bytes) {
  const uint8_t *at = data;
  for (size_t i = 0; i + 1 < bytes; i += 2) sum += (uint32_t)(at[i] << 8 | at[i + 1]);
  return bytes & 1 ? sum + (uint32_t)(at[bytes - 1] << 8) : sum;
}
static uint16_t fold(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

static void say(const struct segment *s) {
  uint8_t frame[128] = {0};
  struct ip *ip = (struct ip *)(frame + 14);
  struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
  uint16_t length = (uint16_t)(sizeof *tcp + s->bytes);
  memcpy(frame, box_mac, 6), memcpy(frame + 6, own_mac, 6), frame[12] = 8;
  *ip = (struct ip){.ip_v = 4, .ip_hl = 5, .ip_len = htons((uint16_t)(20 + length)), .ip_ttl = 64, .ip_p = IPPROTO_TCP,
                    .ip_src.s_addr = htonl(s->from), .ip_dst.s_addr = htonl(s->to)};
  ip->ip_sum = fold(add(0, ip, 20));
  tcp->source = htons(s->sport), tcp->dest = htons(s->dport);
  tcp->seq = htonl(s->seq), tcp->ack_seq = htonl(s->ack);
  tcp->doff = 5, tcp->window = htons(60000);
  ((uint8_t *)tcp)[13] = s->flags;
  tcp->check = fold(add(add(IPPROTO_TCP + length, &ip->ip_src, 8), tcp, length));
  counts.sent_acks += s->flags == TH_ACK && s->bytes == 0;
  while (send(wire, frame, 34u + length, 0) < 0) usleep(100);
}

/* Addresses of the crowd are where it is. */
static void answer_arp(uint8_t *frame) {
  uint32_t target;
  memcpy(&target, frame + 38, 4);
  target = ntohl(target);
  if (frame[21] != 1 || (client ? target - CLIENT_NET > 100 : target != SERVER_IP)) return;
  uint8_t asked[4];
  memcpy(asked, frame + 38, 4);
  memcpy(frame, frame + 6, 6), memcpy(frame + 6, own_mac, 6);
  memcpy(frame + 32, frame + 22, 10);
  memcpy(frame + 22, own_mac, 6), memcpy(frame + 28, asked, 4);
  frame[21] = 2;
  (void)!send(wire, frame, 42, 0);
}

/* The next segment; false: nothing came within `ms`. */
static bool hear(struct segment *s, int ms) {
  uint8_t frame[MTU + 64];
  for (;;) {
    ssize_t n = recv(wire, frame, sizeof frame, MSG_DONTWAIT);
    if (n < 0) {
      struct pollfd f = {wire, POLLIN, 0};
      if (ms == 0 || poll(&f, 1, ms) <= 0) return false;
      continue;
    }
    if (n >= 42 && frame[12] == 8 && frame[13] == 6) answer_arp(frame);
    const struct ip *ip = (const struct ip *)(frame + 14);
    const struct tcphdr *tcp = (const struct tcphdr *)(ip + 1);
    if (n < 54 || frame[12] != 8 || frame[13] != 0 || ip->ip_p != IPPROTO_TCP) continue;
    *s = (struct segment){ntohl(ip->ip_src.s_addr), ntohl(ip->ip_dst.s_addr), ntohl(tcp->seq), ntohl(tcp->ack_seq),
                          ntohs(tcp->source), ntohs(tcp->dest), ((const uint8_t *)tcp)[13],
                          (uint32_t)(ntohs(ip->ip_len) - 20 - 4 * tcp->doff)};
    if (client ? s->to - CLIENT_NET > 100 : s->to != SERVER_IP) continue;
    uint32_t first = client ? SERVER_ISN : CLIENT_ISN;
    counts.leaked += (s->flags & TH_SYN) && s->seq % STEP != first;
    counts.seen_acks += s->flags == TH_ACK && s->bytes == 0;
    return true;
  }
}

static void serve(void) {
  struct segment s;
  struct pollfd input = {0, POLLIN, 0};
  char text[16];
  while (poll(&input, 1, 0) == 0 || read(0, text, sizeof text) > 0) {
    for (uint32_t n = 0; n < 1000 && hear(&s, 20); n++) {
      struct segment back = {s.to, s.from, s.ack, s.seq + s.bytes, s.dport, s.sport, TH_ACK, s.bytes};
      if (s.flags & TH_SYN) back.seq = s.seq - CLIENT_ISN + SERVER_ISN, back.ack++, back.flags |= TH_SYN;
      if ((s.flags & TH_SYN) ? s.seq % STEP == CLIENT_ISN : s.bytes > 0) say(&back);
    }
  }
  printf("{\"leaked\":%lu,\"acks\":%lu}\n", counts.leaked, counts.seen_acks);
}

struct waits { uint32_t flow; uint64_t ns; };
struct crowd { uint32_t flows, round, done, first, tried; uint8_t *told, *tries; struct waits *ring; };

/* What a connection says: in round 0 its SYN, then a byte each. */
static void speak(const struct crowd *c, uint32_t flow) {
  uint32_t isn = flow * STEP + CLIENT_ISN, server = flow * STEP + SERVER_ISN, r = c->round;
  say(&(struct segment){CLIENT_NET + flow / PORTS, SERVER_IP, r ? isn + r : isn, r ? server + r : 0,
                        (uint16_t)(PORT_FIRST + flow % PORTS), 80, r ? TH_ACK | TH_PUSH : TH_SYN, r ? 1 : 0});
}

static void answered(struct crowd *c, const struct segment *s) {
  uint32_t flow = s->seq / STEP, isn = flow * STEP + CLIENT_ISN, r = c->round;
  bool is = flow < c->flows && s->ack == isn + r + 1 && (r ? s->bytes > 0 : (s->flags & TH_SYN) && s->seq % STEP == SERVER_ISN);
  if (!is || c->told[flow] == r + 1) return;
  c->told[flow] = (uint8_t)(r + 1);
  c->done++;
  c->first += c->tries[flow] == 1;
  if (r == 0)
    say(&(struct segment){s->to, s->from, isn + 1, s->seq + 1, s->dport, s->sport, TH_ACK, 0});
}

/* Everybody speaks once, and who is not answered again. */
static void go_round(struct crowd *c) {
  uint64_t begun = now_ns(), last = begun;
  uint32_t next = 0, head = 0, tail = 0;
  struct segment s;
  c->done = c->first = 0;
  memset(c->tries, 0, c->flows);
  for (;;) {
    uint64_t now = now_ns();
    while (head != tail && c->told[c->ring[head % WINDOW].flow] == c->round + 1) head++;
    uint32_t old = head != tail ? c->ring[head % WINDOW].flow : 0;
    if (head != tail && now - c->ring[head % WINDOW].ns > AGAIN_NS) {
      head++;
      if (c->tries[old] < TRIES) c->tries[old]++, speak(c, old), c->ring[tail++ % WINDOW] = (struct waits){old, now};
    }
    while (next < c->flows && tail - head < WINDOW) {
      c->tries[next] = 1;
      speak(c, next);
      c->ring[tail++ % WINDOW] = (struct waits){next++, now};
    }
    if (head == tail && next == c->flows) break;
    for (uint32_t n = 0, before = c->done; n < WINDOW && hear(&s, n ? 0 : 2); n++, before = c->done) {
      answered(c, &s);
      if (c->done != before) last = now_ns();
    }
  }
  printf("{\"round\":%u,\"alive\":%u,\"first\":%u,\"ms\":%.1f,\"leaked\":%lu,\"acks\":%lu,\"sentAcks\":%lu}\n", c->round, c->done, c->first,
         (double)(last - begun) / 1e6, counts.leaked, counts.seen_acks, counts.sent_acks);
  fflush(stdout);
  c->round++;
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "Usage: crowd client INTERFACE MAC FLOWS | server INTERFACE MAC\n"), 2;
  client = strcmp(argv[1], "client") == 0;
  unsigned int m[6];
  if (sscanf(argv[3], "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) return fprintf(stderr, "Cannot read MAC \"%s\"\n", argv[3]), 2;
  for (int i = 0; i < 6; i++) box_mac[i] = (uint8_t)m[i];
  open_wire(argv[2]);
  if (!client) return serve(), 0;
  struct crowd c = {.flows = argc > 4 ? (uint32_t)atoi(argv[4]) : 1};
  c.told = calloc(c.flows, 1), c.tries = calloc(c.flows, 1), c.ring = calloc(WINDOW, sizeof *c.ring);
  if (!c.told || !c.tries || !c.ring) return 1;
  struct segment s;
  struct pollfd input = {0, POLLIN, 0};
  char text[64];
  for (;;) {
    while (hear(&s, 5)) continue; /* addresses are asked for at any time, and nothing else should come */
    if (poll(&input, 1, 0) == 0) continue;
    if (!fgets(text, sizeof text, stdin)) return 0;
    go_round(&c);
  }
}

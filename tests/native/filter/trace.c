/* Traces of frames before and after a NAT: each line tells, for one kind of frame, whether print and ends stay where they
 * should, with the peek and with the parser, and whether another payload has another print.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "trace.h"

struct made { uint8_t byte[160]; uint32_t bytes; };
struct kind { const char *name; uint8_t proto; bool v6, tagged, bare; };

static uint32_t add(uint32_t sum, const uint8_t *at, uint32_t bytes) {
  for (uint32_t i = 0; i + 1 < bytes; i += 2) sum += (uint32_t)at[i] << 8 | at[i + 1];
  return bytes & 1 ? sum + ((uint32_t)at[bytes - 1] << 8) : sum;
}

static void put_sum(uint8_t *at, uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  uint16_t v = (uint16_t)~sum;
  at[0] = (uint8_t)(v >> 8), at[1] = (uint8_t)v;
}

/* `translated`: as it leaves a NAT, from another address and port, a hop further, behind another Ethernet header. */
static struct made make(const struct kind *k, uint8_t payload, bool translated) {
  struct made m = {.bytes = 0};
  uint8_t *f = m.byte;
  memset(f, translated ? 7 : 2, 12);
  uint32_t ip = 14 + (k->tagged && !translated ? 4 : 0), head = k->v6 ? 40 : 20, data = 37;
  if (ip == 18) f[12] = 0x81, f[15] = 5;
  f[ip - 2] = k->v6 ? 0x86 : 8, f[ip - 1] = k->v6 ? 0xdd : 0;
  uint32_t transport = k->proto == 6 ? 20 : 8, total = transport + data;
  uint8_t *a = f + ip + (k->v6 ? 8 : 12), *t = f + ip + head;
  if (k->v6) f[ip] = 0x60, f[ip + 5] = (uint8_t)total, f[ip + 6] = k->proto, f[ip + 7] = translated ? 63 : 64;
  else f[ip] = 0x45, f[ip + 3] = (uint8_t)(20 + total), f[ip + 8] = translated ? 63 : 64, f[ip + 9] = k->proto;
  uint32_t size = k->v6 ? 16 : 4;
  for (uint32_t i = 0; i < size; i++) a[i] = (uint8_t)((translated ? 90 : 10) + i), a[size + i] = (uint8_t)(200 + i);
  bool icmp = k->proto == 1 || k->proto == 58;
  if (icmp) t[0] = k->v6 ? 128 : 8, t[4] = translated ? 9 : 3, t[7] = 1;
  else t[0] = translated ? 0xf0 : 0x9c, t[1] = 0x41, t[3] = 53;
  if (k->proto == 6) memcpy(t + 4, "\1\2\3\4\5\6\7\10\x50\x18\1\0", 12);
  if (k->proto == 17) t[5] = (uint8_t)total;
  for (uint32_t i = 0; i < data; i++) t[transport + i] = (uint8_t)(i * 7);
  /* A difference that the first bytes do not show: the checksum has to. TCP tells by its numbers. */
  t[transport + data - 1] = payload;
  if (k->proto == 6) t[7] = payload;
  uint32_t pseudo = k->proto == 1 ? 0 : add(total + k->proto, a, 2 * size);
  if (!k->bare) put_sum(t + (k->proto == 6 ? 16 : k->proto == 17 ? 6 : 2), add(pseudo, t, total));
  m.bytes = ip + head + total;
  return m;
}

static struct rm_trace trace(const struct made *m, bool peeked) {
  static struct rm_flows table;
  struct rm_peek k = {.plain = 0};
  struct rm_trace t = {0};
  if (peeked) rm_peek(&table, m->byte, m->bytes, false, &k);
  if (!rm_trace(m->byte, m->bytes, &k, 12345, &t)) printf("none ");
  return t;
}

/* As it leaves a box between IPv6 and IPv4: another protocol below, the rest as it was, the identifier of an echo or a port the box's own. */
static void cross(struct kind k, const char *name) {
  struct kind other = {k.name, k.proto == 58 ? 1 : k.proto, false, false, k.bare};
  struct made in = make(&k, 1, false), out = make(&other, 1, true), wrong = make(&other, 2, true);
  struct rm_trace a = trace(&in, true), b = trace(&out, true), c = trace(&wrong, true);
  printf("%s %d %d\n", name, a.print == b.print, a.print != c.print);
}

int main(void) {
  static const struct kind KINDS[] = {
      {"tcp4", 6, false, false, false},  {"tcp6", 6, true, true, false},   {"udp4", 17, false, true, false},
      {"udp6", 17, true, false, false},  {"bare", 17, false, false, true}, {"icmp4", 1, false, false, false},
      {"icmp6", 58, true, false, false},
  };
  for (uint32_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
    struct made in = make(&KINDS[i], 1, false), out = make(&KINDS[i], 1, true), other = make(&KINDS[i], 2, false);
    struct rm_trace a = trace(&in, true), b = trace(&out, true), c = trace(&other, true), d = trace(&in, false);
    printf("%s %d%d %d %d\n", KINDS[i].name, a.print == b.print, a.to == b.to && a.from != b.from, a.print != c.print,
           memcmp(&a, &d, sizeof a) == 0);
  }
  for (uint32_t i = 0; i < 2; i++) cross((struct kind){"", i ? 17 : 6, true, false, false}, i ? "udp6-4" : "tcp6-4");
  cross((struct kind){"", 58, true, false, false}, "icmp6-4");
  struct made arp = {.byte = {[12] = 8, [13] = 6}, .bytes = 60};
  trace(&arp, true);
  printf("arp\n");
  return 0;
}

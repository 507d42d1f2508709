/* What standbys made of openings, by hand: frames come out of two or three boxes, and the verdicts are printed.
 *
 *   twin      a line for each story; what it shows is in twin_test.ts
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "twin.h"

#define SLOTS 8u
#define MS 1000000ull

static struct rm_flow flows[SLOTS];
static uint32_t words[SLOTS];
static struct twins *twins;
static uint64_t now;

struct made { uint8_t proto, from, to; uint16_t sport, dport; uint32_t seq; const char *payload; bool ends, answers; };

static void begin(const char *story) {
  printf("%s%s:", now ? "\n" : "", story);
  memset(flows, 0, sizeof flows);
  memset(words, 0, sizeof words);
  memset(twins, 0, sizeof *twins);
  twins->entries = flows;
  twins->word = words;
  twins->secret = 77;
  now = 5000 * MS;
}

static void open_flow(uint32_t slot) {
  flows[slot] = (struct rm_flow){.flags = RM_FLOW_USED, .peer = RM_NO_FLOW};
  flows[slot].first_ns = now;
}

/* Out of `box`; slot: of the flow if it serves, else RM_NO_FLOW. Returns the first box that is found to differ, or -1. */
static int out(uint32_t box, uint32_t slot, struct made m) {
  uint8_t frame[256] = {0};
  struct rm_packet p = {.verdict = RM_PARSE_FLOW, .proto = m.proto, .seq = m.seq, .window = 64240, .scale = 7};
  p.tcp_flags = m.proto == IPPROTO_TCP ? RM_TCP_SYN | (m.answers ? RM_TCP_ACK : 0) : 0;
  p.dir = m.from > m.to; /* the key has the lower end first */
  p.addr[p.dir][15] = m.from, p.addr[1 - p.dir][15] = m.to;
  p.port[p.dir] = m.sport, p.port[1 - p.dir] = m.dport;
  p.transport_offset = 34;
  p.payload_offset = 42;
  if (m.proto == IPPROTO_ICMP || m.proto == IPPROTO_ICMPV6) frame[34] = m.proto == IPPROTO_ICMP ? 8 : 128, frame[41] = (uint8_t)m.seq;
  if (m.payload) p.payload_bytes = (uint32_t)strlen(m.payload), memcpy(frame + 42, m.payload, p.payload_bytes);
  p.frame_bytes = 42 + p.payload_bytes;
  uint32_t unlike = 0;
  const struct rm_flow *flow = slot == RM_NO_FLOW ? NULL : &flows[slot];
  const struct twin *o = twins_note(twins, &(struct twin_sight){frame, &p, flow, box, now, m.ends ? twin_evidence_ends(77, &p) : 0}, &unlike);
  return o && unlike ? __builtin_ctz(unlike) : -1;
}

static void tell(uint32_t slot) {
  static const char LETTER[] = "?=#x";
  uint32_t word = twins_word(twins, slot);
  putchar(' ');
  for (uint32_t box = 0; box < RM_BOXES; box++) putchar(LETTER[twin_verdict(word, box)]);
}

static uint32_t both(void *context, const struct twin *o) { (void)o; return *(uint32_t *)context; }
static bool quiet;
static void missing(void *context, const struct twin *o, uint32_t box) {
  (void)context;
  if (!quiet) printf(" %u%s%u", o->slot, o->answer ? "/" : "!", box);
}
static uint32_t walk(uint32_t expected) { return twins_walk(twins, RM_TWINS, now, &(struct twin_owed){both, missing, &expected}); }

#define SYN(from, sport, seq) ((struct made){IPPROTO_TCP, from, 9, sport, 80, seq, NULL, false, false})
#define NUMBERED(from, sport, seq) ((struct made){IPPROTO_TCP, from, 9, sport, 80, seq, NULL, true, false})
#define ANSWER(from, sport, seq) ((struct made){IPPROTO_TCP, from, 9, sport, 80, seq, NULL, true, true})
#define UDP(from, sport, text) ((struct made){IPPROTO_UDP, from, 9, sport, 53, 0, text, false, false})
#define ECHO(from, id, n, text) ((struct made){IPPROTO_ICMP, from, 9, id, id, n, text, false, false})
#define ECHO6(from, id, n, text) ((struct made){IPPROTO_ICMPV6, from, 9, id, id, n, text, false, false})

static void stories(void) {
  begin("same, either first");
  open_flow(1), out(0, 1, SYN(2, 1000, 7)), out(1, RM_NO_FLOW, SYN(2, 1000, 7)), tell(1);
  open_flow(2), out(1, RM_NO_FLOW, SYN(200, 1001, 8)), tell(2), out(0, 2, SYN(200, 1001, 8)), tell(2);
  begin("another port, another address");
  open_flow(1), out(0, 1, SYN(2, 1000, 7)), printf(" %d", out(1, RM_NO_FLOW, SYN(2, 2000, 7))), tell(1);
  printf(" %d", out(1, RM_NO_FLOW, SYN(2, 2000, 7))); /* told once */
  open_flow(2), out(0, 2, SYN(2, 1001, 8)), out(1, RM_NO_FLOW, SYN(3, 1001, 8)), tell(2);
  begin("known by their ends");
  open_flow(1), out(0, 1, NUMBERED(2, 1000, 7)), printf(" %d", out(1, RM_NO_FLOW, NUMBERED(2, 1000, 99))), tell(1);
  open_flow(2), out(0, 2, NUMBERED(2, 1001, 8)), out(1, RM_NO_FLOW, NUMBERED(2, 1001, 8)), tell(2);
  open_flow(3), out(0, 3, NUMBERED(2, 1002, 8)), out(0, 3, NUMBERED(2, 1002, 9)), out(1, RM_NO_FLOW, NUMBERED(2, 1002, 9)), tell(3);
  begin("three boxes");
  open_flow(1), out(2, RM_NO_FLOW, SYN(2, 1, 7)), out(0, 1, SYN(2, 1000, 7)), out(1, RM_NO_FLOW, SYN(2, 1000, 7)), tell(1);
  begin("the redundant box serves");
  open_flow(1), out(1, 1, SYN(2, 1000, 7)), out(0, RM_NO_FLOW, SYN(2, 1000, 7)), tell(1);
  begin("nothing for a second");
  open_flow(1), out(0, 1, SYN(2, 1000, 7)), now += 900 * MS, printf(" %u", walk(2)), tell(1);
  now += 200 * MS, printf(" %u", walk(2)), tell(1), printf(" %u", walk(2));
  open_flow(2), out(0, 2, SYN(2, 1001, 8)), now += 1100 * MS, printf(" %u", walk(0)), tell(2); /* got no copy */
  begin("an answer says nothing of the binding, and is missed where it does not come");
  open_flow(1), out(0, 1, ANSWER(2, 1000, 7)), out(1, RM_NO_FLOW, ANSWER(2, 1000, 99)), tell(1);
  open_flow(2), out(0, 2, ANSWER(2, 1001, 8)), now += 1100 * MS, walk(2), tell(2);
  begin("datagrams and echoes");
  open_flow(1), out(0, 1, UDP(2, 1000, "query 1")), out(1, RM_NO_FLOW, UDP(2, 4000, "query 1")), tell(1);
  open_flow(2), out(0, 2, UDP(2, 1001, "query 2")), out(1, RM_NO_FLOW, UDP(2, 1001, "query 2")), tell(2);
  open_flow(3), out(0, 3, ECHO(2, 5, 1, "ping")), out(1, RM_NO_FLOW, ECHO(2, 6, 1, "ping")), tell(3);
  begin("an echo is the same as IPv6 and as IPv4");
  open_flow(1), out(0, 1, ECHO(2, 5, 1, "ping")), out(1, RM_NO_FLOW, ECHO6(2, 5, 1, "ping")), tell(1);
  open_flow(2), out(0, 2, ECHO(2, 5, 2, "ping")), out(1, RM_NO_FLOW, ECHO6(2, 5, 3, "ping")), tell(2);
  begin("the same words twice tell nothing");
  open_flow(1), out(0, 1, UDP(2, 1000, "hello")), open_flow(2), out(0, 2, UDP(2, 1001, "hello"));
  out(1, RM_NO_FLOW, UDP(2, 1000, "hello")), tell(1), tell(2);
  begin("another flow at the same place");
  open_flow(1), out(0, 1, SYN(2, 1000, 7)), out(1, RM_NO_FLOW, SYN(2, 2000, 7)), tell(1);
  now += 5 * MS, open_flow(1), tell(1), out(0, 1, SYN(2, 1002, 9)), tell(1);
  out(1, RM_NO_FLOW, SYN(2, 1002, 9)), tell(1);
  begin("the same numbers a minute later");
  open_flow(1), out(0, 1, SYN(2, 1000, 7)), now += 60000 * MS, open_flow(1), out(1, RM_NO_FLOW, SYN(2, 1000, 7)), tell(1);
}

/* More openings than places, from a few boxes in any order: nothing is written where it should not be. */
static void flood(uint32_t n) {
  begin("flood");
  quiet = true;
  srandom(1);
  for (uint32_t i = 0; i < n; i++, now += (uint64_t)random() % MS) {
    uint32_t slot = (uint32_t)random() % SLOTS, box = (uint32_t)random() % RM_BOXES, seq = (uint32_t)random() % 3000;
    if (random() % 8 == 0) open_flow(slot);
    out(box, random() % 2 ? slot : RM_NO_FLOW, SYN((uint8_t)random(), (uint16_t)(random() % 3), seq));
    if (random() % 64 == 0) walk((uint32_t)random() % (1u << RM_BOXES));
  }
  printf(" whole\n");
}

int main(void) {
  twins = malloc(sizeof *twins);
  if (!twins) return 1;
  stories();
  flood(200000);
  free(twins);
  return 0;
}

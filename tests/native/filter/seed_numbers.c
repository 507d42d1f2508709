/* Is what a seed says of a connection true after any number of bytes? Flows are followed by the core, seeds are made of the two
 * entries, and a tracker that is as strict as a firewall judges the seed and all that the ends may send then.
 *
 *   seed_numbers      for every shift of the window and both directions: what is wrong, and how many connections were tried
 *
 * Bytes that nobody saw: the plane does not follow quiet packets of rules that do not ask for it, and such a rule may be put in place of
 * another one at any time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "seed.h"

#define SLOTS 16u
#define MSS 1460u
#define WINDOW 50000u /* raw, of both ends */
#define SHIFTS 15u
#define ROUNDS 3

enum { CLIENT, SERVER };

/* An end as it is, and as the tracker believes it to be (RFC 9293 3.10.7.4; the bounds are those of nf_conntrack). */
struct end { uint32_t next, acked; };
struct tracked { uint32_t end, edge, most; uint32_t shift; bool known; };
struct segment { uint32_t seq, ack, bytes; uint16_t window; uint8_t flags, shift; };

static struct rm_flows table[RM_SIDES];
static struct rm_flow entries[RM_SIDES][SLOTS] RM_ALIGNED;
static struct rm_flow_bucket buckets[RM_SIDES][SLOTS / RM_WAYS] RM_ALIGNED;
static struct rm_rules rules = {.generation = 1, .count = 1};
static struct end end[2];
static struct tracked tracked[2];
static uint32_t shift_of_both;
static uint8_t low; /* the end that comes first in the key */
static uint64_t now;

static bool is_after(uint32_t a, uint32_t b) { return (int32_t)(a - b) > 0; }

static uint32_t window(void) { return WINDOW << shift_of_both; }

static struct segment data_of(int who, uint32_t bytes) {
  return (struct segment){end[who].next, end[1 - who].next, bytes, WINDOW, RM_TCP_ACK, 0xff};
}

static struct rm_packet packet_of(int who, const struct segment *s) {
  struct rm_packet p = {.verdict = RM_PARSE_FLOW, .dir = who != low, .proto = 6, .tcp_flags = s->flags, .scale = s->shift, .window = s->window,
                        .port = {1000, 2000}, .seq = s->seq, .ack = s->ack, .payload_bytes = s->bytes, .frame_bytes = 54 + s->bytes};
  memset(p.addr[0], 1, 16), memset(p.addr[1], 2, 16);
  return p;
}

/* Through the node: in on one side, out of the box on the other. Returns why it is copied. */
static uint8_t pass(int who, const struct segment *s) {
  struct rm_packet p = packet_of(who, s);
  struct rm_flow *f;
  uint8_t why = 0;
  now += 1000;
  for (int n = 0; n < 2; n++) {
    int side = n == 0 ? who : 1 - who;
    rm_flows_begin(&table[side], &rules, now);
    struct rm_verdict v = rm_decide(&table[side], &rules, &p, rm_flows_hash(&table[side], &p), NULL, now, n == 1, &f);
    if (n == 0) why = v.why, f->outer_mac[0] = 2;
  }
  end[who].next = s->seq + s->bytes + !!(s->flags & RM_TCP_SYN);
  return why;
}

static uint8_t talk(int who, uint32_t bytes) {
  struct segment s = data_of(who, bytes);
  return pass(who, &s);
}

static void open_both(uint32_t client, uint32_t server) {
  for (int side = 0; side < RM_SIDES; side++) {
    memset(entries[side], 0, sizeof entries[side]), memset(buckets[side], 0, sizeof buckets[side]);
    rm_flows_open(&table[side], entries[side], buckets[side], SLOTS, (const uint64_t[2]){1, 2});
  }
  end[CLIENT].next = client, end[SERVER].next = server;
  struct segment syn = {client, 0, 0, WINDOW, RM_TCP_SYN, (uint8_t)shift_of_both};
  pass(CLIENT, &syn);
  struct segment answer = {server, end[CLIENT].next, 0, WINDOW, RM_TCP_SYN | RM_TCP_ACK, (uint8_t)shift_of_both};
  pass(SERVER, &answer);
  talk(CLIENT, 0);
}

static struct rm_flow *flow_of(int side) {
  struct segment s = data_of(CLIENT, 0);
  struct rm_packet p = packet_of(CLIENT, &s);
  return rm_flows_find(&table[side], &p, rm_flows_hash(&table[side], &p));
}

/* Does the tracker let it through? */
static bool believes(int who, const struct segment *s) {
  struct tracked *from = &tracked[who], *to = &tracked[1 - who];
  bool opens = s->flags & RM_TCP_SYN;
  uint32_t last = s->seq + s->bytes + opens, ack = s->flags & RM_TCP_ACK ? s->ack : to->end;
  uint32_t room = opens ? s->window : (uint32_t)s->window << from->shift;
  if (opens) *from = (struct tracked){last, last, s->window, s->shift == 0xff ? 0 : s->shift, true};
  uint32_t reach = from->most > 66000 ? from->most : 66000;
  if (!from->known || (!opens && !to->known)) return false;
  if (is_after(s->seq, from->edge) || !is_after(last, from->end - to->most - 1)) return false;
  if (to->known && (is_after(ack, to->end) || is_after(to->end - reach - 1, ack))) return false;
  if (is_after(last, from->end)) from->end = last;
  if (room > from->most) from->most = room;
  if (is_after(ack + room, to->edge)) to->edge = ack + room;
  return true;
}

static uint32_t wrong;
static void expect(bool is, const char *what, const char *story) {
  if (!is && wrong++ < 20) printf("shift %u, end %u first, %s: %s\n", shift_of_both, low, story, what);
}

/* A box that has never heard of the connection is told of it. */
static void seed(const char *story) {
  struct seed_segment step[RM_SEED_STEPS];
  struct seed_numbers out[RM_SEED_STEPS];
  const struct numbers_gap none[2] = {{0, 0}, {0, 0}};
  const struct rm_flow *up = flow_of(RM_SIDE_UP), *down = flow_of(RM_SIDE_DOWN);
  expect(up && down && seed_usable(up) && seed_usable(down), "too little is known for a seed", story);
  seed_handshake(up, down, none, step, out);
  memset(tracked, 0, sizeof tracked);
  for (uint32_t n = 0; n < RM_SEED_STEPS; n++) {
    struct segment s = {step[n].seq, step[n].ack, 0, step[n].window, step[n].flags, step[n].scale};
    expect(believes(n % 2, &s), "a frame of the seed is not believed", story);
  }
  expect(tracked[CLIENT].end == end[CLIENT].next && tracked[SERVER].end == end[SERVER].next, "the seed has other numbers", story);
}

/* All that either end may send after the switch: what is new up to the edge, what was sent before, and what acknowledges either. */
static void go_on(const char *story) {
  for (int who = 0; who < 2; who++) {
    struct segment late = data_of(who, MSS), old = data_of(1 - who, 0);
    late.seq -= window() < 64000 ? window() : 64000;
    expect(believes(who, &late), "a retransmission is dropped", story);
    old.ack -= 60000;
    expect(believes(1 - who, &old), "an old acknowledgment is dropped", story);
    struct segment far = data_of(who, 0);
    far.seq += window() - MSS;
    far.bytes = MSS;
    expect(believes(who, &far), "data at the edge of the window are dropped", story);
    end[who].next = far.seq + far.bytes;
    struct segment ack = data_of(1 - who, 0);
    expect(believes(1 - who, &ack), "the acknowledgment of all is dropped", story);
  }
}

/* `unseen` bytes of `who` pass without being followed, then some that are. */
static void try_one(int who, uint32_t isn, uint64_t unseen) {
  char story[96];
  snprintf(story, sizeof story, "%s, first number %u, %llu bytes unseen", who ? "down" : "up", isn, (unsigned long long)unseen);
  open_both(who == CLIENT ? isn : 7, who == SERVER ? isn : 7);
  talk(CLIENT, 100), talk(SERVER, 100), talk(CLIENT, 0);
  end[who].next += (uint32_t)unseen;
  for (int n = 0; n < ROUNDS; n++) {
    uint8_t why = talk(who, MSS);
    bool due = n == 0 && (uint32_t)unseen > window(); /* who has sent as much as there are numbers looks as if it had not */
    expect(!due || why == RM_WHY_KEEPALIVE, "half a window has passed, and nothing is copied", story);
    expect(n == 0 || window() < 4 * MSS || why == RM_WHY_NONE, "what was copied a moment ago is copied again", story);
    talk(1 - who, 0);
  }
  seed(story);
  go_on(story);
}

int main(void) {
  static const uint32_t ISN[] = {0, 1, INT32_MAX - 500u, INT32_MAX, 0x80000000u, UINT32_MAX - 500u, UINT32_MAX, 0x12345678u};
  static const uint64_t UNSEEN[] = {0, 900, 10000000, 1000000000, 1u << 30, INT32_MAX, 1ull << 31, (1ull << 31) + 5000, (3ull << 30) - 3000,
                                    1ull << 32, (1ull << 32) + 1000000000, (3ull << 31) + 9};
  uint32_t tried = 0;
  rules.rule[0] = (struct rm_rule){.handshake = 1, .seed = 1, .keepalive_window = 1};
  for (low = 0; low < 2; low++)
    for (shift_of_both = 0; shift_of_both < SHIFTS; shift_of_both++)
      for (uint32_t who = 0; who < 2; who++)
        for (size_t i = 0; i < sizeof ISN / sizeof *ISN; i++)
          for (size_t u = 0; u < sizeof UNSEEN / sizeof *UNSEEN; u++) tried++, try_one((int)who, ISN[i], UNSEEN[u]);
  printf("tried %u wrong %u\n", tried, wrong);
  return wrong != 0;
}

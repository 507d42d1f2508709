/* Smoke test of the filter core for the address and undefined-behaviour sanitizers.
 *
 * Reads frames (u32 length in host order, then the bytes; repeated) from the file argv[1] and lets the core parse and
 * decide for each as it is, cut at every length, and with bits flipped; argv[2] seeds the flips, argv[3] says
 * how many frames with flips there are. Then filter programs of random instructions. Every frame lies in an
 * allocation of exactly its size, so one byte too far is an error. Prints what it did and what the table holds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hot.h"

#define SLOTS 4096u
#define CUT_MAX 200u /* no header of an ordinary frame reaches further */

struct frames {
  uint8_t *bytes;
  size_t size, count;
  size_t *at;
};

static struct rm_flows table;
static struct rm_rules rules;
static struct rm_budget budget;
static uint64_t verdicts[RM_PARSES], copies[RM_WHYS], quiet, now_ns, state;

/* splitmix64: any seed is good. */
static uint64_t chance(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void fail(const char *what) {
  fprintf(stderr, "Cannot run: %s\n", what);
  exit(1);
}

static void *need(void *p) {
  if (!p) fail("no memory");
  return p;
}

static struct frames load(const char *path) {
  struct frames f = {0};
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) fail(path);
  f.size = (size_t)ftell(file);
  rewind(file);
  f.bytes = need(malloc(f.size + 1));
  f.at = need(calloc(f.size / 4 + 1, sizeof *f.at));
  if (fread(f.bytes, 1, f.size, file) != f.size) fail(path);
  fclose(file);
  for (size_t at = 0; at + 4 <= f.size;) {
    uint32_t bytes;
    memcpy(&bytes, f.bytes + at, 4);
    f.at[f.count++] = at;
    at += 4 + (size_t)bytes;
  }
  return f;
}

static void check_packet(const struct rm_packet *p) {
  bool inside = p->transport_offset <= p->payload_offset && p->payload_offset + p->payload_bytes <= p->frame_bytes;
  if (p->verdict >= RM_PARSES || !inside) fail("an offset beyond the frame");
}

/* Other rules now and then: some under which flows are never quiet, some under which they soon are. */
static void change_rules(void) {
  struct rm_rule *r = &rules.rule[0];
  rules.generation += 2;
  r->sample = r->sample ? 0 : 9;
  r->keepalive_ns = r->sample ? 1000000 : 0;
  r->keepalive_window = r->sample != 0;
  r->seed = chance() % 2;
}

/* A burst is looked at in two ways, and both see what the peek sees. */
static void check_look(const uint8_t *frame, uint32_t bytes, bool inner, const struct rm_peek *k) {
  bool was = table.wide;
  for (int way = 0; way < 2; way++) {
    struct rm_look l = {.n = 1, .frame = {frame}, .bytes = {bytes}, .inner = inner, .wary = true};
    table.wide = way && was;
    rm_look(&table, &l);
    struct rm_peek seen = rm_look_peek(&l, 0);
    bool same = seen.plain == k->plain && l.todo_count == 1 && l.todo[0] == 0;
    if (same && k->plain)
      same = seen.hash == k->hash && seen.payload_bytes == k->payload_bytes && seen.kind == k->kind && seen.calm == k->calm &&
             seen.transport_offset == k->transport_offset && seen.tcp == k->tcp && (l.again & 1);
    if (!same) fail("the look and the peek differ");
  }
  table.wide = was;
}

static void decide(const uint8_t *frame, uint32_t bytes, const struct rm_packet *p) {
  struct rm_peek k;
  struct rm_flow *flow;
  bool observed = chance() % 5 == 0;
  rm_flows_begin(&table, &rules, now_ns);
  bool inner = chance() % 2;
  rm_peek(&table, frame, bytes, inner, &k);
  check_look(frame, bytes, inner, &k);
  if (k.plain && rm_quiet(&table, &k, frame, bytes, now_ns, observed)) quiet++;
  else copies[rm_decide(&table, &rules, p, rm_flows_hash(&table, p), frame, now_ns, observed, &flow).why]++;
}

/* Parse and decide for the first `bytes` bytes of `from`, in memory of their own. */
static void feed(const uint8_t *from, uint32_t bytes, uint32_t flips) {
  uint8_t *frame = need(malloc(bytes ? bytes : 1));
  struct rm_packet p;
  memcpy(frame, from, bytes);
  for (; flips > 0 && bytes > 0; flips--) {
    uint32_t reach = chance() % 4 && bytes > 90 ? 90 : bytes;
    frame[chance() % reach] ^= (uint8_t)(1u << chance() % 8);
  }
  now_ns += chance() % 1000000;
  verdicts[rm_parse(frame, bytes, &p)]++;
  check_packet(&p);
  /* Half of the time what lies in tunnels is taken instead. */
  if (chance() % 2) rm_parse_inner(frame, bytes, &p), check_packet(&p);
  if (p.verdict == RM_PARSE_FRAGMENT)
    copies[rm_decide_fragment(&table, &rules, &p, frame, now_ns, chance() % 5 == 0).why]++;
  if (p.verdict == RM_PARSE_FLOW) decide(frame, bytes, &p);
  if (chance() % 4096 == 0) change_rules();
  if (chance() % 16 == 0) rm_flows_sweep(&table, &rules, now_ns, 1);
  free(frame);
}

static void feed_all(const struct frames *f, uint64_t flipped) {
  for (size_t i = 0; i < f->count; i++) {
    uint32_t bytes;
    memcpy(&bytes, f->bytes + f->at[i], 4);
    feed(f->bytes + f->at[i] + 4, bytes, 0);
    /* Every length of one frame in sixteen; frames of one capture are alike. */
    for (uint32_t cut = 0; i % 16 == 0 && cut < bytes && cut < CUT_MAX; cut++) feed(f->bytes + f->at[i] + 4, cut, 0);
  }
  for (uint64_t i = 0; i < flipped && f->count > 0; i++) {
    uint32_t bytes;
    size_t at = f->at[chance() % f->count];
    memcpy(&bytes, f->bytes + at, 4);
    feed(f->bytes + at + 4, bytes, 1 + (uint32_t)(chance() % 12));
  }
}

static void run_random_programs(uint64_t programs) {
  for (uint64_t n = 0; n < programs; n++) {
    uint32_t count = 1 + (uint32_t)(chance() % 20), bytes = (uint32_t)(chance() % 64);
    struct rm_bpf *program = need(malloc(count * sizeof *program));
    uint8_t *frame = need(calloc(1, bytes ? bytes : 1));
    for (uint32_t i = 0; i < count; i++) {
      uint64_t dice = chance();
      uint32_t k = dice >> 60 ? (uint32_t)(dice >> 32) & 63u : (uint32_t)(dice >> 32);
      program[i] = (struct rm_bpf){(uint16_t)(dice & 0xff), (uint8_t)(chance() % 8), (uint8_t)chance(), k};
    }
    rm_bpf_run(program, count, frame, bytes);
    free(frame);
    free(program);
  }
}

static void set_up(void) {
  static const uint64_t secret[2] = {0x1122334455667788u, 0x99aabbccddeeff00u};
  struct rm_flow *entries = need(aligned_alloc(RM_CACHE_LINE, SLOTS * sizeof *entries));
  size_t bucket_bytes = SLOTS / RM_WAYS * sizeof(struct rm_flow_bucket);
  struct rm_flow_bucket *buckets = need(aligned_alloc(RM_CACHE_LINE, bucket_bytes));
  memset(entries, 0, SLOTS * sizeof *entries);
  memset(buckets, 0, bucket_bytes);
  rm_flows_open(&table, entries, buckets, SLOTS, secret);
  for (int i = 0; i < RM_AGES; i++) rules.age_ns[i] = 2000000000u;
  rules.generation = 2;
  rules.count = 1;
  rules.rule[0] = (struct rm_rule){
      .handshake = 1, .teardown = 1, .acks = 1, .plaintext = 1, .keepalive_window = 1, .first_packets = 2,
      .first_payload_packets = 2, .first_bytes_up = 300, .first_bytes_down = 200, .turn_bytes_up = 100,
      .turn_bytes_down = 50, .turn_bytes_max = 10000, .sample = 9, .keepalive_ns = 1000000};
  table.budget = &budget;
  rm_budget_set(&budget, 20000000, 0, 0);
}

int main(int argc, char **argv) {
  if (argc != 4) fail("arguments are FILE SEED FLIPPED");
  struct frames f = load(argv[1]);
  state = strtoull(argv[2], NULL, 10);
  uint64_t flipped = strtoull(argv[3], NULL, 10), used = 0;
  set_up();
  feed_all(&f, flipped);
  run_random_programs(flipped);
  for (uint32_t i = 0; i < SLOTS; i++) {
    uint32_t signature = table.buckets[i / RM_WAYS].signature[i % RM_WAYS];
    used += signature != 0;
    if (!signature != !(table.entries[i].flags & RM_FLOW_USED)) fail("a signature without its entry");
  }
  if (quiet == 0) fail("no packet was quiet");
  if (used != table.live) fail("the count of live flows is wrong");
  printf("frames %zu live %" PRIu64 " evicted %" PRIu64 " expired %" PRIu64 "\n", f.count, table.live, table.evicted,
         table.expired);
  for (int i = 0; i < RM_PARSES; i++) printf("verdict %d %" PRIu64 "\n", i, verdicts[i]);
  for (int i = 0; i < RM_WHYS; i++) printf("why %d %" PRIu64 "\n", i, copies[i]);
  free(f.bytes);
  free(f.at);
  free(table.entries);
  free(table.buckets);
  return 0;
}

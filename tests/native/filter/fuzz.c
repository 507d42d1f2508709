/* Fuzz target of the filter core: one rule with its program, then frames, all out of one input.
 *
 * Input: bytes of the rule program (1), the numbers of the rule (NUMBERS, one byte each), the program, then records:
 * control (1: bit 0 observed, bits 1-3 time step, bit 4 sweep, bit 5 other generation), length (2, little endian),
 * frame. Every frame lies in an allocation of exactly its size. With FUZZ_MAIN it is a program of its own, for compilers
 * without libFuzzer: fuzz RUNS SEED FILE... feeds the files, then RUNS mutations of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hot.h"

#define SLOTS 64u
#define NUMBERS 32u
#define FRAME_BYTES_MAX 4096u
#define PROGRAM_MAX 24u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
  const uint8_t *at;
  size_t left;
};

/* The table is part of the state that must stay sound, but each input starts with an empty one. */
static struct rm_flow entries[SLOTS] RM_ALIGNED;
static struct rm_flow_bucket buckets[SLOTS / RM_WAYS];
static struct rm_flows table;
static struct rm_rules rules;

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "fuzz: broken: %s\n", what);
  abort();
}

static uint8_t take(struct input *in) {
  if (in->left == 0) return 0;
  in->left--;
  return *in->at++;
}

/* Whatever numbers a rule has, and will have, between its program's length and the program. */
static void take_rule(struct input *in) {
  struct rm_rule *r = &rules.rule[0];
  uint32_t count = take(in) % (PROGRAM_MAX + 1);
  size_t first = offsetof(struct rm_rule, handshake), words = (offsetof(struct rm_rule, bpf) - first) / 4;
  for (size_t i = 0; i < NUMBERS; i++) {
    uint32_t value = take(in);
    if (i < words) memcpy((char *)r + first + 4 * i, &value, 4);
  }
  r->bpf_count = count;
  for (uint32_t i = 0; i < count; i++) {
    uint16_t code = take(in);
    uint8_t jt = take(in), jf = take(in), k = take(in);
    r->bpf[i] = (struct rm_bpf){code, jt, jf, k == 255 ? 0xfffffff0u : k};
  }
  rules.rule[1] = (struct rm_rule){.handshake = 1, .teardown = 1, .first_packets = 2, .first_payload_packets = 2,
                                   .keepalive_ns = 3000000};
  rules.count = 2;
  rules.generation = 2;
  for (int i = 0; i < RM_AGES; i++) rules.age_ns[i] = i == RM_AGE_OTHER ? 0 : 40000000;
}

static void check_packet(const struct rm_packet *p, uint32_t bytes) {
  must(p->verdict < RM_PARSES && p->frame_bytes == bytes, "a verdict that is none");
  must(p->transport_offset <= p->payload_offset && p->payload_offset + p->payload_bytes <= bytes,
       "an offset beyond the frame");
  must(p->dir <= 1, "a direction that is none");
}

static void check_table(void) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < SLOTS; i++) {
    uint32_t signature = buckets[i / RM_WAYS].signature[i % RM_WAYS];
    used += signature != 0;
    must(!signature == !(entries[i].flags & RM_FLOW_USED), "a signature without its entry");
  }
  must(used == table.live, "the count of live flows");
}

static void check_peek(const struct rm_peek *k, const struct rm_packet *p) {
  if (!k->plain) return;
  must(p->verdict == RM_PARSE_FLOW, "a plain packet without a flow");
  must(k->hash == rm_flows_hash(&table, p), "the peek sees another flow");
  must(k->kind == p->dir * 2 + (p->payload_bytes > 0) && k->payload_bytes == p->payload_bytes, "the peek sees another payload");
  must(k->transport_offset == p->transport_offset && k->tcp == (p->proto == 6), "the peek sees another transport");
  must(k->calm == !(p->tcp_flags & (RM_TCP_SYN | RM_TCP_FIN | RM_TCP_RST)), "the peek sees other flags");
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
    must(same, "the look and the peek differ");
  }
  table.wide = was;
}

static void decide(const uint8_t *frame, uint32_t bytes, uint64_t now, bool observed) {
  struct rm_packet p;
  struct rm_peek k;
  struct rm_flow *flow = NULL;
  rm_flows_begin(&table, &rules, now);
  rm_peek(&table, frame, bytes, rules.inner != 0, &k);
  check_look(frame, bytes, rules.inner != 0, &k);
  must(rm_parse(frame, bytes, &p) == p.verdict, "the verdict returned");
  check_packet(&p, bytes);
  check_peek(&k, &p);
  if (p.verdict != RM_PARSE_FLOW) return;
  uint64_t hash = rm_flows_hash(&table, &p);
  must(k.slot == RM_NO_FLOW || k.slot < SLOTS, "a slot beyond the table");
  if (k.plain && rm_quiet(&table, &k, frame, bytes, now, observed)) {
    must(&entries[k.slot] == rm_flows_find(&table, &p, hash), "a quiet packet of another flow");
    return;
  }
  struct rm_verdict v = rm_decide(&table, &rules, &p, hash, frame, now, observed, &flow);
  must(v.why < RM_WHYS && (v.rule < rules.count || v.rule == 0xff), "a verdict of no rule");
  must(!observed || v.why == RM_WHY_NONE, "an observed frame was copied");
  must(flow == rm_flows_find(&table, &p, hash), "the flow is not where it is looked for");
  must(flow->half[p.dir].packets > 0 && flow->last_ns == now, "the flow was not updated");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint64_t secret[2] = {0x1122334455667788u, 0x99aabbccddeeff00u};
  struct input in = {data, size};
  uint64_t now = 1000000000;
  memset(entries, 0, sizeof entries);
  memset(buckets, 0, sizeof buckets);
  rm_flows_open(&table, entries, buckets, SLOTS, secret);
  take_rule(&in);
  while (in.left > 3) {
    uint8_t control = take(&in);
    uint32_t bytes = take(&in);
    bytes = (bytes | (uint32_t)take(&in) << 8) % FRAME_BYTES_MAX;
    if (bytes > in.left) bytes = (uint32_t)in.left;
    uint8_t *frame = malloc(bytes ? bytes : 1);
    must(frame != NULL, "no memory");
    memcpy(frame, in.at, bytes);
    now += 1ull << (control >> 1 & 7) * 4;
    if (control & 32) rules.generation += 2;
    decide(frame, bytes, now, control & 1);
    must(memcmp(frame, in.at, bytes) == 0, "a byte of the frame was changed");
    free(frame);
    if (control & 16) rm_flows_sweep(&table, &rules, now, 2);
    in.at += bytes;
    in.left -= bytes;
  }
  check_table();
  return 0;
}

#ifdef FUZZ_MAIN
#define INPUT_BYTES_MAX 65536u

static uint64_t state;

/* splitmix64: any seed is good. */
static uint64_t chance(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static size_t load(const char *path, uint8_t *to) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    fprintf(stderr, "Cannot read %s\n", path);
    exit(1);
  }
  size_t size = fread(to, 1, INPUT_BYTES_MAX, file);
  fclose(file);
  return size;
}

/* Flip, overwrite, cut or repeat; returns the new size. */
static size_t mutate(uint8_t *bytes, size_t size) {
  for (uint64_t n = 1 + chance() % 8; n > 0 && size > 4; n--) {
    size_t at = chance() % size;
    switch (chance() % 8) {
      case 0: size = at; break;
      case 1: {
        size_t length = chance() % 64, to = chance() % size;
        if (at + length <= size && to + length <= size) memmove(bytes + to, bytes + at, length);
        break;
      }
      case 2: bytes[at] = (uint8_t)(chance() % 2 ? 0xff : 0); break;
      case 3: bytes[at] = (uint8_t)chance(); break;
      default: bytes[at] ^= (uint8_t)(1u << chance() % 8);
    }
  }
  return size;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "Usage: fuzz RUNS SEED FILE...\n");
    return 2;
  }
  uint8_t *bytes = malloc(INPUT_BYTES_MAX);
  must(bytes != NULL, "no memory");
  uint64_t runs = strtoull(argv[1], NULL, 10);
  state = strtoull(argv[2], NULL, 10);
  for (int i = 3; i < argc; i++) LLVMFuzzerTestOneInput(bytes, load(argv[i], bytes));
  for (uint64_t n = 0; n < runs; n++) {
    size_t size = load(argv[3 + chance() % (uint64_t)(argc - 3)], bytes);
    LLVMFuzzerTestOneInput(bytes, mutate(bytes, size));
  }
  printf("files %d runs %" PRIu64 "\n", argc - 3, runs);
  free(bytes);
  return 0;
}
#endif

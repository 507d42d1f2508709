/* Decisions with their witnesses, under the sanitizers: each is taken again and comes out the same, a changed one does not,
 * and whatever bytes a witness has, nothing is touched that should not be.
 *
 * Reads frames (u32 length in host order, then the bytes; repeated) from argv[1]; argv[2] seeds the changes. Prints a line
 * for each part. Rules, budget, clock and generation move on, so that every branch of the decision has its inputs moved.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hot.h"

#define SLOTS 256u
#define SNAP 96u

static struct rm_flow entries[SLOTS] RM_ALIGNED;
static struct rm_flow_bucket buckets[SLOTS / RM_WAYS];
static struct rm_flows table;
static struct rm_rules rules;
static struct rm_budget budget;
static struct rm_witness witness;
static uint64_t state, now_ns = 5000000000ull;
static uint64_t told[RM_RETOLDS], cut_told[RM_RETOLDS], whys[RM_WHYS], kinds[RM_WITNESSES], shed, aged;
static uint64_t changed, found, broken;

/* splitmix64: any seed is good. */
static uint64_t chance(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "Cannot go on: %s\n", what);
  exit(1);
}

static void set_rules(void) {
  rules.rule[0] = (struct rm_rule){.bpf_count = 4, .handshake = 1, .teardown = 1, .first_packets = 3, .sample = 7,
                                   .turn_bytes_up = 200, .turn_bytes_down = 50, .turn_bytes_max = 900, .plaintext = 1,
                                   .first_bytes_up = 300, .acks = 1, .keepalive_ns = 40000000};
  /* The last bit of byte 30, which is part of an address, chooses. */
  const struct rm_bpf program[] = {{0x30, 0, 0, 30}, {0x45, 0, 1, 1}, {6, 0, 0, 1}, {6, 0, 0, 0}};
  memcpy(rules.rule[0].bpf, program, sizeof program);
  rules.rule[1] = (struct rm_rule){.handshake = 1, .first_payload_packets = 2, .keepalive_window = 1, .seed = 1};
  rules.count = 2;
  rules.generation = 2;
  for (int i = 0; i < RM_AGES; i++) rules.age_ns[i] = 300000000;
  rm_budget_set(&budget, 4000000, 1200, now_ns);
}

/* Other rules, so that every reason for a copy has its turn. */
static void vary_rules(void) {
  struct rm_rule *r = &rules.rule[chance() % 2];
  rules.generation += 2;
  r->handshake = chance() % 4 != 0;
  r->first_packets = (uint32_t)(chance() % 3);
  r->first_payload_packets = (uint32_t)(chance() % 2);
  r->first_bytes_up = r->first_bytes_down = chance() % 2 ? 0 : 2000;
  r->turn_bytes_up = r->turn_bytes_down = chance() % 2 ? 0 : 600;
  r->keepalive_ns = chance() % 2 ? 0 : 10000000;
  r->sample = chance() % 2 ? 0 : 3;
  r->acks = chance() % 2;
}

/* The same in another place of memory, with only the first bytes of the frame: the verdict is the same or is said to have
 * been cut. */
static void retell(const uint8_t *frame, uint32_t bytes) {
  struct rm_witness again;
  enum rm_retold r = rm_witness_retell(&rules, &witness, frame, bytes, &again);
  told[r]++;
  must(r == RM_RETOLD_SAME, "a decision came out otherwise");
  uint32_t kept = bytes < SNAP ? bytes : SNAP;
  uint8_t *first = malloc(kept ? kept : 1);
  must(first != NULL, "no memory");
  memcpy(first, frame, kept);
  r = rm_witness_retell(&rules, &witness, first, kept, &again);
  cut_told[r]++;
  must(r == RM_RETOLD_SAME || (r == RM_RETOLD_CUT && kept < bytes), "a cut frame was decided otherwise");
  free(first);
}

/* One bit of the verdict, of what it was taken by, or of anything. */
static void change(const uint8_t *frame, uint32_t bytes) {
  struct rm_witness other = witness, again;
  uint8_t *at = (uint8_t *)&other;
  other.why = (uint8_t)((other.why + 1 + chance() % (RM_WHYS - 1)) % RM_WHYS);
  changed++;
  found += rm_witness_retell(&rules, &other, frame, bytes, &again) != RM_RETOLD_SAME;
  other = witness;
  for (uint64_t n = 1 + chance() % 6; n > 0; n--) at[chance() % sizeof other] ^= (uint8_t)(1u << chance() % 8);
  broken += rm_witness_retell(&rules, &other, frame, bytes, &again) != RM_RETOLD_SAME;
}

static void decide(const uint8_t *frame, uint32_t bytes) {
  struct rm_packet p;
  struct rm_flow *flow;
  bool observed = chance() % 4 == 0;
  uint64_t expired = table.expired;
  witness.now = 0;
  rm_flows_begin(&table, &rules, now_ns);
  rm_parse(frame, bytes, &p);
  if (p.verdict == RM_PARSE_FLOW) rm_decide(&table, &rules, &p, rm_flows_hash(&table, &p), frame, now_ns, observed, &flow);
  else if (p.verdict == RM_PARSE_FRAGMENT) rm_decide_fragment(&table, &rules, &p, frame, now_ns, observed);
  else if (p.verdict == RM_PARSE_NEIGHBOUR) {
    rm_witness_begin(&table, &rules, &p, now_ns, false);
    rm_budget_take(&budget, RM_WHY_NEIGHBOUR, bytes, now_ns);
    witness.kind = RM_WITNESS_NEIGHBOUR;
    rm_witness_end(&table, NULL, (struct rm_verdict){RM_WHY_NEIGHBOUR, 0xff, RM_WHY_NONE});
  }
  if (witness.now == 0) return;
  whys[witness.why]++;
  kinds[witness.kind]++;
  shed += witness.shed != RM_WHY_NONE;
  aged += witness.known && table.expired > expired;
  retell(frame, bytes);
  change(frame, bytes);
}

static uint8_t *load(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  must(file && fseek(file, 0, SEEK_END) == 0, path);
  *size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(*size + 1);
  must(bytes && fread(bytes, 1, *size, file) == *size, path);
  fclose(file);
  return bytes;
}

static void tell(const char *name, const uint64_t *numbers, uint32_t n) {
  printf("%s", name);
  for (uint32_t i = 0; i < n; i++) printf(" %" PRIu64, numbers[i]);
  printf("\n");
}

int main(int argc, char **argv) {
  must(argc == 3, "usage: witness FILE SEED");
  static const uint64_t secret[2] = {0x1122334455667788u, 0x99aabbccddeeff00u};
  size_t size;
  uint8_t *bytes = load(argv[1], &size);
  state = strtoull(argv[2], NULL, 10);
  rm_flows_open(&table, entries, buckets, SLOTS, secret);
  table.budget = &budget;
  table.witness = &witness;
  table.witnessed = RM_WITNESSED_ENDS | RM_WITNESSED_REST;
  set_rules();
  for (size_t at = 0; at + 4 <= size;) {
    uint32_t length;
    memcpy(&length, bytes + at, 4);
    now_ns += chance() % 64 == 0 ? 200000000 : chance() % 500000;
    if (chance() % 300 == 0) vary_rules();
    if (chance() % 900 == 0) rm_flows_wake(&table);
    uint8_t *frame = malloc(length ? length : 1);
    must(frame != NULL, "no memory");
    memcpy(frame, bytes + at + 4, length);
    decide(frame, length);
    free(frame);
    at += 4 + (size_t)length;
  }
  tell("whole", told, RM_RETOLDS);
  tell("cut", cut_told, RM_RETOLDS);
  tell("why", whys, RM_WHYS);
  tell("kind", kinds, RM_WITNESSES);
  tell("shed", (uint64_t[]){shed, aged}, 2);
  tell("changed", (uint64_t[]){changed, found, broken}, 3);
  free(bytes);
  return 0;
}

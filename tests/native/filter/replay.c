/* Steps of the reflexes decided again, and whatever bytes somebody hands to the replay, under the sanitizers.
 *
 * A board in plain memory lives through deaths by each cause, orders and returns; every step of it comes out the same, and
 * with another path or verdict it does not. Then steps, witnesses and rules with random changes: nothing is touched that
 * should not be. argv[1]: how many changes; argv[2]: their seed. Prints a line for each part.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "board.h"
#include "filter.h"
#include "reflex.h"

struct rm_replay;
struct rm_replay *rm_replay_open(void);
void rm_replay_close(struct rm_replay *r);
int32_t rm_replay_rules(struct rm_replay *r, const uint8_t *bytes, uint32_t length);
int32_t rm_replay_decision(struct rm_replay *r, const uint8_t *witness, uint32_t length, const uint8_t *frame, uint32_t kept,
                           uint8_t *again);
int32_t rm_replay_step(const uint8_t *step, uint32_t length, uint32_t *again);

static struct rm_board board;
static struct reflex reflex;
static struct rm_step kept[4 * RM_STEPS];
static uint32_t count;
static uint64_t state, seen;

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

static void turn(uint64_t ms) {
  reflex.now += ms * 1000000;
  reflex_order(&reflex);
  reflex_judge(&reflex);
  for (; seen < board.live.step_sequence; seen++)
    if (count < 4 * RM_STEPS) memcpy((void *)&kept[count++], &board.step[(seen + 1) % RM_STEPS], sizeof *kept);
  board.live.event_read = board.live.event_sequence;
}

static void order(uint32_t path, bool force) {
  board.command.order_path = path;
  board.command.order_force = force;
  board.command.order_sequence++;
}

static void light(uint32_t box, enum rm_detector d, enum rm_light l) { reflex_detect(&reflex, box, d, (struct said){l, 0}); }

static void live(void) {
  struct rm_command *c = &board.command;
  c->silence_ns = 20000000, c->silence_packets = 8, c->dead_path = RM_PATH_WIRE, c->hold_up_ns = 100000000;
  c->drain_ns = 20000000, c->automatic = 1, c->votes = 2, c->pause_ns = 10000000, c->last_ns = 50000000, c->last_mask = 12;
  for (uint32_t d = 2; d < RM_DETECTORS; d++) c->weight[d] = 1;
  c->rank[1] = 1;
  const bool up[RM_BOXES][RM_SIDES] = {{true, true}, {true, true}, {true, true}, {true, true}};
  reflex.board = &board;
  reflex.now = 1000000000;
  reflex_open(&reflex, 2, up);
  turn(1000);
  reflex_link(&reflex, RM_PRIMARY_OUT, false), turn(1);
  reflex_link(&reflex, RM_PRIMARY_OUT, true), turn(200);
  order(RM_PATH_PRIMARY, false), turn(1), turn(50);
  reflex_put(&reflex, 0, &(struct put){20, 1, 2}), turn(1), turn(30), turn(1);
  for (int i = 0; i < 20; i++) reflex_shadow(&reflex, 0, 1);
  turn(200);
  light(1, RM_DETECTOR_PROBE, RM_LIGHT_RED), turn(1);
  light(1, RM_DETECTOR_BFD, RM_LIGHT_RED), turn(1), turn(60);
  order(RM_PATH_REDUNDANT, true), turn(1), turn(50);
  light(1, RM_DETECTOR_PROBE, RM_LIGHT_GREEN), light(1, RM_DETECTOR_BFD, RM_LIGHT_GREEN), turn(1);
  reflex_link(&reflex, RM_PRIMARY_IN, false), reflex_link(&reflex, RM_REDUNDANT_IN, false), turn(1);
  reflex_link(&reflex, RM_REDUNDANT_IN, true), turn(50), turn(200);
  reflex_link(&reflex, RM_PRIMARY_IN, true), turn(200);
  order(RM_PATH_PRIMARY, false), turn(1);
  reflex_link(&reflex, RM_PRIMARY_IN, false), turn(1); /* dies while the order waits */
  board.command.left = 1, turn(1), turn(200);
  order(RM_PATH_BLOCK, false), turn(1), turn(1);
}

static void steps(void) {
  uint32_t kinds[RM_STEP_KINDS] = {0}, same = 0, found = 0, asked = 0;
  for (uint32_t i = 0; i < count; i++) {
    struct step again;
    kinds[kept[i].kind]++;
    same += step_retell(&kept[i], &again) == STEP_SAME;
    static struct rm_step other;
    memcpy((void *)&other, &kept[i], sizeof other);
    if (other.kind == RM_STEP_VERDICT) other.after = !other.after;
    else if (other.kind == RM_STEP_SWITCH) other.after = (other.after + 1) % RM_PATHS;
    else if (other.kind == RM_STEP_WAIT) other.kind = RM_STEP_ORDER;
    else other.before = (other.before + 1) % RM_PATHS;
    asked++;
    found += step_retell(&other, &again) != STEP_SAME;
  }
  printf("steps %u same %u found %u of %u kinds", count, same, found, asked);
  for (uint32_t k = 0; k < RM_STEP_KINDS; k++) printf(" %u", kinds[k]);
  printf("\n");
}

static void change(uint8_t *bytes, size_t size) {
  for (uint64_t n = 1 + chance() % 12; n > 0; n--) {
    size_t at = chance() % size;
    bytes[at] = chance() % 3 ? (uint8_t)chance() : chance() % 2 ? 0xff : (uint8_t)(bytes[at] ^ 1u << chance() % 8);
  }
}

struct told { uint32_t rule_bytes, generation, count, inner; uint64_t age_ns[RM_AGES]; struct rm_rule rule[2]; };

static void anything(uint64_t runs) {
  static struct told rules;
  struct rm_replay *r = rm_replay_open();
  uint64_t codes[8] = {0};
  uint8_t frame[128];
  must(r != NULL, "no memory");
  for (uint64_t n = 0; n < runs; n++) {
    uint8_t step[sizeof *kept], witness[sizeof(struct rm_witness)] = {0}, again[sizeof witness];
    uint32_t out[2];
    memcpy(step, &kept[chance() % count], sizeof step);
    change(step, chance() % 2 ? sizeof step : offsetof(struct rm_step, detection));
    rm_replay_step(step, chance() % 50 ? sizeof step : (uint32_t)(chance() % sizeof step), out);
    uint8_t told[offsetof(struct told, rule) + 2 * sizeof(struct rm_rule)];
    rules = (struct told){.rule_bytes = sizeof(struct rm_rule), .generation = 2, .count = 2, .age_ns = {1u << 30}};
    rules.rule[0].handshake = rules.rule[0].first_packets = 1;
    rules.rule[0].bpf_count = 2;
    rules.rule[0].bpf[0] = (struct rm_bpf){0x20, 0, 0, 26};
    rules.rule[0].bpf[1] = (struct rm_bpf){6, 0, 0, 1};
    memcpy(told, &rules, offsetof(struct told, rule));
    memcpy(told + offsetof(struct told, rule), (void *)rules.rule, sizeof rules.rule);
    if (n % 4 == 0) change(told, sizeof told);
    rm_replay_rules(r, told, chance() % 50 ? sizeof told : (uint32_t)(chance() % sizeof told));
    for (size_t i = 0; i < sizeof frame; i++) frame[i] = (uint8_t)chance();
    memcpy(frame + 12, "\x08\x00\x45", 3);
    memcpy(frame + 23, "\x06", 1);
    struct rm_witness w = {.now = 1u << 31, .generation = 2, .frame_bytes = 128, .known = n % 2, .why = 1};
    memcpy(witness, &w, sizeof w);
    change(witness, sizeof witness);
    int32_t code = rm_replay_decision(r, witness, sizeof witness, frame, (uint32_t)(chance() % (sizeof frame + 1)), again);
    must(code >= 0 && code < 8, "an answer that is none");
    codes[code]++;
  }
  rm_replay_close(r);
  printf("anything %" PRIu64 " other %d impossible %d\n", runs, codes[RM_RETOLD_OTHER] > 0, codes[RM_RETOLD_IMPOSSIBLE] > 0);
}

int main(int argc, char **argv) {
  must(argc == 3, "usage: replay RUNS SEED");
  state = strtoull(argv[2], NULL, 10);
  live();
  steps();
  anything(strtoull(argv[1], NULL, 10));
  return 0;
}

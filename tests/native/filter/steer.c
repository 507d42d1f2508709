/* Steering without frames, for a model in TypeScript to follow.
 *
 *   steer choose               rules and flows from standard input, in the board's form; the box of each flow
 *   steer play STEPS SEED      a move by chance: what was done, and what came of it, line by line
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "steer_core.h"

#define MS 1000000ull
#define FRAMES_MAX 20u
#define HOLD_NS (50 * MS)

static uint32_t chance(uint32_t n) { return (uint32_t)random() % n; }

static int choose(void) {
  static struct rm_steering table;
  uint32_t counts[2];
  if (fread(counts, sizeof counts, 1, stdin) != 1 || counts[0] > RM_STEER_RULES) return 1;
  table.rule_count = counts[0];
  for (uint32_t i = 0; i < counts[0]; i++) {
    if (fread(&table.rule[i].fields, sizeof table.rule[i].fields, 1, stdin) != 1) return 1;
    table.rule[i].box = i % RM_BOXES;
  }
  for (uint32_t i = 0; i < counts[1]; i++) {
    struct steer_key key;
    if (fread(&key, sizeof key, 1, stdin) != 1) return 1;
    printf("%u\n", steer_choose(&table, &key).box);
  }
  return 0;
}

static struct steer_move move;
static struct rm_steer_move order;
static uint64_t now = MS;
static const char WAY[] = {[STEER_SOURCE] = 's', [STEER_DESTINATION] = 'd', [STEER_BACK] = 'h'};
static const char STATE[] = "?nhbrc";

static void tell(const char *what, uint64_t number, char way) {
  printf("%llu %s %llu %c %c %u\n", (unsigned long long)(now / 1000), what, (unsigned long long)number, way, STATE[move.state], move.held.count);
}

static void arrive(uint64_t number) {
  bool full = move.held.count >= order.frames_max;
  enum steer_way way = steer_in(&move, full, now);
  if (way == STEER_BACK) {
    if (full) tell("out", (uintptr_t)ring_take(&move.held).frame, WAY[steer_release(&move)]);
    ring_put(&move.held, (void *)(uintptr_t)number, (uint32_t)number % RM_SIDES);
  }
  tell("in", number, WAY[way]);
}

static void command(void) {
  switch (chance(8)) {
    case 0: order.phase = RM_STEER_HOLD, order.hold_order++; break;
    case 1: order.phase = RM_STEER_ROUTE; break;
    case 2: order.phase = RM_STEER_HOLD; break;
    case 3: order.phase = RM_STEER_CANCEL; break;
    default: order.number++, order.phase = RM_STEER_NOTE, order.hold_order = 0, order.free = chance(4) == 0; break;
  }
  /* The plane takes frames of the move before away first. */
  if (order.number != move.order.number) {
    if (move.state == RM_STEERED_HOLDING) move.state = RM_STEERED_BROKEN;
    while (move.held.count) tell("out", (uintptr_t)ring_take(&move.held).frame, WAY[steer_release(&move)]);
  }
  steer_order(&move, &order, now);
  tell(order.phase == RM_STEER_NOTE ? order.free ? "free" : "note" : order.phase == RM_STEER_ROUTE ? "route"
       : order.phase == RM_STEER_CANCEL ? "cancel" : "hold", order.hold_order, '-');
}

static void play(uint32_t steps) {
  static struct steer_kept kept[RM_STEER_FRAMES];
  uint64_t number = 0;
  move.held.at = kept;
  move.held.first = UINT32_MAX - 100; /* positions wrap */
  order = (struct rm_steer_move){.number = 1, .phase = RM_STEER_NOTE, .frames_max = FRAMES_MAX, .hold_ns_max = HOLD_NS};
  steer_order(&move, &order, now);
  for (uint32_t i = 0; i < steps; i++) {
    uint32_t what = chance(20);
    now += chance(1000) * 1000;
    if (what < 12) arrive(++number);
    else if (what < 19) {
      steer_look(&move, now);
      for (uint32_t n = steer_may_go(&move, chance(8), now); n-- && move.held.count && steer_release(&move) != STEER_BACK; move.ahead++)
        tell("out", (uintptr_t)ring_take(&move.held).frame, WAY[steer_release(&move)]);
    } else command();
  }
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "choose") == 0) return choose();
  if (argc != 4 || strcmp(argv[1], "play") != 0) return 2;
  srandom((unsigned)atoi(argv[3]));
  play((uint32_t)atoi(argv[2]));
  return 0;
}

/* Ranks of flows, by hand; and what fits, held against a count from the top.
 *
 *   value_rank      a line for each pair; what it shows is in value_rank_test.ts
 */
#include <stdio.h>
#include <stdlib.h>
#include "value_rank.h"

#define S 1000000000ull
#define NOW (100000 * S)

struct is { uint64_t bytes, age_s, idle_s; uint8_t age; };

static uint32_t rank_of(struct is is) {
  struct rm_flow f = {.flags = RM_FLOW_USED, .proto = 6, .age = is.age, .last_ns = NOW - is.idle_s * S};
  f.half[0].bytes = is.bytes;
  f.half[0].packets = f.half[1].packets = 1;
  f.first_ns = NOW - is.age_s * S;
  return value_rank(&f, NOW);
}

static void compare(const char *what, struct is a, struct is b) {
  uint32_t x = rank_of(a), y = rank_of(b);
  printf("%s: %s\n", what, x > y ? "before" : x < y ? "after" : "as");
}

/* Whatever there is: what lies above the bar fits, and with the bar it does not. */
static void bars(uint32_t n) {
  srandom(1);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t count[RM_VALUES], above = 0;
    for (uint32_t r = 0; r < RM_VALUES; r++) count[r] = random() % 4 ? 0 : (uint32_t)random() % 50;
    uint64_t room = (uint64_t)random() % 1000;
    uint8_t bar = value_bar(count, room);
    for (uint32_t r = bar + 1u; r < RM_VALUES; r++) above += count[r];
    if (above > room || (bar > 0 && above + count[bar] <= room)) abort();
  }
  printf("bars: whole\n");
}

/* Of any entry at all a rank is in range. */
static void any(uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    struct rm_flow f = {.age = (uint8_t)(random() % RM_AGES), .last_ns = (uint64_t)random() << (random() % 33)};
    f.first_ns = (uint64_t)random() << (random() % 33);
    f.half[0].bytes = (uint64_t)random() << (random() % 33), f.half[1].bytes = (uint64_t)random() << (random() % 33);
    f.half[0].packets = (uint32_t)random() % 2, f.half[1].packets = (uint32_t)random() % 2;
    if (value_rank(&f, (uint64_t)random() << (random() % 33)) >= RM_VALUES) abort();
  }
  printf("any: in range\n");
}

int main(void) {
  compare("twice the bytes", (struct is){2000, 10, 0, RM_AGE_TCP}, (struct is){1000, 10, 0, RM_AGE_TCP});
  compare("the younger one", (struct is){1000, 10, 0, RM_AGE_TCP}, (struct is){1000, 500, 0, RM_AGE_TCP});
  compare("one that sleeps", (struct is){100000, 500, 400, RM_AGE_TCP}, (struct is){10000, 500, 0, RM_AGE_TCP});
  compare("one that is closed", (struct is){1000000, 10, 0, RM_AGE_TCP_CLOSING}, (struct is){0, 10, 3000, RM_AGE_TCP});
  compare("an attempt", (struct is){1000000, 10, 0, RM_AGE_TCP_OPENING}, (struct is){0, 10, 3000, RM_AGE_TCP});
  compare("one of UDP", (struct is){1000, 10, 0, RM_AGE_UDP}, (struct is){1000, 10, 0, RM_AGE_TCP});
  bars(20000);
  any(200000);
  return 0;
}

/* Rounds over the verdicts, by hand: how long they take, how much of them is done at a time, and who is told of.
 *
 *   rounds    a line for each story; what it shows is in rounds_test.ts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "twin.h"

#define SLOTS 262144u /* the default table */
#define MS 1000000ull
#define US 1000ull

static struct rm_flow *flows;
static uint32_t *words;
static uint16_t *told;     /* how often of each place, in this round */
static uint8_t *changed;   /* a flow came to this place or went from it, in this round */
static uint32_t told_most; /* in a step */
static struct twins *twins;
static uint64_t now = 5000 * MS;

static void come(uint32_t slot) {
  flows[slot] = (struct rm_flow){.flags = RM_FLOW_USED, .peer = RM_NO_FLOW};
  flows[slot].first_ns = now += 256; /* as fine as a word tells flows apart */
  twins_learn(twins, slot, 1, TWIN_EQUAL);
}

static void go(uint32_t slot) { flows[slot].flags = 0; }

static void know(uint32_t n) {
  memset(flows, 0, SLOTS * sizeof *flows);
  memset(words, 0, SLOTS * sizeof *words);
  for (uint32_t i = 0; i < n; i++) come((uint32_t)((uint64_t)i * SLOTS / n));
}

static void found(void *context, uint32_t slot, uint32_t verdicts) {
  uint32_t *step = context;
  if (twin_verdict(verdicts, 1) != TWIN_EQUAL) abort();
  told[slot]++;
  if (++*step > told_most) told_most = *step;
}

static bool step(struct twins_round *round) {
  uint32_t of_step = 0;
  return twins_go(twins, round, &(struct twins_tally){found, &of_step});
}

static void turns(uint64_t turn_ns) {
  struct pace pace = {.ns = now};
  uint32_t steps = 0, most = 0;
  for (uint64_t end = now + 1000 * MS; now < end;) {
    uint32_t n = pace_take(&pace, now += turn_ns);
    steps += n;
    if (n > most) most = n;
  }
  printf(" %u/%u", steps, most);
}

/* What is due after a pause, turn by turn. */
static void rest(uint64_t ns) {
  struct pace pace = {.ns = now};
  now += ns;
  do printf(" %u", pace_take(&pace, now += 1 * US));
  while (pace.due);
}

/* The third round, when it is known how many flows there are: in milliseconds, and what was told of at most in a step. */
static void rounds(uint32_t n) {
  struct twins_round round = {.slots = SLOTS};
  struct pace pace = {.ns = now};
  uint64_t began = now;
  know(n);
  pace.ns = now;
  told_most = 0;
  for (uint32_t ended = 0; ended < 3;) {
    for (uint32_t steps = pace_take(&pace, now += 20 * US); steps > 0; steps--) {
      if (step(&round) && ++ended == 2) began = now;
    }
  }
  printf(" %u: %.0f ms, %u", n, (double)(now - began) / MS, told_most);
}

/* Whoever is there for a whole round is told of once, whoever came or went at most once. */
static void changes(uint32_t seed) {
  struct twins_round round = {.slots = SLOTS};
  uint32_t twice = 0, lost = 0, whole = 0, partly = 0;
  srandom(seed);
  know(20000);
  for (uint32_t ended = 0; ended < 4; ended++) {
    memset(told, 0, SLOTS * sizeof *told);
    memset(changed, 0, SLOTS);
    do {
      for (uint32_t i = 0; i < 64; i++) {
        uint32_t slot = (uint32_t)random() % SLOTS;
        if (flows[slot].flags && random() % 2) go(slot);
        else come(slot);
        changed[slot] = 1;
      }
    } while (!step(&round));
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
      bool there = flows[slot].flags && !changed[slot];
      whole += there, partly += changed[slot] && told[slot];
      lost += there && told[slot] != 1;
      twice += told[slot] > 1;
    }
  }
  printf(" lost %u twice %u of %s whole and %s others", lost, twice, whole > 50000 ? "many" : "few", partly > 5000 ? "many" : "few");
}

static void part(void) {
  know(SLOTS);
  memset(told, 0, SLOTS * sizeof *told);
  struct twins_round round = {.first = 4096, .slots = 2048};
  while (!step(&round)) continue;
  uint32_t inside = 0, outside = 0;
  for (uint32_t slot = 0; slot < SLOTS; slot++) *(slot >= 4096 && slot < 6144 ? &inside : &outside) += told[slot];
  printf(" %u %u", inside, outside);
}

int main(void) {
  twins = calloc(1, sizeof *twins);
  flows = aligned_alloc(RM_CACHE_LINE, SLOTS * sizeof *flows);
  words = aligned_alloc(RM_CACHE_LINE, SLOTS * sizeof *words);
  told = calloc(SLOTS, sizeof *told);
  changed = calloc(SLOTS, 1);
  if (!twins || !flows || !words || !told || !changed) return 1;
  twins->entries = flows;
  twins->word = words;
  printf("steps in a second and at most in a turn:");
  turns(1 * US), turns(20 * US), turns(250 * US), turns(500 * US), turns(5 * MS);
  printf("\nafter 100 us and after a day:");
  rest(100 * US), rest(86400 * 1000 * MS);
  printf("\nrounds:");
  rounds(0), rounds(300), rounds(5000), rounds(40000), rounds(SLOTS);
  printf("\nflows come and go:");
  changes(1);
  printf("\none worker's part:");
  part();
  printf("\n");
  free(twins), free(flows), free(words), free(told), free(changed);
  return 0;
}

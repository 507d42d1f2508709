/* Aliases, held against a list that is searched from end to end: whatever is learnt, ends and is asked for, both say the same.
 *
 *   alias RUNS SEED
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alias.h"

#define SLOTS 64u
#define NAMES 40u

static struct rm_flow flows[SLOTS];
static struct alias alias[SLOTS];
static uint32_t words[2 * SLOTS + (SLOTS + 31) / 32];
static struct aliases table;
static struct { struct alias_guise made; uint32_t word; bool used; } model[SLOTS][RM_BOXES];
static uint64_t state, full, learnt;

static uint64_t chance(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "broken: %s\n", what);
  exit(1);
}

static struct twin_tuple name(uint32_t i) {
  struct twin_tuple t = {.port = {(uint16_t)(1000 + i), 80}};
  t.addr[0][15] = 1, t.addr[1][15] = 2;
  return t;
}

static void open_flow(uint32_t slot, uint64_t now) {
  struct twin_tuple own = name(NAMES + slot);
  struct rm_flow *f = &flows[slot];
  *f = (struct rm_flow){.flags = RM_FLOW_USED, .proto = 6, .outer_dir = 1, .port = {own.port[0], own.port[1]}};
  memcpy(f->addr, own.addr, sizeof f->addr);
  f->first_ns = now;
}

static bool lives(uint32_t slot, uint32_t box) {
  return model[slot][box].used && (flows[slot].flags & RM_FLOW_USED) && model[slot][box].word == twin_word(&flows[slot]);
}

static void learn(uint32_t slot, uint32_t box, uint32_t n) {
  bool own = n == NAMES;
  /* Some boxes renumber, under the flow's own name or another. */
  struct alias_guise made = {.ends = own ? alias_own(&flows[slot]) : name(n), .shift = (uint32_t)(chance() % 3), .clock = (uint32_t)(chance() % 2)};
  enum alias_learnt how = aliases_learn(&table, &flows[slot], box, &made);
  learnt += how == ALIAS_NEW, full += how == ALIAS_FULL;
  /* Whoever had this name has it no more, and neither has who ended. */
  for (uint32_t s = 0; s < SLOTS && how == ALIAS_NEW; s++)
    if (twin_same(&model[s][box].made.ends, &made.ends)) model[s][box].used = false;
  model[slot][box].used = how == ALIAS_NEW || how == ALIAS_KNOWN;
  model[slot][box].made = made;
  model[slot][box].word = twin_word(&flows[slot]);
  must((how == ALIAS_NONE) == (own && !made.shift && !made.clock), "a flow's own name and numbers are no alias");
}

static void compare(void) {
  uint32_t count[RM_BOXES] = {0};
  for (uint32_t slot = 0; slot < SLOTS; slot++)
    for (uint32_t box = 0; box < RM_BOXES; box++) {
      const struct alias *a = flows[slot].flags & RM_FLOW_USED ? aliases_of(&table, &flows[slot], box) : NULL;
      must(lives(slot, box) == (a != NULL), "an alias, by its flow");
      if (!a) continue;
      must(twin_same(&a->made.ends, &model[slot][box].made.ends), "its name");
      must(a->made.shift == model[slot][box].made.shift && a->made.clock == model[slot][box].made.clock, "its numbers");
      struct rm_packet p = {.proto = 6};
      must(aliases_at(&table, box, &p, &a->made.ends) == a, "an alias, by its name");
      p.proto = 17;
      must(!aliases_at(&table, box, &p, &a->made.ends), "another protocol");
      count[box]++;
    }
  for (uint32_t box = 0; box < RM_BOXES; box++) must(table.count[box] >= count[box], "the count");
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uint64_t runs = strtoull(argv[1], NULL, 10), now = 1000;
  state = strtoull(argv[2], NULL, 10);
  table.secret = chance();
  aliases_open(&table, flows, alias, words, SLOTS);
  for (uint32_t slot = 0; slot < SLOTS; slot++) open_flow(slot, now += 300);
  for (uint64_t i = 0; i < runs; i++) {
    uint32_t slot = (uint32_t)(chance() % SLOTS), box = (uint32_t)(chance() % 3);
    switch (chance() % 8) {
      case 0: open_flow(slot, now += 300); break;
      case 1: flows[slot].flags = 0; break;
      case 2: aliases_walk(&table, (uint32_t)(chance() % SLOTS)); break;
      default:
        if (flows[slot].flags & RM_FLOW_USED) learn(slot, box, (uint32_t)(chance() % (NAMES + 1)));
    }
    compare();
  }
  aliases_walk(&table, SLOTS);
  uint32_t live = 0, kept = 0;
  for (uint32_t box = 0; box < RM_BOXES; box++) kept += table.count[box];
  for (uint32_t slot = 0; slot < SLOTS; slot++)
    for (uint32_t box = 0; box < RM_BOXES; box++) live += lives(slot, box);
  must(live == kept, "what a walk leaves");
  printf("learnt %s, full %s\n", learnt > runs / 8 ? "many" : "few", full ? "now and then" : "never");
  return 0;
}

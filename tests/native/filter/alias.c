/* Aliases, held against a list that is searched from end to end: whatever is learnt, ends and is asked for, both say the same.
 *
 *   alias RUNS SEED
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alias.h"
#include "hot.h"

#define SLOTS 64u
#define NAMES 60u

static struct rm_flow flows[SLOTS];
static struct alias alias[SLOTS];
static struct alias_quick quick[SLOTS];
static uint8_t sieve[SLOTS];
static uint32_t words[2 * SLOTS + RM_BOXES * ((SLOTS + 31) / 32)];
static struct aliases table;
static struct { struct alias_guise made; uint32_t word; bool used; } model[SLOTS][RM_BOXES];
static uint32_t had[SLOTS]; /* bit of each box that had an alias since the flow began */
static uint64_t state, full, learnt, hastened, planned;

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
  for (int end = 0; end < 2; end++) memset(t.addr[end] + 10, 0xff, 2), t.addr[end][15] = (uint8_t)(1 + (end ^ (i & 1)));
  return t;
}

static void open_flow(uint32_t slot, uint64_t now) {
  struct twin_tuple own = name(NAMES + slot);
  struct rm_flow *f = &flows[slot];
  *f = (struct rm_flow){.flags = RM_FLOW_USED, .proto = 6, .outer_dir = 1, .port = {own.port[0], own.port[1]}};
  memcpy(f->addr, own.addr, sizeof f->addr);
  f->first_ns = now;
  had[slot] = 0;
}

static bool lives(uint32_t slot, uint32_t box) {
  return model[slot][box].used && (flows[slot].flags & RM_FLOW_USED) && model[slot][box].word == twin_word(&flows[slot]);
}

static void learn(uint32_t slot, uint32_t box, uint32_t n) {
  bool own = n == NAMES;
  /* Some boxes renumber, under the flow's own name or another. */
  struct alias_guise made = {.ends = own ? alias_own(&flows[slot]) : name(n), .shift = (uint32_t)(chance() % 3), .clock = (uint32_t)(chance() % 2)};
  enum alias_learnt how = aliases_learn(&table, &flows[slot], box, &made);
  if (how == ALIAS_NEW) had[slot] |= 1u << box;
  learnt += how == ALIAS_NEW, full += how == ALIAS_FULL;
  /* Whoever had this name has it no more, and neither has who ended. */
  for (uint32_t s = 0; s < SLOTS && how == ALIAS_NEW; s++)
    if (twin_same(&model[s][box].made.ends, &made.ends)) model[s][box].used = false;
  model[slot][box].used = how == ALIAS_NEW || how == ALIAS_KNOWN;
  model[slot][box].made = made;
  model[slot][box].word = twin_word(&flows[slot]);
  must((how == ALIAS_NONE) == (own && !made.shift && !made.clock), "a flow's own name and numbers are no alias");
}

/* A frame of every day that the outer end of the flow sends. */
static void look(uint32_t slot, struct rm_look *l) {
  const struct rm_flow *f = &flows[slot];
  memset(l, 0, sizeof *l);
  l->n = 1;
  l->slot[0] = slot;
  l->facts[0] = RM_LOOK_PLAIN | RM_LOOK_EVERYDAY | RM_LOOK_TCP | (uint32_t)f->outer_dir << (RM_LOOK_KIND_SHIFT + 1);
  memcpy(&l->near[0], f->addr[0] + 12, 4), memcpy(&l->far[0], f->addr[1] + 12, 4);
  l->ports[0] = (uint32_t)f->port[0] << 16 | f->port[1];
  l->rest[0] = (uint32_t)f->vlan << 16 | (uint32_t)f->proto << 8;
}

/* The quick form is that of the alias, or there is none: a box that shares its place has had it. */
static void compare_quick(uint32_t slot, uint32_t box, const struct alias *a) {
  struct rm_look l;
  look(slot, &l);
  struct alias_guise own = {.ends = alias_own(&flows[slot])};
  struct twin_tuple is = translate_turned(&own.ends), to = translate_turned(a ? &a->made.ends : &own.ends);
  struct translate_plan plan;
  must(translate_plan(&is, &to, &plan), "a plan");
  plan.ack = a ? 0u - a->made.shift : 0;
  const struct translate_plan *known = aliases_quick(&table, box, &l, 0);
  bool quickly = a && a->made.clock == 0, shared = had[slot] >> (box ^ 2) & 1;
  must(!known || (quickly && memcmp(known, &plan, sizeof plan) == 0), "what is done quickly");
  must(known || !quickly || shared, "what could be done quickly");
  l.ports[0]++;
  must(!aliases_quick(&table, box, &l, 0), "another flow");
  l.ports[0]--, l.facts[0] ^= 2u << RM_LOOK_KIND_SHIFT;
  must(!aliases_quick(&table, box, &l, 0), "the other way");
  l.facts[0] ^= 2u << RM_LOOK_KIND_SHIFT;
  if (!quickly || known) return;
  aliases_hasten(&table, a);
  known = aliases_quick(&table, box, &l, 0);
  must(known && memcmp(known, &plan, sizeof plan) == 0, "what was hastened");
  hastened++;
}

/* What a look says of a frame of every day that comes out by this name. */
static struct rm_look named(const struct twin_tuple *ends, uint16_t vlan, uint8_t proto) {
  uint32_t turn = memcmp(ends->addr[0], ends->addr[1], 16) > 0;
  struct rm_look l = {.n = 1, .facts = {RM_LOOK_PLAIN | RM_LOOK_EVERYDAY | turn << (RM_LOOK_KIND_SHIFT + 1)}};
  memcpy(&l.near[0], ends->addr[turn] + 12, 4), memcpy(&l.far[0], ends->addr[1 - turn] + 12, 4);
  l.ports[0] = (uint32_t)ends->port[turn] << 16 | ends->port[1 - turn];
  l.rest[0] = (uint32_t)vlan << 16 | (uint32_t)proto << 8;
  l.hash[0] = hash_secret4(table.key, l.near[0], l.far[0], (uint64_t)l.ports[0] << 32 | l.rest[0]);
  return l;
}

/* What becomes of it by its place is what the alias says, or has to be asked for. */
static void compare_plan(uint32_t box, const struct alias *a, struct rm_look *l) {
  struct alias_sight seen = {l, 0, box, (uint32_t)(a - alias)};
  struct twin_tuple own = alias_own(&flows[a->slot]);
  struct translate_plan plan, expected;
  uint32_t seq;
  must(!aliases_plan(&table, &seen, &plan, &seq), "a plan for one that opens or ends");
  l->facts[0] |= RM_LOOK_CALM;
  bool easy = a->made.clock == 0 && memcmp(own.addr[1], a->made.ends.addr[1], 16) == 0;
  must(aliases_plan(&table, &seen, &plan, &seq) == easy, "whether there is a plan");
  must(translate_plan(&a->made.ends, &own, &expected), "a plan");
  must(!easy || (seq == a->made.shift && memcmp(&plan, &expected, sizeof plan) == 0), "its plan");
  planned += easy;
  l->ports[0]++;
  must(!aliases_plan(&table, &seen, &plan, &seq), "a plan by another name");
  l->ports[0]--, seen.box ^= 1;
  must(!aliases_plan(&table, &seen, &plan, &seq), "another box's plan");
}

/* Such a frame of a flow with an alias is told by that, also if the flow's own name is meant. */
static void compare_place(uint32_t box, const struct alias *a) {
  struct twin_tuple own = alias_own(&flows[a->slot]), back = translate_turned(&own);
  struct rm_look l = named(&a->made.ends, a->vlan, a->proto), mine = named(&own, a->vlan, a->proto), theirs = named(&back, a->vlan, a->proto);
  must(aliases_may(&table, mine.hash[0]) && aliases_may(&table, theirs.hash[0]), "the flow's own name in the sieve");
  must(aliases_may(&table, l.hash[0]), "its name in the sieve");
  must(aliases_place(&table, aliases_name(&table, box, &l, 0)) == (uint32_t)(a - alias), "its place, by what a look says");
  compare_plan(box, a, &l);
  l.rest[0] ^= 17u << 16;
  must(aliases_place(&table, aliases_name(&table, box, &l, 0)) == RM_NO_FLOW, "its place in another VLAN");
}

static void compare(void) {
  uint32_t count[RM_BOXES] = {0};
  for (uint32_t slot = 0; slot < SLOTS; slot++)
    for (uint32_t box = 0; box < RM_BOXES; box++) {
      const struct alias *a = flows[slot].flags & RM_FLOW_USED ? aliases_of(&table, &flows[slot], box) : NULL;
      must(lives(slot, box) == (a != NULL), "an alias, by its flow");
      must(!a || aliases_has(aliases_marked(&table, box), slot), "its mark");
      if (flows[slot].flags & RM_FLOW_USED) compare_quick(slot, box, a);
      if (!a) continue;
      must(twin_same(&a->made.ends, &model[slot][box].made.ends), "its name");
      must(a->made.shift == model[slot][box].made.shift && a->made.clock == model[slot][box].made.clock, "its numbers");
      compare_place(box, a);
      struct rm_packet p = {.proto = 6};
      must(aliases_at(&table, box, &p, &a->made.ends) == a, "an alias, by its name");
      p.proto = 17;
      must(!aliases_at(&table, box, &p, &a->made.ends), "another protocol");
      count[box]++;
    }
  uint32_t names = 0, all = 0;
  for (uint32_t box = 0; box < RM_BOXES; box++) must(table.count[box] >= count[box], "the count"), all += table.count[box];
  for (uint32_t slot = 0; slot < SLOTS; slot++) names += sieve[slot];
  must(names == 2 * all, "two names in the sieve for each alias");
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uint64_t runs = strtoull(argv[1], NULL, 10), now = 1000;
  state = strtoull(argv[2], NULL, 10);
  table.secret = chance(), table.key[0] = chance(), table.key[1] = chance();
  aliases_open(&table, flows, &(struct aliases_room){alias, quick, words, sieve}, SLOTS);
  for (uint32_t slot = 0; slot < SLOTS; slot++) open_flow(slot, now += 300);
  for (uint64_t i = 0; i < runs; i++) {
    uint32_t slot = (uint32_t)(chance() % SLOTS), box = (uint32_t)(chance() % 3);
    switch (chance() % 9) {
      case 0: open_flow(slot, now += 300); break;
      case 1: flows[slot].flags = 0; break;
      case 3:
        aliases_tidy(&table, &flows[slot]);
        for (uint32_t b = 0; b < RM_BOXES; b++) {
          bool gone = !(flows[slot].flags & RM_FLOW_USED) || lives(slot, b);
          must(gone || !aliases_has(aliases_marked(&table, b), slot), "a mark that is left of another flow");
        }
        break;
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
  printf("hastened %s, planned %s\n", hastened > runs / 100 ? "many" : "few", planned > runs ? "many" : "few");
  return 0;
}

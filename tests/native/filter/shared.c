/* What one worker reads while another writes: entries that are begun anew all the time, and aliases that come and go. Each copy
 * has to be of one moment.
 *
 *   shared entries READS    copies of one entry
 *   shared aliases READS    aliases of a few flows; no race, by ThreadSanitizer
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alias.h"
#include "entry.h"

#define SLOTS 16u
#define MOVES 64u

static struct rm_flow flows[SLOTS];
static struct alias alias[SLOTS];
static struct alias_quick quick[SLOTS];
static uint8_t sieve[SLOTS];
static uint32_t words[2 * SLOTS + RM_BOXES * ((SLOTS + 31) / 32)];
static struct aliases table;
static int over;

static bool goes_on(void) { return !__atomic_load_n(&over, __ATOMIC_RELAXED); }

/* All that is said of the n-th flow can be told from its port. */
static struct rm_packet opening(uint16_t n) {
  struct rm_packet p = {.proto = 6, .port = {n, (uint16_t)~n}, .vlan = n & 0xfff, .tcp_flags = RM_TCP_SYN};
  memset(p.addr[0], n & 0xff, 16), memset(p.addr[1], ~n & 0xff, 16);
  return p;
}

static void *begin_entries(void *unused) {
  for (uint16_t n = 1; goes_on(); n = n == UINT16_MAX ? 1 : n + 1) {
    struct rm_packet p = opening(n);
    rm_flow_start(&flows[0], &p, (uint64_t)n << 32 | n);
  }
  return unused;
}

static bool is_whole(const struct rm_flow *f) {
  struct rm_packet p = opening(f->port[0]);
  return f->port[1] == p.port[1] && f->vlan == p.vlan && memcmp(f->addr, p.addr, sizeof f->addr) == 0 && f->peer == RM_NO_FLOW &&
         f->first_ns == ((uint64_t)f->port[0] << 32 | f->port[0]) && f->last_ns == f->first_ns && f->rule == 0xff;
}

static void read_entries(uint32_t reads) {
  uint32_t copied = 0, torn = 0, differ = 0;
  uint16_t last = 0;
  /* On a busy machine the writer stands still for most of them, wherever it happens to be. */
  while (copied < reads || differ <= MOVES) {
    struct rm_flow f;
    if (!entry_copy(&flows[0], &f)) continue;
    copied++, torn += !is_whole(&f), differ += f.port[0] != last;
    last = f.port[0];
  }
  printf("torn %u\n", torn);
}

static struct alias_guise guise_of(uint32_t slot, uint32_t box, uint32_t n) {
  struct alias_guise g = {.shift = n, .clock = ~n};
  g.ends.port[0] = (uint16_t)(slot << 8 | box), g.ends.port[1] = 80;
  memset(g.ends.addr, (int)(n & 0xff), sizeof g.ends.addr);
  return g;
}

static void *learn_aliases(void *unused) {
  for (uint32_t n = 1; goes_on(); n++) {
    uint32_t slot = n % SLOTS, box = n / SLOTS % RM_BOXES;
    struct alias_guise made = guise_of(slot, box, n);
    if (n % 3 == 0) made = (struct alias_guise){.ends = alias_own(&flows[slot])};
    aliases_learn(&table, &flows[slot], box, &made);
    aliases_walk(&table, 4);
  }
  return unused;
}

static void read_aliases(uint32_t reads) {
  uint32_t found = 0, torn = 0;
  for (uint32_t i = 0; found < reads; i++) {
    struct alias_guise made;
    uint32_t slot = i % SLOTS, box = i / SLOTS % RM_BOXES;
    if (aliases_read(&table, slot, twin_word(&flows[slot]), box, &made) != ALIAS_THERE) continue;
    struct alias_guise whole = guise_of(slot, box, made.shift);
    found++, torn += memcmp(&made, &whole, sizeof whole) != 0;
  }
  printf("found %u torn %u\n", found, torn);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  bool entries = strcmp(argv[1], "entries") == 0;
  pthread_t writer;
  aliases_open(&table, flows, &(struct aliases_room){alias, quick, words, sieve}, SLOTS);
  for (uint32_t i = 0; i < SLOTS; i++)
    flows[i] = (struct rm_flow){.flags = RM_FLOW_USED, .proto = 6, .port = {(uint16_t)(i + 1), 9}, .first_ns = 1000u * (i + 1)};
  struct rm_packet first = opening(1);
  if (entries) rm_flow_start(&flows[0], &first, 1ull << 32 | 1);
  if (pthread_create(&writer, NULL, entries ? begin_entries : learn_aliases, NULL)) return 1;
  if (entries) read_entries((uint32_t)atoi(argv[2]));
  else read_aliases((uint32_t)atoi(argv[2]));
  __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
  pthread_join(writer, NULL);
  return 0;
}

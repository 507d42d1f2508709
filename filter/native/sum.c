/* Sums: several workers count apart, and worker 0 adds up what the board shows, every few milliseconds.
 *
 * What only worker 0 and the reflexes know (path, links, boxes, events, stalls) they write to the board at once.
 */
#include "plane.h"

static uint64_t now_of(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }

/* Counters of the reflexes, which are on the board already. */
static bool is_reflex(uint32_t counter) { return counter == RM_COUNT_STALLS || counter == RM_COUNT_EVENT_LOST; }

static void sum_named(const struct crew *crew, struct rm_named *to, size_t offset) {
  uint64_t packets = 0, bytes = 0;
  for (uint32_t i = 0; i < crew->workers; i++) {
    const struct rm_named *from = (const struct rm_named *)((const char *)crew->worker[i]->live + offset);
    packets += now_of(&from->packets);
    bytes += now_of(&from->bytes);
  }
  to->packets = packets;
  to->bytes = bytes;
}

#define REPLACED "(replaced)" /* no name of a rule: those have no parentheses */

static bool is_name(const struct rm_named *of, const char *name) {
  return strncmp(of->name, name, RM_NAME_BYTES) == 0;
}

void rules_rename(struct rm_named *table, const struct rm_rules *fresh) {
  struct rm_named old[RM_RULES], *gone = &table[RM_RULES];
  memcpy(old, table, sizeof old);
  for (uint32_t i = 0; i < RM_RULES; i++) {
    const char *name = i < fresh->count ? fresh->rule[i].name : "";
    uint32_t k = 0;
    while (k < RM_RULES && !is_name(&old[k], name)) k++;
    struct rm_named now = {.packets = 0};
    if (*name && k < RM_RULES) now = old[k], old[k] = (struct rm_named){.packets = 0};
    else memcpy(now.name, name, strnlen(name, RM_NAME_BYTES - 1));
    table[i] = now;
  }
  for (uint32_t k = 0; k < RM_RULES; k++) gone->packets += old[k].packets, gone->bytes += old[k].bytes;
  if (gone->packets) memcpy(gone->name, REPLACED, sizeof REPLACED);
}

/* Workers take rules over one after the other, so one place may be two rules for a moment: names tell. */
static const struct rm_named *rule_of(const struct rm_live *live, const struct rm_named *like, uint32_t at) {
  if (is_name(&live->rule[at], like->name)) return &live->rule[at];
  for (uint32_t i = 0; i < RM_RULES; i++)
    if (is_name(&live->rule[i], like->name)) return &live->rule[i];
  return NULL;
}

static void sum_rule(const struct crew *crew, struct rm_live *board, uint32_t at) {
  struct rm_named *to = &board->rule[at];
  bool gone = at == RM_RULES;
  if (!gone && !*to->name) return;
  uint64_t packets = 0, bytes = 0;
  for (uint32_t i = 0; i < crew->workers; i++) {
    const struct rm_live *live = crew->worker[i]->live;
    const struct rm_named *from = gone ? &live->rule[at] : rule_of(live, to, at);
    if (from) packets += now_of(&from->packets), bytes += now_of(&from->bytes);
  }
  to->packets = packets;
  to->bytes = bytes;
  if (gone && packets) memcpy(to->name, REPLACED, sizeof REPLACED);
}

#define SUM_NAMED(array, i) sum_named(crew, &board->array[i], offsetof(struct rm_live, array[i]))

static void sum_all_named(const struct crew *crew, struct rm_live *board) {
  for (uint32_t i = 0; i < RM_COUNTERS; i++)
    if (!is_reflex(i)) SUM_NAMED(counter, i);
  for (uint32_t i = 0; i < RM_WHYS; i++) SUM_NAMED(why, i), SUM_NAMED(shed, i);
  for (uint32_t i = 0; i < RM_PARSES; i++) SUM_NAMED(parse, i);
  for (uint32_t i = 0; i <= RM_RULES; i++) sum_rule(crew, board, i);
}

static uint64_t sum_word(const struct crew *crew, size_t offset) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < crew->workers; i++)
    sum += now_of((const uint64_t *)((const char *)crew->worker[i]->live + offset));
  return sum;
}

#define SUM(member) board->member = sum_word(crew, offsetof(struct rm_live, member))

static void sum_words(const struct crew *crew, struct rm_live *board) {
  for (uint32_t r = 0; r < RM_ROLES; r++) {
    SUM(port[r].rx_packets), SUM(port[r].rx_bytes), SUM(port[r].tx_packets), SUM(port[r].tx_bytes);
    SUM(port[r].tx_full), SUM(port[r].rx_missed), SUM(port[r].mirrored_packets), SUM(port[r].mirrored_bytes);
  }
  for (uint32_t b = 0; b < RM_BOXES; b++) SUM(box[b].in_packets), SUM(box[b].out_packets);
  for (uint32_t s = 0; s < RM_SIDES; s++) SUM(flows[s]);
  for (uint32_t i = 0; i < RM_BOXES * RM_MATCH_CLASSES; i++)
    SUM(match[i].equal), SUM(match[i].different), SUM(match[i].followed), SUM(match[i].dropped);
  for (uint32_t b = 0; b < RM_BOXES; b++) SUM(held[b]), SUM(missing[b]);
  SUM(turns), SUM(cpu_ns);
}

/* Of resync: taken when all of the client side have taken it, over when none is at it. */
static void sum_resync(const struct crew *crew, struct rm_live *board, uint32_t box) {
  struct rm_resync sum = {.order = UINT64_MAX};
  for (uint32_t i = 0; i < crew->workers; i += 2) {
    const struct rm_resync *r = &crew->worker[i]->live->resync[box];
    uint64_t order = now_of(&r->order), begun = now_of(&r->begun_ns), ended = now_of(&r->ended_ns);
    sum.running += now_of(&r->running);
    sum.refreshes += now_of(&r->refreshes);
    sum.flows += now_of(&r->flows);
    sum.done += now_of(&r->done);
    sum.unlike += now_of(&r->unlike);
    sum.unheard += now_of(&r->unheard);
    sum.failed += now_of(&r->failed);
    sum.gone += now_of(&r->gone);
    if (order < sum.order) sum.order = order;
    if (begun && (!sum.begun_ns || begun < sum.begun_ns)) sum.begun_ns = begun;
    if (ended > sum.ended_ns) sum.ended_ns = ended;
  }
  if (sum.running) sum.ended_ns = 0;
  board->resync[box] = sum;
}

void crew_sum(struct plane *p) {
  const struct crew *crew = p->crew;
  struct rm_live *board = &p->board->live;
  sum_all_named(crew, board);
  sum_words(crew, board);
  for (uint32_t box = 0; box < RM_BOXES; box++) sum_resync(crew, board, box);
  bool busy = false, same = true;
  for (uint32_t i = 0; i < crew->workers; i++) {
    const struct rm_worker *row = &board->worker[i];
    uint64_t longest = now_of(&row->loop_ns_max);
    if (longest > board->loop_ns_max) board->loop_ns_max = longest;
    busy |= __atomic_load_n(&row->poll, __ATOMIC_RELAXED) == RM_POLL_BUSY;
    if (i) same &= __atomic_load_n(&crew->report[i].generation, __ATOMIC_RELAXED) == p->rules.generation;
  }
  board->poll = busy ? RM_POLL_BUSY : RM_POLL_SLEEP;
  if (same) board->rule_done = p->rules.generation;
}

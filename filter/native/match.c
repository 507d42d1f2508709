/* Match: how many of the live connections each standby would carry on, because it opened them as the serving box did.
 *
 * The verdicts come from twins of opening packets; a walk over all flows counts those that still live. A standby that
 * cannot be compared, as it hands nothing over, has no verdicts but of what it should have.
 */
#include <netinet/in.h>
#include <string.h>
#include "burst.h"
#include "entry.h"
#include "fixup.h"
#include "pair.h"
#include "plane.h"
#include "translate.h"
#include "twin.h"

#define OPENINGS 64 /* looked at in a millisecond */
#define CARRIED_NS (30 * RM_S) /* control looks some seconds after a switch */
#define COUNTS (RM_BOXES * RM_MATCH_CLASSES)

struct matching {
  struct twins twins;
  struct twins_round round;         /* over this worker's part of the flows */
  struct rm_match sum[COUNTS], last[COUNTS]; /* of this round, and of the one before; by box, then class */
};

/* Of either side, also of one that another worker has. */
static uint32_t *verdict_word(const struct plane *p, uint32_t side, uint32_t slot) {
  return (uint32_t *)((char *)p->board + p->board->header.twin_offset[side]) + slot;
}

int match_open(struct plane *p) {
  uint32_t slots = p->board->setup.flow_slots / p->crew->queues;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->has[s]) continue;
    struct matching *m = crew_memory(sizeof *m);
    if (!m) return plane_fail(p, "Cannot make a table of openings: no memory");
    m->twins.entries = p->entries[s];
    m->twins.word = verdict_word(p, s, 0);
    m->twins.secret = p->crew->trace_secret;
    m->round = (struct twins_round){.first = p->queue * slots, .slots = slots};
    p->matching[s] = m;
  }
  return 0;
}

/* For people: a bounded list of what standbys made otherwise. */
static void tell_unlike(struct plane *p, uint32_t role, uint32_t slot, const struct twin_tuple *made) {
  struct rm_live *live = &p->board->live;
  uint64_t n = __atomic_add_fetch(&live->unlike_sequence, 1, __ATOMIC_RELAXED);
  struct rm_unlike *to = &live->unlike[n % RM_UNLIKES];
  __atomic_store_n(&to->sequence, 0, __ATOMIC_RELEASE);
  to->slot = slot;
  to->side = (uint8_t)role_side(role);
  to->box = (uint8_t)role_of_box(role);
  memcpy(to->addr, made->addr, sizeof to->addr);
  memcpy(to->port, made->port, sizeof to->port);
  __atomic_store_n(&to->sequence, n, __ATOMIC_RELEASE);
}

static void note(struct plane *p, uint32_t role, const struct twin_sight *seen) {
  uint32_t side = role_side(role), differ;
  const struct twin *o = twins_note(&p->matching[side]->twins, seen, &differ);
  /* Of an answer there is more to learn where boxes renumber; else that it came is all, and twins_walk() tells where it did not. */
  if (!o || (o->answer && !match_by_ends(p))) return;
  for (; differ; differ &= differ - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(differ);
    tell_unlike(p, role_box(box, side), o->slot, &o->made[box]);
  }
  for (uint32_t left = twin_judged(o); left; left &= left - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(left);
    fixup_learn(p, side, box, &p->entries[side][o->slot], &(struct alias_guise){.ends = o->made[box], .shift = o->seq[o->master] - o->seq[box]});
  }
}

bool match_by_ends(const struct plane *p) {
  return __builtin_expect(__atomic_load_n(&p->crew->renumbers, __ATOMIC_RELAXED) != 0, 0);
}

/* By what twins are known where a box renumbers, and answers everywhere; 0: by their numbers. */
static uint64_t evidence_of(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet) {
  uint32_t clock;
  uint64_t secret = p->crew->trace_secret;
  bool answers = packet->proto == IPPROTO_TCP && (packet->tcp_flags & RM_TCP_ACK);
  if (!answers && (packet->proto != IPPROTO_TCP || !match_by_ends(p))) return 0;
  if (answers || pair_keeps_ends(p, side, packet)) return twin_evidence_ends(secret, packet);
  return translate_clock(frame, packet, &clock) ? twin_evidence_clock(secret, packet, clock) : 0;
}

void match_passed(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet,
                  const struct rm_flow *flow) {
  bool first = flow->half[packet->dir].packets == 1 && flow->half[1 - packet->dir].packets == 0;
  if (packet->proto != IPPROTO_TCP && !first) return;
  note(p, role, &(struct twin_sight){frame, packet, flow, role_of_box(role), p->now, evidence_of(p, role_side(role), frame, packet)});
}

void match_shadow(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet) {
  uint32_t side = role_side(role);
  bool tells = twin_tells(packet);
  if (tells && packet->proto == IPPROTO_TCP && pair_is_stranger(p, side, packet) && pair_keeps_ends(p, side, packet))
    numbers_changed(p, role_of_box(role));
  if (tells || burst_greets(packet))
    note(p, role, &(struct twin_sight){frame, packet, NULL, role_of_box(role), p->now, evidence_of(p, side, frame, packet)});
}

enum twin_verdict match_verdict(const struct plane *p, uint32_t side, uint32_t slot, uint32_t box) {
  uint32_t word = __atomic_load_n(verdict_word(p, side, slot), __ATOMIC_RELAXED);
  return twin_verdict(twin_verdicts(&p->entries[side][slot], word), box);
}

enum twin_verdict match_flow_verdict(const struct plane *p, uint32_t side, const struct rm_flow *flow, uint32_t box) {
  enum twin_verdict own = match_verdict(p, side, slot_of(p, side, flow), box);
  return own == TWIN_UNKNOWN && flow->peer != RM_NO_FLOW ? match_verdict(p, 1 - side, flow->peer, box) : own;
}

bool match_dropped(const struct plane *p, uint32_t side, const struct rm_flow *flow) {
  return serving(p) >= 0 && match_flow_verdict(p, side, flow, (uint32_t)serving(p)) == TWIN_DROPPED;
}

enum twin_verdict match_holds(const struct plane *p, uint32_t side, uint32_t slot, uint32_t box) {
  bool stayed = p->board->live.box[box].up_ns < p->entries[side][slot].first_ns;
  return stayed ? match_verdict(p, side, slot, box) : TWIN_UNKNOWN;
}

/* Nobody asks before a switch, nor long after it: until then a flow's word, far away in memory, is left alone. */
bool match_carries(const struct plane *p) { return p->reflex.switch_number != 0 && p->now < p->reflex.path_since + CARRIED_NS; }

/* Of either side, also of one that another worker has. */
static uint32_t *carried_word(const struct plane *p, uint32_t side, uint32_t slot) {
  return (uint32_t *)((char *)p->board + p->board->header.carried_offset[side]) + slot;
}

/* A word without what was noted after earlier switches. */
static uint32_t since_switch(const struct plane *p, uint32_t word) {
  uint32_t since = p->reflex.switch_number << RM_CARRIED_SHIFT;
  return word >> RM_CARRIED_SHIFT == since >> RM_CARRIED_SHIFT ? word : since;
}

void match_carried(struct plane *p, uint32_t side, const struct rm_flow *flow, uint32_t which) {
  if (!match_carries(p)) return;
  uint32_t *word = carried_word(p, side, slot_of(p, side, flow)), is = *word, fresh = since_switch(p, is) | which;
  if (fresh != is) __atomic_store_n(word, fresh, __ATOMIC_RELAXED);
}

uint32_t match_was_carried(const struct plane *p, uint32_t side, uint32_t slot) {
  return since_switch(p, __atomic_load_n(carried_word(p, side, slot), __ATOMIC_RELAXED)) & (RM_CARRIED_IN | RM_CARRIED_OUT);
}

/* What was foretold of a flow is to be held against what came of it, also when its seed has told otherwise by then. */
static void keep_foretold(struct plane *p, uint32_t side, const struct rm_flow *flow, enum twin_verdict before) {
  if (!match_carries(p) || flow->first_ns >= p->reflex.path_since) return;
  uint32_t *word = carried_word(p, side, slot_of(p, side, flow)), is = since_switch(p, *word);
  uint32_t fresh = is | RM_CARRIED_LEARNT | (uint32_t)before << RM_CARRIED_BEFORE_SHIFT;
  if (!(is & RM_CARRIED_LEARNT)) __atomic_store_n(word, fresh, __ATOMIC_RELAXED);
}

enum seed_heard match_learn(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, const struct seed_found *found) {
  uint32_t side = role_side(role), box = role_of_box(role), slot = found->slot, clock;
  const struct rm_flow *f = &p->entries[side][slot];
  struct alias_guise made = {.ends = twin_tuple(packet)};
  struct twin_tuple own = alias_own(f);
  struct numbers_gap gap[2] = {{0, 0}, {0, 0}};
  numbers_of(p, side, f, gap);
  if (packet->proto == IPPROTO_TCP) made.shift = found->seq - packet->seq;
  /* Seeds have no timestamps: a box that does not make its own here leaves those of the other side alone. */
  if (!translate_clock(frame, packet, &clock)) made.clock = 0u - gap[1].clock;
  if (made.shift) numbers_changed(p, box);
  bool alike = twin_same(&made.ends, &own) && !(made.shift | made.clock);
  enum twin_verdict before = match_verdict(p, side, slot, box), after = alike ? TWIN_EQUAL : TWIN_DIFFERENT;
  bool answer = packet->proto == IPPROTO_TCP && (packet->tcp_flags & RM_TCP_ACK);
  fixup_learn(p, side, box, f, &made);
  if (!answer && (int)box == serving(p) && after != before) keep_foretold(p, side, f, before);
  /* Of a standby that had dropped it match_proved() tells, when the answer has come out as well. */
  bool waits = packet->proto == IPPROTO_TCP && (int)box != serving(p) && before == TWIN_DROPPED;
  if (!answer && !waits) twins_learn(&p->matching[side]->twins, slot, box, after);
  if (!answer && !alike && before != TWIN_DIFFERENT) tell_unlike(p, role, slot, &made.ends);
  if (alike) return SEED_SAME;
  return fixup_follows(p, side, box, f) ? SEED_FOLLOWED : SEED_OTHER;
}

void match_proved(struct plane *p, const struct match_proof *of, enum twin_verdict verdict) {
  const struct rm_flow *f = &p->entries[of->side][of->slot];
  uint32_t *word = verdict_word(p, of->side, of->slot), is = __atomic_load_n(word, __ATOMIC_RELAXED), place = 2 * of->box, fresh;
  /* Who owns the side may be writing what it knows of another box. */
  do {
    if ((is & ~RM_TWIN_VERDICTS) != of->word || twin_word(f) != of->word) return;
    fresh = (is & ~(3u << place)) | (uint32_t)verdict << place;
  } while (!__atomic_compare_exchange_n(word, &is, fresh, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void match_forget(struct plane *p, uint32_t role, uint32_t slot) {
  twins_learn(&p->matching[role_side(role)]->twins, slot, role_of_box(role), TWIN_DROPPED);
}

/* Its rule wants openings copied and has no seeds: a copy that was not made is a connection that no standby knows. */
static bool missed(const struct plane *p, const struct rm_flow *flow) {
  const struct rm_rule *rule = flow->rule == 0xff ? NULL : &p->rules.rule[flow->rule];
  return rule && rule->handshake && !rule->seed && !rule->none;
}

/* Of an opening any copy will do, for the flow has no other yet; of an answer one the other way, by a rule that copies answers. */
static bool was_copied(const struct plane *p, const struct rm_flow *flow, const struct twin *o) {
  if (!o->answer) return flow->half[0].mirrored + flow->half[1].mirrored > 0 || missed(p, flow);
  bool wants = flow->rule != 0xff && p->rules.rule[flow->rule].handshake;
  return wants && flow->opener != 0 && flow->half[2 - flow->opener].mirrored > 0;
}

/* Standbys that got a copy of the opening or of its answer, or should have: only of TCP it is known which packet it was, on the other side. */
struct walk { struct plane *p; uint32_t side; };

static uint32_t expected(void *context, const struct twin *o) {
  const struct walk *at = context;
  const struct plane *p = at->p;
  uint32_t side = at->side;
  if (o->proto != IPPROTO_TCP || (o->answer && match_by_ends(p))) return 0;
  /* What came before it was known that a box renumbers was compared by its numbers. */
  if (match_by_ends(p) && o->ns < __atomic_load_n(&p->crew->renumbers_ns, __ATOMIC_RELAXED) + RM_TWIN_NS) return 0;
  const struct rm_flow *flow = &p->entries[side][o->slot];
  if (flow->peer == RM_NO_FLOW) return 0;
  struct rm_flow other, *peer = &other;
  if (!entry_copy(&p->entries[1 - side][flow->peer], peer)) return 0;
  /* A standby that chose another port would not have been known again. */
  if (match_by_ends(p) && memcmp(flow->addr, peer->addr, sizeof flow->addr) != 0) return 0;
  if (!was_copied(p, peer, o)) return 0;
  uint32_t boxes = p->members & ~(1u << o->master);
  for (uint32_t box = 0; box < role_of_box(p->roles); box++)
    if (!p->port[role_box(box, RM_SIDE_UP)].view->link || !p->port[role_box(box, RM_SIDE_DOWN)].view->link) boxes &= ~(1u << box);
  return serving(p) == (int)o->master ? boxes : 0;
}

/* One that hands nothing over at all has lost more than copies. */
static bool hands_over(const struct plane *p, uint32_t box) {
  const struct rm_match *of = &p->board->live.match[box * RM_MATCH_CLASSES + RM_MATCH_TCP];
  return of->equal + of->different > 0;
}

/* Nothing of an opening came out of a box, and it has no state; or nothing of the answer, and it would carry on nothing though it holds the
 * binding. If it was the copy that was lost a seed makes it good; a box that has dropped it drops that too. */
static void missing(void *context, const struct twin *o, uint32_t box) {
  const struct walk *at = context;
  uint32_t side = at->side, there = 1 - side, peer = at->p->entries[side][o->slot].peer;
  if (o->answer && (peer == RM_NO_FLOW || match_verdict(at->p, there, peer, box) != TWIN_EQUAL)) return;
  bool asked = hands_over(at->p, box) && seed_missed(at->p, side, o->slot, box);
  if (o->answer && !asked) match_proved(at->p, &(struct match_proof){there, peer, twin_word(&at->p->entries[there][peer]), box}, TWIN_DROPPED);
}

static enum rm_match_class class_of(const struct rm_flow *flow) {
  return flow->proto == IPPROTO_TCP ? RM_MATCH_TCP : flow->proto == IPPROTO_UDP ? RM_MATCH_UDP : RM_MATCH_OTHER;
}

/* Told by twins_go(). */
static void add_flow(void *context, uint32_t slot, uint32_t verdicts) {
  const struct walk *at = context;
  const struct plane *p = at->p;
  struct matching *m = p->matching[at->side];
  const struct rm_flow *flow = &m->twins.entries[slot];
  if (flow->age == RM_AGE_TCP_CLOSING) return;
  for (uint32_t box = 0; box < RM_BOXES && verdicts >> (2 * box); box++) {
    enum twin_verdict verdict = twin_verdict(verdicts, box);
    struct rm_match *sum = &m->sum[box * RM_MATCH_CLASSES + class_of(flow)];
    sum->equal += verdict == TWIN_EQUAL;
    sum->different += verdict == TWIN_DIFFERENT;
    sum->followed += verdict == TWIN_DIFFERENT && fixup_follows(p, at->side, box, flow);
    sum->dropped += verdict == TWIN_DROPPED;
  }
}

static void count_flows(struct plane *p, struct walk *at) {
  struct matching *m = p->matching[at->side];
  if (!twins_go(&m->twins, &m->round, &(struct twins_tally){add_flow, at})) return;
  memcpy(m->last, m->sum, sizeof m->last);
  memset(m->sum, 0, sizeof m->sum);
  struct rm_match all[COUNTS] = {{0, 0, 0, 0}};
  for (uint32_t s = 0; s < RM_SIDES; s++)
    for (uint32_t i = 0; i < COUNTS && p->has[s]; i++) {
      all[i].equal += p->matching[s]->last[i].equal;
      all[i].different += p->matching[s]->last[i].different;
      all[i].followed += p->matching[s]->last[i].followed;
      all[i].dropped += p->matching[s]->last[i].dropped;
    }
  memcpy(p->live->match, all, sizeof all);
}

void match_step(struct plane *p) {
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    if (!p->has[side]) continue;
    struct walk at = {p, side};
    twins_walk(&p->matching[side]->twins, OPENINGS / RM_PACE, p->now, &(struct twin_owed){expected, missing, &at});
    count_flows(p, &at);
  }
}

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

#define OPENINGS 64 /* looked at in one go, a thousand times a second */
#define FLOWS 2048
#define CARRIED_NS (30 * RM_S) /* control looks some seconds after a switch */
#define COUNTS (RM_BOXES * RM_MATCH_CLASSES)

struct matching {
  struct twins twins;
  uint32_t first, slots, at;        /* this worker's part of the flows, and how far the count has come */
  struct rm_match sum[COUNTS], last[COUNTS]; /* of this round, and of the one before; by box, then class */
};

int match_open(struct plane *p) {
  uint32_t slots = p->board->setup.flow_slots / p->crew->queues;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    if (!p->has[s]) continue;
    struct matching *m = crew_memory(sizeof *m);
    if (!m) return plane_fail(p, "Cannot make a table of openings: no memory");
    m->twins.entries = p->entries[s];
    m->twins.word = (uint32_t *)((char *)p->board + p->board->header.twin_offset[s]);
    m->twins.secret = p->crew->trace_secret;
    m->first = p->queue * slots;
    m->slots = slots;
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
  if (!o) return;
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

/* By what twins are known where a box renumbers; 0: by their numbers. */
static uint64_t evidence_of(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet) {
  uint32_t clock;
  uint64_t secret = p->crew->trace_secret;
  if (packet->proto != IPPROTO_TCP || !match_by_ends(p)) return 0;
  if ((packet->tcp_flags & RM_TCP_ACK) || pair_keeps_ends(p, side, packet)) return twin_evidence_ends(secret, packet);
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
  if (tells || (burst_greets(packet) && match_by_ends(p)))
    note(p, role, &(struct twin_sight){frame, packet, NULL, role_of_box(role), p->now, evidence_of(p, side, frame, packet)});
}

enum twin_verdict match_verdict(const struct plane *p, uint32_t side, uint32_t slot, uint32_t box) {
  const uint32_t *words = (const uint32_t *)((const char *)p->board + p->board->header.twin_offset[side]);
  return twin_verdict(twin_verdicts(&p->entries[side][slot], __atomic_load_n(&words[slot], __ATOMIC_RELAXED)), box);
}

enum twin_verdict match_holds(const struct plane *p, uint32_t side, uint32_t slot, uint32_t box) {
  bool stayed = p->board->live.box[box].up_ns < p->entries[side][slot].first_ns;
  return stayed ? match_verdict(p, side, slot, box) : TWIN_UNKNOWN;
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
  bool alike = twin_same(&made.ends, &own) && !(made.shift | made.clock), known = match_verdict(p, side, slot, box) == TWIN_DIFFERENT;
  bool answer = packet->proto == IPPROTO_TCP && (packet->tcp_flags & RM_TCP_ACK);
  fixup_learn(p, side, box, f, &made);
  if (!answer) twins_learn(&p->matching[side]->twins, slot, box, alike ? TWIN_EQUAL : TWIN_DIFFERENT);
  if (!answer && !alike && !known) tell_unlike(p, role, slot, &made.ends);
  if (alike) return SEED_SAME;
  return fixup_follows(p, side, box, f) ? SEED_FOLLOWED : SEED_OTHER;
}

void match_forget(struct plane *p, uint32_t role, uint32_t slot) {
  twins_learn(&p->matching[role_side(role)]->twins, slot, role_of_box(role), TWIN_DROPPED);
}

/* Its rule wants openings copied and has no seeds: a copy that was not made is a connection that no standby knows. */
static bool missed(const struct plane *p, const struct rm_flow *flow) {
  const struct rm_rule *rule = flow->rule == 0xff ? NULL : &p->rules.rule[flow->rule];
  return rule && rule->handshake && !rule->seed && !rule->none;
}

/* Standbys that got a copy of the opening, or should have: only of TCP it is known which packet it was, on the other side. */
struct walk { struct plane *p; uint32_t side; };

/* One that hands nothing over at all has lost more than copies. */
static bool hands_over(const struct plane *p, uint32_t side, uint32_t box) {
  const struct rm_match *of = &p->matching[side]->last[box * RM_MATCH_CLASSES + RM_MATCH_TCP];
  return of->equal + of->different > 0;
}

static uint32_t expected(void *context, const struct twin *o) {
  const struct walk *at = context;
  struct plane *p = at->p;
  uint32_t side = at->side;
  if (o->proto != IPPROTO_TCP) return 0;
  /* What came before it was known that a box renumbers was compared by its numbers. */
  if (match_by_ends(p) && o->ns < __atomic_load_n(&p->crew->renumbers_ns, __ATOMIC_RELAXED) + RM_TWIN_NS) return 0;
  const struct rm_flow *flow = &p->entries[side][o->slot];
  if (flow->peer == RM_NO_FLOW) return 0;
  struct rm_flow other, *peer = &other;
  if (!entry_copy(&p->entries[1 - side][flow->peer], peer)) return 0;
  /* A standby that chose another port would not have been known again. */
  if (match_by_ends(p) && memcmp(flow->addr, peer->addr, sizeof flow->addr) != 0) return 0;
  if (peer->half[0].mirrored + peer->half[1].mirrored == 0 && !missed(p, peer)) return 0;
  uint32_t boxes = p->members & ~(1u << o->master);
  for (uint32_t box = 0; box < role_of_box(p->roles); box++)
    if (!p->port[role_box(box, RM_SIDE_UP)].view->link || !p->port[role_box(box, RM_SIDE_DOWN)].view->link) boxes &= ~(1u << box);
  if (serving(p) != (int)o->master) return 0;
  /* A box that has dropped it drops the seed too; where it was the copy that was lost it is made good. */
  for (uint32_t left = boxes & ~(uint32_t)o->seen; left; left &= left - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(left);
    if (hands_over(p, side, box)) seed_missed(p, side, o->slot, box);
  }
  return boxes;
}

static enum rm_match_class class_of(const struct rm_flow *flow) {
  return flow->proto == IPPROTO_TCP ? RM_MATCH_TCP : flow->proto == IPPROTO_UDP ? RM_MATCH_UDP : RM_MATCH_OTHER;
}

static void add_flow(struct plane *p, uint32_t side, uint32_t slot) {
  struct matching *m = p->matching[side];
  uint32_t verdicts = twins_word(&m->twins, slot);
  const struct rm_flow *flow = &m->twins.entries[slot];
  if (verdicts == 0 || flow->age == RM_AGE_TCP_CLOSING) return;
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    enum twin_verdict verdict = twin_verdict(verdicts, box);
    struct rm_match *sum = &m->sum[box * RM_MATCH_CLASSES + class_of(flow)];
    sum->equal += verdict == TWIN_EQUAL;
    sum->different += verdict == TWIN_DIFFERENT;
    sum->followed += verdict == TWIN_DIFFERENT && fixup_follows(p, side, box, flow);
    sum->dropped += verdict == TWIN_DROPPED;
  }
}

static void count_flows(struct plane *p, uint32_t side) {
  struct matching *m = p->matching[side];
  for (uint32_t n = 0; n < FLOWS && m->at < m->slots; n++, m->at++)
    if (m->twins.word[m->first + m->at]) add_flow(p, side, m->first + m->at);
  if (m->at < m->slots) return;
  m->at = 0;
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

/* Nobody asks before a switch, nor long after it: until then a flow's word, far away in memory, is left alone. */
bool match_carries(const struct plane *p) { return p->reflex.switch_number != 0 && p->now < p->reflex.path_since + CARRIED_NS; }

static uint32_t *carried_word(const struct plane *p, uint32_t side, uint32_t slot) {
  return (uint32_t *)((char *)p->board + p->board->header.carried_offset[side]) + slot;
}

static uint32_t since_switch(const struct plane *p, uint32_t is) { return (is & ~3u) == p->reflex.switch_number << 2 ? is & 3u : 0; }

void match_carried(struct plane *p, uint32_t side, const struct rm_flow *flow, uint32_t which) {
  if (!match_carries(p)) return;
  uint32_t *word = carried_word(p, side, slot_of(p, side, flow)), is = *word;
  uint32_t fresh = p->reflex.switch_number << 2 | since_switch(p, is) | which;
  if (fresh != is) __atomic_store_n(word, fresh, __ATOMIC_RELAXED);
}

uint32_t match_was_carried(const struct plane *p, uint32_t side, uint32_t slot) {
  return since_switch(p, __atomic_load_n(carried_word(p, side, slot), __ATOMIC_RELAXED));
}

void match_tick(struct plane *p) {
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    if (!p->has[side]) continue;
    twins_walk(&p->matching[side]->twins, OPENINGS, p->now, expected, &(struct walk){p, side});
    count_flows(p, side);
  }
}

/* Match: how many of the live connections each standby would carry on, because it opened them as the serving box did.
 *
 * The verdicts come from twins of opening packets; a walk over all flows counts those that still live. A standby that
 * cannot be compared, as it hands nothing over, has no verdicts but of what it should have.
 */
#include <netinet/in.h>
#include <string.h>
#include "fixup.h"
#include "plane.h"
#include "twin.h"

#define OPENINGS 16 /* looked at in one go, a thousand times a second */
#define FLOWS 2048

struct matching {
  struct twins twins;
  uint32_t first, slots, at;        /* this worker's part of the flows, and how far the count has come */
  struct rm_match sum[RM_BOXES], last[RM_BOXES]; /* of this round, and of the one before */
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
static void tell_unlike(struct plane *p, uint32_t side, uint32_t box, const struct twin *o) {
  struct rm_live *live = &p->board->live;
  uint64_t n = __atomic_add_fetch(&live->unlike_sequence, 1, __ATOMIC_RELAXED);
  struct rm_unlike *to = &live->unlike[n % RM_UNLIKES];
  __atomic_store_n(&to->sequence, 0, __ATOMIC_RELEASE);
  to->slot = o->slot;
  to->side = (uint8_t)side;
  to->box = (uint8_t)box;
  memcpy(to->addr, o->made[box].addr, sizeof to->addr);
  memcpy(to->port, o->made[box].port, sizeof to->port);
  __atomic_store_n(&to->sequence, n, __ATOMIC_RELEASE);
}

static void note(struct plane *p, uint32_t role, const struct twin_sight *seen) {
  uint32_t side = role_side(role), differ;
  const struct twin *o = twins_note(&p->matching[side]->twins, seen, &differ);
  if (!o) return;
  for (; differ; differ &= differ - 1) tell_unlike(p, side, (uint32_t)__builtin_ctz(differ), o);
  for (uint32_t left = twin_judged(o); left; left &= left - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(left);
    fixup_learn(p, side, box, &p->entries[side][o->slot], &o->made[box]);
  }
}

void match_passed(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet,
                  const struct rm_flow *flow) {
  bool first = flow->half[packet->dir].packets == 1 && flow->half[1 - packet->dir].packets == 0;
  if (packet->proto != IPPROTO_TCP && !first) return;
  note(p, role, &(struct twin_sight){frame, packet, flow, role_of_box(role), p->now});
}

void match_shadow(struct plane *p, uint32_t role, const struct rte_mbuf *m) {
  struct rm_packet packet;
  const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
  if (rm_parse(frame, m->data_len, &packet) != RM_PARSE_FLOW || !twin_tells(&packet)) return;
  if (__builtin_expect(p->recorder.on, 0)) recorder_shadow(p, role, m, &packet);
  note(p, role, &(struct twin_sight){frame, &packet, NULL, role_of_box(role), p->now});
}

/* Standbys that got a copy of the opening: only of TCP it is known which packet it was, on the other side. */
struct walk { const struct plane *p; uint32_t side; };

static uint32_t expected(void *context, const struct twin *o) {
  const struct walk *at = context;
  const struct plane *p = at->p;
  uint32_t side = at->side;
  if (o->proto != IPPROTO_TCP) return 0;
  const struct rm_flow *flow = &p->entries[side][o->slot];
  if (flow->peer == RM_NO_FLOW) return 0;
  const struct rm_flow *peer = &p->entries[1 - side][flow->peer];
  if (peer->half[0].mirrored + peer->half[1].mirrored == 0) return 0;
  uint32_t boxes = p->members & ~(1u << o->master);
  for (uint32_t box = 0; box < role_of_box(p->roles); box++)
    if (!p->port[role_box(box, RM_SIDE_UP)].view->link || !p->port[role_box(box, RM_SIDE_DOWN)].view->link) boxes &= ~(1u << box);
  return serving(p) == (int)o->master ? boxes : 0;
}

static void add_flow(struct plane *p, uint32_t side, uint32_t slot) {
  struct matching *m = p->matching[side];
  uint32_t verdicts = twins_word(&m->twins, slot);
  if (verdicts == 0 || m->twins.entries[slot].age == RM_AGE_TCP_CLOSING) return;
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    enum twin_verdict verdict = twin_verdict(verdicts, box);
    m->sum[box].equal += verdict == TWIN_EQUAL;
    m->sum[box].different += verdict == TWIN_DIFFERENT;
    m->sum[box].followed += verdict == TWIN_DIFFERENT && fixup_follows(p, side, box, &m->twins.entries[slot]);
    m->sum[box].dropped += verdict == TWIN_DROPPED;
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
  struct rm_match all[RM_BOXES] = {{0, 0, 0, 0}};
  for (uint32_t s = 0; s < RM_SIDES; s++)
    for (uint32_t box = 0; box < RM_BOXES && p->has[s]; box++) {
      all[box].equal += p->matching[s]->last[box].equal;
      all[box].different += p->matching[s]->last[box].different;
      all[box].followed += p->matching[s]->last[box].followed;
      all[box].dropped += p->matching[s]->last[box].dropped;
    }
  memcpy(p->live->match, all, sizeof all);
}

void match_tick(struct plane *p) {
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    if (!p->has[side]) continue;
    twins_walk(&p->matching[side]->twins, OPENINGS, p->now, expected, &(struct walk){p, side});
    count_flows(p, side);
  }
}

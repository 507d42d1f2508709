/* Steps: what the reflexes did, with all they did it by, in a ring on the board; and the same step decided again.
 *
 * Lights, votes, links, silence and orders go in as they stood at that moment; out comes where traffic goes. The ring is
 * written whether somebody reads it or not: a step costs a copy of two kilobytes, and there are few.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "reflex.h"

_Static_assert(sizeof(struct reflex) <= RM_REFLEX_BYTES, "a step has room for the reflexes' state");

static void terms_from(struct rm_terms *t, const struct rm_command *c) {
  *t = (struct rm_terms){.silence_ns = c->silence_ns, .hold_up_ns = c->hold_up_ns, .drain_ns = c->drain_ns,
                         .pause_ns = c->pause_ns, .last_ns = c->last_ns, .silence_ns_min = c->silence_ns_min,
                         .silence_ns_max = c->silence_ns_max, .silence_learn_ns = c->silence_learn_ns,
                         .silence_packets = c->silence_packets, .dead_path = c->dead_path, .automatic = c->automatic,
                         .votes = c->votes, .left = c->left, .last_mask = c->last_mask, .order_force = c->order_force};
  memcpy(t->stale_ns, c->stale_ns, sizeof t->stale_ns);
  memcpy(t->weight, c->weight, sizeof t->weight);
  memcpy(t->rank, c->rank, sizeof t->rank);
  memcpy(t->suppressed, c->suppressed, sizeof t->suppressed);
}

static void terms_to(struct rm_command *c, const struct rm_terms *t) {
  c->silence_ns = t->silence_ns, c->hold_up_ns = t->hold_up_ns, c->drain_ns = t->drain_ns, c->pause_ns = t->pause_ns;
  c->last_ns = t->last_ns, c->silence_ns_min = t->silence_ns_min, c->silence_ns_max = t->silence_ns_max;
  c->silence_learn_ns = t->silence_learn_ns, c->silence_packets = t->silence_packets, c->dead_path = t->dead_path;
  c->automatic = t->automatic, c->votes = t->votes, c->left = t->left, c->last_mask = t->last_mask;
  c->order_force = t->order_force;
  memcpy(c->stale_ns, t->stale_ns, sizeof t->stale_ns);
  memcpy(c->weight, t->weight, sizeof t->weight);
  memcpy(c->rank, t->rank, sizeof t->rank);
  memcpy(c->suppressed, t->suppressed, sizeof t->suppressed);
}

void step_write(struct reflex *r, const struct rm_step *what) {
  struct rm_live *live = &r->board->live;
  uint64_t next = live->step_sequence + 1;
  struct rm_step *slot = &r->board->step[next % RM_STEPS];
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  __atomic_store_n(&slot->sequence, 0, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE); /* nobody sees what follows with the old number */
  slot->mono_ns = r->now;
  slot->wall_ns = (uint64_t)t.tv_sec * RM_S + (uint64_t)t.tv_nsec;
  slot->kind = what->kind, slot->cause = what->cause, slot->before = what->before, slot->after = what->after;
  slot->subject = what->subject, slot->order = what->order;
  slot->reflex_bytes = sizeof *r;
  terms_from(&slot->terms, &r->board->command);
  memcpy(slot->detection, live->detection, sizeof slot->detection);
  memcpy(slot->reflex, r, sizeof *r);
  memset(slot->reflex + offsetof(struct reflex, board), 0, sizeof r->board); /* says nothing to anybody else */
  __atomic_store_n(&slot->sequence, next, __ATOMIC_RELEASE);
  __atomic_store_n(&live->step_sequence, next, __ATOMIC_RELEASE);
}

/* A bool of a file may be any byte. */
static void make_bool(uint8_t *bytes, size_t at, size_t n) {
  for (size_t i = at; i < at + n; i++) bytes[i] = bytes[i] != 0;
}

static bool state_from(struct reflex *r, const struct rm_step *s) {
  uint8_t bytes[sizeof *r];
  memcpy(bytes, s->reflex, sizeof bytes);
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    size_t at = offsetof(struct reflex, box) + box * sizeof(struct box_state);
    make_bool(bytes, at + offsetof(struct box_state, link), RM_SIDES);
    make_bool(bytes, at + offsetof(struct box_state, silent), 1);
    make_bool(bytes, at + offsetof(struct box_state, member), 1);
    make_bool(bytes, at + offsetof(struct box_state, was_alive), 1);
    make_bool(bytes, at + offsetof(struct box_state, outvoted), 1);
  }
  for (uint32_t side = 0; side < RM_SIDES; side++)
    make_bool(bytes, offsetof(struct reflex, way) + side * sizeof(struct way) + offsetof(struct way, two_flows), 1);
  make_bool(bytes, offsetof(struct reflex, moving), 1);
  make_bool(bytes, offsetof(struct reflex, emptied), 1);
  make_bool(bytes, offsetof(struct reflex, keeps), 1);
  make_bool(bytes, offsetof(struct reflex, watching), 1);
  memcpy(r, bytes, sizeof *r);
  for (uint32_t box = 0; box < RM_BOXES; box++)
    if (r->box[box].silent_way >= RM_SIDES) return false;
  bool moves = !r->moving || (r->moving_to < RM_BOXES && r->path < RM_BOXES);
  return r->boxes <= RM_BOXES && r->path < RM_PATHS && r->previous < RM_PATHS && moves && s->terms.dead_path < RM_PATHS;
}

/* The verdict on a box: by its links, its votes or its silence, each with the evidence of that moment. */
static bool verdict_again(struct reflex *r, const struct rm_step *s) {
  struct box_state *b = &r->box[s->subject];
  if (box_counts(b) != (s->after != 0)) return false;
  if (s->cause == RM_CAUSE_LINK && !s->after) return !box_links(b);
  /* Just after the votes were counted; on other occasions a light may have gone stale since. */
  bool voted = s->cause == RM_CAUSE_PROBE || s->cause == RM_CAUSE_BFD || s->cause == RM_CAUSE_GREY || s->cause == RM_CAUSE_CHECK;
  if (voted) {
    uint32_t against = b->against;
    bool outvoted = b->outvoted;
    enum rm_cause cause = votes_tally(r, s->subject);
    return b->against == against && b->outvoted == outvoted && cause == (enum rm_cause)s->cause;
  }
  if (s->cause == RM_CAUSE_SILENCE && !s->after) return b->silent && reflex_silent(r, s->subject, b->silent_way);
  return true;
}

static bool decide_again(struct reflex *r, const struct rm_step *s, struct step *again) {
  switch (s->kind) {
    case RM_STEP_VERDICT: return s->subject < r->boxes && verdict_again(r, s);
    case RM_STEP_SWITCH: *again = reflex_step(r); break;
    case RM_STEP_WAIT: return s->after < r->boxes && !r->moving && reflex_waits(r, s->after);
    case RM_STEP_STAY: return r->moving && reflex_move(r) == MOVE_END && s->after == r->moving_to;
    default: /* RM_STEP_ORDER */
      if (r->moving) return reflex_move(r) == MOVE_GO && s->after == r->moving_to;
      return s->after >= r->boxes || !reflex_waits(r, s->after);
  }
  return again->to == s->after && again->cause == (enum rm_cause)s->cause;
}

enum step_retold step_retell(const struct rm_step *s, struct step *again) {
  struct reflex r;
  *again = (struct step){s->after, s->cause, s->order};
  if (s->kind >= RM_STEP_KINDS || s->reflex_bytes != sizeof r || !state_from(&r, s)) return STEP_IMPOSSIBLE;
  struct rm_board *board = aligned_alloc(RM_CACHE_LINE, sizeof *board);
  if (!board) return STEP_IMPOSSIBLE;
  memset(board, 0, sizeof *board);
  terms_to(&board->command, &s->terms);
  memcpy(board->live.detection, s->detection, sizeof s->detection);
  r.board = board;
  bool paths = s->kind == RM_STEP_VERDICT || s->before == r.path;
  bool same = decide_again(&r, s, again);
  free(board);
  return paths && same ? STEP_SAME : STEP_OTHER;
}

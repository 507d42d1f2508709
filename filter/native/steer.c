/* Steering, the frames: a burst is taken apart by box and move, and each part goes its way as a burst of its own. */
#include <string.h>
#include "burst.h"
#include "fixup.h"
#include "steer.h"

#define PARTS 8u        /* boxes and moves that a burst is taken apart for; of more, those so far go first */
#define POOL_PART 2     /* moves keep half of the buffers at most */
#define AGAIN_BURST 256 /* frames played once more in a turn */

struct part { int box; uint8_t move; bool passes, steered; uint16_t n; uint64_t orphaned_ns; struct rte_mbuf *frame[RM_BURST]; };
struct parts { struct part of[PARTS]; uint32_t n; };

int steer_open(struct plane *p) {
  if (p->crew->workers != 1) return 0;
  struct steering *s = crew_reserve(sizeof *s);
  struct steer_kept *kept = crew_reserve(sizeof *kept * RM_STEER_FRAMES * 2 * RM_STEER_MOVES);
  uint64_t *adopted = crew_reserve((size_t)p->board->setup.flow_slots * sizeof *adopted);
  if (!s || !kept || !adopted) return plane_fail(p, "Cannot make the tables of steering: no memory");
  for (uint32_t i = 0; i < RM_STEER_MOVES; i++) {
    s->move[i].held.at = kept + (size_t)2 * i * RM_STEER_FRAMES;
    s->move[i].noted.at = kept + ((size_t)2 * i + 1) * RM_STEER_FRAMES;
  }
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    s->found[side] = crew_reserve((size_t)p->board->setup.flow_slots * sizeof *s->found[side]);
    if (!s->found[side]) return plane_fail(p, "Cannot make the tables of steering: no memory");
  }
  s->adopted = adopted;
  s->epoch = 1;
  s->kept_max = rte_mempool_avail_count(p->pool) / POOL_PART;
  p->steering = s;
  return 0;
}

static bool can_serve(const struct plane *p, uint32_t box) {
  const struct box_state *b = &p->reflex.box[box];
  return box < role_of_box(p->roles) && box_alive(b) && b->member;
}

/* The box that gets a flow's frames: of the rule while its box lives, else of the path. */
static int box_for(const struct plane *p, uint32_t box) {
  return box < RM_BOXES && can_serve(p, box) ? (int)box : serving(p);
}

static struct steer_move *move_of(struct plane *p, uint8_t move) {
  return move < RM_STEER_MOVES ? &p->steering->move[move] : NULL;
}

static struct part *part_for(struct parts *all, const struct part *like) {
  for (uint32_t i = 0; i < all->n; i++) {
    struct part *k = &all->of[i];
    if (k->box == like->box && k->move == like->move && k->passes == like->passes && k->steered == like->steered &&
        k->orphaned_ns == like->orphaned_ns) return k;
  }
  if (all->n == PARTS) return NULL;
  struct part *fresh = &all->of[all->n++];
  fresh->box = like->box, fresh->move = like->move, fresh->passes = like->passes, fresh->steered = like->steered;
  fresh->n = 0, fresh->orphaned_ns = like->orphaned_ns;
  return fresh;
}

static void lay_out(struct batch *b, const struct part *part) {
  memcpy(b->frame, part->frame, part->n * sizeof *b->frame);
  b->n = part->n;
  b->steered = part->steered;
  b->orphaned_ns = part->orphaned_ns;
  b->box = part->box;
  b->apart = 0;
  batch_lay_out(b);
}

/* Both ends of a move get their state by it, not by copies. */
static uint32_t ends_of(const struct steer_move *m) { return m ? 1u << m->order.source | 1u << m->order.destination : 0; }

static void into_box(struct plane *p, uint32_t side, const struct part *part) {
  struct batch b;
  lay_out(&b, part);
  b.apart = ends_of(move_of(p, part->move));
  if (b.steered) count(p, RM_COUNT_STEERED, b.n, b.bytes);
  burst_into(p, side, &b);
}

static void go_in(struct plane *p, uint32_t side, struct parts *all) {
  for (uint32_t i = 0; i < all->n; i++) into_box(p, side, &all->of[i]);
  all->n = 0;
}

static void put_in(struct plane *p, uint32_t side, struct parts *all, const struct part *like, struct rte_mbuf *m) {
  struct part *part = part_for(all, like);
  if (!part) go_in(p, side, all), part = part_for(all, like);
  part->frame[part->n++] = m;
  if (part->n == RM_BURST) go_in(p, side, all);
}

static void forget_noted(struct plane *p, struct steer_move *m) {
  rte_pktmbuf_free(ring_take(&m->noted).frame);
  p->steering->kept--;
}

static void note(struct plane *p, uint32_t side, struct steer_move *m, struct rte_mbuf *frame) {
  struct steering *s = p->steering;
  uint32_t most = m->order.frames_max < RM_STEER_FRAMES ? m->order.frames_max : RM_STEER_FRAMES;
  if (m->noted.count && (m->noted.count >= most || s->kept >= s->kept_max)) {
    count(p, RM_COUNT_STEER_FORGOTTEN, 1, 0);
    forget_noted(p, m);
  }
  if (s->kept >= s->kept_max || most == 0) return;
  rte_mbuf_refcnt_update(frame, 1);
  ring_put(&m->noted, frame, side);
  s->kept++;
}

/* Into the source; the destination may have to see it as well. */
static void into_source(struct plane *p, uint32_t side, struct steer_move *m, struct rte_mbuf *frame) {
  m->in++;
  m->moved_ns = p->now;
  if (m->state == RM_STEERED_NOTING || m->state == RM_STEERED_BROKEN) note(p, side, m, frame);
}

static bool is_full(struct plane *p, struct steer_move *m) {
  struct steering *s = p->steering;
  while (s->kept >= s->kept_max && m->noted.count) forget_noted(p, m);
  return m->held.count >= m->order.frames_max || m->held.count >= RM_STEER_FRAMES || s->kept >= s->kept_max;
}

/* As the flow's frames would go now: a held one that is released, too. */
static struct part way_of(struct plane *p, uint8_t move, uint8_t box, enum steer_way way) {
  const struct steer_move *m = move_of(p, move);
  int to = way == STEER_DESTINATION ? box_for(p, m->order.destination) : box_for(p, box);
  uint32_t rule = way == STEER_DESTINATION ? RM_STEER_RULES : (uint32_t)box - RM_STEER_ORPHAN; /* of a box: beyond all */
  uint64_t orphaned_ns = rule < RM_STEER_RULES ? p->steering->over_ns[rule] : 0;
  return (struct part){.box = to, .move = move, .steered = to != serving(p), .orphaned_ns = orphaned_ns};
}

/* Held frames go on, up to `most`, in their order. */
static void release(struct plane *p, uint8_t move, uint32_t most) {
  struct steering *s = p->steering;
  struct steer_move *m = &s->move[move];
  struct parts all = {.n = 0};
  uint32_t side = 0;
  for (; most-- && m->held.count && steer_release(m) != STEER_BACK;) {
    struct steer_kept kept = ring_take(&m->held);
    s->kept--;
    if (kept.side != side) go_in(p, side, &all), side = kept.side;
    struct steer_found found = steer_find(p, side, kept.frame, false);
    struct part way = way_of(p, move, found.choice.box, steer_release(m));
    if (found.alone && found.slot != RM_NO_FLOW) steer_mark(p, side, way.box, kept.frame, found.slot);
    if (steer_release(m) == STEER_SOURCE) into_source(p, side, m, kept.frame);
    else m->ahead++;
    put_in(p, side, &all, &way, kept.frame);
  }
  go_in(p, side, &all);
}

static void hold(struct plane *p, uint32_t side, uint8_t move, struct rte_mbuf *frame) {
  struct steer_move *m = &p->steering->move[move];
  /* Nothing is dropped for want of room: those before it go on. */
  if (is_full(p, m)) release(p, move, RM_BURST);
  count(p, RM_COUNT_STEER_HELD, 1, frame->pkt_len);
  ring_put(&m->held, frame, side);
  p->steering->kept++;
}

void steer_outer(struct plane *p, uint32_t side, struct rte_mbuf *const *frames, uint16_t n) {
  struct parts all = {.n = 0};
  for (uint16_t i = 0; i < n; i++) {
    struct steer_found found = steer_find(p, side, frames[i], false);
    struct steer_move *m = found.flow ? move_of(p, found.choice.move) : NULL;
    enum steer_way way = m ? steer_in(m, is_full(p, m), p->now) : STEER_SOURCE;
    if (way == STEER_BACK) {
      hold(p, side, found.choice.move, frames[i]);
      continue;
    }
    struct part like = way_of(p, m ? found.choice.move : RM_STEER_NOBODY, found.choice.box, way);
    if (m && way == STEER_SOURCE) into_source(p, side, m, frames[i]);
    if (found.alone && found.slot != RM_NO_FLOW) steer_mark(p, side, like.box, frames[i], found.slot);
    put_in(p, side, &all, &like, frames[i]);
  }
  go_in(p, side, &all);
}

/* What becomes of a frame out of `box`. */
static struct part fate_of(struct plane *p, int box, const struct steer_found *found) {
  struct part f = {.box = box, .move = RM_STEER_NOBODY};
  bool of_path = box == serving(p) || burst_drains(p, (uint32_t)box);
  if (!found->flow) return f.passes = of_path, f;
  struct steer_move *m = move_of(p, found->choice.move);
  enum steer_way way = m && m->state == RM_STEERED_ROUTED ? STEER_DESTINATION : STEER_SOURCE;
  int has = way_of(p, found->choice.move, found->choice.box, way).box;
  bool late = m && box == (int)m->order.source && steer_drains(m, p->now, p->board->command.drain_ns);
  if (m && box == (int)m->order.source) m->out++, m->moved_ns = p->now;
  else if (m && way == STEER_SOURCE && box == (int)m->order.destination) m->answered++;
  else if (m && box == (int)m->order.destination) m->answers = true;
  f.passes = box == has || late || (has == serving(p) && of_path);
  f.steered = f.passes && (box != serving(p)) && !(has == serving(p) && of_path);
  /* The serving box hands over what is not its own any more. */
  if (late && box == serving(p)) f.steered = true;
  return f;
}

/* The serving box was given a copy of a flow that another one serves. */
static void stays(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  if ((int)role_of_box(role) != serving(p)) return burst_shadow(p, role, m);
  count(p, RM_COUNT_SHADOW, 1, m->pkt_len);
  note_out(p, role_side(role), 1);
  rte_pktmbuf_free(m);
}

static void go_out(struct plane *p, uint32_t role, struct parts *all) {
  for (uint32_t i = 0; i < all->n; i++) {
    struct part *part = &all->of[i];
    struct batch b;
    lay_out(&b, part);
    if (part->passes) burst_passed(p, role, &b);
    else for (uint16_t k = 0; k < b.n; k++) stays(p, role, b.frame[k]);
  }
  all->n = 0;
}

void steer_box(struct plane *p, uint32_t role, struct rte_mbuf *const *frames, uint16_t n) {
  struct parts all = {.n = 0};
  for (uint16_t i = 0; i < n; i++) {
    struct steer_found found = steer_find(p, role_side(role), frames[i], true);
    if (found.alone && !steer_meet(p, role, frames[i], &found) && all.n) {
      /* One before it in this burst may be what its flow is known by. */
      go_out(p, role, &all);
      found = steer_find(p, role_side(role), frames[i], true);
      if (found.alone) steer_meet(p, role, frames[i], &found);
    }
    struct part like = fate_of(p, (int)role_of_box(role), &found);
    struct part *part = part_for(&all, &like);
    if (!part) go_out(p, role, &all), part = part_for(&all, &like);
    part->frame[part->n++] = frames[i];
  }
  go_out(p, role, &all);
}

/* Of the noted frames, those that the destination is to have once more: from where on. */
static void find_again(struct plane *p, uint32_t i) {
  struct steer_move *m = &p->steering->move[i];
  struct again *a = &p->steering->again[i];
  uint32_t wanted = m->order.again_frames, at = m->noted.count;
  while (at > 0 && wanted > 0) {
    const struct steer_kept *kept = ring_at(&m->noted, --at);
    wanted -= steer_is_of(p, kept->side, kept->frame, &m->order.again_fields);
  }
  m->again_played = 0;
  *a = (struct again){.at = m->noted.first + at, .until = m->noted.first + m->noted.count, .goes = true};
}

static void play_again(struct plane *p, uint32_t i) {
  struct steer_move *m = &p->steering->move[i];
  struct again *a = &p->steering->again[i];
  uint32_t destination = m->order.destination;
  if ((int32_t)(a->at - m->noted.first) < 0) a->at = m->noted.first; /* forgotten meanwhile */
  for (uint32_t n = 0; n < AGAIN_BURST && a->at != a->until; n++, a->at++) {
    const struct steer_kept *kept = ring_at(&m->noted, a->at - m->noted.first);
    if (!steer_is_of(p, kept->side, kept->frame, &m->order.again_fields) || !can_serve(p, destination)) continue;
    uint32_t role = role_box(destination, kept->side);
    rte_mbuf_refcnt_update(kept->frame, 1);
    port_queue(p, role, fixup_into(p, role, kept->frame), true);
    count(p, RM_COUNT_STEER_AGAIN, 1, 0);
    m->played++, m->again_played++;
  }
  m->again_ns = p->now;
  a->goes = a->at != a->until;
  if (!a->goes) m->again_done = m->order.again_order;
}

static bool goes_on(const struct steer_move *m) { return m->state != RM_STEERED_UNKNOWN; }

/* The place is control's again: what is still held goes on at once. */
static void clear(struct plane *p, uint8_t i) {
  struct steer_move *m = &p->steering->move[i];
  if (m->state == RM_STEERED_HOLDING) m->state = RM_STEERED_BROKEN;
  release(p, i, UINT32_MAX);
  while (m->noted.count) forget_noted(p, m);
  struct steer_ring held = m->held, noted = m->noted;
  *m = (struct steer_move){.held = held, .noted = noted};
  p->steering->again[i] = (struct again){0};
}

static bool names_dead(const struct plane *p, const struct rm_steer_rule *rule) { return rule->box >= RM_BOXES || !can_serve(p, rule->box); }

/* A rule that was there before stays over, if it is; one whose box is dead already is over at once. */
static void take_over(struct plane *p, const struct rm_steering *fresh) {
  struct steering *s = p->steering;
  uint32_t over[RM_STEER_RULES] = {0};
  uint64_t over_ns[RM_STEER_RULES] = {0};
  s->fresh = 0;
  for (uint32_t i = 0; i < fresh->rule_count; i++) {
    bool known = false;
    for (uint32_t k = 0; k < s->table.rule_count; k++) {
      if (memcmp(fresh->rule[i].id, s->table.rule[k].id, RM_STEER_ID_BYTES) != 0) continue;
      known = true, over[i] |= s->table.over[k], over_ns[i] = s->over_ns[k];
    }
    s->fresh |= (uint64_t)!known << i;
  }
  for (uint8_t i = 0; i < RM_STEER_MOVES; i++)
    if (goes_on(&s->move[i]) && (fresh->move[i].phase == RM_STEER_NONE || fresh->move[i].number != s->move[i].order.number)) clear(p, i);
  s->table = *fresh;
  memcpy(s->table.over, over, sizeof over);
  memcpy(s->over_ns, over_ns, sizeof over_ns);
  memcpy(p->board->steer.over, over, sizeof over);
  for (uint32_t i = 0; i < fresh->rule_count; i++)
    if (over[i]) s->table.rule[i].box = RM_STEER_ORPHAN + i;
  steer_forget(p);
  p->steers = fresh->rule_count > 0;
  s->moving = false;
  for (uint32_t i = 0; i < RM_STEER_MOVES; i++) {
    if (fresh->move[i].phase == RM_STEER_NONE) continue;
    steer_order(&s->move[i], &fresh->move[i], p->now);
    p->steers = s->moving = true;
    if (fresh->move[i].again_order != s->move[i].again_done && !s->again[i].goes) find_again(p, i);
  }
}

static bool is_sound(const struct rm_steering *t) {
  if (t->rule_count > RM_STEER_RULES) return false;
  for (uint32_t i = 0; i < RM_STEER_MOVES; i++) {
    const struct rm_steer_move *m = &t->move[i];
    if (m->phase != RM_STEER_NONE && (m->source >= RM_BOXES || m->destination >= RM_BOXES || m->number == 0)) return false;
  }
  return true;
}

/* What control has finished writing. */
static void take(struct plane *p) {
  static struct rm_steering fresh; /* one worker alone steers */
  const struct rm_steering *from = &p->board->steer;
  uint32_t before = __atomic_load_n(&from->generation, __ATOMIC_ACQUIRE);
  if ((before & 1) || before == p->steering->looked) return;
  memcpy(&fresh, from, sizeof fresh);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  if (__atomic_load_n(&from->generation, __ATOMIC_RELAXED) != before) return;
  p->steering->looked = before;
  if (!is_sound(&fresh)) return;
  fresh.generation = before;
  take_over(p, &fresh);
}

static void show(struct plane *p, uint32_t i) {
  const struct steer_move *m = &p->steering->move[i];
  struct rm_steer_view *v = &p->board->steer.view[i];
  bool drains = steer_drains(m, p->now, p->board->command.drain_ns);
  *v = (struct rm_steer_view){.number = m->order.number, .state = m->state, .hold_done = m->hold_done,
                              .drained = steer_drained(m, p->now), .held = m->held.count, .noted = m->noted.count,
                              .held_all = m->held_all, .again_done = m->again_done, .again_played = m->again_played,
                              .busy = (m->held.count && m->state != RM_STEERED_HOLDING) || drains};
}

static enum rm_cause cause_of(struct plane *p, uint32_t box) {
  const struct box_state *b = &p->reflex.box[box];
  if (!b->member) return RM_CAUSE_ORDER;
  if (!box_links(b)) return RM_CAUSE_LINK;
  return b->silent ? RM_CAUSE_SILENCE : b->cause;
}

/* Rules to a box that died are over for good: what it knew of their flows is lost. One event for each box. The serving box is told of
 * those that were there by seeds, where a rule of the filter wants that. */
static void look_at_boxes(struct plane *p) {
  struct steering *s = p->steering;
  uint32_t died = 0;
  for (uint32_t i = 0; i < s->table.rule_count; i++) {
    struct rm_steer_rule *rule = &s->table.rule[i];
    if (s->table.over[i] || !names_dead(p, rule)) continue;
    s->table.over[i] = p->board->steer.over[i] = 1;
    if (rule->box < RM_BOXES) died |= 1u << rule->box;
    rule->box = RM_STEER_ORPHAN + i;
    s->over_ns[i] = s->fresh >> i & 1 ? 0 : p->now;
  }
  s->fresh = 0;
  if (died) steer_forget(p);
  /* Each of their frames has to be looked at, or the serving box would not be told. */
  for (uint32_t side = 0; died && side < RM_SIDES; side++) rm_flows_wake(&p->table[side]);
  for (; died; died &= died - 1) {
    uint32_t box = (uint32_t)__builtin_ctz(died);
    event_write(p->board, p->now, &(struct rm_event){.kind = RM_EVENT_STEER, .cause = cause_of(p, box), .before = box,
                                                     .after = p->reflex.path, .subject = box});
  }
}

void steer_turn(struct plane *p) {
  struct steering *s = p->steering;
  if (__atomic_load_n(&p->board->steer.generation, __ATOMIC_RELAXED) != s->looked) take(p);
  if (!p->steers && p->board->steer.done == s->table.generation) return;
  for (uint8_t i = 0; i < RM_STEER_MOVES; i++) {
    struct steer_move *m = &s->move[i];
    if (!goes_on(m)) {
      if (p->board->steer.view[i].number) p->board->steer.view[i] = (struct rm_steer_view){0};
      continue;
    }
    steer_look(m, p->now);
    release(p, i, steer_may_go(m, RM_QUEUE, p->now));
    if (s->again[i].goes) play_again(p, i);
    show(p, i);
  }
  look_at_boxes(p);
  __atomic_store_n(&p->board->steer.done, s->table.generation, __ATOMIC_RELEASE);
}

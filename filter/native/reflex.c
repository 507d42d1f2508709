/* Reflexes: which box is alive, and the one word that says where traffic goes.
 *
 * Two senses are at home here: the link of a box's ports, and silence (frames of connections that are known to pass go
 * in, nothing comes out). Other detectors tell what they see and have votes by weight. Everything else is judgement and
 * comes as an order. No way back is ever taken by reflex: a returning box serves only when no other does.
 *
 * Silence is judged per direction and only on dense traffic: a few retransmissions of one blocked connection must
 * not look like a dead box. A turn that took too long is the node's own fault and does not count as silence.
 */
#include <string.h>
#include "reflex.h"

#define SPARSE 4      /* a window longer than this many silences was too thin to judge */
#define ONE_FLOW 4    /* one connection alone needs this many times the packets */
#define DRAIN_MAX 10   /* a box that goes on handing over is drained for so many times drain_ns at most */
#define EXCUSES 2     /* own stalls lengthen a silence by so many times at most */
#define PROOF 8       /* frames out of a silent box that prove it lives */
#define LAST_BOX 10   /* with nobody to take over, silence has to last this many times longer */
#define HICCUP 10     /* a silent box that is well again within so many silences had a hiccup */
#define WORSE 2       /* a stall so many times as long as the one told last is told at once */

static struct rm_box_view *view(struct reflex *r, uint32_t box) { return &r->board->live.box[box]; }
static const struct rm_command *command(const struct reflex *r) { return &r->board->command; }
static bool is_box(uint32_t path) { return path < RM_BOXES; }
static void clear_ways(struct reflex *r) { memset(r->way, 0, sizeof r->way); }

static uint64_t unseen(const struct reflex *r) { return r->way[0].put + r->way[1].put; }

/* Tell control when a box's verdict changed. */
static void publish(struct reflex *r, uint32_t box, enum rm_cause cause) {
  struct box_state *b = &r->box[box];
  bool now = box_counts(b);
  view(r, box)->silent = b->silent;
  if (now == b->was_alive) return;
  if (!now) b->down_ns = r->now;
  b->was_alive = now;
  view(r, box)->alive = now;
  view(r, box)->down_ns = b->down_ns;
  step_write(r, &(struct rm_step){.kind = RM_STEP_VERDICT, .cause = cause, .before = !now, .after = now, .subject = box});
  event_write(r->board, r->now, &(struct rm_event){.kind = RM_EVENT_BOX, .cause = cause, .before = !now, .after = now,
                                    .subject = box, .silent_ns = b->seen_ns ? r->now - b->seen_ns : 0});
}

/* However the move ended, the order is carried out as far as it can be. */
static void end_move(struct reflex *r) {
  if (!r->moving) return;
  r->moving = false;
  __atomic_store_n(&r->board->live.order_done, r->moving_order, __ATOMIC_RELEASE);
}

static void go(struct reflex *r, uint32_t to, enum rm_cause cause, uint32_t order) {
  if (to == r->path) return;
  uint32_t from = r->path;
  uint64_t seen = is_box(from) ? r->box[from].seen_ns : 0;
  struct rm_event e = {.kind = RM_EVENT_SWITCH, .cause = cause, .before = from, .after = to, .order = order,
                       .silent_ns = seen ? r->now - seen : 0, .lost_packets = cause == RM_CAUSE_ORDER ? 0 : unseen(r)};
  r->previous = from;
  r->path = to;
  r->cause = cause;
  r->path_since = r->now;
  /* The old box may still hand over what it holds; until then no copies go in that it would hand over too. */
  r->drain_until = r->now + command(r)->drain_ns;
  r->switch_number++;
  if (is_box(from)) r->box[from].forgiven = 0; /* a forced order holds for as long as the box serves */
  for (uint32_t side = 0; is_box(to) && side < RM_SIDES; side++) learnt_begin(&r->box[to].learnt[side]);
  clear_ways(r);
  event_write(r->board, r->now, &e); /* first: who sees the new path, or the order done, finds the event there as well */
  end_move(r);
  r->watching = true; /* from the first frame on */
  struct rm_live *live = &r->board->live;
  live->switches++;
  live->path_since_ns = r->now;
  __atomic_store_n(&live->path, to, __ATOMIC_RELEASE);
}

static bool is_member(const struct reflex *r, uint32_t box) {
  return !(__atomic_load_n(&command(r)->left, __ATOMIC_RELAXED) >> box & 1);
}

/* The box that served last has the connections; else whoever would take over. */
static uint32_t first_path(const struct reflex *r) {
  uint32_t first = r->board->setup.first_box;
  /* Where reflexes only report nobody would bring traffic back from another path: links may come later than the plane. */
  if (first < r->boxes && (box_counts(&r->box[first]) || (!command(r)->automatic && is_member(r, first)))) return first;
  int box = reflex_choose(r, -1);
  return box >= 0 ? (uint32_t)box : command(r)->dead_path;
}

void reflex_open(struct reflex *r, uint32_t boxes, const bool link[RM_BOXES][RM_SIDES]) {
  r->boxes = boxes;
  for (uint32_t box = 0; box < boxes; box++) {
    struct box_state *b = &r->box[box];
    b->member = is_member(r, box);
    view(r, box)->present = 1;
    view(r, box)->member = b->member;
    for (uint32_t s = 0; s < RM_SIDES; s++) b->link[s] = link[box][s];
    b->links_up_ns = r->now;
    b->was_alive = box_counts(b);
    view(r, box)->alive = b->was_alive;
  }
  r->path = first_path(r);
  r->previous = r->path;
  r->path_since = r->now;
  r->watching = true;
  r->board->live.path_since_ns = r->now;
  r->board->live.path = r->board->live.would = r->path;
}

void reflex_add(struct reflex *r, const bool link[RM_SIDES]) {
  uint32_t box = r->boxes++;
  struct box_state *b = &r->box[box];
  *b = (struct box_state){.link = {link[0], link[1]}, .links_up_ns = r->now};
  view(r, box)->present = 1;
}

void reflex_put(struct reflex *r, uint32_t side, const struct put *put) {
  struct way *w = &r->way[side];
  if (reflex_serving(r) < 0) return; /* on wire and block nothing is put into a box */
  if (w->put == 0) {
    w->first_put_ns = r->now;
    w->excused_ns = 0;
    w->enough_ns = 0;
    w->flow = put->flow;
    w->two_flows = false;
  }
  w->two_flows |= w->flow != put->flow || w->flow != put->other;
  w->put += put->frames;
}

/* A frame came out of a box by its port of `side`. That a box passes the other way is no proof against silence. */
static void seen(struct reflex *r, uint32_t box, uint32_t side) {
  struct box_state *b = &r->box[box];
  b->seen_ns = r->now;
  if (!b->silent || b->silent_way == side || ++b->proof < PROOF) return;
  b->silent = false;
  /* Well again so soon: it was a hiccup, and the next one is to be known for it. */
  uint64_t hiccup = r->now - b->silent_ns;
  if (hiccup < HICCUP * command(r)->silence_ns) learnt_hiccup(&b->learnt[1 - side], hiccup);
  publish(r, box, RM_CAUSE_RETURN);
}

/* A frame came out of the serving box by its port of `side`: the way that starts on the other side works. */
void reflex_out(struct reflex *r, uint32_t side) {
  struct way *w = &r->way[1 - side];
  int box = reflex_serving(r);
  uint64_t quiet = w->put && w->enough_ns && r->now > w->enough_ns ? r->now - w->enough_ns : 0;
  w->put = 0;
  if (box < 0) return;
  learnt_out(&r->box[box].learnt[1 - side], command(r), r->now, quiet);
  /* Where reflexes only report, a box serves on after its verdict, and may get well. */
  seen(r, (uint32_t)box, side);
}

void reflex_drained(struct reflex *r) {
  uint64_t drain = command(r)->drain_ns, last = r->path_since + DRAIN_MAX * drain, wanted = r->now + drain;
  if (wanted > r->drain_until) r->drain_until = wanted < last ? wanted : last;
}

void reflex_shadow(struct reflex *r, uint32_t box, uint32_t side) { seen(r, box, side); }

void reflex_link(struct reflex *r, uint32_t role, bool up) {
  event_write(r->board, r->now, &(struct rm_event){.kind = RM_EVENT_LINK, .cause = RM_CAUSE_LINK, .before = !up, .after = up,
                                    .subject = role});
  if (role < RM_PRIMARY_IN) return;
  struct box_state *b = &r->box[role_of_box(role)];
  bool before = box_links(b);
  b->link[role_side(role)] = up;
  if (box_links(b) && !before) {
    b->links_up_ns = r->now;
    b->silent = false; /* a box that went through a reboot gets a new chance */
    view(r, role_of_box(role))->up_ns = r->now;
  }
  publish(r, role_of_box(role), RM_CAUSE_LINK);
}

/* The bar counts from the moment of evidence enough, not from the first frame: one frame that was rightly dropped and a
 * burst long after it are no silence, the box must have had its time to answer the burst. */
static bool silent(const struct reflex *r, struct way *w, uint64_t bar) {
  uint32_t need = command(r)->silence_packets;
  if (w->put == 0) return false;
  if (w->put >= need && (w->two_flows || w->put >= ONE_FLOW * need)) {
    if (w->enough_ns == 0) w->enough_ns = r->now, w->bystander_ns = 0;
    return r->now >= w->enough_ns + bar;
  }
  w->enough_ns = 0;
  if (r->now > w->first_put_ns + SPARSE * bar) w->put = 0;
  return false;
}

static uint64_t bar_of(const struct reflex *r, uint32_t box, uint32_t side) {
  /* A doubtful box is better than none. */
  return learnt_bar(&r->box[box].learnt[side], command(r)) * (reflex_has_other(r, box) ? 1 : LAST_BOX);
}

uint64_t reflex_bar(const struct reflex *r, uint32_t side) {
  int box = reflex_serving(r);
  return box < 0 ? 0 : bar_of(r, (uint32_t)box, side);
}

bool reflex_silent(struct reflex *r, uint32_t box, uint32_t side) {
  uint64_t bar = bar_of(r, box, side);
  return silent(r, &r->way[side], bar) && !silence_is_shared(r, &r->way[side], bar);
}

static void judge_silence(struct reflex *r, uint32_t box) {
  struct box_state *b = &r->box[box];
  /* What went in while nobody judged is no evidence: silence was off, or a link down. */
  bool watch = command(r)->silence_ns > 0 && box_worth(r, box) > WORTH_NOTHING, begins = watch && !r->watching;
  r->watching = watch;
  if (begins) clear_ways(r);
  if (!watch || begins) return;
  bool first = reflex_silent(r, box, 0);
  if (!first && !reflex_silent(r, box, 1)) return;
  b->silent = true;
  b->silent_ns = r->now;
  b->silent_way = first ? 0 : 1;
  b->proof = 0;
  publish(r, box, RM_CAUSE_SILENCE);
}

static void count_votes(struct reflex *r, uint32_t box) {
  enum rm_cause cause = votes_tally(r, box);
  /* Also when it was the number of votes needed that changed. */
  if (box_counts(&r->box[box]) != r->box[box].was_alive) publish(r, box, cause);
}

void reflex_detect(struct reflex *r, uint32_t box, enum rm_detector d, struct said said) {
  if (votes_note(r, box, d, said)) count_votes(r, box);
}

static void judge_votes(struct reflex *r) {
  for (uint32_t box = 0; box < r->boxes; box++) {
    struct box_state *b = &r->box[box];
    votes_note(r, box, RM_DETECTOR_LINK, (struct said){box_links(b) ? RM_LIGHT_GREEN : RM_LIGHT_RED, 0});
    enum rm_light silence = b->silent ? RM_LIGHT_RED : command(r)->silence_ns ? RM_LIGHT_GREEN : RM_LIGHT_OFF;
    votes_note(r, box, RM_DETECTOR_SILENCE, (struct said){silence, b->silent_way});
    votes_hear(r, box);
    count_votes(r, box);
  }
}

/* What control shows. */
static void tell_usual(struct reflex *r, uint32_t box) {
  for (uint32_t side = 0; side < RM_SIDES; side++)
    r->board->live.usual[box * RM_SIDES + side] =
        (struct rm_usual){r->box[box].learnt[side].quiet_ns, bar_of(r, box, side)};
}

/* Who joined or left by control's word, and who has been a member for long enough to count. */
static void judge_members(struct reflex *r) {
  for (uint32_t box = 0; box < r->boxes; box++) {
    struct box_state *b = &r->box[box];
    bool member = is_member(r, box);
    if (member != b->member) {
      b->member = member;
      b->joined_ns = member ? r->now : 0;
      event_write(r->board, r->now, &(struct rm_event){.kind = RM_EVENT_MEMBER, .cause = RM_CAUSE_ORDER,
                                        .before = !member, .after = member, .subject = box});
      publish(r, box, RM_CAUSE_ORDER);
      __atomic_store_n(&view(r, box)->member, member, __ATOMIC_RELEASE);
    }
    if (b->joined_ns == 0 || r->now - b->joined_ns < command(r)->hold_up_ns) continue;
    b->joined_ns = 0;
    publish(r, box, RM_CAUSE_RETURN);
  }
}

static void note_step(struct reflex *r, enum rm_step_kind kind, struct step step) {
  step_write(r, &(struct rm_step){.kind = kind, .cause = step.cause, .before = r->path, .after = step.to, .order = step.order});
}

static void judge_path(struct reflex *r) {
  struct step step = reflex_step(r);
  if (step.to == r->path) return;
  note_step(r, RM_STEP_SWITCH, step);
  if (reflex_serving(r) < 0) {
    r->box[step.to].silent = false;
    publish(r, step.to, RM_CAUSE_RETURN);
  }
  go(r, step.to, step.cause, 0);
}

/* From one living box to another there is time to do it well. */
static void begin_move(struct reflex *r, uint32_t to, uint32_t order) {
  r->moving = true;
  r->emptied = false;
  r->moving_to = to;
  r->moving_order = order;
  r->moving_since = r->moving_quiet = r->now;
  r->moving_stalled = r->stalled_ns;
}

static void judge_move(struct reflex *r) {
  enum move move = r->moving ? reflex_move(r) : MOVE_WAIT;
  if (move == MOVE_WAIT) return;
  note_step(r, move == MOVE_GO ? RM_STEP_ORDER : RM_STEP_STAY, (struct step){r->moving_to, RM_CAUSE_ORDER, r->moving_order});
  if (move == MOVE_GO) go(r, r->moving_to, RM_CAUSE_ORDER, r->moving_order);
  else end_move(r);
}

/* Where reflexes only report, this is the report. */
static void tell_would(struct reflex *r) {
  struct step step = command(r)->automatic ? (struct step){.to = r->path, .cause = r->cause} : reflex_step(r);
  r->board->live.would_cause = step.cause;
  __atomic_store_n(&r->board->live.would, step.to, __ATOMIC_RELEASE);
}

void reflex_judge(struct reflex *r) {
  int box = reflex_serving(r);
  judge_members(r);
  if (box >= 0) judge_silence(r, (uint32_t)box), tell_usual(r, (uint32_t)box);
  judge_votes(r);
  judge_move(r);
  if (command(r)->automatic && reflex_serving(r) == box) judge_path(r);
  tell_would(r);
}

void reflex_order(struct reflex *r) {
  uint32_t sequence = __atomic_load_n(&command(r)->order_sequence, __ATOMIC_ACQUIRE);
  if (sequence == r->board->live.order_done || (r->moving && sequence == r->moving_order)) return;
  r->moving = false; /* a later word counts */
  uint32_t to = command(r)->order_path;
  bool box = is_box(to), is = box ? to < r->boxes : to < RM_PATHS;
  if (is) { /* else a box without ports */
    if (box) {
      r->box[to].silent = false;
      votes_tally(r, to); /* who is red now, not who was when last counted */
      if (command(r)->order_force) r->box[to].forgiven = r->box[to].red;
      votes_tally(r, to);
      publish(r, to, RM_CAUSE_ORDER);
    }
    struct step step = {to, RM_CAUSE_ORDER, sequence};
    bool waits = box && reflex_waits(r, to);
    if (waits || to != r->path) note_step(r, waits ? RM_STEP_WAIT : RM_STEP_ORDER, step);
    if (waits) return begin_move(r, to, sequence);
    go(r, to, RM_CAUSE_ORDER, sequence);
  }
  __atomic_store_n(&r->board->live.order_done, sequence, __ATOMIC_RELEASE);
}

void reflex_own_stall(struct reflex *r, uint64_t lost_ns) {
  /* Time in which nobody looked is no silence, though not without end: what came out meanwhile is read before
   * the next judgement, and a node that is always late must still notice. */
  uint64_t most = EXCUSES * command(r)->silence_ns;
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    struct way *w = &r->way[side];
    /* Before there is evidence enough no silence has begun; a window does not grow with the stall, or thin
     * traffic would add up in it. */
    if (w->put == 0 || w->enough_ns == 0 || w->excused_ns >= most) continue;
    uint64_t left = most - w->excused_ns, excused = lost_ns < left ? lost_ns : left;
    w->enough_ns += excused;
    w->excused_ns += excused;
  }
  r->stalled_ns += lost_ns;
  r->moving_quiet = r->now;
  rm_count(r->board, RM_COUNT_STALLS, 1, 0);
  /* One event a second is enough to tell, unless it is far worse; the counter keeps the number. */
  if (r->last_stall_ns && r->now - r->last_stall_ns < RM_S && lost_ns < WORSE * r->told_stall_ns) return;
  r->last_stall_ns = r->now;
  r->told_stall_ns = lost_ns;
  event_write(r->board, r->now, &(struct rm_event){.kind = RM_EVENT_STALL, .cause = RM_CAUSE_STALL, .silent_ns = lost_ns});
}

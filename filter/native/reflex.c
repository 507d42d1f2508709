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
#define RETRY 10      /* with nothing alive, a silent box is tried again after so many hold-ups */

static struct rm_box_view *view(struct reflex *r, uint32_t box) { return &r->board->live.box[box]; }
static const struct rm_command *command(const struct reflex *r) { return &r->board->command; }
static bool is_box(uint32_t path) { return path <= RM_PATH_REDUNDANT; }
static bool links(const struct box_state *b) { return b->link[RM_SIDE_UP] && b->link[RM_SIDE_DOWN]; }
static uint32_t votes_needed(const struct reflex *r) { return command(r)->votes ? command(r)->votes : 1; }
static bool outvoted(const struct reflex *r, const struct box_state *b) { return b->against >= votes_needed(r); }
static bool alive(const struct reflex *r, const struct box_state *b) {
  return links(b) && !b->silent && !outvoted(r, b);
}

static struct rm_detection *detection(struct reflex *r, uint32_t box, enum rm_detector d) {
  return &r->board->live.detection[box * RM_DETECTORS + d];
}

static enum rm_cause cause_of(enum rm_detector d) {
  static const enum rm_cause CAUSE[RM_DETECTORS] = {RM_CAUSE_LINK, RM_CAUSE_SILENCE, RM_CAUSE_PROBE,
                                                    RM_CAUSE_BFD,  RM_CAUSE_GREY,    RM_CAUSE_CHECK};
  return CAUSE[d];
}

/* Note what a detector says; true: its light changed. */
static bool note_light(struct reflex *r, uint32_t box, enum rm_detector d, struct said said) {
  struct rm_detection *row = detection(r, box, d);
  row->detail = said.detail;
  row->seen_ns = r->now;
  if (row->light == said.light) return false;
  struct rm_event e = {.kind = RM_EVENT_DETECTOR, .cause = cause_of(d), .before = row->light, .after = said.light,
                       .subject = box};
  row->since_ns = r->now;
  __atomic_store_n(&row->light, said.light, __ATOMIC_RELEASE);
  /* Links and silence have events of their own. */
  if (d > RM_DETECTOR_SILENCE) event_write(r->board, r->now, &e);
  return true;
}

static void clear_ways(struct reflex *r) { memset(r->way, 0, sizeof r->way); }

static uint64_t unseen(const struct reflex *r) { return r->way[0].put + r->way[1].put; }

/* Tell control when a box's verdict changed. */
static void publish(struct reflex *r, uint32_t box, enum rm_cause cause) {
  struct box_state *b = &r->box[box];
  bool now = alive(r, b);
  view(r, box)->silent = b->silent;
  if (now == b->was_alive) return;
  if (!now) b->down_ns = r->now;
  b->was_alive = now;
  view(r, box)->alive = now;
  view(r, box)->down_ns = b->down_ns;
  event_write(r->board, r->now, &(struct rm_event){.kind = RM_EVENT_BOX, .cause = cause, .before = !now, .after = now,
                                    .subject = box, .silent_ns = b->seen_ns ? r->now - b->seen_ns : 0});
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
  clear_ways(r);
  r->watching = true; /* from the first frame on */
  struct rm_live *live = &r->board->live;
  live->switches++;
  live->path_since_ns = r->now;
  __atomic_store_n(&live->path, to, __ATOMIC_RELEASE);
  event_write(r->board, r->now, &e);
}

void reflex_open(struct reflex *r, const bool link[RM_BOXES][RM_SIDES]) {
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    struct box_state *b = &r->box[box];
    for (uint32_t s = 0; s < RM_SIDES; s++) b->link[s] = link[box][s];
    b->links_up_ns = r->now;
    b->was_alive = alive(r, b);
    view(r, box)->alive = b->was_alive;
  }
  r->path = alive(r, &r->box[RM_PRIMARY])     ? RM_PATH_PRIMARY
            : alive(r, &r->box[RM_REDUNDANT]) ? RM_PATH_REDUNDANT
                                           : command(r)->dead_path;
  r->previous = r->path;
  r->path_since = r->now;
  r->watching = true;
  r->board->live.path_since_ns = r->now;
  r->board->live.path = r->path;
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
  publish(r, box, RM_CAUSE_RETURN);
}

/* A frame came out of the serving box by its port of `side`: the way that starts on the other side works. */
void reflex_out(struct reflex *r, uint32_t side) {
  r->way[1 - side].put = 0;
  int box = reflex_serving(r);
  /* Where reflexes only report, a box serves on after its verdict, and may get well. */
  if (box >= 0) seen(r, (uint32_t)box, side);
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
  bool before = links(b);
  b->link[role_side(role)] = up;
  if (links(b) && !before) {
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
    if (w->enough_ns == 0) w->enough_ns = r->now;
    return r->now >= w->enough_ns + bar;
  }
  w->enough_ns = 0;
  if (r->now > w->first_put_ns + SPARSE * bar) w->put = 0;
  return false;
}

static void judge_silence(struct reflex *r, uint32_t box) {
  struct box_state *b = &r->box[box];
  /* A doubtful box is better than none. */
  uint64_t bar = command(r)->silence_ns * (alive(r, &r->box[1 - box]) ? 1 : LAST_BOX);
  /* What went in while nobody judged is no evidence: silence was off, or a link down. */
  bool watch = bar > 0 && alive(r, b), begins = watch && !r->watching;
  r->watching = watch;
  if (begins) clear_ways(r);
  if (!watch || begins) return;
  bool first = silent(r, &r->way[0], bar);
  if (!first && !silent(r, &r->way[1], bar)) return;
  b->silent = true;
  b->silent_ns = r->now;
  b->silent_way = first ? 0 : 1;
  b->proof = 0;
  publish(r, box, RM_CAUSE_SILENCE);
}

static uint64_t last_fault_ns(const struct box_state *b) {
  uint64_t last = b->links_up_ns > b->silent_ns ? b->links_up_ns : b->silent_ns;
  return b->outvoted_ns > last ? b->outvoted_ns : last;
}

/* Add up who is against a box; what is stale goes out. The first of them by number is the cause. */
static void count_votes(struct reflex *r, uint32_t box) {
  struct box_state *b = &r->box[box];
  uint32_t against = 0;
  enum rm_cause cause = RM_CAUSE_RETURN;
  for (enum rm_detector d = RM_DETECTOR_PROBE; d < RM_DETECTORS; d++) {
    struct rm_detection *row = detection(r, box, d);
    uint64_t stale = command(r)->stale_ns[d], seen = row->seen_ns;
    if (row->light == RM_LIGHT_OFF) continue;
    if (stale && r->now > seen && r->now - seen > stale) {
      note_light(r, box, d, (struct said){RM_LIGHT_OFF, row->detail});
      row->seen_ns = seen;
    }
    if (row->light != RM_LIGHT_RED || command(r)->weight[d] == 0) continue;
    if (against == 0) cause = cause_of(d);
    against += command(r)->weight[d];
  }
  if (against == b->against) return;
  b->against = against;
  if (outvoted(r, b)) b->outvoted_ns = r->now, b->cause = cause;
  publish(r, box, outvoted(r, b) ? cause : RM_CAUSE_RETURN);
}

void reflex_detect(struct reflex *r, uint32_t box, enum rm_detector d, struct said said) {
  if (note_light(r, box, d, said)) count_votes(r, box);
}

/* What control's checks say, which it writes without being waited for. */
static void hear_check(struct reflex *r, uint32_t box) {
  const struct rm_check *check = &command(r)->check[box];
  uint64_t seen = __atomic_load_n(&check->seen_ns, __ATOMIC_ACQUIRE);
  struct rm_detection *row = detection(r, box, RM_DETECTOR_CHECK);
  if (seen == row->seen_ns || seen == 0) return;
  note_light(r, box, RM_DETECTOR_CHECK, (struct said){check->light, check->detail});
  row->seen_ns = seen;
}

static void judge_votes(struct reflex *r) {
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    struct box_state *b = &r->box[box];
    note_light(r, box, RM_DETECTOR_LINK, (struct said){links(b) ? RM_LIGHT_GREEN : RM_LIGHT_RED, 0});
    enum rm_light silence = b->silent ? RM_LIGHT_RED : command(r)->silence_ns ? RM_LIGHT_GREEN : RM_LIGHT_OFF;
    note_light(r, box, RM_DETECTOR_SILENCE, (struct said){silence, b->silent_way});
    hear_check(r, box);
    count_votes(r, box);
  }
}

/* With no box alive: one without a fault for the hold-up, or a silent one worth another try. */
static void judge_return(struct reflex *r) {
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    struct box_state *b = &r->box[box];
    uint64_t hold = command(r)->hold_up_ns;
    if (b->silent && links(b) && r->now - b->silent_ns > RETRY * hold) b->silent = false;
    if (!alive(r, b) || r->now - last_fault_ns(b) < hold) continue;
    publish(r, box, RM_CAUSE_RETURN);
    go(r, box, RM_CAUSE_RETURN, 0);
    return;
  }
}

void reflex_judge(struct reflex *r) {
  int box = reflex_serving(r);
  if (box >= 0) judge_silence(r, (uint32_t)box);
  judge_votes(r);
  if (!command(r)->automatic) return;
  if (box < 0) return judge_return(r);
  struct box_state *b = &r->box[box];
  if (alive(r, b)) return;
  uint32_t other = 1 - (uint32_t)box;
  enum rm_cause cause = !links(b) ? RM_CAUSE_LINK : b->silent ? RM_CAUSE_SILENCE : b->cause;
  go(r, alive(r, &r->box[other]) ? other : command(r)->dead_path, cause, 0);
}

void reflex_order(struct reflex *r) {
  uint32_t sequence = __atomic_load_n(&command(r)->order_sequence, __ATOMIC_ACQUIRE);
  if (sequence == r->board->live.order_done) return;
  uint32_t to = command(r)->order_path;
  if (to < RM_PATHS) {
    if (is_box(to)) {
      r->box[to].silent = false;
      publish(r, to, RM_CAUSE_ORDER);
    }
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
  rm_count(r->board, RM_COUNT_STALLS, 1, 0);
  /* One event a second is enough to tell; the counter keeps the number. */
  if (r->last_stall_ns && r->now - r->last_stall_ns < RM_S) return;
  r->last_stall_ns = r->now;
  event_write(r->board, r->now, &(struct rm_event){.kind = RM_EVENT_STALL, .cause = RM_CAUSE_STALL, .silent_ns = lost_ns});
}

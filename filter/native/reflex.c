/* Reflexes: which box is alive, and the one word that says where traffic goes.
 *
 * Two senses act here, because control would be too late: the link of a box's ports, and silence (frames of
 * connections that are known to pass go in, nothing comes out). Everything else is judgement and comes
 * as an order. No way back is ever taken by reflex: a returning box serves only when no other does.
 *
 * Silence is judged per direction and only on dense traffic: a few retransmissions of one blocked connection must
 * not look like a dead box. A turn that took too long is the node's own fault and starts the count anew.
 */
#include <string.h>
#include "plane.h"

#define SPARSE 4      /* a window longer than this many silences was too thin to judge */
#define ONE_FLOW 4    /* one connection alone needs this many times the packets */
#define PROOF 8       /* frames out of a silent box that prove it lives */
#define RETRY 10      /* with nothing alive, a silent box is tried again after so many hold-ups */

static struct rm_box_view *view(struct plane *p, uint32_t box) { return &p->board->live.box[box]; }
static const struct rm_command *command(const struct plane *p) { return &p->board->command; }
static bool links(const struct box_state *b) { return b->link[RM_SIDE_UP] && b->link[RM_SIDE_DOWN]; }
static bool alive(const struct box_state *b) { return links(b) && !b->silent; }

static void clear_ways(struct plane *p) { memset(p->reflex.way, 0, sizeof p->reflex.way); }

static uint64_t unseen(const struct plane *p) { return p->reflex.way[0].put + p->reflex.way[1].put; }

/* Tell control when a box's verdict changed. */
static void publish(struct plane *p, uint32_t box, enum rm_cause cause) {
  struct box_state *b = &p->reflex.box[box];
  bool now = alive(b);
  view(p, box)->silent = b->silent;
  if (now == b->was_alive) return;
  if (!now) b->down_ns = p->now;
  b->was_alive = now;
  view(p, box)->alive = now;
  view(p, box)->down_ns = b->down_ns;
  event_write(p, &(struct rm_event){.kind = RM_EVENT_BOX, .cause = cause, .before = !now, .after = now,
                                    .subject = box, .silent_ns = b->seen_ns ? p->now - b->seen_ns : 0});
}

static void go(struct plane *p, uint32_t to, enum rm_cause cause, uint32_t order) {
  if (to == p->path) return;
  uint32_t from = p->path;
  uint64_t seen = from <= RM_PATH_REDUNDANT ? p->reflex.box[from].seen_ns : 0;
  struct rm_event e = {.kind = RM_EVENT_SWITCH, .cause = cause, .before = from, .after = to, .order = order,
                       .silent_ns = seen ? p->now - seen : 0, .lost_packets = cause == RM_CAUSE_ORDER ? 0 : unseen(p)};
  p->previous = from;
  p->path = to;
  p->path_since = p->now;
  /* The old box may still hand over what it holds; until then no copies go in that it would hand over too. */
  p->drain_until = p->mirror_after = p->now + command(p)->drain_ns;
  p->switch_number++;
  clear_ways(p);
  struct rm_live *live = &p->board->live;
  live->switches++;
  live->path_since_ns = p->now;
  __atomic_store_n(&live->path, to, __ATOMIC_RELEASE);
  event_write(p, &e);
}

void reflex_open(struct plane *p) {
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    struct box_state *b = &p->reflex.box[box];
    for (uint32_t s = 0; s < RM_SIDES; s++) b->link[s] = p->port[role_box(box, s)].view->link;
    b->links_up_ns = p->now;
    b->was_alive = alive(b);
    view(p, box)->alive = b->was_alive;
  }
  p->path = alive(&p->reflex.box[RM_PRIMARY])     ? RM_PATH_PRIMARY
            : alive(&p->reflex.box[RM_REDUNDANT]) ? RM_PATH_REDUNDANT
                                                  : command(p)->dead_path;
  p->previous = p->path;
  p->path_since = p->now;
  p->board->live.path_since_ns = p->now;
  p->board->live.path = p->path;
}

/* A frame of a connection known to pass goes into the serving box. */
void reflex_put(struct plane *p, uint32_t side, uint32_t slot) {
  struct way *w = &p->reflex.way[side];
  if (w->put++ == 0) {
    w->first_put_ns = p->now;
    w->flow = slot;
    w->two_flows = false;
  } else if (w->flow != slot) {
    w->two_flows = true;
  }
}

/* A frame came out of the serving box by its port of `side`: the way that starts on the other side works. */
void reflex_out(struct plane *p, uint32_t side) {
  struct way *w = &p->reflex.way[1 - side];
  w->put = 0;
  p->reflex.box[p->path <= RM_PATH_REDUNDANT ? p->path : p->previous].seen_ns = p->now;
}

void reflex_shadow(struct plane *p, uint32_t box) {
  struct box_state *b = &p->reflex.box[box];
  b->seen_ns = p->now;
  if (!b->silent || ++b->shadow_run < PROOF) return;
  b->silent = false;
  publish(p, box, RM_CAUSE_RETURN);
}

void reflex_link(struct plane *p, uint32_t role, bool up) {
  event_write(p, &(struct rm_event){.kind = RM_EVENT_LINK, .cause = RM_CAUSE_LINK, .before = !up, .after = up,
                                    .subject = role});
  if (role < RM_PRIMARY_IN) return;
  struct box_state *b = &p->reflex.box[role_of_box(role)];
  bool before = links(b);
  b->link[role_side(role)] = up;
  if (links(b) && !before) {
    b->links_up_ns = p->now;
    b->silent = false; /* a box that went through a reboot gets a new chance */
    view(p, role_of_box(role))->up_ns = p->now;
  }
  publish(p, role_of_box(role), RM_CAUSE_LINK);
}

static bool silent(const struct plane *p, struct way *w) {
  uint64_t bar = command(p)->silence_ns;
  if (w->put == 0 || p->now - w->first_put_ns < bar) return false;
  uint32_t need = command(p)->silence_packets;
  if (w->put >= need && (w->two_flows || w->put >= ONE_FLOW * need)) return true;
  if (p->now - w->first_put_ns > SPARSE * bar) w->put = 0;
  return false;
}

static void judge_silence(struct plane *p, uint32_t box) {
  struct box_state *b = &p->reflex.box[box];
  if (command(p)->silence_ns == 0 || !alive(b)) return;
  if (!silent(p, &p->reflex.way[0]) && !silent(p, &p->reflex.way[1])) return;
  b->silent = true;
  b->silent_ns = p->now;
  b->shadow_run = 0;
  publish(p, box, RM_CAUSE_SILENCE);
}

/* With no box alive: one whose links have been good for the hold-up, or a silent one worth another try. */
static void judge_return(struct plane *p) {
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    struct box_state *b = &p->reflex.box[box];
    uint64_t hold = command(p)->hold_up_ns;
    if (b->silent && links(b) && p->now - b->silent_ns > RETRY * hold) b->silent = false;
    if (!alive(b) || p->now - b->links_up_ns < hold) continue;
    publish(p, box, RM_CAUSE_RETURN);
    go(p, box, RM_CAUSE_RETURN, 0);
    return;
  }
}

void reflex_judge(struct plane *p) {
  int box = serving(p);
  if (box >= 0) judge_silence(p, (uint32_t)box);
  if (!command(p)->automatic) return;
  if (box < 0) return judge_return(p);
  struct box_state *b = &p->reflex.box[box];
  if (alive(b)) return;
  uint32_t other = 1 - (uint32_t)box;
  enum rm_cause cause = b->silent ? RM_CAUSE_SILENCE : RM_CAUSE_LINK;
  go(p, alive(&p->reflex.box[other]) ? other : command(p)->dead_path, cause, 0);
}

void reflex_order(struct plane *p) {
  uint32_t sequence = __atomic_load_n(&command(p)->order_sequence, __ATOMIC_ACQUIRE);
  if (sequence == p->board->live.order_done) return;
  uint32_t to = command(p)->order_path;
  if (to < RM_PATHS) {
    if (to <= RM_PATH_REDUNDANT) {
      p->reflex.box[to].silent = false;
      publish(p, to, RM_CAUSE_ORDER);
    }
    go(p, to, RM_CAUSE_ORDER, sequence);
  }
  __atomic_store_n(&p->board->live.order_done, sequence, __ATOMIC_RELEASE);
}

void reflex_own_stall(struct plane *p, uint64_t lost_ns) {
  clear_ways(p);
  count(p, RM_COUNT_STALLS, 1, 0);
  /* One event a second is enough to tell; the counter keeps the number. */
  static const uint64_t QUIET = RM_S;
  if (p->last_stall_ns && p->now - p->last_stall_ns < QUIET) return;
  p->last_stall_ns = p->now;
  event_write(p, &(struct rm_event){.kind = RM_EVENT_STALL, .cause = RM_CAUSE_STALL, .silent_ns = lost_ns});
}

/* The reflexes' state and inputs. No DPDK: links, frames and the clock go in as values, the path and events go to
 * the board, so a simulation can drive it without a port. */
#ifndef RM_REFLEX_H
#define RM_REFLEX_H
#include <stdbool.h>
#include "abi.h"

#define RM_S 1000000000ull
static inline uint32_t role_side(uint32_t role) { return role & 1; }
static inline uint32_t role_of_box(uint32_t role) { return (role - RM_PRIMARY_IN) / 2; }

/* One way through a box: put in on one side, expected on the other. */
struct way {
  uint64_t first_put_ns; /* of the frames since something last came out */
  uint64_t enough_ns;    /* when they were first seen to be evidence enough; 0: they are not */
  uint64_t excused_ns;   /* since then, how much of the time the node itself stood still and is excused for */
  uint64_t bystander_ns; /* since then, when another box first passed a probe; 0: none has */
  uint32_t put;
  uint32_t flow;         /* slot of the first of them */
  bool two_flows;
};

/* What is known of one way of a box (silence.c). */
struct learnt {
  uint64_t quiet_ns;     /* the longest silence that ended by itself, decaying */
  uint64_t decayed_ns;   /* until when it has decayed */
  uint64_t out_ns;       /* when something last came out; 0: not since the box began to serve */
  uint64_t steady_ns;    /* since when there has been no pause */
  uint64_t watched_ns;   /* how much of steady traffic has been seen in all */
  uint64_t slack_ns;     /* the way there and back alone may make a pause of so long */
};

struct box_state {
  struct learnt learnt[RM_SIDES]; /* by the side where frames go in */
  bool link[RM_SIDES];
  bool silent;
  bool member;           /* has not left */
  bool was_alive;        /* as told: alive, and counted as such */
  bool outvoted;         /* those against it suffice */
  uint32_t against;      /* weights of the red detectors but link and silence */
  uint32_t red;          /* bit of each of them, whatever its weight */
  uint32_t forgiven;     /* those that a forced order has overruled */
  uint64_t proven_ns;    /* since when the votes suffice against the last box too; 0: they do not */
  uint64_t excused_ns[RM_DETECTORS]; /* the node's own stalls when each detector last spoke */
  uint32_t silent_way;   /* the side of the way that was judged silent */
  uint32_t proof;        /* frames seen to pass that way since then */
  enum rm_cause cause;   /* of the detectors, when they outvoted the box */
  uint64_t joined_ns;    /* it is being warmed since then; 0: it is not */
  uint64_t links_up_ns, down_ns, silent_ns, seen_ns, outvoted_ns;
  uint64_t passed_ns, pace_ns; /* when it last passed a probe, and the time from one to the next; 0: it never did */
};

struct reflex {
  struct rm_board *board;
  uint32_t boxes;            /* the first so many have ports */
  uint64_t now;              /* set by the caller before anything else in a turn */
  uint32_t path, previous;   /* enum rm_path; the one before */
  uint32_t switch_number;
  enum rm_cause cause;       /* of that switch */
  uint64_t path_since;
  uint64_t drain_until;      /* the old box's output still passes, and no copies are made that it would hand over too */
  uint64_t last_stall_ns, told_stall_ns; /* when one was told of, and how long it was */
  /* A planned switch that waits for the old box: frames from outside are held back meanwhile (pause.c). */
  bool moving, emptied, keeps; /* emptied: all that went in has come out; keeps: somebody watches for that */
  uint32_t moving_to, moving_order;
  uint64_t moving_since, moving_stalled, moving_quiet; /* ... stalled_ns then, and since when quiet counts */
  uint64_t behind_ns;        /* for so long the slowest worker has not looked */
  uint64_t stalled_ns;       /* how long the node has stood still in all */
  struct box_state box[RM_BOXES];
  bool watching;             /* silence was judged in the last turn */
  struct way way[RM_SIDES];  /* by the side where frames go in; of the serving box */
};

static inline bool box_links(const struct box_state *b) { return b->link[RM_SIDE_UP] && b->link[RM_SIDE_DOWN]; }
static inline bool box_alive(const struct box_state *b) { return box_links(b) && !b->silent && !b->outvoted; }
/* Alive, and one of those that may take over: a box that has joined is warmed for a hold-up first. */
static inline bool box_counts(const struct box_state *b) { return box_alive(b) && b->member && b->joined_ns == 0; }

/* How good a box is to be served by, the best last. */
enum worth {
  WORTH_NOTHING,
  WORTH_DOUBT,   /* outvoted, but not by what proves that nothing passes: better than none */
  WORTH_LITTLE,  /* alive, and suppressed for having died too often */
  WORTH_ALL
};
/* choice.c: whether it is a member is another question. */
enum worth box_worth(const struct reflex *r, uint32_t box);
/* Who would take over if it were not for `except`; -1: nobody. */
int reflex_choose(const struct reflex *r, int except);
/* Is there another box that is alive and may serve? */
bool reflex_has_other(const struct reflex *r, uint32_t box);
/* With no box alive: one without a fault for the hold-up; while none is on its way back also a doubtful one, or a silent
 * one worth another try. -1: none. */
int reflex_choose_return(const struct reflex *r);

/* Where traffic goes, and why. */
struct step { uint32_t to; enum rm_cause cause; uint32_t order; };
/* Where it should go now by reflex; to == path: it stays. */
struct step reflex_step(const struct reflex *r);
/* Has an order to this box to wait until the one that serves has handed over? */
bool reflex_waits(const struct reflex *r, uint32_t to);
/* What becomes of an order that waits. */
enum move { MOVE_WAIT, MOVE_GO, MOVE_END };
enum move reflex_move(const struct reflex *r);

/* The box that serves, or -1 on wire and block. */
static inline int reflex_serving(const struct reflex *r) { return r->path < RM_BOXES ? (int)r->path : -1; }

/* Start from the links as they are, with the first so many boxes; chooses the first path without an event. */
void reflex_open(struct reflex *r, uint32_t boxes, const bool link[RM_BOXES][RM_SIDES]);
/* One more box, that joins now. */
void reflex_add(struct reflex *r, const bool link[RM_SIDES]);
/* Frames of connections known to pass, put in one after the other. */
struct put { uint32_t frames, flow, other; }; /* slots of two of their flows, which may be the same */
/* They went into the serving box on `side`. */
void reflex_put(struct reflex *r, uint32_t side, const struct put *put);
/* A frame came out of the serving box by its port of `side`. */
void reflex_out(struct reflex *r, uint32_t side);
/* A frame of the old box passed while draining: there may be more. */
void reflex_drained(struct reflex *r);
/* A frame came out of a box that does not serve, by its port of `side`. */
void reflex_shadow(struct reflex *r, uint32_t box, uint32_t side);
void reflex_link(struct reflex *r, uint32_t role, bool up);
/* Look at the clock and at everything above; may move the path. */
void reflex_judge(struct reflex *r);
/* Carry out an order of control, if there is a new one. */
void reflex_order(struct reflex *r);
/* A detector other than link and silence looked at a box. `detail` says why, in its own terms. */
struct said { enum rm_light light; uint32_t detail; };
void reflex_detect(struct reflex *r, uint32_t box, enum rm_detector detector, struct said said);
/* The node itself stood still for so long. */
void reflex_own_stall(struct reflex *r, uint64_t lost_ns);

/* How long a way of the serving box has to be silent, by the side where frames go in; 0: silence is not judged. */
uint64_t reflex_bar(const struct reflex *r, uint32_t side);

/* Is there evidence enough that frames go into the serving box on `side` and none come out? Moves its way on. */
bool reflex_silent(struct reflex *r, uint32_t box, uint32_t side);

/* step.c: put down a step with all that it was decided by. `what` without times, terms and state. */
void step_write(struct reflex *r, const struct rm_step *what);
/* Decide it again; what comes out goes to *again. Impossible: no plane can have written this. */
enum step_retold { STEP_SAME, STEP_OTHER, STEP_IMPOSSIBLE };
enum step_retold step_retell(const struct rm_step *step, struct step *again);

/* silence.c: a box passed a probe, sent at `sent_ns`; one goes in each `pace_ns`. */
void bystander_passed(struct reflex *r, uint32_t box, uint64_t sent_ns, uint64_t pace_ns);
/* Of a way of the serving box that is over the bar: do the other boxes pass nothing either? Not for ever. */
bool silence_is_shared(const struct reflex *r, const struct way *w, uint64_t bar_ns);
/* Something came out of a way after a silence of so long, which may be 0. */
void learnt_out(struct learnt *l, const struct rm_command *c, uint64_t now, uint64_t quiet_ns);
/* A silence that was judged and ended by itself. */
void learnt_hiccup(struct learnt *l, uint64_t quiet_ns);
/* The box begins to serve. */
void learnt_begin(struct learnt *l);
/* After so long without output the way is judged silent. */
uint64_t learnt_bar(const struct learnt *l, const struct rm_command *c);

/* votes.c: note what a detector says of a box; true: its light changed. */
bool votes_note(struct reflex *r, uint32_t box, enum rm_detector d, struct said said);
/* What control's checks say. */
void votes_hear(struct reflex *r, uint32_t box);
/* Add up who is against a box. Returns the first of them by number, or RM_CAUSE_RETURN while they do not suffice. */
enum rm_cause votes_tally(struct reflex *r, uint32_t box);
static inline uint32_t votes_needed(const struct reflex *r) {
  return r->board->command.votes ? r->board->command.votes : 1;
}

/* events.c: write to the ring, or count it as lost. */
void event_write(struct rm_board *board, uint64_t now, const struct rm_event *event);

static inline void rm_count(struct rm_board *b, enum rm_counter c, uint64_t packets, uint64_t bytes) {
  b->live.counter[c].packets += packets;
  b->live.counter[c].bytes += bytes;
}
#endif

/* The crew: what the workers of a plane share, which is little, and how they talk.
 *
 *          worker 0 (side up)                     worker 1 (side down)
 *   upstream, primary-in, redundant-in...  downstream, primary-out, redundant-out...
 *        flow table, rules, budget    <- crossings ->    flow table, rules, budget
 *        reflexes ---- path (editions) --->  reads it each turn
 *        sums up  <--- its report line ----  what it put in, what came out
 *
 * Every word here has one writer, but the seeds' (seed.c), which are claimed by compare and exchange. One worker alone has
 * both sides and is its own crew: nothing crosses.
 */
#ifndef RM_CREW_H
#define RM_CREW_H
#include "crossing.h"
#include "numbers.h"
#include "once.h"
#include "grey_core.h"
#include "probe.h"
#include "reflex.h"
#include "seed.h"

#define RM_SWALLOWS 65536u /* seed frames expected to come out of a box, in sets of RM_SWALLOW_WAYS */
#define RM_SWALLOW_WAYS 4u
#define RM_ENDINGS 4096u   /* in the two seconds that one counts */

struct plane;
struct trace_log;

/* What worker 0 decided, for the others. */
struct published { uint64_t drain_until; uint32_t path, previous, switch_number, moving_order, moving, cause; } RM_ALIGNED;

/* What a worker tells worker 0, on a line of its own. Counts are of one switch, whose number is in their upper half, so that
 * what went into the old box is never held against the new one. */
struct report {
  uint64_t put, out;     /* frames of flows that pass, into the serving box and out of it */
  uint64_t slots;        /* of two flows among the last of them, in halves */
  uint64_t looked_ns;    /* everything that had come by then was read */
  uint64_t stall_ns;     /* the latest */
  uint16_t shadow[RM_BOXES]; /* asked only how far they have moved on, so they may begin anew */
  uint32_t stalls, drained;
  uint32_t generation;   /* of the rules it goes by */
} RM_ALIGNED;
_Static_assert(sizeof(struct report) == RM_CACHE_LINE, "one line");

/* Where a worker sleeps, and how it is woken. */
struct bed { uint32_t asleep; int fd; } RM_ALIGNED;

/* A seed frame to be held back when it comes out. `what` is 0 when free. */
struct swallow { uint64_t numbers, what; struct seed_found first; };
_Static_assert(sizeof(struct swallow) == 32, "two to a cache line");

struct crew {
  uint32_t workers, queues;       /* queues: workers of one side; one worker alone has one */
  struct plane *worker[RM_WORKERS];
  struct crossing *crossing[RM_WORKERS][RM_WORKERS]; /* [to][from] */
  /* The last edition and the one before, by the lowest bit of its number: while one is written, the other can be read.
   * Who takes a frame has to find at least what was published before the frame was sent. */
  struct published published[2];
  uint32_t edition RM_ALIGNED;
  struct report report[RM_WORKERS];
  struct bed bed[RM_WORKERS];
  uint64_t last_seed_ns[RM_BOXES] RM_ALIGNED;
  uint32_t roles RM_ALIGNED;      /* ports that all may use, of enum rm_role the first so many */
  bool opening;                   /* worker 0: a thread opens more of them */
  uint32_t emptied[RM_WORKERS];   /* number of the order for which a worker saw that its sides put nothing more in the old box */
  struct numbers *numbers[RM_SIDES]; /* by slot */
  uint32_t renumbers;             /* bit of each box that was seen to */
  uint32_t full[RM_WORKERS / 2 + 1]; /* by queue: bit of each box that holds all it can (value.c) */
  uint32_t plain_pairs;           /* SYNs that were paired by their numbers, up to a bound */
  uint64_t renumbers_ns;          /* when the last of them was first seen to */
  uint64_t stranger_ns;           /* when a SYN came out of the serving box last that could not be paired by its numbers or its ends */
  uint32_t *claim;                /* by slot of the client side's entry: number of the switch * 2, + 1 when done */
  struct swallow swallow[RM_SWALLOWS];
  uint64_t trace_secret;          /* nobody outside can aim at a chain of the hold ring */
  struct trace_log *log[RM_WORKERS];
  struct rm_once once;
  uint64_t ending[RM_ENDINGS];    /* resets and errors that went into a box: number 32, time 31, side 1 (guard.c) */
  struct probe_common probe;
  struct grey_common grey;
};

/* What a worker keeps for its next report, and what worker 0 has taken of the others'. */
struct tally {
  uint32_t put, out, drained, stalls;
  uint16_t shadow[RM_BOXES];
  uint32_t slot[2];      /* of two flows put since the last report */
  uint32_t edition;      /* of the path it goes by; worker 0: number of the switch whose counts it has taken */
  bool untold, news;     /* puts that were not reported; something that worker 0 has to wake up for */
  uint64_t stall_ns;
};

/* crew.c: life. The first worker makes the others, and opens and closes everything for them. */
int crew_open(struct plane *first);
/* Zeroed and aligned, for the life of the plane; null: there is none. */
void *crew_memory(size_t bytes);
/* Zeroed, and costs nothing until it is used; null: there is none. */
void *crew_reserve(size_t bytes);
int crew_launch(struct plane *first, void (*loop)(struct plane *p));
void crew_join(struct plane *first);
/* Wake a worker that sleeps. */
void crew_wake(struct crew *crew, uint32_t worker);
/* Which worker has a side's queue, and which one owns a place of its flow table. */
uint32_t crew_worker(const struct crew *crew, uint32_t side, uint32_t queue);
uint32_t crew_owner(const struct plane *p, uint32_t side, uint32_t slot);

/* talk.c: what all begin with: the path, and that nobody was late so far. */
void crew_start(struct plane *first);
/* Tell another worker; false, and counted: it has no room. */
bool crew_send(struct plane *p, uint32_t to, const struct message *message);
/* The same to all workers of a side but this one. */
void crew_send_side(struct plane *p, uint32_t side, const struct message *message);
/* Take in what the others have said, and the path. */
void crew_hear(struct plane *p);
/* Report to worker 0 what was put and came out. Before the frames leave, so that nothing comes out unannounced. */
void crew_report(struct plane *p);
/* Worker 0: judge by the reflexes what everybody has seen, and publish the path. */
void crew_judge(struct plane *p);
/* For how long the slowest worker of a side has not looked whether something came out. */
uint64_t crew_unseen_ns(const struct plane *p, uint32_t side);

/* sum.c: worker 0 adds up what all have counted. */
void crew_sum(struct plane *p);
/* Give the places of `table`, which are RM_RULES and one more, to the rules of `fresh`. Counts stay with the names of their
 * rules; those of rules that are gone are added to the last place. */
void rules_rename(struct rm_named *table, const struct rm_rules *fresh);
#endif

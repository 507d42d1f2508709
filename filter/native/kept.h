/* Kept frames: those that went into the serving box on one side and have not come out on the other.
 *
 * A ring in the order of going in, and chains by print, so that a frame that comes out finds the oldest of its kind. A box
 * keeps the order of equal frames, so which of them came out is known. What is old is forgotten when something later
 * came out: the box has dropped it. When nothing comes out any more it is kept for longer, because that is what a
 * ring is for. No DPDK: frames are pointers, who calls frees them.
 */
#ifndef RM_KEPT_H
#define RM_KEPT_H
#include "trace.h"

#define RM_KEPT 8192u         /* places: 25 ms of 300,000 packets a second, or all that is in a box at 10 million */
#define RM_KEPT_CHAINS 4096u
#define RM_KEPT_OLD 4u        /* nothing is kept longer than so many times its time */
#define RM_KEPT_NONE UINT32_MAX

struct rm_place {
  void *frame;          /* null: it came out */
  struct rm_trace trace;
  uint64_t ns;          /* when it went in */
  uint32_t next;        /* position of the next of its chain */
  uint32_t copied;      /* the standby has got a copy */
};
_Static_assert(sizeof(struct rm_place) == 32, "two to a cache line");

struct rm_chain { uint32_t head, tail; };

struct rm_kept {
  uint32_t first, end;  /* positions, counting for ever: the oldest, and behind the newest */
  uint32_t limit;       /* places in use at most */
  uint32_t seen;        /* behind the newest that came out */
  uint32_t last;        /* position of the last that came out */
  uint64_t ns;          /* how long frames are kept; 0: none */
  uint32_t trust[RM_TRACE_KINDS]; /* share of 2^16 of the last frames that came out and were known */
  struct rm_chain chain[RM_KEPT_CHAINS];
  struct rm_place place[RM_KEPT];
};

void rm_kept_open(struct rm_kept *r, uint32_t limit);
/* A frame goes in: {frame, trace, ns, copied}. Returns the one that has to make room for it, or null. */
void *rm_kept_put(struct rm_kept *r, const struct rm_place *what);
/* A frame came out. Returns the frame that it was, or null: it is none of these. */
void *rm_kept_seen(struct rm_kept *r, const struct rm_trace *trace);
/* The next one that is too old, taken out, or null. */
void *rm_kept_expired(struct rm_kept *r, uint64_t now);
/* The oldest, or null; it stays in. Position: r->first. */
struct rm_place *rm_kept_oldest(struct rm_kept *r);
/* Take the oldest out. */
void *rm_kept_take(struct rm_kept *r);
/* Are frames of this kind known again when they come out? Else nobody can say what did not come out. */
bool rm_kept_trusts(const struct rm_kept *r, const struct rm_trace *trace);
#endif

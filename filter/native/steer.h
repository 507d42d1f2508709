/* Steering in the plane: frames of single flows go into a box of their own, are noted, held and released.
 *
 *   steer_core.c  which rule holds a flow, and how a move goes on; pure
 *   steer_flow.c  whose flow a frame is of, and what was found for it last
 *   steer.c       the frames
 *
 * One worker alone: a move sees both directions of a flow in their order. While nobody steers, a word is looked at in a turn,
 * and a boolean for each burst.
 */
#ifndef RM_STEER_H
#define RM_STEER_H
#include "plane.h"
#include "steer_core.h"

/* Where the replaying of noted frames stands: positions in the ring since the move began. */
struct again { uint32_t at, until, left; bool goes; };

/* A frame of a flow without its other half went into a box: what comes out with the same content is that half. */
#define RM_STEER_MARKS 4096u
struct steer_mark { uint32_t print, slot; uint64_t ns; };

struct steering {
  struct rm_steering table;   /* as taken over; nobody else writes to it */
  struct steer_move move[RM_STEER_MOVES];
  struct again again[RM_STEER_MOVES];
  uint32_t kept, kept_max;    /* frames in all rings */
  uint32_t looked;            /* last generation that was looked at, good or not */
  bool moving;                /* there is a move */
  uint16_t epoch;             /* of what was found for flows */
  struct steer_mark mark[RM_SIDES][RM_STEER_MARKS]; /* by the side where it went in */
  uint64_t *found[RM_SIDES];  /* by slot: signature 32, epoch 16, box 8, move 8 */
  uint64_t over_ns[RM_STEER_RULES]; /* by rule: when its box died, of one that led there; 0: none of its flows was there */
  uint64_t fresh;             /* bit of each rule that came in this turn: nothing went by it yet */
  uint64_t *adopted;          /* by slot of the client side: over_ns of the rule for which the serving box is told of the flow */
};

/* What a frame is to the rules. flow: it is of one; else only the path counts. alone: the other half of the flow is not known;
 * its place is `slot`, if it has one. */
struct steer_found { struct steer_choice choice; bool flow, alone; uint32_t slot; };

int steer_open(struct plane *p);
/* Once a turn: take over what control wrote, go on with moves, tell of it. */
void steer_turn(struct plane *p);
/* A burst from outside, and one out of a box; they are done with when it returns. */
void steer_outer(struct plane *p, uint32_t side, struct rte_mbuf *const *frames, uint16_t n);
void steer_box(struct plane *p, uint32_t role, struct rte_mbuf *const *frames, uint16_t n);

/* steer_flow.c. `observed`: it came out of a box. */
struct steer_found steer_find(struct plane *p, uint32_t side, const struct rte_mbuf *m, bool observed);
/* A frame of a flow that is alone goes into a box, or comes out of one: then it may be known by that. False: it is not. */
void steer_mark(struct plane *p, uint32_t side, int box, const struct rte_mbuf *m, uint32_t slot);
bool steer_meet(struct plane *p, uint32_t role, const struct rte_mbuf *m, struct steer_found *found);
/* The serving box has to be told of a flow whose box died at `since`, once, by a seed that waits for nothing done before. */
void steer_adopt(struct plane *p, uint32_t side, const struct rm_flow *flow, uint64_t since);
/* Does a move's second list of fields, of a flow, hold this frame from outside? */
bool steer_is_of(struct plane *p, uint32_t side, const struct rte_mbuf *m, const struct rm_steer_fields *fields);
/* Nothing that was found counts any more. */
void steer_forget(struct plane *p);
#endif

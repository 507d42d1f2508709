/* Seeding: frames that the node plays into a box so that it forms the state of a flow that exists.
 *
 *   seed_steps.c  which frame when              pure
 *   seed_numbers.c  what they say                pure
 *   seed_frame.c  the frames
 *   seed_play.c   one frame into the box
 *   seed.c        one seed: who plays it, what became of it, and what waits for it
 *   seed_walk.c   seeds for all flows: resync and refresh
 *   swallow.c     what comes out of a box again stays here
 *   seed_watch.c  does anything come out after it?
 *
 * A seed belongs to the worker that began it. Ports of one queue are sent to by the worker that has it, which plays a
 * frame on demand; whoever finds the first frame come out tells the owner.
 */
#ifndef RM_SEED_H
#define RM_SEED_H
#include "alias.h"
#include "filter.h"
#include "numbers.h"
#include "seed_steps.h"
#include "twin.h"

#define RM_SEEDS 512       /* under way; a seed waits for its box twice seed_wait_ns at most */
#define RM_SEED_AWAY_NS 5000000ull /* a worker that plays a frame later stands still */
#define RM_SEED_WATCHED 1024u /* moments since which something is to come out; flows at the same place share one */
#define RM_SEED_STEPS 4    /* SYN, SYN-ACK, ACK, ACK */
#define RM_SEED_BEATS 2    /* of an association: heartbeat, and the answer */
#define RM_SEED_RESET 4u   /* behind them, in the opener's name */
#define RM_SEED_DENIAL 5u  /* and in that of the other end */
#define RM_SEED_PATIENCE 5u /* times as long as others one is waited for that renumbers: without its numbers the rest is worth nothing */
#define RM_SEED_REMOVAL 3  /* SYN, SYN-ACK, RST */
#define RM_SEED_RANKS 256u /* of flows by their bytes, four to each doubling */

struct plane;
struct rte_mbuf;

/* Of a handshake that goes on: the numbers are those of now. */
struct seed_segment { uint32_t seq, ack; uint16_t window; uint8_t flags, scale; bool sack; };
struct seed_numbers { uint32_t seq, ack; };

struct seed {
  struct rm_flow flow[RM_SIDES]; /* as they stood when it began */
  uint32_t slot[RM_SIDES];
  struct seed_steps steps;
  struct numbers_gap gap[2]; /* from the opener's side to the other */
  struct alias_guise guise[RM_SIDES]; /* what the box made of it when it was looked at last */
  uint8_t opener, box;   /* opener: the side that opened the flow */
  uint8_t serial;        /* of those that had this place */
  uint8_t begun;         /* how often: what a drained box hands over meanwhile has to be told as well */
  bool claimed, eager, busy;
  bool walked;           /* by resync or refresh, which count what became of it */
  bool missed;           /* a copy of the opening or of the answer may have been lost, and the box is to show both */
  bool removes;          /* it ends in a reset: the box is to forget the flow */
  uint32_t done;         /* what the crew's word for this flow says at the end, if it was claimed */
  uint32_t at;           /* in the list of those under way */
};

/* Seeds that may be begun at the rate of the configuration. */
struct seed_credit { uint64_t flows, ns; }; /* 1e-9 flows; earned until then */

/* A worker's own. `under_way` are the first `count` of `order`, the rest are free. */
struct seeding {
  struct seed seed[RM_SEEDS];
  uint16_t order[RM_SEEDS];
  uint32_t count, eager;
  uint64_t looked_ns, tokens;
  struct seed_credit credit; /* for resync, refresh and value together */
  uint64_t watched_ns[RM_SEED_WATCHED];
};

/* Which seed a frame belongs to, for who finds it: worker 8, place 16, serial 8. */
#define RM_SEED_NONE 0xffffffffu

/* Seeds for all flows of a worker's part of the client side, one box after the other. */
struct walking {
  uint32_t *next;                /* by slot: the next flow of the same rank */
  uint32_t first[RM_SEED_RANKS]; /* of each rank; RM_NO_FLOW: none is left */
  uint32_t slots, at, rank;
  uint32_t order[RM_BOXES];      /* the last one that was taken */
  uint32_t wanted, refresh;      /* bit of each box that is still to be gone to; of them, those that are refreshed */
  uint32_t box;                  /* RM_BOXES: at rest */
  bool ranked, refreshes;
  uint64_t refreshed_ns;
};

/* seed_numbers.c. What came out of the old box towards the end outside: a sequence number, or the tag of an association. */
uint32_t seed_emerged(const struct rm_flow *f);
/* All four segments, and the numbers under which the network would have them come out on the other side. */
void seed_handshake(const struct rm_flow *opener, const struct rm_flow *other, const struct numbers_gap gap[2],
                    struct seed_segment step[RM_SEED_STEPS], struct seed_numbers out[RM_SEED_STEPS]);
/* TCP, UDP, SCTP and echoes. */
bool seed_takes(uint8_t proto);
/* Is enough known of a flow, by one of its entries? */
bool seed_usable(const struct rm_flow *f);

/* seed_frame.c. A frame of the end outside on `side` of a flow; null: no buffer. */
struct rte_mbuf *seed_segment(struct plane *p, const struct rm_flow *f, const struct seed_segment *s);
/* Of datagrams the opener's: it carries `token` and its proof, and nothing of anybody's. */
struct rte_mbuf *seed_datagram(struct plane *p, const struct rm_flow *f, uint64_t token);
/* Of an association: a heartbeat to the other end of `f`, or the answer to one. Its tag is that of what came out on the side of `other`. */
struct seed_beat { const struct rm_flow *other; uint64_t token; bool answer; };
struct rte_mbuf *seed_heartbeat(struct plane *p, const struct rm_flow *f, const struct seed_beat *beat);
uint64_t seed_proof(const struct plane *p, uint64_t token);
#define RM_SEED_TOKEN 16u /* bytes of both */

/* seed_play.c. Look at what the box is known to make of the flow. False: another worker is learning just now; later. */
bool seed_look(struct plane *p, struct seed *s);
/* Frame `n` into the box, and the expectation that it comes out on the other side. Each must be in the box before the next, which
 * enters by the other port. False: no buffer, or no room to remember it. */
bool seed_play(struct plane *p, struct seed *s, uint32_t n);
/* What the box that opened it made of its numbers. True: the next one may make something else of them. */
bool seed_measure(const struct plane *p, struct seed *s);
/* Is the connection IPv6 on one side and IPv4 on the other? Such a box follows it twice, once as each, with a queue in between: what enters
 * on its other side would be there first, so SYN and SYN-ACK are to come out before what follows them goes in. */
bool seed_crosses(const struct seed *s);
/* Take down the numbers of now. False: they cannot be had, and those of then stay. */
bool seed_renew(const struct plane *p, struct seed *s);

/* seed.c. A flow's first frame on a new path came from outside on `side`. True: it has to wait (hold_frame). */
bool seed_flow(struct plane *p, uint32_t side, struct rm_flow *flow);
/* The same into a box of choice, for a flow of the client side. False: it was not begun, because nothing is free now. */
bool seed_eagerly(struct plane *p, uint32_t slot, uint32_t box);
/* Likewise, because the flow is worth its place in the box. */
bool seed_value(struct plane *p, uint32_t slot, uint32_t box);
/* Likewise, so that the box forgets the flow: in step with it first, or it would not believe the reset. */
bool seed_removal(struct plane *p, uint32_t slot, uint32_t box);
/* Likewise, for a flow of either side of which this standby should have handed over the opening, or the answer to it: the copy may have been
 * lost, and if so the box says now what it makes of the flow. */
bool seed_missed(struct plane *p, uint32_t side, uint32_t slot, uint32_t box);
/* Who may play into both sides? False: a flow that cannot be seeded, of which enough is not known. */
bool seed_pair(const struct plane *p, uint32_t side, const struct rm_flow *flow, struct rm_flow *peer);
/* Once a turn while some are under way. */
void seed_turn(struct plane *p);
/* A flow whose frames wait can wait no longer. */
void seed_hurry_up(struct plane *p, uint32_t claim);
/* What other workers said. */
struct message;
void seed_take(struct plane *p, uint32_t from, const struct message *said);
/* The first frame of `seed`, or the answer to it, came out by `role`: of the flow at `slot`, if `word` (twin_word) still tells that.
 * The network would have numbered it `seq`. */
struct seed_found { uint32_t seed, slot, word, seq; };
void seed_found(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, const struct seed_found *found);
/* A frame that the old box hands over after the connection was seeded. */
void seed_again(struct plane *p, uint32_t side, const struct rm_packet *packet);
/* Once more, with its next frame from this side. False: it is under way, or was not begun. */
bool seed_rearm(struct plane *p, uint32_t side, struct rm_flow *f);
uint32_t seed_claim(uint32_t side, uint32_t slot, const struct rm_flow *flow);

/* seed_watch.c. A frame of a flow that is to be seeded came from outside on `side`: if nothing has come out of the box for what went
 * in before, it is seeded once more. */
void seed_watch(struct plane *p, uint32_t side, struct rm_flow *flow);

/* seed_walk.c */
int walk_open(struct plane *p);
void walk_turn(struct plane *p);
bool walk_goes(const struct plane *p);
/* What came since it was asked last; no more than a moment's worth is ever saved up. A worker has one purse for all that it begins
 * by itself: boxes hear its part of the rate, however many reasons there are. */
void seed_earn(struct plane *p);
/* One seed's worth. False: there is not that much. */
bool seed_can_pay(const struct plane *p);
void seed_pay(struct plane *p);

/* swallow.c. A frame that goes in is to be known again when it comes out by `role`. False: no room to remember it. */
struct swallowing { uint32_t role, seq, ack; uint8_t flags; struct seed_found first; struct twin_tuple ends; }; /* first.seed may be RM_SEED_NONE */
bool swallow_expect(struct plane *p, const struct swallowing *what);
/* A frame came out of a box by `role`. True: it is part of a seed. */
bool seed_swallows(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet);
/* A seed was played into this box so shortly ago that seed_swallows() has to be asked. */
bool seed_expected(const struct plane *p, uint32_t box);
#endif

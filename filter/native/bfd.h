/* BFD in the plane: sessions on the ports of boxes, worked off in the loop of worker 0.
 *
 * Any worker may receive a session's frames. It takes them out of the burst before they count as traffic, and hands them
 * to worker 0 if it is another; so each worker knows where sessions are, and worker 0 alone what they are.
 */
#ifndef RM_BFD_H
#define RM_BFD_H
#include <rte_mbuf.h>
#include "bfd_frame.h"
#include "bfd_session.h"

struct plane;

/* Where a session runs: what tells its frames from traffic. */
struct bfd_place {
  uint32_t role, vlan;
  bool multihop;
  uint8_t peer[16], local[16], gateway[16];
};

/* The session there; worker 0's. */
struct bfd_run {
  struct bfd_session session;
  struct rm_bfd_order order; /* its key is in the session's terms alone */
  uint16_t from_port;
  uint8_t mac[6];            /* of the peer or the gateway, if found */
  bool found;
  uint64_t asked_ns;
};

struct bfd {
  uint32_t roles;            /* bit of each port that has sessions: 0 is one branch for a burst */
  uint32_t generation, count;
  bool full;                 /* a port of a box had more than one burst this turn */
  uint64_t looked_ns;        /* worker 0: everything that had come by then was read */
  uint64_t due_ns;           /* worker 0: when the next thing is to be done */
  struct bfd_place place[RM_BFD_SESSIONS];
  struct bfd_run run[RM_BFD_SESSIONS];
};

/* Queue a frame made here; false, and counted: there is no buffer. */
bool bfd_send_frame(struct plane *p, uint32_t role, const uint8_t *frame, size_t n);
/* Is the peer's MAC configured? */
bool bfd_has_mac(const struct rm_bfd_order *o);
/* Send everything of one session that is due. */
void bfd_work(struct plane *p, struct bfd_run *run, const struct bfd_place *at);
/* Take over orders that control has finished writing. */
void bfd_take_orders(struct plane *p);
/* Take BFD's frames out of what a port of a box received; returns how many others are left. */
uint16_t bfd_sift(struct plane *p, uint32_t role, struct rte_mbuf **frames, uint16_t n);
/* Worker 0: a frame that bfd_sift() took, here or at another worker. It is freed or sent. */
void bfd_take(struct plane *p, uint32_t role, struct rte_mbuf *frame);
/* Worker 0, once a turn: what is due, and what it says of the boxes. */
void bfd_turn(struct plane *p);
/* Worker 0: so long it did not look although it should have. */
void bfd_lost(struct plane *p, uint64_t lost_ns);
/* Worker 0: how long it may sleep, at most `us`. */
long bfd_nap_us(const struct plane *p, long us);
/* Worker 0, at the end: tell the peers that this is no failure. */
void bfd_close(struct plane *p);
#endif

/* Probes in the plane: made by worker 0, taken out of what boxes send by whoever receives it.
 *
 * A probe is put into a port of a box and recognised at another port of the same box. Between receiving a burst and looking at
 * it the node's own frames are taken out: they are no traffic to flows, silence or pairing, and no end host sees them
 * but the one that is to answer.
 */
#ifndef RM_PROBE_H
#define RM_PROBE_H
#include "probe_core.h"

struct plane;
struct rte_mbuf;

/* What all workers know of the boxes and of the key; in the crew. */
struct probe_common {
  struct probe_key key;
  uint64_t mac[RM_BOXES][RM_SIDES]; /* that a box sends from on a side, in the low six bytes; 0: not seen */
};

struct probing {
  bool takes;              /* look for probes among what comes out of boxes */
  bool beyond;             /* ... and for answers among what comes from outside */
  uint32_t generation;     /* of the command that was taken over */
  uint64_t until_ns;       /* after the last probe was switched off, what is under way is still taken in */
  uint64_t wake_ns;        /* worker 0: nothing to do before */
  struct rm_probe probe[RM_PROBES];
  struct rm_probe_frame frame[RM_PROBES * RM_SIDES];
  uint32_t count, raws;    /* how many there are; of them those known by content */
  struct probes probes;    /* worker 0 */
};

/* Once, before the first turn. */
int probe_open(struct plane *p);
/* Now and then: take over what control wrote. */
void probe_command(struct plane *p);
/* Each turn while there are any. */
void probe_turn(struct plane *p);
/* Take the node's own out of a burst; returns how many are left. */
uint16_t probe_take(struct plane *p, uint32_t role, struct rte_mbuf **frames, uint16_t n);
uint16_t probe_take_outer(struct plane *p, uint32_t side, struct rte_mbuf **frames, uint16_t n);
/* Another worker has seen one. */
struct message;
void probe_hear(struct plane *p, const struct message *said);
/* Does the node answer for this address towards the boxes on this side? */
bool probe_owns(const struct plane *p, uint32_t side, const uint8_t ip[16]);
/* The address that probes are sent from. */
void probe_mac(uint32_t side, uint8_t mac[6]);
/* For how long worker 0 may sleep. */
long probe_nap_us(const struct plane *p);
#endif

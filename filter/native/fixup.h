/* Fix-up: where a box knows a flow by another name or other numbers than the network does, its packets are translated at the box's ports.
 *
 * Tables, rules and everything else in the plane know the network's name alone: what comes out of a box is translated before it is
 * looked at, what goes in after everything else, so a standby with another binding gets copies that it understands.
 */
#ifndef RM_FIXUP_H
#define RM_FIXUP_H
#include "alias.h"
#include "plane.h"

int fixup_open(struct plane *p);
/* `box` makes this of a flow of `side`, as a frame that it sent out there shows. The flow's own ends and numbers: forget what was
 * known. By a worker that has the side. */
void fixup_learn(struct plane *p, uint32_t side, uint32_t box, const struct rm_flow *flow, const struct alias_guise *made);
/* The last it is known to make of the flow at a place, `flow` being a copy of its entry; by any worker. False: it cannot be told
 * now, for the worker that has the side is learning. */
struct fixup_of { uint32_t side, box, slot; const struct rm_flow *flow; };
bool fixup_guise(struct plane *p, const struct fixup_of *of, struct alias_guise *made);
/* A frame of the node's own for a flow, in the name of its outer end, for a box that makes this of it. */
void fixup_played(struct plane *p, struct rte_mbuf *m, const struct rm_flow *flow, const struct alias_guise *guise);
/* Is this flow translated for the box? */
bool fixup_follows(const struct plane *p, uint32_t side, uint32_t box, const struct rm_flow *flow);
/* A frame that is about to be queued into a box by `role`: it or, if others hold it too, a copy of it; translated if need be.
 * Without a buffer for the copy it goes as it is, which is counted. */
struct rte_mbuf *fixup_into(struct plane *p, uint32_t role, struct rte_mbuf *m);
/* The same for frame `i` of a burst that was looked at, and for all of them. */
struct rte_mbuf *fixup_looked(struct plane *p, uint32_t role, struct rte_mbuf *m, const struct rm_look *look, uint32_t i);
/* Ask for what that will need. There are aliases for this box on this side. */
void fixup_foresee(struct plane *p, uint32_t side, uint32_t box, const struct rm_look *look);
void fixup_burst(struct plane *p, uint32_t role, struct rte_mbuf **frames, const struct rm_look *look);
/* Frames that have just been received from a box that passes; they are laid out to be looked at, but were not. True: rm_look_keys()
 * was done of them, and rm_look_rest() will do. */
bool fixup_from(struct plane *p, uint32_t role, struct rte_mbuf *const *frames, struct rm_look *look);
/* A step of pace.h. */
void fixup_step(struct plane *p);

static inline bool fixup_any(const struct plane *p, uint32_t side, uint32_t box) {
  return __builtin_expect(p->aliases[side] != NULL && __atomic_load_n(&p->aliases[side]->count[box], __ATOMIC_RELAXED) != 0, 0);
}
#endif

/* Match: what standbys make of connections, and what a switch has carried of them. */
#ifndef RM_MATCH_H
#define RM_MATCH_H
#include "filter.h"
#include "seed.h"
#include "twin.h"

struct plane;

int match_open(struct plane *p);
void match_step(struct plane *p);
/* A frame came out of the serving box that opens a connection, or begins a flow. */
void match_passed(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow);
/* A frame came out of a standby. */
void match_shadow(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet);
/* What a box makes of a flow, by the word of its place: whoever owns the side. */
enum twin_verdict match_verdict(const struct plane *p, uint32_t side, uint32_t slot, uint32_t box);
/* The same by an entry of either side: what a box made of an opening stands with the side where it came out. */
enum twin_verdict match_flow_verdict(const struct plane *p, uint32_t side, const struct rm_flow *flow, uint32_t box);
/* Has the box that serves since a switch dropped the opening of this flow, when it stood by? */
bool match_dropped(const struct plane *p, uint32_t side, const struct rm_flow *flow);
/* What match_verdict() says, or unknown if the box has been without a link since the flow began: it may have begun anew. */
enum twin_verdict match_holds(const struct plane *p, uint32_t side, uint32_t slot, uint32_t box);
/* A seed, or that none could be played, has told what a box makes of the flow at `slot`, if `word` (twin_word) still tells that. The flow may
 * be another worker's. */
struct match_proof { uint32_t side, slot, word, box; };
void match_proved(struct plane *p, const struct match_proof *of, enum twin_verdict verdict);
/* A box has opened this flow anew by `packet`, which came out by `role`. Returns whether as the network knows it. */
enum seed_heard match_learn(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, const struct seed_found *found);
/* A box was made to forget this flow, as the reset shows that came out by `role`. */
void match_forget(struct plane *p, uint32_t role, uint32_t slot);
/* Some box renumbers: SYNs and SYN-ACKs are to be told apart by their ends. */
bool match_by_ends(const struct plane *p);
/* A frame of this flow came from outside, or out of the box that serves: after a switch its first one each way takes the whole way. */
void match_carried(struct plane *p, uint32_t side, const struct rm_flow *flow, uint32_t which);
/* Is that noted now? And what was noted of the flow at this place since the switch: RM_CARRIED_*. */
bool match_carries(const struct plane *p);
uint32_t match_was_carried(const struct plane *p, uint32_t side, uint32_t slot);
#endif

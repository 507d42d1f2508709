/* Which two entries, one per side, are one connection: pair.c. */
#ifndef RM_PAIR_H
#define RM_PAIR_H
#include "plane.h"

/* The places of SYNs with this sequence number, seen on `side`: far memory, to be asked for in time. */
struct pending *pair_set(struct plane *p, uint32_t side, uint32_t seq);
void pair_offer(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow);
/* It is known that this packet, which comes out on `side`, is of the flow at `peer`: pair_match() is to find it. */
void pair_settle(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, uint32_t peer);
/* `flow` of `side` has its other half at `peer`. */
void pair_join(struct plane *p, uint32_t side, struct rm_flow *flow, uint32_t peer);
void pair_match(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, struct rm_flow *flow);
/* A SYN came out on `side` with a number with which none went in. */
bool pair_is_stranger(struct plane *p, uint32_t side, const struct rm_packet *packet);
/* Does the box that serves leave the ends of this SYN alone? The other side has them as well then. */
bool pair_keeps_ends(struct plane *p, uint32_t side, const struct rm_packet *packet);
/* Does a packet that is known by `key` wait to come out, of a flow that begins? `from`: the side where it went in. */
bool pair_waits(struct plane *p, uint32_t from, uint64_t key);
/* The flow of the other side whose other half a packet that comes out on `side` opens; RM_NO_FLOW: not known. */
uint32_t pair_peek(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet);
void pair_close(struct plane *p, uint32_t side, const struct rm_flow *flow); /* its other half passes no more */
/* What other workers said of it. `from`: the side they have. */
void pair_take(struct plane *p, uint32_t from, const struct message *said);
#endif

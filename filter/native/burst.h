/* What burst.c and burst_box.c share: a burst, from its receipt until it is queued. */
#ifndef RM_BURST_H
#define RM_BURST_H
#include "hot.h"
#include "plane.h"

struct batch {
  struct rte_mbuf *frame[RM_BURST];
  struct rm_look look;
  uint64_t bytes;         /* of all frames */
  uint64_t odd_packets, odd_bytes; /* of them, those that are not plain */
  uint16_t n, held;       /* held: of them, those that wait; their places are empty */
  struct put passing;     /* of them, those of flows known to pass */
  int box;                /* into which they go, or out of which they came; -1: none */
  uint32_t apart;         /* bit of each box that gets no copies of them */
  bool steered;           /* by a rule: what becomes of them says nothing of the serving box */
  uint64_t orphaned_ns;   /* a rule led their flows to a box that died then; 0: none did */
  uint64_t passed, copied, dead; /* bit of each: its flow is known to pass; a standby gets it; it proves nothing of the box */
};

/* From a port, laid out to be looked at. */
void batch_receive(struct plane *p, struct port *port, struct batch *b);
void batch_lay_out(struct batch *b);
/* Frames that are no traffic were taken out; `n` are left. */
void batch_now_are(struct batch *b, uint16_t n);
/* Before anything of their flows is looked at. */
void batch_begin(struct plane *p, uint32_t side, struct batch *b);
/* Look at all of them; what is left to do stands in b->look. `keyed`: rm_look_keys() was done. */
void batch_look(struct plane *p, uint32_t side, struct batch *b, bool keyed);
/* When the last of the burst was judged. */
void batch_count_plain(struct plane *p, const struct batch *b);
/* A frame that does not leave with the others of its burst; then close the gaps. */
void batch_take_out(struct batch *b, uint16_t i);
void batch_close_ranks(struct batch *b);
/* The whole parser, for a frame that is not quiet. Returns the hash of its flow, if it has one. */
uint64_t batch_parse(struct plane *p, const struct rm_flows *table, struct batch *b, uint16_t i, struct rm_packet *packet);
/* Frames from outside that were laid out, and have b->box, apart and steered. */
void burst_into(struct plane *p, uint32_t side, struct batch *b);
/* Frames out of a box that leave, and one that stays. */
void burst_passed(struct plane *p, uint32_t role, struct batch *b);
void burst_shadow(struct plane *p, uint32_t role, struct rte_mbuf *m);
/* It served until a moment ago, and what it still hands over passes. */
bool burst_drains(const struct plane *p, uint32_t box);
/* A SYN that opens. */
bool burst_opens(const struct rm_packet *packet);
/* A SYN or SYN-ACK. */
static inline bool burst_greets(const struct rm_packet *packet) { return packet->proto == 6 && !packet->inner && (packet->tcp_flags & RM_TCP_SYN); }
/* The first packet of a flow of another protocol, by which the flow can be known again. */
bool burst_begins(const struct rm_packet *packet, const struct rm_flow *flow);
/* A frame of an older flow came out of the box that serves since a switch: it passes after all. */
void burst_emerged(struct plane *p, uint32_t side, struct rm_flow *flow);
/* Keep in mind whether a box that works would let the flow's next frame out. */
void burst_follow(struct plane *p, uint32_t side, const struct rm_packet *packet, struct rm_flow *flow);
#endif

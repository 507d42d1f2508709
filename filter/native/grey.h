/* Grey failure in the plane: samples real traffic on its way through the serving box. What it means: grey_judge.c. */
#ifndef RM_GREY_H
#define RM_GREY_H
#include "filter.h"
#include "grey_core.h"

struct plane;

/* A plain frame and what the first look at it told. */
struct grey_seen { const uint8_t *frame; const struct rm_peek *peek; bool passes; };

struct greying {
  bool on;
  struct rm_grey command;
  struct grey_way way[RM_SIDES];  /* of what this worker puts in */
  uint32_t switch_number;
  uint64_t quiet_until_ns;        /* after a switch nothing is sampled for a moment */
  uint64_t look_ns, tick_ns;
  uint64_t port_troubles, troubles; /* of its own ports, and of everybody, when last looked at */
  uint64_t wide_until_ns[RM_SIDES];
  struct grey_counts last;        /* worker 0: of all, at the last tick */
  struct grey_judge judge;
};

/* Now and then: take over what control wrote. */
void grey_command(struct plane *p);
/* Each turn while it is on. */
void grey_turn(struct plane *p);
/* The node stood still: what is under way has more time. */
void grey_stall(struct plane *p);
/* A frame from outside goes into the serving box by its port of `side`; one came out there. */
void grey_put(struct plane *p, uint32_t side, const struct grey_seen *seen);
void grey_got(struct plane *p, uint32_t side, const struct grey_seen *seen);
#endif

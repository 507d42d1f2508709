/* Steering: rules that lead single flows to a box, and moves of flows from one box to another. Part of the law (abi.h).
 *
 * Control writes the first half between an odd and an even generation; the plane tells in the second what it made of it. Both
 * outlive control. Which box serves what no rule holds is the path's word alone.
 */
#ifndef RM_ABI_STEER_H
#define RM_ABI_STEER_H

#define RM_STEER_RULES 64
#define RM_STEER_MOVES 16
#define RM_STEER_ID_BYTES 32
#define RM_STEER_FRAMES 32768u /* a move keeps no more of either kind; power of two */

/* How far control wants a move to be. */
enum rm_steer_phase {
  RM_STEER_NONE,   /* the place is free */
  RM_STEER_NOTE,   /* what goes into the source is noted */
  RM_STEER_HOLD,
  RM_STEER_ROUTE,
  RM_STEER_CANCEL,
  RM_STEER_PHASES
};
/* How far it is. */
enum rm_steer_state {
  RM_STEERED_UNKNOWN,
  RM_STEERED_NOTING,
  RM_STEERED_HOLDING,
  RM_STEERED_BROKEN,    /* it held too long or too much: all went to the source */
  RM_STEERED_ROUTED,
  RM_STEERED_CANCELLED,
  RM_STEERED_STATES
};

/* Of which flows, as their clients send them. */
struct rm_steer_fields {
  uint8_t addr[2][16];   /* source, destination; IPv4 as ::ffff:a.b.c.d */
  uint16_t port_min[2], port_max[2]; /* 0 and 65535: any */
  uint8_t prefix[2];     /* bits of each address that count */
  uint8_t protocol, any_protocol; /* boolean: the protocol does not count */
};

struct rm_steer_rule {
  char id[RM_STEER_ID_BYTES];
  struct rm_steer_fields fields;
  uint32_t box;          /* enum rm_box */
};

struct rm_steer_move {
  char id[RM_STEER_ID_BYTES];
  struct rm_steer_fields fields, again_fields; /* again: of the flow whose frames the destination is to have once more */
  uint32_t number;       /* of the moves that had this place; never 0 */
  uint32_t phase;        /* enum rm_steer_phase */
  uint32_t source, destination;
  uint32_t free;         /* boolean: nothing is held, the route changes at once */
  uint32_t frames_max;   /* held; one more breaks the hold */
  uint32_t hold_order;   /* each number is another hold */
  uint32_t again_order, again_frames; /* the last so many noted frames */
  uint32_t pad;
  uint64_t hold_ns_max;
};

struct rm_steer_view {
  uint32_t number, state; /* of which move; enum rm_steer_state */
  uint32_t hold_done;     /* last hold_order */
  uint32_t drained;       /* boolean: nothing more is expected out of the source */
  uint32_t held, noted;   /* frames kept now */
  uint64_t held_all;      /* held since the last hold began */
  uint32_t again_done, again_played; /* last again_order, and frames played for it */
  uint32_t busy;          /* boolean: held frames are on their way, or the source's late output still passes */
  uint32_t pad;
};

struct rm_steering {
  uint32_t generation, rule_count;
  struct rm_steer_rule rule[RM_STEER_RULES]; /* the youngest last: of those that hold a flow it decides */
  struct rm_steer_move move[RM_STEER_MOVES];
  uint32_t done;          /* by the plane from here on: last generation taken over */
  uint32_t over[RM_STEER_RULES]; /* boolean, by rule: its box died or left since, so its flows go by the path from then on */
  struct rm_steer_view view[RM_STEER_MOVES];
} RM_ALIGNED;
#endif

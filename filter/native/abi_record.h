/* What the flight recorder keeps of a decision: everything that it depended on, so that it can be taken again offline.
 *
 * Part of the law (abi.h). A record stands for itself: no packet before it is needed to judge it.
 */
#ifndef RM_ABI_RECORD_H
#define RM_ABI_RECORD_H

/* A verdict on a frame. The frame's first bytes follow it in the ring. */
struct rm_witness {
  uint64_t now;             /* monotonic time of the turn */
  uint64_t bytes_rate, bytes_level, packets_rate, packets_level, filled_ns; /* the mirror's budget before it */
  uint64_t digest;          /* of all that the decision changed: entry, state in the bucket, budget */
  uint32_t generation;      /* of the rules */
  uint32_t frame_bytes;     /* length of the frame that was judged */
  uint32_t hot_before, hot_after; /* RM_HOT_* of the flow */
  uint32_t need, pad;       /* so many bytes of the frame may have been looked at, beside what rules look at */
  uint8_t kind, observed;   /* enum rm_witness_kind; the frame came out of the box */
  uint8_t known, epoch;     /* there was an entry; of the table */
  uint8_t why, rule, shed;  /* the verdict: struct rm_verdict */
  uint8_t pad_verdict;
  uint8_t before[sizeof(struct rm_flow)]; /* the entry, or the struct rm_fragment, as it was; zero: none */
};
_Static_assert(sizeof(struct rm_witness) == 88 + sizeof(struct rm_flow), "witness of a verdict");

/* What of the command the reflexes go by. */
struct rm_terms {
  uint64_t silence_ns, hold_up_ns, drain_ns, pause_ns, last_ns, silence_ns_min, silence_ns_max, silence_learn_ns;
  uint64_t stale_ns[RM_DETECTORS];
  uint32_t weight[RM_DETECTORS];
  uint32_t silence_packets, dead_path, automatic, votes, left, last_mask, order_force;
  uint32_t rank[RM_BOXES], suppressed[RM_BOXES];
  uint32_t pad;
};

#define RM_REFLEX_BYTES 1536 /* room for a struct reflex */

/* A step of the reflexes: what they knew, and what they made of it. */
struct rm_step {
  uint64_t sequence;        /* from 1; 0 while it is being written. Place = sequence % RM_STEPS */
  uint64_t mono_ns, wall_ns;
  uint32_t kind, cause;     /* enum rm_step_kind, enum rm_cause */
  uint32_t before, after;   /* paths; of a verdict 0/1 */
  uint32_t subject, order;  /* of a verdict: enum rm_box; sequence of the order */
  uint32_t reflex_bytes, pad; /* sizeof(struct reflex) */
  struct rm_terms terms;
  struct rm_detection detection[RM_BOXES * RM_DETECTORS];
  uint8_t reflex[RM_REFLEX_BYTES]; /* struct reflex before it, without its pointer */
} RM_ALIGNED;
#endif

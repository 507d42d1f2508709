/* Probes and grey failure on the board. A part of the law, see abi.h. */
#ifndef RM_ABI_PROBE_H
#define RM_ABI_PROBE_H
#include "abi_words.h"

/* Frames of the node's own through the boxes. */
struct rm_probe {
  char name[RM_NAME_BYTES];
  uint32_t kind, expect;     /* enum rm_probe_kind, enum rm_probe_expect */
  uint32_t failure;          /* enum rm_light that it gives a box when it fails */
  uint32_t ways, boxes;      /* bit of each side where it goes in; bit of each box */
  uint32_t own;              /* bit of each side whose address is the node's own: it answers for it there */
  uint32_t fall, rise;       /* so many in a row */
  uint64_t interval_ns, timeout_ns;
  uint8_t addr[RM_SIDES][16]; /* of its two ends, IPv4 as ::ffff:a.b.c.d */
};
/* What is sent into one side: a whole frame but for its token (probe_core.c) and what is learnt. */
struct rm_probe_frame {
  uint32_t bytes;            /* 0: none */
  uint32_t token_at;         /* TCP: of the header */
  uint32_t sum_at;           /* the checksum that covers the token */
  uint32_t mac_given;        /* bit 0: the destination is in the frame, bit 1: the source */
  uint32_t mark_at, mark_bytes; /* raw: the part that survives the box, by which it is known again */
  uint8_t frame[RM_PROBE_BYTES];
};

/* Loss and delay of real traffic. Shares are in millionths, above what was learnt to be usual. */
struct rm_grey {
  uint32_t on, act;          /* booleans; act: what is found may be red */
  uint32_t loss_low, loss, loss_high;
  uint32_t openings, repeats;
  uint32_t delay_times;      /* so many times the usual, and ... */
  uint64_t delay_ns;         /* ... so much more; 0: off */
  uint64_t wait_ns;          /* what has not come out by then is lost */
  uint64_t hold_ns;          /* a box that was left for it is not well before */
};

/* One probe into one side of one box. */
struct rm_probe_view {
  uint32_t light, reason;    /* enum rm_light, enum rm_probe_reason */
  uint64_t sent, seen, lost, late; /* late: came after they were counted as lost */
  uint64_t excused;          /* lost while the node itself stood still: not held against the box */
  uint64_t sent_ns, seen_ns; /* monotonic time of the last one; 0: none */
  uint64_t delay_ns_min, delay_ns_max;
  uint32_t delay[RM_DELAYS];
};

/* What was measured of the serving box, by the side where traffic goes in. */
struct rm_grey_view {
  uint64_t sampled, lost, openings, openings_lost, segments, repeats;
  uint32_t loss, loss_usual, openings_loss, openings_usual, repeat, repeat_usual; /* of late; millionths */
  uint64_t delay_ns, delay_ns_usual; /* medians */
  uint32_t learning;         /* 1: too little was seen so far to judge */
  uint32_t blind;            /* 1: the box changes packets so that they are not known again; 2: they look alike */
};
#endif

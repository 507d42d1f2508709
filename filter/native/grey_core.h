/* Grey failure, the thinking part: packets that are known again on the other side of a box, and what their loss, delay and
 * repetition say against what was learnt to be usual. No DPDK.
 *
 * A sampled packet leaves its mark in a table when it goes in; whoever finds the mark when it comes out takes it away; marks
 * that are left after a while are lost packets. Marks are made of what survives a NAT. A box that changes that too is
 * found out while learning, and not judged.
 */
#ifndef RM_GREY_CORE_H
#define RM_GREY_CORE_H
#include <stdbool.h>
#include <string.h>
#include "reflex.h"

#define RM_MARKS 4096u    /* per direction; at most a half is in use */
#define RM_WAITING 2048u  /* of one worker */
#define RM_REPEATS 2048u
#define RM_ENDS 1024u
#define RM_GREY_BARS 3u

/* What one worker has counted, by the side where packets went in; worker 0 reads it. Counts of waiting packets are made when
 * their fate is known. */
struct grey_counts {
  uint64_t passed[RM_SIDES], lost[RM_SIDES], openings_passed[RM_SIDES], openings_lost[RM_SIDES];
  uint64_t entered[RM_SIDES]; /* were to be sampled, known again or not */
  uint64_t segments[RM_SIDES], repeats[RM_SIDES];
  uint64_t alike[RM_SIDES]; /* of entered: one of the same name was under way */
  uint64_t ends[RM_SIDES]; /* of flows that end at the box, or are changed by it */
  uint64_t troubles;      /* times the node itself may have lost some */
  uint64_t delay[RM_SIDES][RM_DELAYS];
} RM_ALIGNED;

/* What all workers share. */
struct grey_common {
  uint64_t mark[RM_SIDES][RM_MARKS];
  uint32_t shift[RM_SIDES]; /* one in 2^shift packets is sampled */
  uint32_t wide[RM_SIDES];  /* the least of late, for those that come out */
  struct grey_counts counts[RM_WORKERS];
};

/* Marks of one worker and one side that wait for their end, oldest first. */
struct grey_way {
  struct { uint64_t ns, mark; uint32_t place, flow; } wait[RM_WAITING];
  uint32_t first, count;
  struct { uint32_t flow; uint8_t lost; bool passed; } ends[RM_ENDS]; /* where flows end, by their hash */
  uint64_t repeat[RM_REPEATS];
};

static inline uint64_t grey_fold(uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)(a ^ 0x2d358dccaa6c78a5ull) * (b ^ 0x8bb84b93962eacc9ull);
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}
static inline uint64_t grey_load(const uint8_t *at) {
  uint64_t v;
  memcpy(&v, at, sizeof v);
  return v;
}
/* Name of a packet that outlasts a NAT. A TCP segment sent again has the same one. 0: it has none. */
static inline uint64_t grey_name_tcp(const uint8_t *tcp, uint32_t payload_bytes) {
  uint64_t numbers = grey_load(tcp + 4); /* sequence, then acknowledgment */
  if (payload_bytes) return grey_fold(numbers & 0xffffffffu, payload_bytes);
  return grey_fold(numbers, (uint64_t)tcp[13] << 32 | (uint64_t)tcp[14] << 8 | tcp[15]);
}
/* What tells datagrams of one flow apart stands anywhere, most often near the beginning or in a checksum at the end. */
static inline uint64_t grey_name_udp(const uint8_t *udp, uint32_t payload_bytes) {
  if (payload_bytes < 8) return 0;
  uint64_t ends = grey_fold(grey_load(udp + 8) + payload_bytes, grey_load(udp + payload_bytes));
  if (payload_bytes < 16) return ends;
  return grey_fold(ends + grey_load(udp + 16), grey_load(udp + 4 + payload_bytes / 2));
}
static inline bool grey_sampled(uint64_t name, uint32_t shift) { return (name & ((1u << shift) - 1)) == 0; }

/* A sampled packet: its name, the hash of its flow, and whether it opens a connection. */
struct grey_packet { uint64_t name; uint32_t flow; bool opening; };
/* It goes in. False: there is one of the same name under way. */
bool grey_in(struct grey_way *w, uint64_t *marks, const struct grey_packet *packet, uint64_t now);
/* A packet came out. Its delay, or UINT64_MAX: it was none of those. */
uint64_t grey_out(uint64_t *marks, uint64_t name, uint64_t now);
/* A sampled TCP segment with payload goes in. True: it was sent before. */
bool grey_repeats(struct grey_way *w, uint64_t name, uint64_t now);
/* Settle what went in before `before_ns`. */
void grey_settle(struct grey_way *w, uint64_t *marks, struct grey_counts *c, uint32_t side, uint64_t before_ns);
/* Forget what waits, it says nothing. */
void grey_forget(struct grey_way *w, uint64_t *marks);

/* A share against the usual one. */
struct grey_meter {
  double usual, learnt;      /* share, and the number of samples behind it */
  double bad, all;           /* of late */
  double score[RM_GREY_BARS]; /* how much speaks for the bar being passed */
  uint64_t over_ns[RM_GREY_BARS]; /* when it last did; 0: never, or long ago */
};
struct grey_delays {
  uint64_t place[RM_DELAYS], since_ns;
  double usual_ns;
  uint64_t now_ns;
  uint32_t windows, high, low; /* learnt from; in a row */
  bool over;
};
struct grey_judge_way {
  struct grey_meter loss, openings, repeats;
  struct grey_delays delays;
  double entered, alike;       /* packets of late, and those that could not be told apart */
  double ends;                 /* packets of late that never come out */
  double opened, opened_usual; /* new connections that pass, in a tick */
};
struct grey_judge {
  struct grey_judge_way way[RM_BOXES][RM_SIDES];
  struct said left[RM_BOXES];  /* what a box was said to be when it ceased to serve */
  uint64_t left_ns[RM_BOXES];
  int serving;
};

#define RM_GREY_TICK_NS 50000000ull
/* A tick: what was counted since the last one, by side, of the serving box (-1: none). `view`: RM_SIDES of them. */
void grey_judge(struct grey_judge *j, const struct rm_grey *command, const struct grey_counts *fresh, int serving, uint64_t now);
/* What there is to say of a box. */
struct said grey_said(const struct grey_judge *j, const struct rm_grey *command, uint32_t box, uint64_t now);
void grey_show(const struct grey_judge *j, struct rm_grey_view *view);
#endif

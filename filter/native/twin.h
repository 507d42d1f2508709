/* Twins: what the serving box and its standbys made of the same opening packet.
 *
 * Two frames that came out of two boxes on the same side are known to stem from one packet by what a box leaves alone:
 * the numbers of a SYN or of an SCTP INIT, the payload of a first datagram, payload and sequence of an echo request. That they
 * have the same addresses and ports then means that both boxes hold the same binding. No DPDK and no clock in here.
 */
#ifndef RM_TWIN_H
#define RM_TWIN_H
#include <stdbool.h>
#include "filter.h"
#include "pace.h"

#define RM_TWINS 4096 /* openings of the last moment, of one side, in sets of RM_TWIN_WAYS */
#define RM_TWIN_WAYS 8
#define RM_TWIN_NS 1000000000ull /* a standby that has handed over nothing for so long has dropped it */

struct twin_tuple { uint8_t addr[2][16]; uint16_t port[2]; }; /* of who sent it, then of who it is for */

struct twin {
  uint64_t evidence; /* 0: free */
  uint64_t ns;       /* when the first of them came out */
  uint32_t slot;     /* flow of what the serving box made; RM_NO_FLOW: it has made nothing yet */
  uint32_t word;     /* of that flow, without verdicts */
  uint8_t seen;      /* bit of each box that has handed it over */
  uint8_t master;    /* the box that served then */
  uint8_t vague;     /* more than one packet looks like this: nothing can be told */
  uint8_t proto;
  uint8_t answer;    /* a SYN-ACK: it says how a box numbers and whether it lets answers through, and nothing of its binding */
  struct twin_tuple made[RM_BOXES];
  uint32_t seq[RM_BOXES]; /* of a SYN or SYN-ACK */
};

/* What a flow's word says: a verdict of two bits for each box, and above them which of all flows at this place is meant. */
enum twin_verdict { TWIN_UNKNOWN, TWIN_EQUAL, TWIN_DIFFERENT, TWIN_DROPPED };
#define RM_TWIN_VERDICTS 0xffu
static inline uint32_t twin_word(const struct rm_flow *f) { return (uint32_t)(__atomic_load_n(&f->first_ns, __ATOMIC_RELAXED) >> 8) << 8; }
static inline enum twin_verdict twin_verdict(uint32_t word, uint32_t box) { return word >> (2 * box) & 3; }

struct twins {
  struct rm_flow *entries; /* of one side */
  uint32_t *word;          /* for each of them */
  uint64_t secret;
  uint32_t walked;         /* by twins_walk() */
  struct twin twin[RM_TWINS];
};

/* A frame came out of `box`. `flow`: it serves, and this is the flow of that frame on this side; else null. */
struct twin_sight {
  const uint8_t *frame;
  const struct rm_packet *packet;
  const struct rm_flow *flow;
  uint32_t box;
  uint64_t now;
  uint64_t evidence;      /* in place of twin_evidence(); 0: that */
};

/* What a box leaves alone of a packet with verdict FLOW, as a number that nobody outside can aim at: of TCP its numbers, of UDP and of
 * echo requests the payload. 0: it tells nothing. */
uint64_t twin_evidence(uint64_t secret, const uint8_t *frame, const struct rm_packet *packet);
/* The same of a SYN or SYN-ACK where boxes renumber: by its ends, or by a timestamp and its ports, for many go in a tick. */
uint64_t twin_evidence_ends(uint64_t secret, const struct rm_packet *packet);
uint64_t twin_evidence_clock(uint64_t secret, const struct rm_packet *packet, uint32_t clock);
/* Can anything be told by this packet? One that opens a connection, or may be the first of a flow. */
bool twin_tells(const struct rm_packet *packet);
/* Note one of which twin_tells() holds, and judge. Returns the twin, or null while nothing can be told; *differ gets the bit of each box
 * that is known by this to differ and was not before. */
const struct twin *twins_note(struct twins *t, const struct twin_sight *seen, uint32_t *differ);
/* Boxes of a twin that have been judged: those that have handed it over, but for the one that served. */
static inline uint32_t twin_judged(const struct twin *o) { return o->seen & ~(1u << o->master); }

/* Asked and told of an opening or an answer whose time is over. */
struct twin_owed {
  /* The bit of each box that got a copy and should have handed it over. */
  uint32_t (*expected)(void *context, const struct twin *twin);
  /* `box` has let nothing of it through. An opening has the verdict by then; that of an answer is on its opening, whose flow is on the
   * other side, and left to who is told. */
  void (*missing)(void *context, const struct twin *twin, uint32_t box);
  void *context;
};
/* Look at the next `n` of all. Returns how many boxes were judged to have dropped one. */
uint32_t twins_walk(struct twins *t, uint32_t n, uint64_t now, const struct twin_owed *owed);

/* The verdicts on a flow; 0: none. */
uint32_t twins_word(const struct twins *t, uint32_t slot);
/* The same by the word of its place alone. */
uint32_t twin_verdicts(const struct rm_flow *flow, uint32_t word);
/* A round over all flows from `first` on, in steps of pace.h: what is known of them is counted. Zeroed but for first and slots; these
 * are multiples of RM_TWIN_RUN. */
struct twins_round {
  uint32_t first, slots, at;
  uint32_t seen, last; /* places with a word, so far and in the round before */
};
#define RM_TWIN_RUN 16u /* places whose words share a line of the cache */
/* Looked at in a millisecond: so many places where nothing is known, and of others, each far away in memory, as many as end a round in
 * ROUND_MS, but no more than the most; whatever comes first, rounded up to whole runs. */
#define RM_TWIN_PLACES 16384u /* a round of the default table takes 16 ms */
#define RM_TWIN_FLOWS_MIN 512u
#define RM_TWIN_FLOWS_MAX 2048u
#define RM_TWIN_ROUND_MS 250u
/* Asked of each flow of which something is known. */
struct twins_tally { void (*known)(void *context, uint32_t slot, uint32_t verdicts); void *context; };
/* The next step. True: that was the last of the round. A flow that is there from its beginning to its end is told of once, and one
 * that comes or goes meanwhile at most once. */
bool twins_go(const struct twins *t, struct twins_round *round, const struct twins_tally *tally);

/* What is known of a flow in another way than by its opening. */
void twins_learn(struct twins *t, uint32_t slot, uint32_t box, enum twin_verdict verdict);

/* The ends of a packet. */
struct twin_tuple twin_tuple(const struct rm_packet *packet);
bool twin_same(const struct twin_tuple *a, const struct twin_tuple *b);
#endif

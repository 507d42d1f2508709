/* Aliases: by which other name a box knows a flow.
 *
 * A flow's entry has the name that the network knows: what the ends say and hear. A box that would have, or has, chosen
 * another binding has another one for it, of the side on which its choice is seen. One that renumbers TCP connections has its own
 * numbers as well, of what it sends on that side. It is found from the flow, on the way in, and from the box's name, on the way out. An alias lives as long as its flow. No DPDK and no clock in here.
 */
#ifndef RM_ALIAS_H
#define RM_ALIAS_H
#include "filter.h"
#include "twin.h"

#define RM_ALIAS_WAYS 8u
#define RM_ALIAS_FRAGMENTS 256u /* packets in pieces that are being translated */

/* What a box makes of a flow: the ends of a frame that it sends, and what has to be added to its sequence numbers and to its
 * timestamps to have those of the network. */
struct alias_guise { struct twin_tuple ends; uint32_t shift, clock; };

struct alias {
  struct alias_guise made;
  uint32_t slot, word;    /* the flow, and which of all flows at this place (twin_word) */
  uint32_t next;          /* place plus one of the same flow's alias for another box; 0: none */
  uint16_t vlan;
  uint8_t proto, box;
} RM_ALIGNED; /* one line of the cache */

/* What became of the addresses of a first fragment. */
struct alias_fragment { uint8_t before[2][16], after[2][16]; uint64_t ns; uint32_t id, whose; };

struct aliases {
  const struct rm_flow *entries; /* of one side */
  struct alias *alias;
  uint32_t *signature;           /* of each place; 0: free */
  uint32_t *first;               /* of each flow's place: place plus one of its first alias; 0: none */
  uint32_t *mark;                /* a bit for each flow's place: it has a first alias; small, because every frame asks */
  uint32_t places;               /* power of two, at least two buckets */
  uint32_t walked;
  uint32_t edition;              /* odd while something is changed, by the one worker that changes */
  uint32_t count[RM_BOXES];      /* live, or not yet known to be dead */
  uint64_t secret;
  struct alias_fragment fragment[RM_ALIAS_FRAGMENTS];
};

/* Zeroed memory of `places` aliases and of aliases_words() words, for as many flows. */
void aliases_open(struct aliases *t, const struct rm_flow *entries, struct alias *alias, uint32_t *words, uint32_t places);
static inline size_t aliases_words(uint32_t places) { return 2 * (size_t)places + (places + 31) / 32; }
/* Has the flow at this place, or the one before it there, an alias for any box? */
static inline bool aliases_has(const struct aliases *t, uint32_t slot) { return t->mark[slot / 32] >> slot % 32 & 1; }
/* The flow's own name for a frame that leaves a box on this side. */
struct twin_tuple alias_own(const struct rm_flow *f);

enum alias_learnt { ALIAS_NONE, ALIAS_KNOWN, ALIAS_NEW, ALIAS_FULL };
/* `box` knows the flow as `made`. The flow's own name and numbers: it has no alias (NONE). FULL: nothing is kept; none of its sixteen
 * places is free. */
enum alias_learnt aliases_learn(struct aliases *t, const struct rm_flow *flow, uint32_t box, const struct alias_guise *made);
/* The alias of a flow for a box, or null. */
const struct alias *aliases_of(const struct aliases *t, const struct rm_flow *flow, uint32_t box);
/* The same by any worker, of the flow at a place. MOVES: the table does not stand still, so nothing can be told now. */
enum alias_there { ALIAS_ABSENT, ALIAS_THERE, ALIAS_MOVES };
enum alias_there aliases_read(const struct aliases *t, uint32_t slot, uint32_t word, uint32_t box, struct alias_guise *made);
/* The alias by which a frame out of `box` goes; `ends`: of it. Null: none. */
const struct alias *aliases_at(const struct aliases *t, uint32_t box, const struct rm_packet *p, const struct twin_tuple *ends);
/* Free the aliases of flows that are gone among the next `n` places. */
void aliases_walk(struct aliases *t, uint32_t n);

/* Fragments: what became of the first one's addresses, and of a later one's. `p`: before. False: not known. */
void aliases_keep_fragment(struct aliases *t, uint32_t box, const struct rm_packet *p, const struct twin_tuple *to, uint64_t now);
bool aliases_find_fragment(const struct aliases *t, uint32_t box, const struct rm_packet *p, uint64_t now, struct twin_tuple *to);
#endif

/* Aliases: by which other name a box knows a flow.
 *
 * A flow's entry has the name that the network knows: what the ends say and hear. A box that would have, or has, chosen
 * another binding has another one for it, of the side on which its choice is seen. One that renumbers TCP connections has its own
 * numbers as well, of what it sends on that side. It is found from the flow, on the way in, and from the box's name, on the way out. An alias lives as long as its flow. No DPDK and no clock in here.
 */
#ifndef RM_ALIAS_H
#define RM_ALIAS_H
#include "filter.h"
#include "translate.h"

#define RM_ALIAS_WAYS 8u
#define RM_ALIAS_FRAGMENTS 256u /* packets in pieces that are being translated */

/* What a box makes of a flow: the ends of a frame that it sends, and what has to be added to its sequence numbers and to its
 * timestamps to have those of the network. */
struct alias_guise { struct twin_tuple ends; uint32_t shift, clock; };

struct alias {
  struct alias_guise made;
  uint32_t slot, word;    /* the flow, and which of all flows at this place (twin_word) */
  uint32_t next;          /* place plus one of the same flow's alias for another box; 0: none */
  uint32_t own;           /* where the flow's own name is in the sieve */
  uint16_t vlan;
  uint8_t proto, box;
} RM_ALIGNED; /* one line of the cache */

/* What becomes of a flow's frames of every day (RM_LOOK_EVERYDAY) on their way into boxes: all that is needed of two aliases, on one line
 * and at the flow's own place, so that it can be asked for as soon as that is known. A box that changes timestamps has none here. */
struct alias_quick {
  uint32_t near, far, ports, rest; /* the flow's key as in struct rm_look; rest has a bit more if it is not IPv4's */
  uint32_t word;                   /* which of all flows at this place */
  uint8_t box[2], dir[2];          /* box: plus one, 0: none, each where RM_ALIAS_QUICK() says; dir: of these frames */
  struct translate_plan plan[2];
} RM_ALIGNED;
#define RM_ALIAS_QUICK(box) ((box) & 1u)
_Static_assert(sizeof(struct alias_quick) == RM_CACHE_LINE, "what is needed of aliases is on one line");

/* Zeroed memory for as many flows as there are places: aliases and their quick forms, aliases_words() words, and a byte for each. */
struct aliases_room { struct alias *alias; struct alias_quick *quick; uint32_t *words; uint8_t *sieve; };

/* What became of the addresses of a first fragment. */
struct alias_fragment { uint8_t before[2][16], after[2][16]; uint64_t ns; uint32_t id, whose; };

struct aliases {
  const struct rm_flow *entries; /* of one side */
  struct alias *alias;
  uint32_t *signature;           /* of each place; 0: free */
  uint32_t *first;               /* of each flow's place: place plus one of its first alias; 0: none */
  uint32_t *mark;                /* for each box a bit for each flow's place: it has an alias; small, because every frame asks */
  struct alias_quick *quick;     /* by the flow's place; only the worker that changes the table looks at them */
  /* How many names fall on each place by the hash of a flow's key: those by which boxes know flows, and the own ones of these flows. It is small
   * beside all else, and a frame whose place is 0 has no such name. 255: so many or more, for ever. */
  uint8_t *sieve;
  uint64_t key[2];               /* of that hash: rm_flows.secret */
  uint32_t places;               /* power of two, at least two buckets */
  uint32_t walked;
  uint32_t edition;              /* odd while something is changed, by the one worker that changes */
  uint32_t count[RM_BOXES];      /* live, or not yet known to be dead */
  uint64_t secret;
  struct alias_fragment fragment[RM_ALIAS_FRAGMENTS];
};

void aliases_open(struct aliases *t, const struct rm_flow *entries, const struct aliases_room *room, uint32_t places);
static inline size_t aliases_marks(uint32_t places) { return (places + 31) / 32; }
static inline size_t aliases_words(uint32_t places) { return 2 * (size_t)places + RM_BOXES * aliases_marks(places); }
/* Where it is told for `box` which flows have an alias, and whether the one at this place, or the one before it there, has one. */
static inline const uint32_t *aliases_marked(const struct aliases *t, uint32_t box) { return t->mark + box * aliases_marks(t->places); }
static inline bool aliases_has(const uint32_t *marked, uint32_t slot) { return marked[slot / 32] >> slot % 32 & 1; }
/* The flow's own name for a frame that leaves a box on this side. */
struct twin_tuple alias_own(const struct rm_flow *f);

enum alias_learnt { ALIAS_NONE, ALIAS_KNOWN, ALIAS_NEW, ALIAS_FULL };
/* `box` knows the flow as `made`. The flow's own name and numbers: it has no alias (NONE). FULL: nothing is kept; none of its sixteen
 * places is free. */
enum alias_learnt aliases_learn(struct aliases *t, const struct rm_flow *flow, uint32_t box, const struct alias_guise *made);
/* The alias of a flow for a box, or null. */
const struct alias *aliases_of(const struct aliases *t, const struct rm_flow *flow, uint32_t box);
/* What becomes of frame `i`, which is one of every day and goes into the box, if its flow's alias is known in the quick form. */
static inline const struct translate_plan *aliases_quick(const struct aliases *t, uint32_t box, const struct rm_look *l, uint32_t i) {
  uint32_t slot = l->slot[i], dir = l->facts[i] >> (RM_LOOK_KIND_SHIFT + 1) & 1, which = RM_ALIAS_QUICK(box);
  const struct alias_quick *q = &t->quick[slot];
  uint32_t differs = (q->near ^ l->near[i]) | (q->far ^ l->far[i]) | (q->ports ^ l->ports[i]) | (q->rest ^ l->rest[i]) |
                     (q->word ^ twin_word(&t->entries[slot])) | (q->box[which] ^ (box + 1)) | (q->dir[which] ^ dir);
  return differs ? NULL : &q->plan[which];
}
/* Make this alias's quick form, in place of that of another box. */
void aliases_hasten(struct aliases *t, const struct alias *a);
/* The same as aliases_of() by any worker, of the flow at a place. MOVES: the table does not stand still, so nothing can be told now. */
enum alias_there { ALIAS_ABSENT, ALIAS_THERE, ALIAS_MOVES };
enum alias_there aliases_read(const struct aliases *t, uint32_t slot, uint32_t word, uint32_t box, struct alias_guise *made);
/* The alias by which a frame out of `box` goes; `ends`: of it. Null: none. */
const struct alias *aliases_at(const struct aliases *t, uint32_t box, const struct rm_packet *p, const struct twin_tuple *ends);
/* May the name of a frame of every day with this hash of its key (struct rm_look) be known to aliases_at(), or be that of a flow with an
 * alias? False is sure. */
static inline bool aliases_may(const struct aliases *t, uint64_t hash) { return t->sieve[(uint32_t)hash & (t->places - 1)] != 0; }
/* For many frames at once, so that memory arrives before it is needed. The name by which frame `i`, one of every day, came out of the box, as
 * a number; what tells whether it is that of an alias is asked for. Then the place where that may be, or RM_NO_FLOW, which is sure; it is
 * asked for. Then ask for the flow whose it is. */
uint64_t aliases_name(const struct aliases *t, uint32_t box, const struct rm_look *l, uint32_t i);
uint32_t aliases_place(const struct aliases *t, uint64_t name);
static inline void aliases_foresee(const struct aliases *t, uint32_t place) {
  const struct rm_flow *f = &t->entries[t->alias[place].slot];
  __builtin_prefetch(f);
  __builtin_prefetch(&f->first_ns);
}
/* What becomes of frame `i` out of the box, if its alias is at this place and what a look says is enough; *seq is added to its number. False:
 * aliases_at() has to be asked. That is so where a connection opens or ends, the receiver's address changes or timestamps do. */
struct alias_sight { const struct rm_look *look; uint32_t i, box, place; };
bool aliases_plan(const struct aliases *t, const struct alias_sight *seen, struct translate_plan *plan, uint32_t *seq);
/* Free those of flows that were at this flow's place before it; until then every frame of it would look at them. */
void aliases_tidy(struct aliases *t, const struct rm_flow *flow);
/* Free the aliases of flows that are gone among the next `n` places. */
void aliases_walk(struct aliases *t, uint32_t n);

/* Fragments: what became of the first one's addresses, and of a later one's. `p`: before. False: not known. */
void aliases_keep_fragment(struct aliases *t, uint32_t box, const struct rm_packet *p, const struct twin_tuple *to, uint64_t now);
bool aliases_find_fragment(const struct aliases *t, uint32_t box, const struct rm_packet *p, uint64_t now, struct twin_tuple *to);
#endif

/* Recorded decisions as a library for TypeScript: each is taken again by the code that took it.
 *
 * What comes in are bytes of a file that anybody may have written: lengths and numbers are checked before they are used.
 */
#include <stdlib.h>
#include <string.h>
#include "board.h"
#include "filter.h"
#include "reflex.h"

#define GENERATIONS 8u /* of rules that are known at a time; the oldest gives way */

enum { NO_RULES = RM_RETOLDS, OTHER_LAYOUT };

struct rm_replay { struct rm_rules rules[GENERATIONS]; uint32_t next; };

/* A generation of rules in a file; `count` of struct rm_rule follow. */
struct rm_rules_told { uint32_t rule_bytes, generation, count, inner; uint64_t age_ns[RM_AGES]; };

RM_EXPORT struct rm_replay *rm_replay_open(void);
RM_EXPORT void rm_replay_close(struct rm_replay *r);
RM_EXPORT int32_t rm_replay_rules(struct rm_replay *r, const uint8_t *bytes, uint32_t length);
RM_EXPORT int32_t rm_replay_decision(struct rm_replay *r, const uint8_t *witness, uint32_t length, const uint8_t *frame,
                                     uint32_t kept, uint8_t *again);
RM_EXPORT int32_t rm_replay_step(const uint8_t *step, uint32_t length, uint32_t *again);

/* Null: no memory. */
struct rm_replay *rm_replay_open(void) {
  size_t bytes = (sizeof(struct rm_replay) + RM_CACHE_LINE - 1) & ~(size_t)(RM_CACHE_LINE - 1);
  struct rm_replay *r = aligned_alloc(RM_CACHE_LINE, bytes);
  if (r) memset(r, 0, bytes);
  return r;
}

void rm_replay_close(struct rm_replay *r) { free(r); }

static struct rm_rules *find(struct rm_replay *r, uint32_t generation) {
  for (uint32_t i = 0; i < GENERATIONS; i++)
    if (r->rules[i].generation == generation && generation) return &r->rules[i];
  return NULL;
}

/* Rules from here on; those of the same generation are replaced, for another plane counts anew. */
int32_t rm_replay_rules(struct rm_replay *r, const uint8_t *bytes, uint32_t length) {
  struct rm_rules_told told;
  if (length < sizeof told) return OTHER_LAYOUT;
  memcpy(&told, bytes, sizeof told);
  if (told.rule_bytes != sizeof(struct rm_rule)) return OTHER_LAYOUT;
  if (told.count > RM_RULES || length != sizeof told + told.count * sizeof(struct rm_rule) || !told.generation)
    return RM_RETOLD_IMPOSSIBLE;
  struct rm_rules *rules = find(r, told.generation);
  if (!rules) rules = &r->rules[r->next++ % GENERATIONS];
  memset(rules, 0, sizeof *rules);
  rules->count = told.count;
  rules->inner = told.inner;
  memcpy(rules->age_ns, told.age_ns, sizeof rules->age_ns);
  memcpy(rules->rule, bytes + sizeof told, told.count * sizeof *rules->rule);
  for (uint32_t i = 0; i < told.count; i++)
    if (rules->rule[i].bpf_count > RM_BPF_MAX) return RM_RETOLD_IMPOSSIBLE; /* its generation stays unknown */
  rules->generation = told.generation;
  return RM_RETOLD_SAME;
}

/* `again`: room for a struct rm_witness, what comes out. Returns an enum rm_retold, NO_RULES or OTHER_LAYOUT. */
int32_t rm_replay_decision(struct rm_replay *r, const uint8_t *witness, uint32_t length, const uint8_t *frame, uint32_t kept,
                           uint8_t *again) {
  struct rm_witness w, out;
  if (length != sizeof w) return OTHER_LAYOUT;
  memcpy(&w, witness, sizeof w);
  memcpy(again, witness, sizeof w);
  const struct rm_rules *rules = find(r, w.generation);
  if (!rules) return NO_RULES;
  enum rm_retold told = rm_witness_retell(rules, &w, frame, kept, &out);
  memcpy(again, &out, sizeof out);
  return told;
}

/* `again`: path, cause. */
int32_t rm_replay_step(const uint8_t *step, uint32_t length, uint32_t *again) {
  struct rm_step s;
  struct step out;
  if (length != sizeof s) return OTHER_LAYOUT;
  memcpy((void *)&s, step, sizeof s);
  enum step_retold told = step_retell(&s, &out);
  again[0] = out.to;
  again[1] = (uint32_t)out.cause;
  return told == STEP_SAME ? RM_RETOLD_SAME : told == STEP_OTHER ? RM_RETOLD_OTHER : RM_RETOLD_IMPOSSIBLE;
}

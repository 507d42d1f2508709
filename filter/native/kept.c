/* Kept frames: a ring and its chains. Positions wrap at 2^32; their differences are what counts. */
#include <string.h>
#include "kept.h"

#define LOOK 16      /* equal prints that are looked at for one of the same ends */
#define TRUST_SHIFT 8
#define ALL (1u << 16)
#define ENOUGH (ALL / 4 * 3)

static struct rm_place *place_of(struct rm_kept *r, uint32_t position) { return &r->place[position % RM_KEPT]; }

static struct rm_chain *chain_of(struct rm_kept *r, const struct rm_trace *t) {
  return &r->chain[(t->print >> 2) % RM_KEPT_CHAINS];
}

void rm_kept_open(struct rm_kept *r, uint32_t limit) {
  memset(r, 0, sizeof *r);
  r->limit = limit < RM_KEPT ? limit : RM_KEPT - 1; /* one position is never used */
  for (uint32_t i = 0; i < RM_KEPT_CHAINS; i++) r->chain[i] = (struct rm_chain){RM_KEPT_NONE, RM_KEPT_NONE};
  for (uint32_t i = 0; i < RM_TRACE_KINDS; i++) r->trust[i] = ALL;
}

/* Out of its chain; `before` comes before it there, or RM_KEPT_NONE. */
static void *unlink_place(struct rm_kept *r, uint32_t position, uint32_t before) {
  struct rm_place *p = place_of(r, position);
  struct rm_chain *c = chain_of(r, &p->trace);
  if (before == RM_KEPT_NONE) c->head = p->next;
  else place_of(r, before)->next = p->next;
  if (c->tail == position) c->tail = before;
  void *frame = p->frame;
  p->frame = NULL;
  return frame;
}

struct rm_place *rm_kept_oldest(struct rm_kept *r) {
  for (; r->first != r->end; r->first++) {
    struct rm_place *p = place_of(r, r->first);
    if (p->frame) return p;
  }
  return NULL;
}

/* The oldest of all is the oldest of its chain. */
void *rm_kept_take(struct rm_kept *r) {
  return rm_kept_oldest(r) ? unlink_place(r, r->first++, RM_KEPT_NONE) : NULL;
}

void *rm_kept_put(struct rm_kept *r, const struct rm_place *what) {
  void *out = NULL;
  if (r->end - r->first >= r->limit && rm_kept_oldest(r) && r->end - r->first >= r->limit) out = rm_kept_take(r);
  if (r->end == RM_KEPT_NONE) place_of(r, r->end++)->frame = NULL;
  uint32_t at = r->end++;
  struct rm_chain *c = chain_of(r, &what->trace);
  struct rm_place *place = place_of(r, at);
  *place = *what;
  place->next = RM_KEPT_NONE;
  if (c->head == RM_KEPT_NONE) c->head = at;
  else place_of(r, c->tail)->next = at;
  c->tail = at;
  return out;
}

static void learn(struct rm_kept *r, const struct rm_trace *t, bool known) {
  uint32_t *trust = &r->trust[t->print & RM_TRACE_KIND];
  *trust += known ? (ALL - *trust) >> TRUST_SHIFT : 0;
  *trust -= known ? 0 : *trust >> TRUST_SHIFT;
}

void *rm_kept_seen(struct rm_kept *r, const struct rm_trace *t) {
  uint32_t before = RM_KEPT_NONE, found = RM_KEPT_NONE, found_before = RM_KEPT_NONE, looked = 0;
  for (uint32_t at = chain_of(r, t)->head; at != RM_KEPT_NONE; before = at, at = place_of(r, at)->next) {
    const struct rm_trace *kept = &place_of(r, at)->trace;
    if (kept->print != t->print) continue;
    bool same_end = kept->from == t->from || kept->to == t->to;
    if (found == RM_KEPT_NONE || same_end) found = at, found_before = before;
    if (same_end || ++looked == LOOK) break;
  }
  learn(r, t, found != RM_KEPT_NONE);
  if (found == RM_KEPT_NONE) return NULL;
  r->last = found;
  if ((int32_t)(found + 1 - r->seen) > 0) r->seen = found + 1;
  return unlink_place(r, found, found_before);
}

void *rm_kept_expired(struct rm_kept *r, uint64_t now) {
  const struct rm_place *p = rm_kept_oldest(r);
  if (!p || now < p->ns + r->ns) return NULL;
  bool later_came = (int32_t)(r->seen - r->first) > 0;
  return later_came || now >= p->ns + RM_KEPT_OLD * r->ns ? rm_kept_take(r) : NULL;
}

bool rm_kept_trusts(const struct rm_kept *r, const struct rm_trace *trace) {
  return r->trust[trace->print & RM_TRACE_KIND] >= ENOUGH;
}

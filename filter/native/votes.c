/* Votes: what the detectors say of a box, and what it adds up to.
 *
 * A light is a statement of some moment: what is too old counts as not said, so a detector that hangs or a control that
 * is gone blames nobody. What a person has overruled by a forced order does not count either, until the same detector
 * has said something else in between.
 */
#include "reflex.h"

#define EXCUSES 2 /* own stalls lengthen the life of a statement by so many times at most */

static const struct rm_command *command(const struct reflex *r) { return &r->board->command; }

static struct rm_detection *detection(struct reflex *r, uint32_t box, enum rm_detector d) {
  return &r->board->live.detection[box * RM_DETECTORS + d];
}

static enum rm_cause cause_of(enum rm_detector d) {
  static const enum rm_cause CAUSE[RM_DETECTORS] = {RM_CAUSE_LINK, RM_CAUSE_SILENCE, RM_CAUSE_PROBE,
                                                    RM_CAUSE_BFD,  RM_CAUSE_GREY,    RM_CAUSE_CHECK};
  return CAUSE[d];
}

/* Traffic that is watched comes and goes many times a second, and says nothing new by that. Links and silence have events of
 * their own. */
static bool is_told(enum rm_detector d, const struct rm_event *e) {
  bool well = (e->before == RM_LIGHT_OFF || e->before == RM_LIGHT_GREEN) && (e->after == RM_LIGHT_OFF || e->after == RM_LIGHT_GREEN);
  return d > RM_DETECTOR_SILENCE && !(d == RM_DETECTOR_GREY && well);
}

bool votes_note(struct reflex *r, uint32_t box, enum rm_detector d, struct said said) {
  struct rm_detection *row = detection(r, box, d);
  row->detail = said.detail;
  row->seen_ns = r->now;
  r->box[box].excused_ns[d] = r->stalled_ns;
  if (row->light == said.light) return false;
  struct rm_event e = {.kind = RM_EVENT_DETECTOR, .cause = cause_of(d), .before = row->light, .after = said.light,
                       .subject = box};
  row->since_ns = r->now;
  __atomic_store_n(&row->light, said.light, __ATOMIC_RELEASE);
  if (is_told(d, &e)) event_write(r->board, r->now, &e);
  return true;
}

/* Said so long ago that it no longer counts. Time in which the node itself stood still is no age, though not without
 * end. */
static bool is_stale(const struct reflex *r, uint32_t box, enum rm_detector d) {
  uint64_t bar = command(r)->stale_ns[d], seen = r->board->live.detection[box * RM_DETECTORS + d].seen_ns;
  if (bar == 0 || r->now <= seen + bar) return false;
  uint64_t stood = r->stalled_ns - r->box[box].excused_ns[d];
  return r->now > seen + bar + (stood < EXCUSES * bar ? stood : EXCUSES * bar);
}

/* What is stale goes out. */
enum rm_cause votes_tally(struct reflex *r, uint32_t box) {
  struct box_state *b = &r->box[box];
  uint32_t against = 0, proof = 0, red = 0;
  enum rm_cause cause = RM_CAUSE_RETURN;
  for (enum rm_detector d = RM_DETECTOR_PROBE; d < RM_DETECTORS; d++) {
    struct rm_detection *row = detection(r, box, d);
    uint64_t seen = row->seen_ns;
    uint32_t bit = 1u << d;
    if (row->light != RM_LIGHT_OFF && is_stale(r, box, d)) {
      votes_note(r, box, d, (struct said){RM_LIGHT_OFF, row->detail});
      row->seen_ns = seen;
    }
    if (row->light == RM_LIGHT_GREEN || row->light == RM_LIGHT_YELLOW) b->forgiven &= ~bit; /* red again is a new death */
    if (row->light != RM_LIGHT_RED) continue;
    red |= bit;
    if ((b->forgiven & bit) || command(r)->weight[d] == 0) continue;
    if (against == 0) cause = cause_of(d);
    against += command(r)->weight[d];
    if (command(r)->last_mask & bit) proof += command(r)->weight[d];
  }
  bool more = against != b->against, enough = against >= votes_needed(r);
  b->red = red;
  b->against = r->board->live.against[box] = against;
  r->board->live.forgiven[box] = b->forgiven;
  if (proof < votes_needed(r)) b->proven_ns = 0;
  else if (b->proven_ns == 0) b->proven_ns = r->now;
  if (enough && (more || !b->outvoted)) b->outvoted_ns = r->now;
  b->outvoted = enough;
  if (enough) b->cause = cause;
  return enough ? cause : RM_CAUSE_RETURN;
}

/* Control writes it without being waited for. */
void votes_hear(struct reflex *r, uint32_t box) {
  const struct rm_check *check = &command(r)->check[box];
  uint64_t seen = __atomic_load_n(&check->seen_ns, __ATOMIC_ACQUIRE);
  struct rm_detection *row = detection(r, box, RM_DETECTOR_CHECK);
  if (seen == row->seen_ns || seen == 0) return;
  votes_note(r, box, RM_DETECTOR_CHECK, (struct said){check->light, check->detail});
  row->seen_ns = seen;
}

/* Tracks: when the next probe goes, which came back in time, and what that says of a box.
 *
 * A track is red after `fall` bad ones in a row and well again after `rise` good ones. Bad is: not seen in time, or, of a
 * probe that is to be blocked, seen. Three things are no evidence against a box: a probe that was never good since it was
 * set up (it is the probe that is wrong), time in which the node itself stood still, and what both boxes begin to lose in
 * the same moment.
 */
#include <string.h>
#include "probe_core.h"

#define HISTORY 64u      /* probes that "some are lost" is judged by */
#define SOME 4           /* of them bad: yellow */
#define FEW 1            /* ... and at most so many: green again */
#define APART_NS RM_S    /* boxes that fail within this time may share the cause */
#define EXCUSES 2        /* own stalls give a probe so many times its time more, at most */
#define APACE 2          /* probes of two boxes that began within so many intervals shared their moment */
#define SETTLED 2        /* that the other box passes counts from this part of the timeout after it was seen */

static const struct rm_probe *probe_of(const struct probes *s, const struct track *t) {
  return &s->probe[track_probe((uint32_t)(t - s->track))];
}
static struct rm_probe_view *view_of(const struct probes *s, const struct track *t) { return &s->view[t - s->track]; }
static bool is_open(const struct track *t, uint32_t number) { return t->open >> number % RM_OUTSTANDING & 1; }
static void shut(struct track *t, uint32_t number) { t->open &= ~(1ull << number % RM_OUTSTANDING); }
static bool is_blocked(const struct rm_probe *p) { return p->expect == RM_PROBE_BLOCKED; }

static void begin(struct probes *s, uint32_t i, uint64_t now) {
  const struct rm_probe *p = &s->probe[track_probe(i)];
  struct track *t = &s->track[i];
  bool in_use = track_probe(i) < s->count && (p->ways >> track_side(i) & 1) && (p->boxes >> track_box(i) & 1);
  /* Not all in the same turn. */
  *t = (struct track){.in_use = in_use, .oldest = 1, .next_ns = now + p->interval_ns * (i % 4) / 4};
  s->view[i] = (struct rm_probe_view){.light = RM_LIGHT_OFF, .reason = in_use ? RM_PROBE_NEVER : RM_PROBE_WELL};
}

void probes_set(struct probes *s, const struct rm_probe *probe, uint32_t count, uint64_t now) {
  for (uint32_t i = 0; i < RM_PROBES; i++) {
    bool was = i < s->count, is = i < count;
    if (was == is && (!is || memcmp(&s->probe[i], &probe[i], sizeof *probe) == 0)) continue;
    s->probe[i] = is ? probe[i] : (struct rm_probe){0};
    uint32_t before = s->count;
    s->count = count;
    for (uint32_t j = probe_track(i, 0, 0); j < probe_track(i + 1, 0, 0); j++) begin(s, j, now);
    s->count = before;
  }
  s->count = count;
  s->changed = true;
}

bool probes_due(struct probes *s, uint64_t now, struct probe_id *id) {
  for (uint32_t i = 0; i < s->count * RM_BOXES * RM_SIDES; i++) {
    struct track *t = &s->track[i];
    const struct rm_probe *p = probe_of(s, t);
    if (!t->in_use || now < t->next_ns) continue;
    /* After a pause no burst makes up for it. */
    t->next_ns = now - t->next_ns > p->interval_ns ? now + p->interval_ns : t->next_ns + p->interval_ns;
    if (t->number + 1 - t->oldest >= RM_OUTSTANDING) continue;
    uint32_t place = ++t->number % RM_OUTSTANDING;
    t->open |= 1ull << place;
    t->came_ns[place] = 0;
    t->sent_ns[place] = now;
    t->deadline_ns[place] = now + p->timeout_ns;
    view_of(s, t)->sent++;
    view_of(s, t)->sent_ns = now;
    *id = (struct probe_id){i, t->number};
    return true;
  }
  return false;
}

void probes_unsent(struct probes *s, struct probe_id id, enum rm_probe_reason reason) {
  struct track *t = &s->track[id.track];
  struct rm_probe_view *v = view_of(s, t);
  shut(t, id.number);
  t->sent_ns[id.number % RM_OUTSTANDING] = 0;
  v->sent--;
  if (reason == RM_PROBE_NO_MAC && v->light == RM_LIGHT_OFF) v->reason = reason;
}

void probes_forget(struct probes *s, uint32_t track) {
  struct track *t = &s->track[track];
  t->open = 0;
  t->oldest = t->number + 1;
  t->bad_row = t->good_row = 0;
  t->bad_sent_ns = t->excused_ns = 0;
}

static bool fails_alone(const struct probes *s, const struct track *t);

static void settle(struct probes *s, struct track *t) {
  const struct rm_probe *p = probe_of(s, t);
  struct rm_probe_view *v = view_of(s, t);
  uint32_t before = v->light, bad = (uint32_t)__builtin_popcountll(t->lost_bits);
  bool failed = v->reason != RM_PROBE_WELL && v->reason != RM_PROBE_SOME_LOST, some = false;
  if (t->good_row >= p->rise) t->proven = true;
  if (t->bad_row >= p->fall) {
    bool alone = v->reason == RM_PROBE_LOST || fails_alone(s, t);
    v->light = is_blocked(p) || (t->proven && alone) ? p->failure : RM_LIGHT_YELLOW;
    v->reason = is_blocked(p) ? RM_PROBE_LEAKED : !t->proven ? RM_PROBE_NEVER : alone ? RM_PROBE_LOST : RM_PROBE_NEITHER;
  } else if (t->good_row >= p->rise || !failed) {
    some = bad >= SOME || (bad > FEW && v->reason == RM_PROBE_SOME_LOST);
    v->light = some ? RM_LIGHT_YELLOW : RM_LIGHT_GREEN;
    v->reason = some ? RM_PROBE_SOME_LOST : RM_PROBE_WELL;
  }
  s->changed |= before != v->light;
}

/* Did the other box pass what was sent just before the last probe that this one lost? Only the same moment compares: after
 * a pause of all, what comes out of one box is read before what comes out of the other, so a pass counts when that other
 * would have been read as well. */
static bool passed_then(const struct probes *s, const struct track *other, const struct track *t) {
  const struct rm_probe *p = probe_of(s, t);
  uint32_t first = other->number < RM_OUTSTANDING ? 1 : other->number - RM_OUTSTANDING + 1;
  for (uint32_t n = other->number; n >= first; n--) {
    uint32_t place = n % RM_OUTSTANDING;
    uint64_t sent = other->sent_ns[place], came = other->came_ns[place];
    if (sent == 0 || sent > t->lost_sent_ns) continue; /* not sent at all, or later */
    return came && sent + APACE * p->interval_ns >= t->lost_sent_ns && s->now_ns >= came + p->timeout_ns / SETTLED;
  }
  return false;
}

/* Boxes that fail in the same moment share a cause: the host beyond, or the node itself. So it is the box's own fault if
 * another one passes probes meanwhile, or all others had failed long before. Where no host beyond takes part it is believed
 * after a while as well. */
static bool fails_alone(const struct probes *s, const struct track *t) {
  uint32_t i = (uint32_t)(t - s->track), probe = track_probe(i), box = track_box(i);
  bool apart = true;
  for (uint32_t b = 0; b < RM_BOXES; b++) {
    const struct track *other = &s->track[probe_track(probe, b, track_side(i))];
    if (b == box || !other->in_use) continue;
    if (passed_then(s, other, t)) return true;
    apart &= other->bad_sent_ns && t->bad_sent_ns > other->bad_sent_ns + APART_NS;
  }
  if (apart) return true;
  return s->probe[probe].expect == RM_PROBE_SEEN && s->now_ns > t->bad_sent_ns + APART_NS;
}

static void good(struct probes *s, struct track *t, uint64_t sent_ns) {
  /* That one was blocked is known late: by then others, sent after it, may have come through. */
  if (sent_ns < t->bad_sent_ns) {
    t->lost_bits <<= 1;
    return;
  }
  t->good_row++;
  t->bad_row = 0;
  t->bad_sent_ns = t->excused_ns = 0;
  t->lost_bits <<= 1;
  settle(s, t);
}

static void bad(struct probes *s, struct track *t, uint64_t sent_ns) {
  t->bad_row++;
  t->good_row = 0;
  t->lost_bits = t->lost_bits << 1 | 1;
  if (t->bad_sent_ns == 0) t->bad_sent_ns = sent_ns;
  t->lost_sent_ns = sent_ns;
  settle(s, t);
}

uint32_t rm_delay_place(uint64_t ns) {
  if (ns < 1024) return 0;
  uint32_t top = 63 - (uint32_t)__builtin_clzll(ns), place = 2 * (top - 10) + (ns >> (top - 1) & 1) + 1;
  return place < RM_DELAYS ? place : RM_DELAYS - 1;
}

uint64_t rm_delay_of(uint32_t place) {
  if (place == 0) return 512;
  uint64_t low = 1024ull << (place - 1) / 2;
  return (place - 1) % 2 ? low + low * 3 / 4 : low + low / 4;
}

static void measure(struct rm_probe_view *v, uint64_t sent_ns, uint64_t ns) {
  uint64_t took = ns > sent_ns ? ns - sent_ns : 0;
  if (v->seen == 0 || took < v->delay_ns_min) v->delay_ns_min = took;
  if (took > v->delay_ns_max) v->delay_ns_max = took;
  v->delay[rm_delay_place(took)]++;
  v->seen++;
  v->seen_ns = ns;
}

uint64_t probes_seen(struct probes *s, struct probe_id id, uint64_t ns) {
  struct track *t = &s->track[id.track];
  const struct rm_probe *p = probe_of(s, t);
  if (!t->in_use) return 0;
  uint32_t back = t->number - id.number;
  if (p->kind == RM_PROBE_TCP) back &= RM_TCP_NUMBERS;
  uint32_t number = t->number - back, place = number % RM_OUTSTANDING;
  if (back >= RM_OUTSTANDING || back >= t->number) return 0;
  struct rm_probe_view *v = view_of(s, t);
  if (is_open(t, number)) {
    shut(t, number);
    t->came_ns[place] = ns;
    measure(v, t->sent_ns[place], ns);
    if (is_blocked(p)) bad(s, t, t->sent_ns[place]);
    else good(s, t, t->sent_ns[place]);
    return t->sent_ns[place];
  }
  if ((int32_t)(t->oldest - number) > 0 && v->late < v->lost) {
    /* It took too long, but the box is not dead. */
    v->late++;
    v->seen_ns = ns;
    if (is_blocked(p)) bad(s, t, t->sent_ns[place]);
    else t->bad_row = 0, t->bad_sent_ns = 0;
  }
  return 0;
}

/* Of probes that all look alike the oldest that is missing has come. */
uint64_t probes_seen_raw(struct probes *s, uint32_t track, uint64_t ns) {
  struct track *t = &s->track[track];
  for (uint32_t n = t->oldest; n != t->number + 1; n++)
    if (is_open(t, n)) return probes_seen(s, (struct probe_id){track, n}, ns);
  if (t->oldest > 1) probes_seen(s, (struct probe_id){track, t->oldest - 1}, ns);
  return 0;
}

void probes_excuse(struct probes *s, uint64_t lost_ns) {
  for (uint32_t i = 0; i < s->count * RM_BOXES * RM_SIDES; i++) {
    struct track *t = &s->track[i];
    uint64_t most = EXCUSES * probe_of(s, t)->timeout_ns;
    if (!t->in_use || t->open == 0 || t->excused_ns >= most) continue;
    uint64_t left = most - t->excused_ns, more = lost_ns < left ? lost_ns : left;
    t->excused_ns += more;
    view_of(s, t)->excused += (uint64_t)__builtin_popcountll(t->open);
    for (uint32_t n = t->oldest; n != t->number + 1; n++)
      if (is_open(t, n)) t->deadline_ns[n % RM_OUTSTANDING] += more;
  }
}

static void judge_track(struct probes *s, struct track *t, uint64_t seen_ns) {
  while (t->oldest != t->number + 1) {
    uint32_t place = t->oldest % RM_OUTSTANDING;
    if (is_open(t, t->oldest)) {
      if (seen_ns < t->deadline_ns[place]) return;
      shut(t, t->oldest);
      view_of(s, t)->lost++;
      if (is_blocked(probe_of(s, t))) good(s, t, t->sent_ns[place]);
      else bad(s, t, t->sent_ns[place]);
    }
    t->oldest++;
  }
}

void probes_judge(struct probes *s, const uint64_t seen_ns[RM_SIDES]) {
  for (uint32_t i = 0; i < s->count * RM_BOXES * RM_SIDES; i++) {
    struct track *t = &s->track[i];
    if (!t->in_use) continue;
    bool comes_back = probe_of(s, t)->expect == RM_PROBE_ANSWERED;
    s->now_ns = seen_ns[comes_back ? track_side(i) : 1 - track_side(i)];
    judge_track(s, t, s->now_ns);
    /* What was put down to both may turn out to be the fault of one. */
    if (t->bad_row >= probe_of(s, t)->fall) settle(s, t);
  }
}

struct said probes_box(const struct probes *s, uint32_t box) {
  struct said said = {RM_LIGHT_OFF, 0};
  for (uint32_t i = 0; i < s->count * RM_BOXES * RM_SIDES; i++) {
    if (!s->track[i].in_use || track_box(i) != box) continue;
    const struct rm_probe_view *v = &s->view[i];
    if (v->light < said.light || (v->light == said.light && said.light != RM_LIGHT_OFF)) continue;
    said = (struct said){v->light, v->reason << 16 | track_side(i) << 8 | track_probe(i)};
  }
  return said;
}

uint64_t probes_wake_ns(const struct probes *s) {
  uint64_t wake = UINT64_MAX;
  for (uint32_t i = 0; i < s->count * RM_BOXES * RM_SIDES; i++) {
    const struct track *t = &s->track[i];
    if (!t->in_use) continue;
    uint64_t deadline = is_open(t, t->oldest) && t->oldest != t->number + 1 ? t->deadline_ns[t->oldest % RM_OUTSTANDING]
                                                                           : UINT64_MAX;
    uint64_t first = t->next_ns < deadline ? t->next_ns : deadline;
    if (first < wake) wake = first;
  }
  return wake;
}

/* What is usual on a way through a box, how long a silence on it is unusual, and whose silence it is.
 *
 * Where output never pauses, a few milliseconds without any are news; where boxes hiccup, they are not. So the longest
 * silence that ended by itself is remembered, slowly forgotten, and several of them make the bar. Below silence_ns
 * it falls only where much has been seen, and only while output is steady: the edge of a burst proves nothing.
 *
 * Boxes do not die in the same moment, but machines pause: where a standby that passed probes until now passes none
 * either, the silence is not the serving box's own.
 */
#include "reflex.h"

#define MARGIN 4       /* times what is usual */
#define STEADY 60      /* a way without a pause for this part of the time to learn is steady */
#define FORGET 2048    /* part of what is remembered that goes each second: half of it in 24 minutes */
#define FORGET_S_MAX 8192
#define OFTEN 2        /* a bystander has to pass so many probes in the bar at least */
#define SHARED 10      /* with nobody known to pass, silence has to last so many bars: as for the last box */
#define READ_NS 2000000u /* after a pause what the boxes held is read within so long, one after the other */

static void forget(struct learnt *l, uint64_t now) {
  uint64_t seconds = now > l->decayed_ns ? (now - l->decayed_ns) / RM_S : 0;
  if (seconds == 0) return;
  l->decayed_ns += seconds * RM_S;
  if (seconds > FORGET_S_MAX) l->quiet_ns = 0;
  else for (; seconds > 0 && l->quiet_ns >= FORGET; seconds--) l->quiet_ns -= l->quiet_ns / FORGET;
}

void learnt_out(struct learnt *l, const struct rm_command *c, uint64_t now, uint64_t quiet_ns) {
  uint64_t gap = now - l->out_ns;
  if (gap == 0) return; /* of one turn the first frame says all */
  /* A pause of the traffic and one of the box, or of the node itself, look alike from here: all of them make careful. */
  if (l->out_ns == 0 || gap >= c->silence_ns_min) l->steady_ns = now;
  else l->watched_ns += gap;
  l->out_ns = now;
  forget(l, now);
  if (quiet_ns > l->quiet_ns) l->quiet_ns = quiet_ns;
}

void learnt_hiccup(struct learnt *l, uint64_t quiet_ns) {
  if (quiet_ns > l->quiet_ns) l->quiet_ns = quiet_ns;
}

void learnt_begin(struct learnt *l) { l->out_ns = 0; }

static uint64_t bar_of_box(const struct learnt *l, const struct rm_command *c) {
  uint64_t usual = MARGIN * l->quiet_ns, least = c->silence_ns, most = c->silence_ns;
  if (c->silence_ns_min == 0) return c->silence_ns;
  bool steady = l->out_ns && l->out_ns - l->steady_ns >= c->silence_learn_ns / STEADY;
  if (steady && l->watched_ns >= c->silence_learn_ns && c->silence_ns_min < least) least = c->silence_ns_min;
  if (c->silence_ns_max > most) most = c->silence_ns_max;
  return usual < least ? least : usual > most ? most : usual;
}

uint64_t learnt_bar(const struct learnt *l, const struct rm_command *c) {
  return c->silence_ns ? bar_of_box(l, c) + l->slack_ns : 0;
}

void bystander_passed(struct reflex *r, uint32_t box, uint64_t sent_ns, uint64_t pace_ns) {
  r->box[box].passed_ns = r->now;
  r->box[box].pace_ns = pace_ns;
  for (uint32_t side = 0; (int)box != reflex_serving(r) && side < RM_SIDES; side++) {
    struct way *w = &r->way[side];
    if (w->enough_ns && w->bystander_ns == 0 && sent_ns >= w->enough_ns) w->bystander_ns = r->now;
  }
}

/* It passed probes until the silence began, and so often that it would have passed one by now. */
static bool is_bystander(const struct box_state *b, const struct way *w, uint64_t bar_ns) {
  uint64_t began = w->enough_ns - w->excused_ns; /* before the node's own stalls moved it */
  return b->pace_ns && OFTEN * b->pace_ns <= bar_ns && box_links(b) && b->passed_ns + bar_ns >= began;
}

bool silence_is_shared(const struct reflex *r, const struct way *w, uint64_t bar_ns) {
  if (r->now >= w->enough_ns + SHARED * bar_ns) return false;
  if (w->bystander_ns) return r->now < w->bystander_ns + READ_NS;
  for (uint32_t box = 0; box < r->boxes; box++)
    if ((int)box != reflex_serving(r) && is_bystander(&r->box[box], w, bar_ns)) return true;
  return false;
}

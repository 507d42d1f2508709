/* What is usual on a way through a box, and how long a silence on it is unusual.
 *
 * Where output never pauses, a few milliseconds without any are news; where boxes hiccup, they are not. So the longest
 * silence that ended by itself is remembered, slowly forgotten, and several of them make the bar. Below silence_ns
 * it falls only where much has been seen, and only while output is steady: the edge of a burst proves nothing.
 */
#include "reflex.h"

#define MARGIN 4       /* times what is usual */
#define STEADY 60      /* a way without a pause for this part of the time to learn is steady */
#define FORGET 2048    /* part of what is remembered that goes each second: half of it in 24 minutes */
#define FORGET_S_MAX 8192

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

uint64_t learnt_bar(const struct learnt *l, const struct rm_command *c) {
  uint64_t usual = MARGIN * l->quiet_ns, least = c->silence_ns, most = c->silence_ns;
  if (c->silence_ns == 0 || c->silence_ns_min == 0) return c->silence_ns;
  bool steady = l->out_ns && l->out_ns - l->steady_ns >= c->silence_learn_ns / STEADY;
  if (steady && l->watched_ns >= c->silence_learn_ns && c->silence_ns_min < least) least = c->silence_ns_min;
  if (c->silence_ns_max > most) most = c->silence_ns_max;
  return usual < least ? least : usual > most ? most : usual;
}

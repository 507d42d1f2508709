/* The steps of a seed. */
#include "seed_steps.h"

static bool is_late(const struct seed_steps *s, uint64_t now) {
  return now > s->played_ns && now - s->played_ns >= s->wait_ns;
}

static enum seed_action play(struct seed_steps *s, uint64_t now) {
  s->played_ns = now;
  return SEED_PLAY;
}

/* The first frame was played, and what becomes of it decides. */
static enum seed_action wait_for_it(struct seed_steps *s, uint64_t now) {
  if (!is_late(s, now)) return SEED_WAIT;
  if (s->tries < RM_SEED_TRIES) {
    s->tries++;
    s->step = 0;
    return play(s, now);
  }
  s->waits = false;
  return s->step < s->steps ? play(s, now) : SEED_OVER;
}

#define ANSWERED 2 /* frames were played */

static bool waits_for_answer(struct seed_steps *s, uint64_t now) {
  if (!s->answers || s->answered || s->step != ANSWERED) return false;
  s->answers = !is_late(s, now);
  return s->answers;
}

/* All were played. Without numbers of its own nothing that it would believe can be said to the box. */
static enum seed_action end(struct seed_steps *s, uint64_t now) {
  if (!s->confirms || s->confirmed || s->reset || s->heard == SEED_NOTHING) return SEED_OVER;
  if (!is_late(s, now)) return SEED_WAIT;
  s->step = s->tries = 0;
  s->heard = SEED_NOTHING;
  s->answered = false;
  s->reset = s->waits = s->answers = true;
  return SEED_RESET;
}

enum seed_action seed_next(struct seed_steps *s, uint64_t now) {
  if (s->away) return SEED_WAIT;
  if (s->step == 0) {
    s->tries = s->tries ? s->tries : 1;
    return play(s, now);
  }
  if (s->heard == SEED_OTHER) return SEED_OVER;
  if (s->waits && s->heard == SEED_NOTHING) return wait_for_it(s, now);
  if (s->step == s->steps) return end(s, now);
  if (waits_for_answer(s, now)) return SEED_WAIT;
  if (s->paced && now <= s->played_ns) return SEED_WAIT;
  return play(s, now);
}

void seed_hurry(struct seed_steps *s) { s->waits = s->paced = s->answers = s->confirms = false; }

enum seed_outcome seed_outcome(const struct seed_steps *s) {
  if (s->heard == SEED_SAME) return SEED_ALIKE;
  if (s->heard == SEED_FOLLOWED) return SEED_TRANSLATED;
  if (s->heard == SEED_OTHER) return SEED_UNLIKE;
  return s->tries == RM_SEED_TRIES && !s->waits ? SEED_UNHEARD : SEED_UNASKED;
}

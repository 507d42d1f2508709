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
#define DENIED_PART 8 /* of the time that is waited for a frame: by then the other end's reset has gone through the box */

/* Without numbers of its own nothing that it would believe can be said to the box. */
static enum seed_action start_over(struct seed_steps *s, uint64_t now) {
  if (s->reset != SEED_FIRST) return SEED_OVER;
  s->reset = SEED_DENIED;
  s->played_ns = now;
  return SEED_DENIAL;
}

static enum seed_action renew(struct seed_steps *s, uint64_t now) {
  if (s->confirms && (now <= s->played_ns || now - s->played_ns < s->wait_ns / DENIED_PART)) return SEED_WAIT;
  s->step = s->tries = 0;
  s->heard = SEED_NOTHING;
  s->answered = s->confirmed = false;
  s->reset = SEED_RENEWED;
  s->waits = s->answers = s->confirms;
  return SEED_RESET;
}

/* True: *next is what to do about the answer. */
static bool is_for_answer(struct seed_steps *s, uint64_t now, enum seed_action *next) {
  if (!s->answers || s->answered || s->step != ANSWERED) return false;
  *next = SEED_WAIT;
  if (!is_late(s, now)) return true;
  s->answers = false;
  if (!s->confirms || s->heard == SEED_NOTHING) return false;
  /* What is left would have numbers of which the box knows nothing. */
  *next = start_over(s, now);
  return true;
}

/* All were played. */
static enum seed_action end(struct seed_steps *s, uint64_t now) {
  if (s->proves && !s->answered && !is_late(s, now)) return SEED_WAIT;
  if (!s->confirms || s->confirmed || s->reset == SEED_RENEWED || s->heard == SEED_NOTHING) return SEED_OVER;
  return is_late(s, now) ? start_over(s, now) : SEED_WAIT;
}

enum seed_action seed_next(struct seed_steps *s, uint64_t now) {
  enum seed_action next;
  if (s->away) return SEED_WAIT;
  if (s->reset == SEED_DENIED) return renew(s, now);
  if (s->step == 0) {
    s->tries = s->tries ? s->tries : 1;
    return play(s, now);
  }
  if (s->heard == SEED_OTHER) return SEED_OVER;
  if (s->waits && s->heard == SEED_NOTHING) return wait_for_it(s, now);
  if (s->step == s->steps) return end(s, now);
  if (is_for_answer(s, now, &next)) return next;
  if (s->paced && now <= s->played_ns) return SEED_WAIT;
  return play(s, now);
}

void seed_hurry(struct seed_steps *s) { s->waits = s->paced = s->answers = s->proves = s->confirms = false; }

enum seed_outcome seed_outcome(const struct seed_steps *s) {
  /* It never answered: what is left was not played. */
  if (s->reset == SEED_RENEWED && s->step == ANSWERED && !s->answered) return SEED_UNHEARD;
  if (s->heard == SEED_SAME) return SEED_ALIKE;
  if (s->heard == SEED_FOLLOWED) return SEED_TRANSLATED;
  if (s->heard == SEED_OTHER) return SEED_UNLIKE;
  return s->tries == RM_SEED_TRIES && !s->waits ? SEED_UNHEARD : SEED_UNASKED;
}

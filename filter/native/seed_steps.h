/* The steps of a seed: what is to be played next, and when. Pure: the time and what was heard of the first frame go in.
 *
 *   begin ---> play 1 ---> [heard the same] ---> play 2 ... n ---> over
 *               ^   |----> [heard otherwise] --> play 2 ... n, if somebody translates, else over
 *               |   |----> late ----> once more
 *               +---+                  then play 2 ... n: better a box that may not follow than a flow that waits
 *
 * A box that is known to choose the same tuple is not waited for. One that follows a connection twice is waited for after each of the
 * first two frames. So is one that renumbers, as the second one's number on the other side is its choice as well, and again at the
 * end: it may hold half a connection under other numbers, and let out a handshake of which it believes nothing. Then each end
 * resets what there is, the other end first, for which the opener waits a moment, and all is played once more. A paced seed plays
 * one frame in a turn. One that proves is to tell whether the box lets answers back.
 */
#ifndef RM_SEED_STEPS_H
#define RM_SEED_STEPS_H
#include <stdbool.h>
#include <stdint.h>

#define RM_SEED_TRIES 2

/* What is known of the first frame: nothing, that it came out as the network knows the flow, or as something else, which may be
 * translated. */
enum seed_heard { SEED_NOTHING, SEED_SAME, SEED_OTHER, SEED_FOLLOWED };
enum seed_action { SEED_WAIT, SEED_PLAY, SEED_DENIAL, SEED_RESET, SEED_OVER };
enum seed_renewal { SEED_FIRST, SEED_DENIED, SEED_RENEWED };
/* How it ended. */
enum seed_outcome {
  SEED_UNASKED, /* the box was known to choose the same */
  SEED_ALIKE,   /* it chose the same */
  SEED_TRANSLATED, /* it chose otherwise, and the node translates */
  SEED_UNLIKE,  /* it chose otherwise, and nobody does: the rest was not played */
  SEED_UNHEARD, /* the first frame did not come out, and the rest was played all the same; or one that renumbers never answered */
  SEED_OUTCOMES
};

struct seed_steps {
  uint8_t step, steps; /* the next one to play, and how many there are */
  uint8_t tries;       /* how often the first one was played */
  uint8_t heard;       /* enum seed_heard */
  bool waits;          /* for the first frame to come out */
  bool answers;        /* and for the second */
  bool answered;       /* which it did */
  bool proves;         /* nothing waits for the second, but it is not over before that has come out, or is late */
  bool confirms;       /* the third frame has to come out as well */
  bool confirmed;      /* which it did */
  uint8_t reset;       /* it did not, and all begins once more: enum seed_renewal */
  bool paced;          /* one frame in a turn */
  bool away;           /* another worker is playing a frame */
  uint64_t wait_ns;    /* for the first frame, each time */
  uint64_t played_ns;  /* when the last frame was played */
};

/* What to do now. SEED_PLAY: the frame of number `step`, which is played as soon as this returns. SEED_DENIAL: a reset in
 * the other end's name, SEED_RESET: in the opener's; both are no steps. */
enum seed_action seed_next(struct seed_steps *s, uint64_t now);
/* No more waiting: what is left is played at once. */
void seed_hurry(struct seed_steps *s);
/* Of one that is over. */
enum seed_outcome seed_outcome(const struct seed_steps *s);
#endif

/* The steps of a seed, by hand: what is played when, and how it ends.
 *
 *   seed_steps      a line for each story: a number for each frame played, . for a moment of waiting; what it shows is in
 *                   seed_steps_test.ts
 */
#include <stdio.h>
#include <stdlib.h>
#include "seed_steps.h"

#define MS 1000000ull

static struct seed_steps s;
static uint64_t now;

static void begin(const char *story, struct seed_steps how) {
  printf("%s%s: ", now ? "\n" : "", story);
  s = how;
  s.steps = 4;
  s.wait_ns = 20 * MS;
  now = 5000 * MS;
}

/* As its owner does: everything that may be played now. True: it is over. */
static bool look(void) {
  static const char *const OUTCOME[SEED_OUTCOMES] = {"unasked", "alike", "translated", "unlike", "unheard"};
  for (;;) {
    switch (seed_next(&s, now)) {
      case SEED_WAIT: return putchar('.'), false;
      case SEED_PLAY: printf("%d", ++s.step); break;
      case SEED_DENIAL: printf("D"); break;
      case SEED_RESET: printf("R"); break;
      default: return printf(" %s", OUTCOME[seed_outcome(&s)]), true;
    }
  }
}

static void later(uint64_t ns) { now += ns, look(); }

static void stories(void) {
  begin("known to be alike", (struct seed_steps){0}), look();
  begin("heard alike", (struct seed_steps){.waits = true}), look(), later(MS), s.heard = SEED_SAME, later(MS);
  begin("heard otherwise", (struct seed_steps){.waits = true}), look(), s.heard = SEED_OTHER, look();
  begin("heard otherwise, and translated", (struct seed_steps){.waits = true}), look();
  s.heard = SEED_FOLLOWED, look();
  begin("heard the second time", (struct seed_steps){.waits = true}), look(), later(19 * MS), later(MS), s.heard = SEED_SAME, look();
  begin("never heard", (struct seed_steps){.waits = true}), look(), later(20 * MS), later(19 * MS), later(MS);
  begin("a clock that steps back", (struct seed_steps){.waits = true}), look(), now -= 50 * MS, look(), later(69 * MS), later(MS);
  begin("hurried", (struct seed_steps){.waits = true}), look(), seed_hurry(&s), look();
  begin("one in a turn", (struct seed_steps){.paced = true}), look(), look();
  for (int n = 0; n < 3; n++) later(1);
  begin("one in a turn, and waits", (struct seed_steps){.paced = true, .waits = true}), look(), later(1), s.heard = SEED_SAME;
  for (int n = 0; n < 3; n++) later(1);
  begin("one that renumbers", (struct seed_steps){.waits = true, .answers = true}), look(), s.heard = SEED_FOLLOWED, look(), later(MS);
  s.answered = true, look();
  begin("its answer is never heard", (struct seed_steps){.waits = true, .answers = true}), look(), s.heard = SEED_FOLLOWED, look();
  later(19 * MS), later(MS);
  begin("its answer is not translated", (struct seed_steps){.waits = true, .answers = true}), look(), s.heard = SEED_SAME, look();
  s.answered = true, s.heard = SEED_OTHER, look();
  begin("believed", (struct seed_steps){.waits = true, .answers = true, .confirms = true}), look(), s.heard = SEED_FOLLOWED, s.answered = true;
  look(), s.confirmed = true, look();
  begin("not believed", (struct seed_steps){.waits = true, .answers = true, .confirms = true}), look(), s.heard = SEED_FOLLOWED;
  s.answered = true, look(), later(19 * MS), later(MS), later(2 * MS), later(MS), s.heard = SEED_FOLLOWED, look(), s.answered = true, look();
  begin("its answer is never heard, and it has to believe", (struct seed_steps){.waits = true, .answers = true, .confirms = true}), look();
  s.heard = SEED_FOLLOWED, look(), later(20 * MS), later(3 * MS), s.heard = SEED_FOLLOWED, look(), later(20 * MS);
  begin("the other end has denied, and nobody has time", (struct seed_steps){.waits = true, .answers = true, .confirms = true}), look();
  s.heard = SEED_FOLLOWED, look(), later(20 * MS), seed_hurry(&s), look();
  begin("never heard, so never believed", (struct seed_steps){.waits = true, .answers = true, .confirms = true}), look();
  later(20 * MS), later(20 * MS), later(20 * MS);
  begin("to be proved, by an answer that comes out late", (struct seed_steps){.proves = true, .paced = true}), look();
  for (int n = 0; n < 3; n++) later(1);
  s.heard = SEED_SAME, later(MS), s.answered = true, look();
  begin("to be proved, and the answer never comes out", (struct seed_steps){.proves = true, .waits = true}), look(), s.heard = SEED_SAME;
  look(), later(19 * MS), later(MS);
  begin("to be proved, and hurried", (struct seed_steps){.proves = true}), look(), seed_hurry(&s), look();
  begin("away", (struct seed_steps){0}), s.away = true, look(), later(90 * MS), s.away = false, look();
}

/* Any order of anything: it ends, and plays each frame after the first once, or once more after a reset; the last ones not where
 * a box that renumbers never says how. */
static void any(uint32_t n) {
  begin("any", (struct seed_steps){0});
  srandom(1);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t played[4] = {0}, looks = 0;
    s = (struct seed_steps){.steps = 4, .wait_ns = 20 * MS, .waits = random() % 2, .answers = random() % 2, .paced = random() % 2, .confirms = random() % 2, .proves = random() % 2};
    uint32_t resets = 0;
    for (enum seed_action a; (a = seed_next(&s, now)) != SEED_OVER; now += (uint64_t)random() % (30 * MS)) {
      if (a == SEED_PLAY) played[s.step++]++;
      resets += a == SEED_RESET;
      if (random() % 16 == 0) s.confirmed = true;
      if (random() % 8 == 0 && !s.heard) s.heard = (uint8_t)(random() % 4);
      if (random() % 8 == 0) s.answered = true;
      if (random() % 64 == 0) seed_hurry(&s);
      if (++looks > 1000) abort();
    }
    bool mute = s.reset == SEED_RENEWED && s.step == 2 && !s.answered;
    if (s.heard != SEED_OTHER && s.step != 4 && !mute) abort();
    if (resets > 1 || played[0] < 1 + resets || played[0] > RM_SEED_TRIES * (1 + resets)) abort();
    for (uint32_t k = 1; k < 4; k++)
      if (played[k] > 1 + resets) abort();
  }
  printf("whole\n");
}

int main(void) {
  stories();
  any(100000);
  return 0;
}

/* The hold ring against a plain list, by a seed: frames go in, some come out, in the order of their kind, some never.
 *
 *   kept STEPS SEED     a line of what was counted; ends with 1 at the first difference
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kept.h"
#include "once.h"

#define LIMIT 200u
#define LIST 100000u

struct item { uintptr_t frame; struct rm_trace trace; uint64_t ns; };
static struct item list[LIST];
static uint32_t first, end;
static struct rm_kept ring;
static struct rm_once once;

static uint32_t chance(uint32_t n) { return (uint32_t)random() % n; }
static void differ(const char *what, uint32_t step) { printf("%s differs at step %u\n", what, step), exit(1); }
static bool same_end(const struct rm_trace *a, const struct rm_trace *b) { return a->from == b->from || a->to == b->to; }

/* The oldest of the same print and one of the same ends, else the oldest of the same print. */
static uintptr_t model_seen(const struct rm_trace *t) {
  uint32_t found = end;
  for (uint32_t i = first; i < end; i++) {
    if (!list[i].frame || list[i].trace.print != t->print) continue;
    if (found == end || same_end(&list[i].trace, t)) found = i;
    if (same_end(&list[i].trace, t)) break;
  }
  if (found == end) return 0;
  uintptr_t frame = list[found].frame;
  list[found].frame = 0;
  return frame;
}

static uintptr_t model_take(void) {
  while (first < end && !list[first].frame) first++;
  return first < end ? list[first++].frame : 0;
}

static uint32_t play(uint32_t steps) {
  uint32_t found = 0;
  uintptr_t next = 1;
  for (uint32_t step = 0; step < steps && end < LIST; step++) {
    struct rm_trace t = {.print = chance(40) << 2, .from = (uint16_t)chance(3), .to = (uint16_t)chance(3)};
    if (chance(5) < 3) {
      struct rm_place what = {.frame = (void *)next, .trace = t, .ns = step};
      while (first < end && !list[first].frame) first++;
      uintptr_t out = end - first >= LIMIT ? model_take() : 0;
      if ((uintptr_t)rm_kept_put(&ring, &what) != out) differ("put", step);
      list[end++] = (struct item){next++, t, step};
    } else {
      uintptr_t out = model_seen(&t);
      if ((uintptr_t)rm_kept_seen(&ring, &t) != out) differ("seen", step);
      found += out != 0;
    }
  }
  for (uintptr_t left; (left = model_take());)
    if ((uintptr_t)rm_kept_take(&ring) != left) differ("the rest", steps);
  if (rm_kept_take(&ring)) differ("the end", steps);
  return found;
}

/* Old frames go when something later came out, or after RM_KEPT_OLD times their time. */
static void age(void) {
  struct rm_trace a = {.print = 4}, b = {.print = 8};
  rm_kept_open(&ring, LIMIT);
  ring.ns = 10;
  rm_kept_put(&ring, &(struct rm_place){.frame = &a, .trace = a, .ns = 0});
  rm_kept_put(&ring, &(struct rm_place){.frame = &b, .trace = b, .ns = 1});
  printf("silent %d", rm_kept_expired(&ring, 39) != NULL);
  rm_kept_seen(&ring, &b);
  printf(" young %d", rm_kept_expired(&ring, 9) != NULL);
  printf(" passed %d", rm_kept_expired(&ring, 10) == &a);
  rm_kept_put(&ring, &(struct rm_place){.frame = &a, .trace = a, .ns = 20});
  printf(" kept %d gone %d\n", rm_kept_expired(&ring, 59) != NULL, rm_kept_expired(&ring, 60) == &a);
}

/* Two of one print played, one of them also copied: who comes out when, {old 0, new 1}. */
static void order(const char *boxes) {
  static uint32_t number;
  rm_once_expect(&once, ++number, 77, false);
  rm_once_expect(&once, number, 77, false);
  printf("%s ", boxes);
  for (const char *b = boxes; *b; b++) printf("%d", rm_once_passes(&once, number, 77, *b == 'n'));
  printf("\n");
}

int main(int n, char **argument) {
  if (n != 3) return 2;
  srandom((unsigned)atoi(argument[2]));
  rm_kept_open(&ring, LIMIT);
  printf("found %d\n", play((uint32_t)atoi(argument[1])) > 1000);
  age();
  order("oonn"), order("nnoo"), order("onno"), order("nnnoo"), order("ono");
  rm_once_expect(&once, 99, 5, true);
  printf("copied %d", rm_once_passes(&once, 99, 5, true));
  printf("%d", rm_once_passes(&once, 99, 5, true));
  printf("%d\n", rm_once_passes(&once, 99, 5, true));
  printf("other %d\n", rm_once_passes(&once, 100, 5, true));
  return 0;
}

/* Stress of the ring between two workers, for ThreadSanitizer.
 *
 * One thread puts argv[1] numbered messages, each with a word of memory that was written just before; another takes
 * them. Both make pauses that argv[2] seeds, so that the ring is empty, full and in between. Positions begin shortly
 * before they wrap. Says how many were taken, out of order, torn, and how often the ring refused.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include "crossing.h"

static struct crossing ring;
static uint64_t total, refused, misplaced, torn, words[2 * RM_CROSSING];

/* splitmix64: any seed is good. */
static uint64_t chance(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* Now and then one of the two is not run for a while. */
static void pause_sometimes(uint64_t *state) {
  if (chance(state) % 1024 == 0)
    for (uint64_t n = chance(state) % 64; n > 0; n--) sched_yield();
}

static void *put_all(void *seed) {
  uint64_t state = *(uint64_t *)seed;
  for (uint64_t i = 0; i < total; i++) {
    uint64_t *word = &words[i % (2 * RM_CROSSING)];
    *word = i ^ total; /* a plain word: the ring has to order it */
    struct message m = {.kind = MESSAGE_FRAME, .slot = (uint32_t)i, .pointer = word};
    while (!crossing_put(&ring, &m)) {
      refused++;
      sched_yield();
    }
    pause_sometimes(&state);
  }
  return NULL;
}

static void *take_all(void *seed) {
  uint64_t state = *(uint64_t *)seed ^ 1;
  struct message m;
  for (uint64_t i = 0; i < total; i++) {
    while (!crossing_take(&ring, &m)) sched_yield();
    misplaced += m.slot != (uint32_t)i || m.kind != MESSAGE_FRAME;
    torn += *(uint64_t *)m.pointer != (i ^ total);
    pause_sometimes(&state);
  }
  return NULL;
}

/* How many fit at once, and whether one more fits after one was taken. */
static void fill(void) {
  struct message m = {.kind = MESSAGE_LINK}, taken;
  uint32_t room = 0;
  while (crossing_put(&ring, &m)) m.slot = ++room;
  bool waits = crossing_waits(&ring), first = crossing_take(&ring, &taken) && taken.slot == 0;
  bool again = crossing_put(&ring, &m), full = !crossing_put(&ring, &m);
  uint32_t left = 0;
  while (crossing_take(&ring, &taken)) left++;
  printf("room %u\nfirst %d\nagain %d\nfull %d\nleft %u\nwaits %d %d\n", room, first, again, full, left, waits,
         crossing_waits(&ring));
}

int main(int n, char **argument) {
  if (n != 3) return fprintf(stderr, "usage: crossing MESSAGES SEED\n"), 2;
  ring.writer.at = ring.writer.other = ring.reader.at = ring.reader.other = UINT32_MAX - 1000;
  fill();
  total = strtoull(argument[1], NULL, 10);
  uint64_t seed = strtoull(argument[2], NULL, 10);
  pthread_t thread[2];
  if (pthread_create(&thread[0], NULL, put_all, &seed) || pthread_create(&thread[1], NULL, take_all, &seed)) return 1;
  pthread_join(thread[0], NULL);
  pthread_join(thread[1], NULL);
  printf("taken %lu\nmisplaced %lu\ntorn %lu\nrefused %lu\n", total, misplaced, torn, refused);
  return 0;
}

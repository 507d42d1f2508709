/* The capture ring with threads that write while another reads, under the sanitizers.
 *
 * Every record says in each of its bytes who it is, so a torn one gives itself away. Rings are far too small on purpose:
 * being overtaken is the normal case here. Prints "taken missed written" for each part.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "capture.h"

#define WRITERS 2
#define RECORDS 200000u
#define SNAP 100u

static void *map;
static uint32_t running;

static uint8_t mark(uint64_t sequence, uint32_t ring, uint32_t at) {
  return (uint8_t)(sequence * 31 + ring * 101 + at);
}

static void write_one(struct capture *c, uint32_t ring, uint64_t time, uint32_t bytes) {
  uint8_t frame[2 * SNAP];
  uint64_t sequence = c->next;
  for (uint32_t i = 0; i < bytes; i++) frame[i] = mark(sequence, ring, i);
  struct rm_captured seen = {.mono_ns = time, .wire_bytes = (uint32_t)sequence, .role = (uint8_t)ring,
                             .tap = RM_TAP_IN, .why = mark(sequence, ring, 0), .rule = mark(sequence, ring, 1)};
  capture_write(c, &seen, frame, bytes);
}

static void *writer(void *argument) {
  uint32_t ring = (uint32_t)(uintptr_t)argument;
  struct capture c;
  capture_open(&c, map, ring);
  for (uint32_t i = 0; i < RECORDS; i++) write_one(&c, ring, rm_mono_ns(), 1 + i % (2 * SNAP - 1));
  __atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
  return NULL;
}

struct tally { uint64_t taken, last[WRITERS], time; };

/* Look at what was taken; every byte of it. */
static void check(struct tally *t, const uint8_t *out, uint32_t used, bool ordered) {
  for (uint32_t at = 0; at < used;) {
    const struct rm_captured *r = (const struct rm_captured *)(out + at);
    assert(r->role < WRITERS && r->sequence > t->last[r->role]);
    assert(r->wire_bytes == (uint32_t)r->sequence && r->bytes >= 1 && r->bytes <= SNAP);
    assert(r->why == mark(r->sequence, r->role, 0) && r->rule == mark(r->sequence, r->role, 1));
    for (uint32_t i = 0; i < r->bytes; i++) assert(((const uint8_t *)(r + 1))[i] == mark(r->sequence, r->role, i));
    if (ordered) assert(r->mono_ns >= t->time);
    t->time = r->mono_ns;
    t->last[r->role] = r->sequence;
    t->taken++;
    at += (uint32_t)(sizeof *r + r->bytes + 7) & ~7u;
  }
}

static void stress(const char *path) {
  static uint64_t room[8192 / 8];
  uint8_t *out = (uint8_t *)room;
  int32_t error;
  struct rm_capture_reader *r = rm_capture_open(path, &error);
  struct tally t = {0};
  pthread_t thread[WRITERS];
  assert(r && rm_capture_choose(r, RM_TAP_BIT(RM_TAP_IN, 0) | RM_TAP_BIT(RM_TAP_IN, 1), NULL, 0) == 0);
  running = WRITERS;
  for (uintptr_t i = 0; i < WRITERS; i++) assert(pthread_create(&thread[i], NULL, writer, (void *)i) == 0);
  for (bool last = false; !last;) {
    last = __atomic_load_n(&running, __ATOMIC_ACQUIRE) == 0;
    for (uint32_t used; (used = rm_capture_take(r, UINT64_MAX, out, sizeof room)) > 0;) check(&t, out, used, false);
  }
  for (uint32_t i = 0; i < WRITERS; i++) pthread_join(thread[i], NULL);
  printf("stress %lu %lu %u\n", t.taken, rm_capture_missed(r), WRITERS * RECORDS);
  rm_capture_close(r);
}

/* One thread, so that every number is known. */
static void exact(const char *path, uint32_t slots) {
  static uint64_t room[1 << 16];
  int32_t error;
  struct capture c[WRITERS];
  struct rm_capture_reader *r = rm_capture_open(path, &error);
  struct tally t = {0};
  assert(r && rm_capture_choose(r, RM_TAP_BIT(RM_TAP_IN, 0) | RM_TAP_BIT(RM_TAP_IN, 1), NULL, 0) == 0);
  for (uint32_t i = 0; i < WRITERS; i++) capture_open(&c[i], map, i);
  for (uint32_t i = 0; i < slots; i++) write_one(&c[i % 3 == 0], i % 3 == 0, 1000 + i, SNAP);
  uint32_t used = rm_capture_take(r, 1000 + slots / 2, (uint8_t *)room, sizeof room);
  check(&t, (uint8_t *)room, used, true);
  printf("until %lu %lu %u\n", t.taken, rm_capture_missed(r), slots / 2);
  check(&t, (uint8_t *)room, rm_capture_take(r, UINT64_MAX, (uint8_t *)room, sizeof room), true);
  printf("all %lu %lu %u\n", t.taken, rm_capture_missed(r), slots);
  for (uint32_t i = 0; i < 3 * slots; i++) write_one(&c[0], 0, 5000 + i, 1);
  check(&t, (uint8_t *)room, rm_capture_take(r, UINT64_MAX, (uint8_t *)room, sizeof room), true);
  printf("overtaken %lu %lu %u\n", t.taken, rm_capture_missed(r), 4 * slots);
  struct rm_bpf longer_than_3[] = {{0x80, 0, 0, 0}, {0x35, 0, 1, 0}, {6, 0, 0, 1}, {6, 0, 0, 0}};
  uint64_t base = c[0].next;
  longer_than_3[1].k = (uint32_t)base + 3; /* the wire length of a record is its sequence here */
  assert(rm_capture_choose(r, RM_TAP_BIT(RM_TAP_IN, 0), longer_than_3, 4) == 0);
  for (uint32_t i = 0; i < 8; i++) write_one(&c[0], 0, 9000 + i, 1), write_one(&c[1], 1, 9000 + i, 1);
  struct tally chosen = {0};
  check(&chosen, (uint8_t *)room, rm_capture_take(r, UINT64_MAX, (uint8_t *)room, sizeof room), true);
  printf("chosen %lu %lu %u\n", chosen.taken, chosen.last[1], 5);
  assert(rm_capture_choose(r, 0, longer_than_3, RM_BPF_MAX + 1) == -1);
  rm_capture_close(r);
}

static void refusals(const char *path, const struct rm_board *board) {
  int32_t error;
  struct rm_board odd = *board;
  odd.setup.capture_bytes = UINT16_MAX + 1;
  assert(!rm_capture_create(path, &odd, 1, &error) && error != 0);
  odd.setup.capture_room = 0;
  assert(!rm_capture_create(path, &odd, 1, &error) && error == 0);
  assert(!rm_capture_open(path, &error) && error != 0);
  FILE *f = fopen(path, "w");
  for (int i = 0; i < 4096; i++) fputc(i, f);
  fclose(f);
  assert(!rm_capture_open(path, &error) && error != 0);
}

int main(int argc, char **argv) {
  assert(argc == 3);
  uint32_t slots = (uint32_t)atoi(argv[2]);
  int32_t error;
  static struct rm_board board;
  board.setup.capture_room = WRITERS * slots * 192; /* a head of 40 bytes and SNAP, in whole lines */
  board.setup.capture_bytes = SNAP;
  map = rm_capture_create(argv[1], &board, WRITERS, &error);
  assert(map && error == 0 && ((struct rm_capture_header *)map)->slots == slots);
  exact(argv[1], slots);
  stress(argv[1]);
  refusals(argv[1], &board);
  return 0;
}

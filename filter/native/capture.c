/* The capture ring: the plane writes, control reads, nobody waits.
 *
 * A record's sequence is 0 while it is written and its number when it is whole, so a reader that finds the number it
 * expects before and after its copy has an untorn one. Each thread that moves frames has a ring of its own; a reader
 * goes through all of them in the order of time. What it came too late for it counts.
 */
#include "capture.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LATE 8 /* a reader that was overtaken goes this part of the ring ahead, or it would be overtaken again at once */

struct rm_capture_reader {
  struct rm_capture_header *file;
  size_t bytes;
  uint64_t missed;
  uint64_t next[RM_CAPTURE_RINGS];
  uint32_t wanted, bpf_count;
  struct rm_bpf bpf[RM_BPF_MAX];
};

static struct rm_capture_ring *ring_of(const struct rm_capture_header *h, uint32_t ring) {
  return (struct rm_capture_ring *)((char *)h + h->ring_offset + ring * h->ring_bytes);
}

void capture_open(struct capture *c, void *map, uint32_t ring) {
  *c = (struct capture){.file = map};
  if (!map) return;
  c->ring = ring_of(map, ring);
  c->slots = (uint8_t *)(c->ring + 1);
  c->next = c->ring->written + 1;
  c->mask = c->file->slots - 1;
  c->slot_bytes = c->file->slot_bytes;
  c->snap_bytes = c->file->snap_bytes;
  capture_clock(c);
}

void capture_clock(struct capture *c) {
  struct timespec t;
  if (!c->file) return;
  clock_gettime(CLOCK_REALTIME, &t);
  c->wall_offset_ns = (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec - rm_mono_ns();
}

static struct rm_captured *slot_of(uint8_t *slots, uint64_t sequence, uint32_t mask, uint32_t slot_bytes) {
  return (struct rm_captured *)(slots + (size_t)(sequence & mask) * slot_bytes);
}

void capture_write_behind(struct capture *c, const struct rm_captured *seen, struct capture_piece head, struct capture_piece frame) {
  uint64_t sequence = c->next++;
  struct rm_captured *slot = slot_of(c->slots, sequence, c->mask, c->slot_bytes), whole = *seen;
  whole.sequence = 0;
  whole.wall_ns = seen->mono_ns + c->wall_offset_ns;
  uint32_t room = c->snap_bytes - head.bytes, bytes = frame.bytes < room ? frame.bytes : room;
  whole.bytes = (uint16_t)(head.bytes + bytes);
  __atomic_store_n(&slot->sequence, 0, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE); /* nobody sees what follows with the old number */
  *slot = whole;
  if (head.bytes) memcpy(slot + 1, head.at, head.bytes);
  memcpy((uint8_t *)(slot + 1) + head.bytes, frame.at, bytes);
  __atomic_store_n(&slot->sequence, sequence, __ATOMIC_RELEASE);
  __atomic_store_n(&c->ring->written, sequence, __ATOMIC_RELEASE);
  const char *next = (const char *)slot_of(c->slots, c->next, c->mask, c->slot_bytes);
  for (uint32_t at = 0; at < c->slot_bytes && at < 4 * RM_CACHE_LINE; at += RM_CACHE_LINE)
    __builtin_prefetch(next + at, 1);
}

#define HEADER(member) \
  {"header." #member, offsetof(struct rm_capture_header, member), sizeof(((struct rm_capture_header *)0)->member), 1, 0}
#define RECORD(member) \
  {"record." #member, offsetof(struct rm_captured, member), sizeof(((struct rm_captured *)0)->member), 1, 0}
#define WITNESS(member) \
  {"witness." #member, offsetof(struct rm_witness, member), sizeof(((struct rm_witness *)0)->member), 1, 0}
static const struct rm_field FIELDS[] = {
    HEADER(rings), HEADER(slots), HEADER(slot_bytes), HEADER(record_bytes), HEADER(snap_bytes), HEADER(boot),
    HEADER(wanted), RECORD(sequence), RECORD(mono_ns), RECORD(wall_ns), RECORD(wire_bytes), RECORD(bytes), RECORD(role),
    RECORD(tap), RECORD(why), RECORD(rule),
    {"witness", 0, sizeof(struct rm_witness), 1, 0}, WITNESS(kind), WITNESS(observed), WITNESS(known), WITNESS(why),
    WITNESS(rule), WITNESS(shed), WITNESS(generation),
};
#define LINES(bytes) (((size_t)(bytes) + RM_CACHE_LINE - 1) & ~(size_t)(RM_CACHE_LINE - 1))

/* What a ring is to hold: so many bytes of each frame, in so much room. */
struct wish { uint32_t bytes, room, rings; };

static struct rm_capture_header shape_of(const struct rm_board *board, struct wish wish) {
  struct rm_capture_header h = {
      .abi = RM_ABI_VERSION, .field_offset = sizeof h, .field_count = sizeof FIELDS / sizeof *FIELDS,
      .field_bytes = sizeof *FIELDS, .rings = wish.rings, .slots = 1,
      .slot_bytes = (uint32_t)LINES(sizeof(struct rm_captured) + wish.bytes),
      .record_bytes = sizeof(struct rm_captured), .snap_bytes = wish.bytes, .boot = board->header.boot};
  while (2ull * h.slots * h.slot_bytes * wish.rings <= wish.room) h.slots *= 2;
  h.ring_offset = LINES(sizeof h + sizeof FIELDS);
  h.ring_bytes = sizeof(struct rm_capture_ring) + (uint64_t)h.slots * h.slot_bytes;
  h.size = h.ring_offset + wish.rings * h.ring_bytes;
  return h;
}

static void *create(const char *path, const struct rm_board *board, struct wish wish, int32_t *error) {
  *error = 0;
  if (unlink(path) < 0 && errno != ENOENT) return *error = errno, NULL;
  if (wish.room == 0) return NULL;
  if (wish.bytes == 0 || wish.bytes > UINT16_MAX || wish.rings == 0 || wish.rings > RM_CAPTURE_RINGS)
    return *error = EINVAL, NULL;
  struct rm_capture_header h = shape_of(board, wish);
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return *error = errno, NULL;
  /* Room is taken now: a full file system must say so here and not by a signal in the loop. */
  *error = posix_fallocate(fd, 0, (off_t)h.size);
  char *map = *error ? MAP_FAILED : mmap(NULL, h.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (!*error && map == MAP_FAILED) *error = errno;
  close(fd);
  if (*error) return unlink(path), NULL;
  memcpy(map, &h, sizeof h);
  memcpy(map + h.field_offset, FIELDS, sizeof FIELDS);
  __atomic_store_n(&((struct rm_capture_header *)map)->magic, RM_CAPTURE_MAGIC, __ATOMIC_RELEASE);
  return map;
}

/* Make the capture file of a new plane, by the setup on its board, whose lock the caller holds. Always a new file: a
 * reader of the one before keeps its pages. Null with *error = errno; null with 0: the setup wants none. */
void *rm_capture_create(const char *path, const struct rm_board *board, uint32_t rings, int32_t *error) {
  return create(path, board, (struct wish){board->setup.capture_bytes, board->setup.capture_room, rings}, error);
}

void *rm_recorder_create(const char *path, const struct rm_board *board, uint32_t rings, int32_t *error) {
  uint32_t bytes = board->setup.recorder_bytes;
  if (bytes > UINT16_MAX) return *error = EINVAL, NULL;
  return create(path, board, (struct wish){(uint32_t)sizeof(struct rm_witness) + bytes, board->setup.recorder_room, rings}, error);
}

static bool makes_sense(const struct rm_capture_header *h, size_t bytes) {
  return h->magic == RM_CAPTURE_MAGIC && h->abi == RM_ABI_VERSION && h->size == bytes && h->rings > 0 &&
         h->rings <= RM_CAPTURE_RINGS && h->slots > 0 && (h->slots & (h->slots - 1)) == 0 &&
         h->snap_bytes <= UINT16_MAX && sizeof(struct rm_captured) + h->snap_bytes <= h->slot_bytes &&
         h->ring_bytes == sizeof(struct rm_capture_ring) + (uint64_t)h->slots * h->slot_bytes &&
         h->ring_offset + h->rings * h->ring_bytes == bytes;
}

/* A reader of what is written from now on. Null with *error = errno; EAGAIN: no capture file of this version. */
struct rm_capture_reader *rm_capture_open(const char *path, int32_t *error) {
  struct stat s;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return *error = errno, NULL;
  void *map = MAP_FAILED;
  *error = fstat(fd, &s) < 0 ? errno : (size_t)s.st_size < sizeof(struct rm_capture_header) ? EAGAIN : 0;
  if (!*error && (map = mmap(NULL, (size_t)s.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
    *error = errno;
  close(fd);
  if (*error) return NULL;
  struct rm_capture_reader *r = calloc(1, sizeof *r);
  *error = !r ? ENOMEM : makes_sense(map, (size_t)s.st_size) ? 0 : EAGAIN;
  if (*error) return munmap(map, (size_t)s.st_size), free(r), NULL;
  r->file = map;
  r->bytes = (size_t)s.st_size;
  for (uint32_t i = 0; i < r->file->rings; i++)
    r->next[i] = __atomic_load_n(&ring_of(map, i)->written, __ATOMIC_ACQUIRE) + 1;
  return r;
}

void rm_capture_close(struct rm_capture_reader *r) {
  munmap(r->file, r->bytes);
  free(r);
}

void *rm_capture_map(const struct rm_capture_reader *r) { return r->file; }

/* What the plane is to write, for all readers together. */
void rm_capture_want(struct rm_capture_reader *r, uint32_t wanted) {
  __atomic_store_n(&r->file->wanted, wanted, __ATOMIC_RELEASE);
}

/* What this reader takes: taps, and what the program accepts. -1: the program is too long. */
int32_t rm_capture_choose(struct rm_capture_reader *r, uint32_t wanted, const struct rm_bpf *program, uint32_t count) {
  if (count > RM_BPF_MAX) return -1;
  if (count) memcpy(r->bpf, (const void *)program, count * sizeof *program);
  r->bpf_count = count;
  r->wanted = wanted;
  return 0;
}

uint64_t rm_capture_missed(const struct rm_capture_reader *r) { return r->missed; }

static const struct rm_captured *expected(const struct rm_capture_reader *r, uint32_t ring) {
  return slot_of((uint8_t *)(ring_of(r->file, ring) + 1), r->next[ring], r->file->slots - 1, r->file->slot_bytes);
}

/* Still the record that the reader expects there? To be asked after it was copied. */
static bool untorn(const struct rm_capture_reader *r, uint32_t ring, const struct rm_captured *slot) {
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return __atomic_load_n(&slot->sequence, __ATOMIC_RELAXED) == r->next[ring];
}

static void skip(struct rm_capture_reader *r, uint32_t ring, uint64_t records) {
  r->next[ring] += records;
  r->missed += records;
}

/* Time of the ring's next record; UINT64_MAX: there is none. Steps over what was overwritten. */
static uint64_t next_time(struct rm_capture_reader *r, uint32_t ring) {
  uint32_t slots = r->file->slots;
  for (;;) {
    uint64_t written = __atomic_load_n(&ring_of(r->file, ring)->written, __ATOMIC_ACQUIRE);
    if (r->next[ring] > written) return UINT64_MAX;
    uint64_t behind = written - r->next[ring];
    if (behind >= slots) skip(r, ring, behind - slots + 1 + slots / LATE);
    const struct rm_captured *slot = expected(r, ring);
    uint64_t sequence = __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE);
    uint64_t time = __atomic_load_n(&slot->mono_ns, __ATOMIC_RELAXED);
    if (sequence == r->next[ring] && untorn(r, ring, slot)) return time;
    skip(r, ring, 1);
  }
}

static bool accepts(const struct rm_capture_reader *r, const struct rm_captured *got) {
  if (got->tap >= RM_TAPS || got->role >= RM_ROLES || !(r->wanted & RM_TAP_BIT(got->tap, got->role))) return false;
  struct rm_cut cut = {got->wire_bytes, got->bytes};
  return r->bpf_count == 0 || rm_bpf_run_cut(r->bpf, r->bpf_count, (const uint8_t *)(got + 1), cut) != 0;
}

/* Copy records older than `until_ns`, over all rings in the order of time, to `out`, each padded to 8 bytes, until
 * `room` might not hold another. Returns the bytes used. `out` is aligned to 8. */
uint32_t rm_capture_take(struct rm_capture_reader *r, uint64_t until_ns, uint8_t *out, uint32_t room) {
  uint64_t time[RM_CAPTURE_RINGS];
  uint32_t rings = r->file->rings, used = 0, snap = r->file->snap_bytes;
  for (uint32_t i = 0; i < rings; i++) time[i] = next_time(r, i);
  while (used + r->file->slot_bytes <= room) {
    uint32_t first = 0;
    for (uint32_t i = 1; i < rings; i++)
      if (time[i] < time[first]) first = i;
    if (time[first] >= until_ns) break;
    const struct rm_captured *slot = expected(r, first);
    struct rm_captured *got = (struct rm_captured *)(out + used);
    memcpy(got, slot, sizeof *got);
    uint32_t bytes = got->bytes < snap ? got->bytes : snap; /* before it is known to be untorn */
    memcpy(got + 1, slot + 1, bytes);
    if (!untorn(r, first, slot)) {
      skip(r, first, 1);
    } else {
      r->next[first]++;
      if (accepts(r, got)) used += (uint32_t)(sizeof *got + bytes + 7) & ~7u;
    }
    time[first] = next_time(r, first);
  }
  return used;
}

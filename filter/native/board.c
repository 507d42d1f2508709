/* The board's life: create it, describe every field in it, map it again from another process.
 *
 * The description is what spares TypeScript from repeating offsets: a field is found by its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "board.h"

struct describe { struct rm_field *field; uint32_t n; };

static void add(struct describe *d, const char *name, size_t offset, size_t width, size_t n, size_t stride) {
  if (d->n == RM_FIELDS) abort(); /* the tests make a board */
  struct rm_field *f = &d->field[d->n++];
  snprintf(f->name, sizeof f->name, "%s", name);
  f->offset = (uint32_t)offset;
  f->width = (uint32_t)width;
  f->count = (uint32_t)n;
  f->stride = (uint32_t)stride;
}
#define WIDTH(type, member) sizeof(((type *)0)->member)
/* One scalar of a part of the board. */
#define ONE(part, member) \
  add(d, #part "." #member, offsetof(struct rm_board, part.member), WIDTH(struct rm_board, part.member), 1, 0)
/* An array of scalars inside a part. */
#define MANY(part, member, n) \
  add(d, #part "." #member, offsetof(struct rm_board, part.member), WIDTH(struct rm_board, part.member[0]), n, \
      WIDTH(struct rm_board, part.member[0]))
/* A member of an array of structures. */
#define EACH(label, array, member, n) \
  add(d, label "." #member, offsetof(struct rm_board, array[0].member), WIDTH(struct rm_board, array[0].member), n, \
      WIDTH(struct rm_board, array[0]))
#define FLOW(member) add(d, "flow." #member, offsetof(struct rm_flow, member), WIDTH(struct rm_flow, member), 1, 0)
#define FLOW_EACH(member, n) \
  add(d, "flow." #member, offsetof(struct rm_flow, member), WIDTH(struct rm_flow, member[0]), n, \
      WIDTH(struct rm_flow, member[0]))
#define HALF(member) \
  add(d, "flow.half." #member, offsetof(struct rm_flow, half[0].member), WIDTH(struct rm_flow, half[0].member), 2, \
      sizeof(struct rm_half))

static void describe_header(struct describe *d) {
  ONE(header, magic), ONE(header, abi), ONE(header, size), ONE(header, state), ONE(header, plane_pid);
  ONE(header, flow_bytes), ONE(header, boot), ONE(header, started_wall_ns), ONE(header, flow_slots);
  ONE(header, version), ONE(header, error);
  MANY(header, flow_offset, RM_SIDES);
  MANY(setup, spec, RM_ROLES);
  ONE(setup, flow_slots), ONE(setup, frame_bytes_max), ONE(setup, huge), ONE(setup, memory_mib);
  ONE(setup, core), ONE(setup, spin_us), ONE(setup, capture_room), ONE(setup, capture_bytes);
  ONE(setup, cores);
}

static void describe_command(struct describe *d) {
  ONE(command, rule_generation), ONE(command, rule_count);
  MANY(command, age_ns, RM_AGES);
  EACH("rule", command.rules, name, RM_RULES);
  EACH("rule", command.rules, bpf_count, RM_RULES);
  EACH("rule", command.rules, handshake, RM_RULES);
  EACH("rule", command.rules, teardown, RM_RULES);
  EACH("rule", command.rules, all, RM_RULES);
  EACH("rule", command.rules, none, RM_RULES);
  EACH("rule", command.rules, seed, RM_RULES);
  EACH("rule", command.rules, first_packets, RM_RULES);
  EACH("rule", command.rules, first_payload_packets, RM_RULES);
  EACH("rule", command.rules, acks, RM_RULES);
  EACH("rule", command.rules, plaintext, RM_RULES);
  EACH("rule", command.rules, keepalive_window, RM_RULES);
  EACH("rule", command.rules, first_bytes_up, RM_RULES);
  EACH("rule", command.rules, first_bytes_down, RM_RULES);
  EACH("rule", command.rules, turn_bytes_up, RM_RULES);
  EACH("rule", command.rules, turn_bytes_down, RM_RULES);
  EACH("rule", command.rules, turn_bytes_max, RM_RULES);
  EACH("rule", command.rules, sample, RM_RULES);
  EACH("rule", command.rules, keepalive_ns, RM_RULES);
  EACH("rule", command.rules, bpf, RM_RULES);
  ONE(command, inner), ONE(command, budget_bytes), ONE(command, budget_packets);
  ONE(command, silence_ns), ONE(command, silence_packets), ONE(command, dead_path), ONE(command, hold_up_ns);
  ONE(command, drain_ns), ONE(command, stall_ns), ONE(command, automatic), ONE(command, order_path);
  ONE(command, order_sequence), ONE(command, stop);
}

static void describe_port(struct describe *d) {
  EACH("port", live.port, rx_packets, RM_ROLES);
  EACH("port", live.port, rx_bytes, RM_ROLES);
  EACH("port", live.port, tx_packets, RM_ROLES);
  EACH("port", live.port, tx_bytes, RM_ROLES);
  EACH("port", live.port, tx_full, RM_ROLES);
  EACH("port", live.port, rx_missed, RM_ROLES);
  EACH("port", live.port, mirrored_packets, RM_ROLES);
  EACH("port", live.port, mirrored_bytes, RM_ROLES);
  EACH("port", live.port, link_changes, RM_ROLES);
  EACH("port", live.port, link_ns, RM_ROLES);
  EACH("port", live.port, link, RM_ROLES);
  EACH("port", live.port, mtu, RM_ROLES);
  EACH("port", live.port, mac, RM_ROLES);
  EACH("port", live.port, driver, RM_ROLES);
}

#define NAMED(label, array, n) EACH(label, array, name, n), EACH(label, array, packets, n), EACH(label, array, bytes, n)

static void describe_live(struct describe *d) {
  ONE(live, path), ONE(live, order_done), ONE(live, rule_done), ONE(live, poll), ONE(live, huge), ONE(live, draining);
  ONE(live, switches), ONE(live, turns), ONE(live, heartbeat_ns), ONE(live, loop_ns_max), ONE(live, cpu_ns);
  ONE(live, path_since_ns), ONE(live, event_sequence), ONE(live, event_read);
  MANY(live, flows, RM_SIDES);
  EACH("box", live.box, alive, RM_BOXES);
  EACH("box", live.box, silent, RM_BOXES);
  EACH("box", live.box, down_ns, RM_BOXES);
  EACH("box", live.box, up_ns, RM_BOXES);
  EACH("box", live.box, in_packets, RM_BOXES);
  EACH("box", live.box, out_packets, RM_BOXES);
  NAMED("counter", live.counter, RM_COUNTERS);
  NAMED("why", live.why, RM_WHYS);
  NAMED("shed", live.shed, RM_WHYS);
  NAMED("parse", live.parse, RM_PARSES);
  NAMED("copied", live.rule, RM_RULES);
}

static void describe_workers(struct describe *d) {
  ONE(live, workers);
  EACH("worker", live.worker, cpu, RM_WORKERS);
  EACH("worker", live.worker, ports, RM_WORKERS);
  EACH("worker", live.worker, queue, RM_WORKERS);
  EACH("worker", live.worker, poll, RM_WORKERS);
  EACH("worker", live.worker, turns, RM_WORKERS);
  EACH("worker", live.worker, loop_ns_max, RM_WORKERS);
  EACH("worker", live.worker, cpu_ns, RM_WORKERS);
  EACH("worker", live.worker, heartbeat_ns, RM_WORKERS);
  EACH("worker", live.worker, rx_packets, RM_WORKERS);
  EACH("worker", live.worker, tx_packets, RM_WORKERS);
}

static void describe_event(struct describe *d) {
  EACH("event", event, sequence, RM_EVENTS);
  EACH("event", event, mono_ns, RM_EVENTS);
  EACH("event", event, wall_ns, RM_EVENTS);
  EACH("event", event, kind, RM_EVENTS);
  EACH("event", event, cause, RM_EVENTS);
  EACH("event", event, before, RM_EVENTS);
  EACH("event", event, after, RM_EVENTS);
  EACH("event", event, subject, RM_EVENTS);
  EACH("event", event, order, RM_EVENTS);
  EACH("event", event, silent_ns, RM_EVENTS);
  EACH("event", event, lost_packets, RM_EVENTS);
}

static void describe_flow(struct describe *d) {
  FLOW_EACH(addr, 2);
  FLOW_EACH(port, 2);
  FLOW(vlan), FLOW(proto), FLOW(age), FLOW(outer_dir), FLOW(rule), FLOW(flags), FLOW(rule_generation);
  FLOW(first_ns), FLOW(last_ns), FLOW(peer), FLOW(seed_switch), FLOW(nature), FLOW(turn_left), FLOW(turn_spent);
  HALF(bytes), HALF(payload_bytes), HALF(mirrored_ns), HALF(packets), HALF(payload_packets), HALF(mirrored);
  HALF(copied), HALF(next), HALF(ack), HALF(window), HALF(scale), HALF(flags);
}

static const char *const COUNTER_NAME[RM_COUNTERS] = {
    "tx_full", "mirror_full", "blocked", "shadow", "drained", "arp_answered", "arp_unknown", "seeded",
    "seed_unpaired", "seed_swallowed", "seed_full", "flow_evicted", "flow_expired", "event_lost", "too_big", "stalls",
    "flow_evicted_live", "handover_full", "crossing_full", "seed_held"};
static const char *const WHY_NAME[RM_WHYS] = {"none", "neighbour", "handshake", "teardown", "keepalive", "first",
                                              "payload", "ack", "fragment", "bytes", "turn", "sample", "all"};
static const char *const PARSE_NAME[RM_PARSES] = {
    "flow", "neighbour", "link_local", "not_ip", "fragment", "short_ethernet", "short_vlan", "deep_vlan",
    "short_ip", "bad_ip_version", "bad_ip_header", "bad_ip_length", "deep_ipv6", "short_transport", "bad_tcp_offset"};

static void name_all(struct rm_named *to, const char *const *from, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) snprintf(to[i].name, sizeof to[i].name, "%s", from[i]);
}

static size_t board_bytes(uint32_t slots) {
  return sizeof(struct rm_board) + (size_t)RM_SIDES * slots * sizeof(struct rm_flow);
}

void board_fill(struct rm_board *b, uint32_t slots, const char *version) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  struct describe d = {b->field, 0};
  describe_header(&d);
  describe_command(&d);
  describe_port(&d);
  describe_live(&d);
  describe_workers(&d);
  describe_event(&d);
  describe_flow(&d);
  name_all(b->live.counter, COUNTER_NAME, RM_COUNTERS);
  name_all(b->live.why, WHY_NAME, RM_WHYS);
  name_all(b->live.shed, WHY_NAME, RM_WHYS);
  name_all(b->live.parse, PARSE_NAME, RM_PARSES);
  b->header = (struct rm_header){
      .abi = RM_ABI_VERSION, .size = board_bytes(slots), .field_offset = offsetof(struct rm_board, field),
      .field_count = d.n, .field_bytes = sizeof(struct rm_field), .state = RM_STATE_SETUP,
      .flow_bytes = sizeof(struct rm_flow), .flow_slots = slots, .plane_pid = (uint32_t)getpid(),
      .started_wall_ns = (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec,
      .flow_offset = {sizeof(struct rm_board), sizeof(struct rm_board) + (size_t)slots * sizeof(struct rm_flow)}};
  b->header.boot = b->header.started_wall_ns * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid();
  snprintf(b->header.version, sizeof b->header.version, "%s", version);
  b->setup.flow_slots = slots;
  /* The magic last: a reader that sees it sees the rest. */
  __atomic_store_n(&b->header.magic, RM_MAGIC, __ATOMIC_RELEASE);
}

/* A lock on the open file: it goes with its last descriptor, and can be asked for without being taken. */
static int whole_file(int fd, int what, struct flock *lock) {
  *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(fd, what, lock) < 0 ? -errno : 0;
}

static bool same_file(int fd, const char *name) {
  struct stat ours, there;
  return fstat(fd, &ours) == 0 && stat(name, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* Take "<path>.lock". Returns a descriptor, which carries it, or -errno (-EAGAIN: held). */
static int take_lock(const char *path, int flags) {
  char name[4096];
  snprintf(name, sizeof name, "%s.lock", path);
  for (;;) {
    int fd = open(name, flags | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    struct flock lock;
    int e = whole_file(fd, F_OFD_SETLK, &lock);
    if (e == 0 && same_file(fd, name)) return fd;
    close(fd);
    if (e < 0) return e == -EACCES ? -EAGAIN : e;
    /* rm_board_remove() came between our two steps. */
  }
}

#define HUGE_BYTES ((size_t)2 << 20)
#define PIECE_BYTES ((size_t)32 << 20)
#define LARGE_NS 1000000000ull
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Map the whole file where large pages can stand. Flow tables are visited at random, and with pages of 4 KiB the search
 * for the page costs as much as the visit. */
static void *map_whole(int fd, size_t bytes) {
  char *room = mmap(NULL, bytes + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return room;
  char *at = (char *)(((uintptr_t)room + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
  char *end = at + ((bytes + 4095) & ~(size_t)4095);
  if (at > room) munmap(room, (size_t)(at - room));
  if (room + bytes + HUGE_BYTES > end) munmap(end, (size_t)(room + bytes + HUGE_BYTES - end));
  void *map = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
  if (map == MAP_FAILED) munmap(at, bytes);
  return map;
}

/* Piece by piece, for a start must not take long: the rest has small pages then. It goes fastest where each place holds
 * one small page and no more. A kernel that has none to give changes nothing. */
static void ask_for_large_pages(int fd, char *map, size_t bytes) {
  size_t whole = bytes & ~(HUGE_BYTES - 1);
  uint64_t until = rm_mono_ns() + LARGE_NS;
  for (size_t at = 0; at < whole && rm_mono_ns() < until; at += PIECE_BYTES) {
    size_t n = whole - at < PIECE_BYTES ? whole - at : PIECE_BYTES;
    for (size_t page = 0; page < n; page += HUGE_BYTES)
      if (posix_fallocate(fd, (off_t)(at + page), 1) != 0) return;
    if (madvise(map + at, n, MADV_COLLAPSE) < 0) return;
  }
}

/* Create the board file of a new plane and hold its lock for the life of this process. The file is always a
 * new one: a reader that still maps the board of a dead plane keeps its pages.
 * Returns the mapping, or null with *error = errno (EAGAIN: a plane already holds it). */
RM_EXPORT void *rm_board_create(const char *path, uint32_t slots, const char *version, int32_t *error) {
  size_t bytes = board_bytes(slots);
  int lock = take_lock(path, O_CREAT); /* stays open */
  if (lock < 0) return *error = -lock, NULL;
  if (unlink(path) < 0 && errno != ENOENT) return *error = errno, NULL;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return *error = errno, NULL;
  if (ftruncate(fd, (off_t)bytes) < 0) return *error = errno, close(fd), unlink(path), NULL;
  void *map = map_whole(fd, bytes);
  *error = map == MAP_FAILED ? errno : 0;
  if (!*error) ask_for_large_pages(fd, map, bytes);
  /* Room is taken now: a file system that is full must say so here and not by a signal in the loop. */
  if (!*error) *error = posix_fallocate(fd, 0, (off_t)bytes);
  close(fd);
  if (*error) return unlink(path), NULL;
  madvise(map, bytes, MADV_POPULATE_WRITE);
  board_fill(map, slots, version);
  return map;
}

/* Map an existing board. Returns null with *error = errno; EAGAIN: not a complete board. *bytes: its size. */
RM_EXPORT void *rm_board_open(const char *path, uint64_t *bytes, int32_t *error) {
  *error = 0;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return *error = errno, NULL;
  struct stat s;
  if (fstat(fd, &s) < 0) return *error = errno, close(fd), NULL;
  if ((size_t)s.st_size < sizeof(struct rm_header)) return *error = EAGAIN, close(fd), NULL;
  void *map = map_whole(fd, (size_t)s.st_size);
  *error = errno;
  close(fd);
  if (map == MAP_FAILED) return NULL;
  *error = 0;
  *bytes = (uint64_t)s.st_size;
  return map;
}

RM_EXPORT void rm_board_close(void *map, uint64_t bytes) { munmap(map, bytes); }

/* 1: a living plane holds the board; 0: none does; negative: -errno. Asking takes nothing, so that it never stands in
 * the way of a plane that starts. */
RM_EXPORT int32_t rm_board_held(const char *path) {
  char name[4096];
  snprintf(name, sizeof name, "%s.lock", path);
  int fd = open(name, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? 0 : -errno;
  struct flock lock;
  int e = whole_file(fd, F_OFD_GETLK, &lock);
  close(fd);
  return e < 0 ? e : lock.l_type != F_UNLCK;
}

/* Remove what a plane left that has ended: its board and its lock. Returns 0 or -errno (-EAGAIN: a plane lives). */
RM_EXPORT int32_t rm_board_remove(const char *path) {
  char name[4096];
  snprintf(name, sizeof name, "%s.lock", path);
  int lock = take_lock(path, 0);
  if (lock < 0) return lock == -ENOENT ? 0 : lock;
  int e = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
  if (e == 0 && unlink(name) < 0) e = -errno;
  close(lock);
  return e;
}

RM_EXPORT uint32_t rm_abi_version(void) { return RM_ABI_VERSION; }

/* Release-ordered store and acquire-ordered load of one word, for the generation numbers. */
RM_EXPORT void rm_store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
RM_EXPORT uint64_t rm_mono_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

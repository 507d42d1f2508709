/* The board's life: create it, map it again from another process, hold its lock. What is in it: describe.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "board.h"

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

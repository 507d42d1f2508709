/* Carrier: counts of sysfs. It shows the interfaces of the namespace in which it was mounted, which may be another one than
 * ours; then a private mount of it, without a place in the file system, is asked instead.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "carrier.h"

#define CREATE 6  /* FSCONFIG_CMD_CREATE */
#define CLOEXEC 1 /* of fsopen and fsmount */
#define TRIES 8

static int64_t number_at(int fd) {
  char text[24];
  ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
  if (n <= 0) return -1;
  text[n] = 0;
  return strtoll(text, NULL, 10);
}

static int file_of(int sysfs, const char *name, const char *what) {
  char path[96];
  snprintf(path, sizeof path, "class/net/%s/%s", name, what);
  return openat(sysfs, path, O_RDONLY | O_CLOEXEC);
}

static int64_t read_once(int sysfs, const char *name, const char *what) {
  int fd = file_of(sysfs, name, what);
  int64_t number = number_at(fd);
  if (fd >= 0) close(fd);
  return number;
}

/* A mount of sysfs for the network namespace of this thread; -1: not permitted. */
static int private_sysfs(void) {
  int context = (int)syscall(SYS_fsopen, "sysfs", CLOEXEC), mount = -1;
  if (context < 0) return -1;
  if (syscall(SYS_fsconfig, context, CREATE, NULL, NULL, 0) == 0) mount = (int)syscall(SYS_fsmount, context, CLOEXEC, 0);
  close(context);
  return mount;
}

static int sysfs_of(const char *name, int interface) {
  int shared = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (shared >= 0 && read_once(shared, name, "ifindex") == interface) return shared;
  if (shared >= 0) close(shared);
  return private_sysfs();
}

void carrier_open(struct carrier *c, const char *name, int interface) {
  *c = (struct carrier){.up = -1, .down = -1};
  int sysfs = sysfs_of(name, interface);
  if (sysfs < 0) return;
  c->up = file_of(sysfs, name, "carrier_up_count");
  c->down = file_of(sysfs, name, "carrier_down_count");
  bool known = false;
  /* The interface is up here, so that this may be asked; it must not change between the questions. */
  for (int i = 0; i < TRIES && !known; i++) {
    int64_t before = number_at(c->up) + number_at(c->down), now = read_once(sysfs, name, "carrier");
    int64_t up = number_at(c->up), down = number_at(c->down);
    known = now >= 0 && up >= 0 && down >= 0 && up + down == before;
    c->base = up - down - now;
  }
  close(sysfs);
  if (!known) carrier_close(c);
}

enum carrier_state carrier_read(const struct carrier *c) {
  int64_t up = number_at(c->up), down = number_at(c->down);
  if (up < 0 || down < 0) return CARRIER_UNKNOWN;
  int64_t now = up - down - c->base;
  return now == 0 ? CARRIER_DOWN : now == 1 ? CARRIER_UP : CARRIER_UNKNOWN;
}

void carrier_close(struct carrier *c) {
  if (c->up >= 0) close(c->up);
  if (c->down >= 0) close(c->down);
  c->up = c->down = -1;
}

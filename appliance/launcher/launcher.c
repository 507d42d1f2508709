/* Duty: the first thing that runs of the one binary. Behind its own end the file carries Deno, the program and its
 * libraries; these are unpacked once into a directory named by their digest, then Deno is executed from there.
 *
 * A directory gets its name only when all of it is on the disk, so that a power cut leaves nothing half. Linked statically:
 * it must run wherever the kernel does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define EXIT_INPUT 2
#define DEPTH_MAX 8 /* plane and helpers start this program again; more means that it starts itself */
#define FILES_MAX 256
#define KEPT 2 /* directories of other builds; a running plane may still be using one */
#define ROOM_BYTES (16u << 20)
#define DIGEST_LETTERS 64

/* At the very end of the file. */
struct trailer {
  char digest[DIGEST_LETTERS]; /* SHA-256 of the payload, in hex */
  uint64_t first, bytes;       /* the payload: entries, each with its bytes behind it */
  char magic[8];
};
struct entry {
  char name[112];
  uint64_t mode, bytes;
};
_Static_assert(sizeof(struct trailer) == 88, "as scripts/build/payload.ts writes it");
_Static_assert(sizeof(struct entry) == 128, "as scripts/build/payload.ts writes it");

static void fail(const char *what, const char *name) {
  fprintf(stderr, "Cannot %s %s: %s\n", what, name, strerror(errno));
  exit(1);
}

static char *text(const char *format, const char *a, const char *b) {
  char *made;
  if (asprintf(&made, format, a, b) < 0) fail("start", "remediate");
  return made;
}

static bool read_all(int fd, void *into, size_t bytes, uint64_t at) {
  for (size_t done = 0; done < bytes;) {
    ssize_t n = pread(fd, (char *)into + done, bytes - done, (off_t)(at + done));
    if (n <= 0) return errno = n ? errno : EINVAL, false;
    done += (size_t)n;
  }
  return true;
}

static struct trailer read_trailer(int self) {
  struct trailer t;
  off_t end = lseek(self, 0, SEEK_END);
  if (end < (off_t)sizeof t || !read_all(self, &t, sizeof t, (uint64_t)end - sizeof t)) fail("read", "this program");
  bool fits = t.first < (uint64_t)end && t.bytes <= (uint64_t)end - sizeof t - t.first;
  if (memcmp(t.magic, "REMEDI8\n", sizeof t.magic) || !fits) errno = EINVAL, fail("use", "this program, which is not whole");
  return t;
}

/* Ours alone, and programs may run there. */
static bool is_ours(const char *path) {
  struct stat s;
  struct statvfs v;
  if (lstat(path, &s) < 0 || !S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 022)) return false;
  return statvfs(path, &v) == 0 && !(v.f_flag & ST_NOEXEC);
}

static bool has_room(const char *path, uint64_t bytes) {
  struct statvfs v;
  return statvfs(path, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize > bytes + ROOM_BYTES;
}

static bool is_unpacked(const char *path) {
  char *program = text("%s/%s", path, "deno");
  bool is = is_ours(path) && access(program, X_OK) == 0;
  free(program);
  return is;
}

static void copy(int self, uint64_t at, const struct entry *e, const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)e->mode & 0755);
  if (fd < 0) fail("write", path);
  off_t from = (off_t)at;
  for (uint64_t left = e->bytes; left;) {
    ssize_t n = sendfile(fd, self, &from, left);
    if (n <= 0) fail("write", path);
    left -= (uint64_t)n;
  }
  if (fsync(fd) < 0 || close(fd) < 0) fail("write", path);
}

/* Names come from the build; one that leads elsewhere is still refused. */
static bool is_plain(const char *name) {
  return name[0] && name[0] != '/' && !strstr(name, "..") && memchr(name, 0, sizeof((struct entry *)0)->name);
}

static void unpack_into(int self, const struct trailer *t, const char *directory) {
  uint64_t at = t->first, end = t->first + t->bytes;
  for (int i = 0; at < end; i++) {
    struct entry e;
    if (i == FILES_MAX || !read_all(self, &e, sizeof e, at)) errno = EINVAL, fail("read", "this program");
    at += sizeof e;
    if (!is_plain(e.name) || e.bytes > end - at) errno = EINVAL, fail("use", "this program, which is not whole");
    char *path = text("%s/%s", directory, e.name), *slash = strrchr(path, '/');
    *slash = 0;
    if (mkdir(path, 0755) < 0 && errno != EEXIST) fail("make", path);
    *slash = '/';
    copy(self, at, &e, path);
    free(path);
    at += e.bytes;
  }
}

static void remove_tree(const char *path) {
  DIR *d = opendir(path);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    char *inner = text("%s/%s", path, e->d_name);
    if (unlink(inner) < 0 && errno == EISDIR) remove_tree(inner);
    free(inner);
  }
  if (d) closedir(d);
  rmdir(path);
}

/* Of other builds the newest stay. */
static void tidy(const char *base, const char *digest) {
  for (;;) {
    char oldest[NAME_MAX + 1] = "";
    time_t oldest_s = 0;
    int others = 0;
    DIR *d = opendir(base);
    for (struct dirent *e; d && (e = readdir(d));) {
      struct stat s;
      if (strlen(e->d_name) != DIGEST_LETTERS || !strcmp(e->d_name, digest)) continue;
      if (fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(s.st_mode)) continue;
      others++;
      if (!oldest[0] || s.st_mtime < oldest_s) strcpy(oldest, e->d_name), oldest_s = s.st_mtime;
    }
    if (d) closedir(d);
    if (others <= KEPT) return;
    char *path = text("%s/%s", base, oldest);
    remove_tree(path);
    bool gone = access(path, F_OK) < 0;
    free(path);
    if (!gone) return;
  }
}

/* Returns the directory, or NULL where this base does not serve. */
static char *unpack(int self, const struct trailer *t, const char *base, const char *digest) {
  char *directory = text("%s/%s", base, digest);
  if (is_unpacked(directory)) return directory;
  if ((mkdir(base, 0755) < 0 && errno != EEXIST) || !is_ours(base) || !has_room(base, t->bytes)) return free(directory), NULL;
  char *fresh = text("%s/%s", base, "new-XXXXXX");
  if (!mkdtemp(fresh)) return free(fresh), free(directory), NULL;
  chmod(fresh, 0755);
  unpack_into(self, t, fresh);
  /* Another start may have been quicker; then ours is not needed. */
  if (rename(fresh, directory) < 0) remove_tree(fresh);
  else tidy(base, digest);
  int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) fsync(fd), close(fd);
  free(fresh);
  if (!is_unpacked(directory)) errno = EIO, fail("unpack into", directory);
  return directory;
}

static char *find_place(int self, const struct trailer *t) {
  char digest[DIGEST_LETTERS + 1] = "", user[32];
  memcpy(digest, t->digest, DIGEST_LETTERS);
  snprintf(user, sizeof user, "%u", (unsigned)geteuid());
  const char *wish = getenv("REMEDIATE_CACHE"), *home = getenv("HOME");
  /* An image brings it unpacked. */
  char *ready = text("%s/%s", "/usr/lib/remediate", digest);
  if (is_unpacked(ready)) return ready;
  free(ready);
  char *bases[] = {
      wish ? text("%s%s", wish, "") : NULL,
      geteuid() == 0 ? "/var/cache/remediate" : NULL,
      home && home[0] == '/' ? text("%s/%s", home, ".cache/remediate") : NULL,
      text("%s%s", "/tmp/remediate-", user),
  };
  for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
    char *directory = bases[i] ? unpack(self, t, bases[i], digest) : NULL;
    if (directory) return directory;
    if (i == 0 && wish) break; /* a wish that cannot be met is said, not passed over */
  }
  fprintf(stderr, "Cannot unpack: no directory of ours has %llu MB of room and lets programs run; name one with REMEDIATE_CACHE\n",
          (unsigned long long)((t->bytes + ROOM_BYTES) >> 20));
  exit(1);
}

/* The line of `rights` for this command, else its first. Its words become arguments. */
static char *rights_of(const char *directory, const char *command) {
  char *path = text("%s/%s", directory, "rights"), *line = NULL, *usual = NULL;
  size_t room = 0;
  FILE *file = fopen(path, "re");
  if (!file) fail("read", path);
  while (getline(&line, &room, file) > 0) {
    line[strcspn(line, "\n")] = 0;
    char *flags = strchr(line, ' ');
    if (!flags) continue;
    *flags++ = 0;
    if (!usual) usual = text("%s%s", flags, "");
    if (command && !strcmp(line, command)) return free(usual), fclose(file), text("%s%s", flags, "");
  }
  fclose(file);
  if (!usual) errno = EINVAL, fail("use", path);
  return usual;
}

/* Where Deno keeps what it knows of the program. An image is read-only, so its start copies that into memory. */
static char *kept_by_deno(const char *directory) {
  char *memory = text("%s/%s", "/run/remediate/deno", strrchr(directory, '/') + 1);
  if (is_ours(memory)) return memory;
  free(memory);
  return text("%s/%s", directory, "deno-dir");
}

static void set_environment(const char *directory, const char *self) {
  const char *depth = getenv("REMEDIATE_DEPTH");
  if (depth && atoi(depth) > DEPTH_MAX) {
    fprintf(stderr, "Cannot start: %s programs deep already\n", depth);
    exit(EXIT_INPUT);
  }
  setenv("REMEDIATE_SELF", self, 1);
  setenv("REMEDIATE_BUILD", "launcher", 1);
  setenv("REMEDIATE_NATIVE", text("%s/%s", directory, "libremediate-plane.so"), 1);
  setenv("DENO_DIR", kept_by_deno(directory), 1);
  setenv("DENO_NO_UPDATE_CHECK", "1", 1);
}

int main(int argc, char **argv) {
  char self_path[PATH_MAX] = "";
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0 || readlink("/proc/self/exe", self_path, sizeof self_path - 1) < 0) fail("read", "/proc/self/exe");
  struct trailer t = read_trailer(self);
  char *directory = find_place(self, &t);
  char *rights = rights_of(directory, argc > 1 ? argv[1] : NULL);
  set_environment(directory, self_path);
  char **words = calloc((size_t)argc + strlen(rights) + 4, sizeof *words);
  if (!words) fail("start", "remediate");
  size_t n = 0;
  words[n++] = "remediate";
  for (char *word = strtok(rights, " "); word; word = strtok(NULL, " ")) words[n++] = word;
  words[n++] = text("%s/%s", directory, "remediate.js");
  for (int i = 1; i < argc; i++) words[n++] = argv[i];
  char *deno = text("%s/%s", directory, "deno");
  execv(deno, words);
  fail("start", deno);
}

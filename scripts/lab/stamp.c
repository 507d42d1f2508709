/* Run a command and say between which two moments it did its work.
 *
 *   stamp PROGRAM [ARGUMENT...]
 *
 * One line of JSON on standard output: beforeNs and afterNs by CLOCK_MONOTONIC, wallMs by the wall clock at
 * `before`, the command's exit status. A scripting runtime cannot read CLOCK_MONOTONIC, and its own start-up
 * would blur the moment of a failure by milliseconds.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "Usage: stamp PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  uint64_t wall = clock_ns(CLOCK_REALTIME), before = clock_ns(CLOCK_MONOTONIC);
  pid_t child = fork();
  if (child < 0) {
    fprintf(stderr, "Cannot start %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  if (child == 0) {
    dup2(2, 1); /* standard output is ours */
    execvp(argv[1], argv + 1);
    fprintf(stderr, "Cannot run %s: %s\n", argv[1], strerror(errno));
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  uint64_t after = clock_ns(CLOCK_MONOTONIC);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  printf("{\"beforeNs\":%llu,\"afterNs\":%llu,\"wallMs\":%.3f,\"status\":%d}\n", (unsigned long long)before,
         (unsigned long long)after, (double)wall / 1e6, code);
  return code;
}

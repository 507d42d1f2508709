/* Raw frames for tests of the plane: a bench that sends and records, and a transparent box.
 *
 *   frames bench IF...               records on both pipes: port (1 byte), length (4, little endian), frame
 *   frames box IN OUT                one letter: p pass, d drop, i drop what enters by IN, o by OUT
 */
#include <poll.h>
#include "frames.h"

#define PORTS_MAX 16

static void write_all(const void *from, size_t bytes) {
  for (size_t put = 0; put < bytes;) {
    ssize_t n = write(STDOUT_FILENO, (const char *)from + put, bytes - put);
    if (n <= 0) exit(0); /* nobody listens any more */
    put += (size_t)n;
  }
}

static void write_record(uint8_t port, const uint8_t *frame, uint32_t bytes) {
  write_all(&port, 1);
  write_all(&bytes, sizeof bytes);
  write_all(frame, bytes);
}

/* What the kernel did not take is reported as a record of port 0x80 + port. */
static bool send_record(const int *fd, int ports) {
  static uint8_t frame[FRAME_BYTES_MAX];
  uint8_t port;
  uint32_t bytes;
  if (!read_all(&port, 1) || !read_all(&bytes, sizeof bytes)) return false;
  if (port >= ports || bytes > sizeof frame || !read_all(frame, bytes)) return false;
  while (send(fd[port], frame, bytes, 0) < 0) {
    if (errno == EINTR || errno == ENOBUFS) continue;
    write_record((uint8_t)(0x80 | port), frame, bytes);
    break;
  }
  return true;
}

static int bench(int ports, char **name) {
  struct pollfd wait[PORTS_MAX + 1];
  int fd[PORTS_MAX];
  if (ports > PORTS_MAX) return 1;
  for (int i = 0; i < ports; i++) wait[i] = (struct pollfd){fd[i] = open_port(name[i]), POLLIN, 0};
  wait[ports] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
  write_record(0xff, NULL, 0); /* ready */
  for (;;) {
    poll(wait, (nfds_t)ports + 1, -1);
    for (int i = 0; i < ports; i++) {
      uint32_t bytes;
      for (uint8_t *frame; (frame = receive_frame(fd[i], &bytes));) write_record((uint8_t)i, frame, bytes);
    }
    if ((wait[ports].revents & (POLLIN | POLLHUP)) && !send_record(fd, ports)) return 0;
  }
}

/* A box that changes nothing and can fail silently. */
static int box(char **name) {
  int fd[2] = {open_port(name[0]), open_port(name[1])};
  struct pollfd wait[3] = {{fd[0], POLLIN, 0}, {fd[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  uint64_t passed = 0, dropped = 0;
  char mode = 'p';
  printf("ready\n");
  for (;;) {
    fflush(stdout);
    poll(wait, 3, -1);
    if (wait[2].revents) {
      char letter;
      if (!read_all(&letter, 1)) return 0;
      mode = letter;
      printf("{\"passed\":%lu,\"dropped\":%lu}\n", passed, dropped);
    }
    for (int i = 0; i < 2; i++) {
      uint32_t bytes;
      for (uint8_t *frame; (frame = receive_frame(fd[i], &bytes));) {
        bool drops = mode == 'd' || mode == (i == 0 ? 'i' : 'o');
        if (!drops && send(fd[1 - i], frame, bytes, 0) == (ssize_t)bytes) passed++;
        else dropped++;
      }
    }
  }
}

int main(int n, char **argument) {
  const char *what = n > 1 ? argument[1] : "";
  hurry();
  if (n > 2 && strcmp(what, "bench") == 0) return bench(n - 2, argument + 2);
  if (n == 4 && strcmp(what, "box") == 0) return box(argument + 2);
  fprintf(stderr, "usage: frames bench IF... | box IN OUT\n");
  return 2;
}

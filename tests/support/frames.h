/* Raw frames, for the C tools of the tests: ports, what comes by them, and the pipes to the test.
 *
 * A tag that the kernel took off is put back with its own protocol: what is reported is what was on the wire.
 * Every program ends when its standard input closes, so a test that dies leaves none behind.
 */
#ifndef FRAMES_H
#define FRAMES_H
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_BYTES_MAX 65536
#define TAG_BYTES 4
#define BUFFER_BYTES (16 << 20)

static void fail(const char *what, const char *which) {
  fprintf(stderr, "frames: Cannot %s %s: %s\n", what, which, strerror(errno));
  exit(1);
}

static int open_port(const char *name) {
  int on = 1, bytes = BUFFER_BYTES, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  to.sll_ifindex = (int)if_nametoindex(name);
  struct packet_mreq all = {.mr_ifindex = to.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
  if (fd < 0 || to.sll_ifindex == 0) fail("open", name);
  if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0 ||
      bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
    fail("set up", name);
  return fd;
}

/* Put the tag back that the kernel keeps beside the frame; `frame` has room for it in front. */
static uint8_t *restore_tag(uint8_t *frame, const struct tpacket_auxdata *aux) {
  if (!(aux->tp_status & TP_STATUS_VLAN_VALID)) return frame;
  uint16_t type = (aux->tp_status & TP_STATUS_VLAN_TPID_VALID) ? aux->tp_vlan_tpid : ETHERTYPE_VLAN;
  uint16_t tag[2] = {htons(type), htons(aux->tp_vlan_tci)};
  memmove(frame - TAG_BYTES, frame, 2 * ETHER_ADDR_LEN);
  memcpy(frame - TAG_BYTES + 2 * ETHER_ADDR_LEN, tag, sizeof tag);
  return frame - TAG_BYTES;
}

/* The next frame waiting at a port, or null. It lies in a buffer of its own until the next call. */
static uint8_t *receive_frame(int fd, uint32_t *bytes) {
  static uint8_t buffer[TAG_BYTES + FRAME_BYTES_MAX];
  char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
  struct iovec vector = {buffer + TAG_BYTES, FRAME_BYTES_MAX};
  struct msghdr m = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_TRUNC);
  if (n < 0) return NULL;
  uint8_t *frame = buffer + TAG_BYTES;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
    struct tpacket_auxdata aux;
    if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
    memcpy(&aux, CMSG_DATA(c), sizeof aux);
    frame = restore_tag(frame, &aux);
  }
  *bytes = (uint32_t)(buffer + TAG_BYTES - frame) + (uint32_t)n;
  return frame;
}

/* False at the end of the pipe. */
static bool read_all(void *to, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    ssize_t n = read(STDIN_FILENO, (char *)to + got, bytes - got);
    if (n <= 0) return false;
    got += (size_t)n;
  }
  return true;
}

/* A real box does not share its processor with a test. */
static void hurry(void) {
  prctl(PR_SET_TIMERSLACK, 1);
  setpriority(PRIO_PROCESS, 0, -20);
}
#endif

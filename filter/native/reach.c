/* Is a box itself there? One question to it and its answer, through the kernel, for control's checks.
 *
 * Each call blocks for its timeout at most; control calls it on a thread of its own. Only addresses are taken, no names:
 * a name service that is down must not make a box look dead. Returns 0 or -errno; -ETIMEDOUT: no answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "board.h"

#define MS 1000000ull

enum reach { REACH_ICMP, REACH_TCP, REACH_NEIGHBOUR };

struct target {
  union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } to;
  socklen_t bytes;
  const char *device; /* empty: as the routes say */
  uint64_t until_ns;
  uint16_t mark;      /* tells this question's answer from others' */
};

RM_EXPORT int32_t rm_reach(uint32_t kind, const char *address, uint32_t port, const char *device, uint32_t timeout_ms);

static int parse(struct target *t, const char *address, uint32_t port) {
  if (inet_pton(AF_INET, address, &t->to.v4.sin_addr) == 1) {
    t->to.v4.sin_family = AF_INET;
    t->to.v4.sin_port = htons((uint16_t)port);
    t->bytes = sizeof t->to.v4;
    return 0;
  }
  if (inet_pton(AF_INET6, address, &t->to.v6.sin6_addr) != 1) return -EINVAL;
  t->to.v6.sin6_family = AF_INET6;
  t->to.v6.sin6_port = htons((uint16_t)port);
  t->to.v6.sin6_scope_id = if_nametoindex(t->device);
  t->bytes = sizeof t->to.v6;
  return 0;
}

static bool is_v4(const struct target *t) { return t->to.any.sa_family == AF_INET; }

static int bind_device(int fd, const struct target *t) {
  if (!t->device[0]) return 0;
  return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, t->device, (socklen_t)strlen(t->device) + 1) < 0 ? -errno : 0;
}

/* Wait until the socket can be read or written, or the time is over. */
static int await(int fd, short what, const struct target *t) {
  for (;;) {
    uint64_t now = rm_mono_ns();
    if (now >= t->until_ns) return -ETIMEDOUT;
    struct pollfd f = {fd, what, 0};
    int n = poll(&f, 1, (int)((t->until_ns - now + MS - 1) / MS));
    if (n > 0) return 0;
    if (n < 0 && errno != EINTR) return -errno;
  }
}

static int reach_tcp(int fd, const struct target *t) {
  if (connect(fd, &t->to.any, t->bytes) == 0) return 0;
  if (errno != EINPROGRESS) return -errno;
  int e = await(fd, POLLOUT, t), error = 0;
  socklen_t bytes = sizeof error;
  if (e < 0) return e;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0) return -errno;
  return -error;
}

static uint16_t checksum(const uint8_t *data, size_t bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) sum += (uint32_t)(data[i] << 8 | data[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

/* Echo request and reply have one layout in both versions. */
static bool is_echo_reply(const struct target *t, const uint8_t *data, ssize_t bytes) {
  size_t head = is_v4(t) && bytes > 0 ? (size_t)(data[0] & 15) * 4 : 0;
  struct icmphdr echo;
  if (bytes < 0 || (size_t)bytes < head + sizeof echo) return false;
  memcpy(&echo, data + head, sizeof echo);
  return echo.type == (is_v4(t) ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) && echo.un.echo.id == t->mark;
}

static int reach_icmp(int fd, const struct target *t) {
  uint8_t data[2048];
  struct icmphdr echo = {.type = is_v4(t) ? ICMP_ECHO : ICMP6_ECHO_REQUEST, .un.echo = {.id = t->mark, .sequence = htons(1)}};
  if (is_v4(t)) echo.checksum = checksum((const uint8_t *)&echo, sizeof echo);
  if (connect(fd, &t->to.any, t->bytes) < 0) return -errno; /* answers of others do not even reach us */
  if (send(fd, &echo, sizeof echo, 0) < 0) return -errno;
  for (;;) {
    int e = await(fd, POLLIN, t);
    if (e < 0) return e;
    ssize_t n = recv(fd, data, sizeof data, 0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return -errno;
    if (is_echo_reply(t, data, n)) return 0;
  }
}

/* An ARP probe (RFC 5227) without an address of ours: it teaches nobody anything. */
static int reach_arp(int fd, const struct target *t) {
  struct ifreq own = {0};
  struct ether_arp ask = {.ea_hdr = {htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4, htons(ARPOP_REQUEST)}}, said;
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_halen = 6,
                           .sll_addr = {255, 255, 255, 255, 255, 255}, .sll_ifindex = (int)if_nametoindex(t->device)};
  if (to.sll_ifindex == 0) return -ENODEV;
  strncpy(own.ifr_name, t->device, IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFHWADDR, &own) < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0) return -errno;
  memcpy(ask.arp_sha, own.ifr_hwaddr.sa_data, 6);
  memcpy(ask.arp_tpa, &t->to.v4.sin_addr, 4);
  if (sendto(fd, &ask, sizeof ask, 0, (struct sockaddr *)&to, sizeof to) < 0) return -errno;
  for (;;) {
    int e = await(fd, POLLIN, t);
    if (e < 0) return e;
    ssize_t n = recv(fd, &said, sizeof said, 0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return -errno;
    if (n == sizeof said && said.ea_hdr.ar_op == htons(ARPOP_REPLY) && memcmp(said.arp_spa, ask.arp_tpa, 4) == 0) return 0;
  }
}

struct solicitation { struct nd_neighbor_solicit head; uint8_t type, length, mac[6]; };

/* Neighbour solicitation to the address's multicast group (RFC 4861, 7.2.2). */
static int reach_nd(int fd, const struct target *t) {
  struct ifreq own = {0};
  uint8_t data[2048];
  int hops = 255, device = (int)if_nametoindex(t->device);
  struct solicitation ask = {.head = {.nd_ns_type = ND_NEIGHBOR_SOLICIT, .nd_ns_target = t->to.v6.sin6_addr},
                             .type = ND_OPT_SOURCE_LINKADDR, .length = 1};
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)device};
  if (device == 0) return -ENODEV;
  strncpy(own.ifr_name, t->device, IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFHWADDR, &own) < 0) return -errno;
  memcpy(ask.mac, own.ifr_hwaddr.sa_data, 6);
  inet_pton(AF_INET6, "ff02::1:ff00:0", &to.sin6_addr);
  memcpy(to.sin6_addr.s6_addr + 13, t->to.v6.sin6_addr.s6_addr + 13, 3);
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) < 0 ||
      setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &device, sizeof device) < 0 ||
      sendto(fd, &ask, sizeof ask, 0, (struct sockaddr *)&to, sizeof to) < 0)
    return -errno;
  for (;;) {
    int e = await(fd, POLLIN, t);
    if (e < 0) return e;
    ssize_t n = recv(fd, data, sizeof data, 0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return -errno;
    struct nd_neighbor_advert said;
    if (n < (ssize_t)sizeof said) continue;
    memcpy(&said, data, sizeof said);
    if (said.nd_na_type == ND_NEIGHBOR_ADVERT && memcmp(&said.nd_na_target, &t->to.v6.sin6_addr, 16) == 0) return 0;
  }
}

static int open_socket(enum reach kind, const struct target *t) {
  int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  if (kind == REACH_TCP) return socket(t->to.any.sa_family, SOCK_STREAM | flags, 0);
  if (kind == REACH_NEIGHBOUR && is_v4(t)) return socket(AF_PACKET, SOCK_DGRAM | flags, htons(ETH_P_ARP));
  return socket(t->to.any.sa_family, SOCK_RAW | flags, is_v4(t) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static int ask(int fd, enum reach kind, const struct target *t) {
  if (kind == REACH_NEIGHBOUR && is_v4(t)) return reach_arp(fd, t);
  int e = bind_device(fd, t);
  if (e < 0) return e;
  if (kind == REACH_NEIGHBOUR) return reach_nd(fd, t);
  return kind == REACH_TCP ? reach_tcp(fd, t) : reach_icmp(fd, t);
}

int32_t rm_reach(uint32_t kind, const char *address, uint32_t port, const char *device, uint32_t timeout_ms) {
  static uint16_t marks;
  struct target t = {.device = device, .until_ns = rm_mono_ns() + timeout_ms * MS};
  t.mark = (uint16_t)(__atomic_add_fetch(&marks, 1, __ATOMIC_RELAXED) ^ (uint16_t)getpid());
  int e = kind > REACH_NEIGHBOUR ? -EINVAL : parse(&t, address, port);
  if (e < 0) return e;
  int fd = open_socket(kind, &t);
  if (fd < 0) return -errno;
  e = ask(fd, kind, &t);
  close(fd);
  return e;
}

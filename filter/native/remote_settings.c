/* Settings of a remote port: control has looked at the text (appliance/config_remote.ts), so errors here are of the machine. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "remote.h"

static int read_address(struct plane *p, const char *text, struct sockaddr_storage *to, socklen_t *bytes) {
  char host[INET6_ADDRSTRLEN + 2], *name = host;
  struct addrinfo hint = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM}, *found;
  const char *port = strrchr(text, ':');
  bool bracket = text[0] == '[', bare = !bracket && port && strchr(text, ':') != port; /* an IPv6 address without a port */
  if (bare || !port || (bracket && port[-1] != ']')) port = NULL;
  size_t n = port ? (size_t)(port - text) : strlen(text);
  if (n == 0 || n >= sizeof host) return plane_fail(p, "\"%s\" is no address", text);
  memcpy(host, text, n);
  host[n] = 0;
  if (bracket) name++, host[strlen(host) - 1] = 0;
  int e = getaddrinfo(name, port ? port + 1 : "0", &hint, &found);
  if (e) return plane_fail(p, "\"%s\" is no address: %s", text, gai_strerror(e));
  memcpy(to, found->ai_addr, found->ai_addrlen);
  *bytes = found->ai_addrlen;
  freeaddrinfo(found);
  return 0;
}

static int read_key(struct plane *p, const char *path, struct channel_secret *to) {
  uint8_t text[CHANNEL_KEY_MAX + 1];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
  int e = errno;
  if (fd >= 0) close(fd);
  if (n < 0) return plane_fail(p, "cannot read the key %s: %s", path, strerror(e));
  while (n > 0 && isspace(text[n - 1])) n--;
  if (n < (ssize_t)CHANNEL_KEY_MIN || n > (ssize_t)CHANNEL_KEY_MAX)
    return plane_fail(p, "the key %s has %zd bytes, %u to %u are needed", path, n, CHANNEL_KEY_MIN, CHANNEL_KEY_MAX);
  memcpy(to->key, text, (size_t)n);
  to->bytes = (uint32_t)n;
  return 0;
}

static int read_setting(struct plane *p, char *part, struct remote_settings *to) {
  char *value = strchr(part, '=');
  if (!value) return plane_fail(p, "\"%s\" is no setting", part);
  *value++ = 0;
  uint64_t number = strtoull(value, NULL, 10);
  if (!strcmp(part, "key")) return read_key(p, value, &to->secret);
  if (!strcmp(part, "local")) return read_address(p, value, &to->local, &to->local_bytes);
  if (!strcmp(part, "silence_ms")) to->silence_ns = number * RM_MS;
  else if (!strcmp(part, "wait_ms")) to->wait_ns = number * RM_MS;
  else if (!strcmp(part, "reorder_us")) to->reorder_ns = number * 1000;
  else if (!strcmp(part, "ring_mib")) to->ring_bytes = (uint32_t)number << 20;
  else if (!strcmp(part, "mtu")) to->datagram_bytes = (uint32_t)number;
  else if (!strcmp(part, "encrypt")) to->encrypts = !strcmp(value, "yes");
  else return plane_fail(p, "there is no setting \"%s\"", part);
  return 0;
}

int remote_parse(struct plane *p, const char *text, struct remote_settings *to) {
  char copy[RM_SPEC_BYTES], *rest = NULL;
  snprintf(copy, sizeof copy, "%s", text);
  char *address = strtok_r(copy, ",", &rest);
  *to = (struct remote_settings){.silence_ns = 200 * RM_MS, .wait_ns = 100 * RM_MS, .reorder_ns = 500000, .ring_bytes = 8u << 20};
  if (!address) return plane_fail(p, "there is no address");
  if (read_address(p, address, &to->at, &to->at_bytes) < 0) return -1;
  for (char *part; (part = strtok_r(NULL, ",", &rest));)
    if (read_setting(p, part, to) < 0) return -1;
  if (to->secret.bytes == 0) return plane_fail(p, "there is no key=FILE");
  if (to->silence_ns == 0 || to->ring_bytes == 0) return plane_fail(p, "silence_ms and ring_mib cannot be 0");
  return 0;
}

/* Codec of BFD control packets. What a packet alone can be refused for is refused here, in the order of RFC 5880, 6.8.6;
 * what depends on the session is bfd_session.c's. */
#include <string.h>
#include "bfd_packet.h"

#define VERSION 1u
enum { POLL = 0x20, FINAL = 0x10, INDEPENDENT = 0x08, AUTH = 0x04, DEMAND = 0x02, MULTIPOINT = 0x01 };
#define DIGEST_AT (BFD_BYTES + 8)

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put32(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 24), at[1] = (uint8_t)(value >> 16), at[2] = (uint8_t)(value >> 8), at[3] = (uint8_t)value;
}

static bool is_sha1(uint8_t type) { return type == RM_BFD_AUTH_SHA1 || type == RM_BFD_AUTH_SHA1_METICULOUS; }

/* False: the section and the packet's length disagree. */
static bool parse_auth(const uint8_t *bytes, struct bfd_packet *packet) {
  const uint8_t *auth = bytes + BFD_BYTES;
  if (packet->bytes < BFD_BYTES + 2) return false;
  packet->auth_type = auth[0];
  if (auth[1] < 2 || BFD_BYTES + auth[1] > packet->bytes) return false;
  if (!is_sha1(auth[0])) return true; /* a session will refuse it by its type */
  if (auth[1] != BFD_AUTH_BYTES) return false;
  packet->key_id = auth[2];
  packet->sequence = get32(auth + 4);
  return true;
}

enum rm_bfd_discard bfd_parse(const uint8_t *bytes, size_t n, struct bfd_packet *packet) {
  memset(packet, 0, sizeof *packet);
  if (n < BFD_BYTES) return RM_BFD_LENGTH;
  if (bytes[0] >> 5 != VERSION) return RM_BFD_VERSION;
  uint8_t flags = bytes[1];
  if (bytes[3] < BFD_BYTES || bytes[3] > n) return RM_BFD_LENGTH;
  *packet = (struct bfd_packet){
      .diag = bytes[0] & 0x1f, .state = flags >> 6, .multiplier = bytes[2], .bytes = bytes[3],
      .poll = flags & POLL, .final = flags & FINAL, .independent = flags & INDEPENDENT, .auth = flags & AUTH,
      .demand = flags & DEMAND, .my_discr = get32(bytes + 4), .your_discr = get32(bytes + 8),
      .desired_tx_us = get32(bytes + 12), .required_rx_us = get32(bytes + 16), .required_echo_us = get32(bytes + 20)};
  if (packet->auth && !parse_auth(bytes, packet)) return RM_BFD_LENGTH;
  if (packet->multiplier == 0) return RM_BFD_MULTIPLIER;
  if (flags & MULTIPOINT) return RM_BFD_MULTIPOINT;
  if (packet->my_discr == 0) return RM_BFD_MY_DISCRIMINATOR;
  if (packet->your_discr == 0 && packet->state > RM_BFD_DOWN) return RM_BFD_STATE;
  return RM_BFD_TAKEN;
}

/* RFC 5880, 6.7.4: the digest is made with the key in its place, padded with zeros. */
static void digest_of(uint8_t *bytes, size_t n, const struct bfd_key *key, uint8_t digest[BFD_SHA1_BYTES]) {
  memset(bytes + DIGEST_AT, 0, BFD_SHA1_BYTES);
  memcpy(bytes + DIGEST_AT, key->key, key->bytes);
  bfd_sha1(bytes, n, digest);
}

bool bfd_authentic(const uint8_t *bytes, const struct bfd_packet *packet, const struct bfd_key *key) {
  uint8_t copy[UINT8_MAX], digest[BFD_SHA1_BYTES], differs = 0;
  if (!packet->auth || !is_sha1(packet->auth_type)) return false;
  memcpy(copy, bytes, packet->bytes);
  digest_of(copy, packet->bytes, key, digest);
  /* All of it, so that the time says nothing of where it differs. */
  for (size_t i = 0; i < BFD_SHA1_BYTES; i++) differs |= (uint8_t)(digest[i] ^ bytes[DIGEST_AT + i]);
  return differs == 0;
}

size_t bfd_write(uint8_t *to, const struct bfd_packet *packet, const struct bfd_key *key) {
  size_t n = key->type ? BFD_BYTES_MAX : BFD_BYTES;
  memset(to, 0, n);
  to[0] = (uint8_t)(VERSION << 5 | (packet->diag & 0x1f));
  to[1] = (uint8_t)(packet->state << 6 | (packet->poll ? POLL : 0) | (packet->final ? FINAL : 0) |
                    (packet->independent ? INDEPENDENT : 0) | (key->type ? AUTH : 0) | (packet->demand ? DEMAND : 0));
  to[2] = packet->multiplier;
  to[3] = (uint8_t)n;
  put32(to + 4, packet->my_discr);
  put32(to + 8, packet->your_discr);
  put32(to + 12, packet->desired_tx_us);
  put32(to + 16, packet->required_rx_us);
  put32(to + 20, packet->required_echo_us);
  if (!key->type) return n;
  uint8_t *auth = to + BFD_BYTES, digest[BFD_SHA1_BYTES];
  auth[0] = (uint8_t)key->type, auth[1] = BFD_AUTH_BYTES, auth[2] = (uint8_t)key->id;
  put32(auth + 4, packet->sequence);
  digest_of(to, n, key, digest);
  memcpy(to + DIGEST_AT, digest, sizeof digest);
  return n;
}

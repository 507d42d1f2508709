/* BFD control packets (RFC 5880, 4.1) and their keyed SHA1 authentication (4.4). Pure: bytes in, values out.
 *
 *   0  version 3, diagnostic 5     4   my discriminator       20  required min echo rx, us
 *   1  state 2, P F C A D M        8   your discriminator     24  auth type, length, key id, 0
 *   2  detect multiplier           12  desired min tx, us     28  sequence
 *   3  length                      16  required min rx, us    32  digest, 20 bytes
 */
#ifndef RM_BFD_PACKET_H
#define RM_BFD_PACKET_H
#include <stdbool.h>
#include <stddef.h>
#include "abi_bfd.h"

#define BFD_BYTES 24u
#define BFD_AUTH_BYTES 28u /* of a SHA1 section */
#define BFD_BYTES_MAX (BFD_BYTES + BFD_AUTH_BYTES)
#define BFD_SHA1_BYTES 20u

struct bfd_packet {
  uint8_t diag, state, multiplier;
  bool poll, final, independent, auth, demand;
  uint32_t my_discr, your_discr;
  uint32_t desired_tx_us, required_rx_us, required_echo_us;
  uint8_t bytes;             /* the length it says, at most what there is */
  uint8_t auth_type, key_id; /* if auth */
  uint32_t sequence;         /* if auth, and it is one of SHA1 */
};

struct bfd_key { uint32_t type, id, bytes; uint8_t key[RM_BFD_KEY_BYTES]; };

/* Everything that can be said of a packet alone; RM_BFD_TAKEN: *packet is whole. */
enum rm_bfd_discard bfd_parse(const uint8_t *bytes, size_t n, struct bfd_packet *packet);
/* Does the digest of a parsed packet with a SHA1 section fit the key? */
bool bfd_authentic(const uint8_t *bytes, const struct bfd_packet *packet, const struct bfd_key *key);
/* Returns the length. With a key of type 0 there is no authentication. */
size_t bfd_write(uint8_t *to, const struct bfd_packet *packet, const struct bfd_key *key);
/* bfd_sha1.c: FIPS 180-4. */
void bfd_sha1(const uint8_t *bytes, size_t n, uint8_t digest[BFD_SHA1_BYTES]);
#endif

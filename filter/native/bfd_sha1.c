/* SHA-1 (FIPS 180-4, 6.1), for the authentication of BFD alone: RFC 5880 knows nothing newer, and one small function
 * spares the plane a cryptographic library. Not fast, which at a few hundred packets a second does not matter.
 */
#include <string.h>
#include "bfd_packet.h"

#define BLOCK 64u

static uint32_t rotate(uint32_t x, unsigned by) { return x << by | x >> (32 - by); }

static uint32_t choose(unsigned t, uint32_t b, uint32_t c, uint32_t d) {
  if (t < 20) return (b & c) ^ (~b & d);
  if (t < 40 || t >= 60) return b ^ c ^ d;
  return (b & c) ^ (b & d) ^ (c & d);
}

static void add_block(uint32_t h[5], const uint8_t *block) {
  static const uint32_t K[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
  uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
  for (unsigned t = 0; t < 16; t++, block += 4)
    w[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
  for (unsigned t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  for (unsigned t = 0; t < 80; t++) {
    uint32_t next = rotate(a, 5) + choose(t, b, c, d) + e + K[t / 20] + w[t];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

void bfd_sha1(const uint8_t *bytes, size_t n, uint8_t digest[BFD_SHA1_BYTES]) {
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  size_t whole = n / BLOCK, rest = n % BLOCK;
  for (size_t i = 0; i < whole; i++) add_block(h, bytes + i * BLOCK);
  /* A one, zeros, and the length in bits fill the last block, or the last two. */
  uint8_t end[2 * BLOCK] = {0};
  size_t blocks = rest + 9 > BLOCK ? 2 : 1;
  if (rest) memcpy(end, bytes + whole * BLOCK, rest);
  end[rest] = 0x80;
  for (unsigned i = 0; i < 8; i++) end[blocks * BLOCK - 1 - i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
  for (size_t i = 0; i < blocks; i++) add_block(h, end + i * BLOCK);
  for (unsigned i = 0; i < BFD_SHA1_BYTES; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

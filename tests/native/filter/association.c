/* SCTP packets of seeds: what is made is what RFC 9260 says, and what is read is of what is there. Random packets, whole and cut short.
 *
 *   association N SEED     "N made, H heartbeats among random ones"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "association.h"

#define OFFSET 34u
static uint64_t state;
static uint32_t chance(void) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (uint32_t)(state >> 32);
}

/* CRC32c by its definition, a bit at a time. */
static uint32_t crc(const uint8_t *at, uint32_t n) {
  uint32_t c = UINT32_MAX;
  for (uint32_t i = 0; i < 8 * n; i++) c = (c >> 1) ^ (((c ^ (at[i / 8] >> i % 8)) & 1) ? 0x82f63b78u : 0);
  return ~c;
}

static void must(bool is, const char *what) {
  if (is) return;
  fprintf(stderr, "Cannot trust it: %s\n", what);
  exit(1);
}

/* A frame of the heap, of just so many bytes: a read behind its end is found. */
struct seen { uint8_t *frame; struct rm_packet packet; };
static struct seen look_at(const uint8_t *transport, uint32_t bytes, uint32_t there) {
  struct seen s = {.frame = malloc(OFFSET + there)};
  if (!s.frame) exit(1);
  memset(s.frame, 0, OFFSET);
  memcpy(s.frame + OFFSET, transport, there);
  s.packet = (struct rm_packet){.verdict = RM_PARSE_FLOW, .proto = 132, .transport_offset = OFFSET, .payload_offset = OFFSET + 12,
                                .payload_bytes = (uint16_t)(bytes - 12), .frame_bytes = (uint16_t)(OFFSET + there)};
  return s;
}

static void make(void) {
  struct heartbeat h = {.from = (uint16_t)chance(), .to = (uint16_t)chance(), .tag = chance() | 1, .answer = chance() & 1};
  for (uint32_t i = 0; i < sizeof h.info; i++) h.info[i] = (uint8_t)chance();
  uint8_t made[RM_HEARTBEAT_BYTES], bare[RM_HEARTBEAT_BYTES];
  association_beat(made, &h);
  memcpy(bare, made, sizeof bare);
  memset(bare + 8, 0, 4);
  uint32_t sum = crc(bare, sizeof bare), own;
  memcpy(&own, made + 8, 4);
  must(own == sum && association_sum(bare, sizeof bare) == sum, "the checksum");
  must(made[12] == (h.answer ? 5 : 4) && made[15] == 24 && made[17] == 1 && made[19] == 20, "chunk and parameter");
  must((made[0] << 8 | made[1]) == h.from && (made[2] << 8 | made[3]) == h.to, "the ports");
  struct seen s = look_at(made, sizeof made, sizeof made);
  const uint8_t *info = association_info(s.frame, &s.packet);
  must(info && memcmp(info, h.info, sizeof h.info) == 0, "the information");
  must(association_tag(s.frame, &s.packet) == h.tag, "the tag");
  free(s.frame);
  s = look_at(made, sizeof made, 12 + chance() % (sizeof made - 12));
  must(!association_info(s.frame, &s.packet), "one that is cut short");
  free(s.frame);
}

/* Any bytes, as if they were SCTP. Returns whether they are a heartbeat. */
static bool read_any(void) {
  uint8_t any[64];
  uint32_t bytes = 12 + chance() % (sizeof any - 12), there = chance() & 1 ? bytes : 12 + chance() % (bytes - 11);
  for (uint32_t i = 0; i < sizeof any; i++) any[i] = (uint8_t)(chance() & 1 ? chance() : chance() % 32);
  if (chance() & 1) memcpy(any + 12, "\4\0\0\30\0\1\0\24", 8), bytes = there = RM_HEARTBEAT_BYTES;
  struct seen s = look_at(any, bytes, there);
  uint32_t tag = association_tag(s.frame, &s.packet);
  bool none = there == 12 || any[12] == 1 || any[12] == 6 || any[12] == 14;
  must(tag == (none || bytes == 12 ? 0 : (uint32_t)any[4] << 24 | (uint32_t)any[5] << 16 | (uint32_t)any[6] << 8 | any[7]), "whose tag is kept");
  bool is = association_info(s.frame, &s.packet) != NULL;
  free(s.frame);
  return is;
}

int main(int argc, char **argv) {
  uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 0, beats = 0;
  state = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 1;
  for (uint32_t i = 0; i < n; i++) make(), beats += read_any();
  printf("%u made, %s heartbeats among random ones\n", n, beats * 4 > n ? "many" : "few");
  return 0;
}

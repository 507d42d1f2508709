/* Common header, 12 bytes: ports, tag, checksum. Then chunks: type, flags, length, value; of a heartbeat one parameter: type, length, value. */
#include <string.h>
#include "association.h"
#include "parse.h"

enum { INIT = 1, HEARTBEAT = 4, HEARTBEAT_ACK = 5, ABORT = 6, SHUTDOWN_COMPLETE = 14 };
#define HEADER 12u
#define HEADS 8u /* of chunk and parameter */
#define CHUNK (HEADS + RM_ASSOCIATION_INFO)

/* Four bits at a time: few packets need it. */
uint32_t association_sum(const uint8_t *packet, uint32_t bytes) {
  static const uint32_t OF[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                  0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  uint32_t crc = UINT32_MAX;
  for (uint32_t i = 0; i < bytes; i++) {
    crc ^= packet[i];
    crc = crc >> 4 ^ OF[crc & 15];
    crc = crc >> 4 ^ OF[crc & 15];
  }
  return ~crc;
}

uint32_t association_tag(const uint8_t *frame, const struct rm_packet *packet) {
  if (packet->payload_bytes == 0 || packet->payload_offset >= packet->frame_bytes) return 0;
  uint8_t type = frame[packet->payload_offset];
  if (type == INIT || type == ABORT || type == SHUTDOWN_COMPLETE) return 0;
  return read32(frame + packet->transport_offset + 4);
}

static void put16(uint8_t *to, uint32_t v) { to[0] = (uint8_t)(v >> 8), to[1] = (uint8_t)v; }

void association_beat(uint8_t *to, const struct heartbeat *h) {
  memset(to, 0, HEADER + HEADS);
  put16(to, h->from);
  put16(to + 2, h->to);
  put16(to + 4, h->tag >> 16);
  put16(to + 6, h->tag);
  uint8_t *chunk = to + HEADER;
  chunk[0] = h->answer ? HEARTBEAT_ACK : HEARTBEAT;
  put16(chunk + 2, CHUNK);
  put16(chunk + 4, 1);
  put16(chunk + 6, CHUNK - 4);
  memcpy(chunk + HEADS, h->info, sizeof h->info);
  uint32_t sum = association_sum(to, RM_HEARTBEAT_BYTES);
  memcpy(to + 8, &sum, sizeof sum);
}

const uint8_t *association_info(const uint8_t *frame, const struct rm_packet *packet) {
  const uint8_t *chunk = frame + packet->payload_offset;
  if (packet->payload_bytes != CHUNK || packet->payload_offset + CHUNK > packet->frame_bytes) return NULL;
  bool beats = chunk[0] == HEARTBEAT || chunk[0] == HEARTBEAT_ACK;
  return beats && read16(chunk + 2) == CHUNK && read16(chunk + 4) == 1 && read16(chunk + 6) == CHUNK - 4 ? chunk + HEADS : NULL;
}

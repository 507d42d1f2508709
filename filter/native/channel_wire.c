/* Reader and writer of a channel's datagrams; channel_wire.h has the picture. */
#include "channel_wire.h"
#include <string.h>

#define FLAGS_FRAME 0x0c /* VNI valid, next protocol valid */
#define FLAGS_WORDS 0x0d /* and O: not for whoever forwards frames */
#define NEXT_ETHERNET 3

static void put(uint8_t *to, uint64_t value, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}
static uint64_t get(const uint8_t *from, uint32_t bytes) {
  uint64_t value = 0;
  for (uint32_t i = 0; i < bytes; i++) value = value << 8 | from[i];
  return value;
}

uint32_t channel_write(uint8_t *d, uint32_t bytes, const struct channel_head *h) {
  uint8_t *t = d + CHANNEL_HEADER + bytes;
  bool frame = h->kind == CHANNEL_FRAME, shown = frame && (h->flags & CHANNEL_FIRST) && !(h->flags & CHANNEL_ENCRYPTED);
  memset(d, 0, CHANNEL_HEADER);
  d[0] = frame ? FLAGS_FRAME : FLAGS_WORDS;
  d[3] = shown ? NEXT_ETHERNET : 0;
  put(d + 4, h->vni, 3);
  put(t, h->number, 8);
  put(t + 8, h->sequence, 4);
  put(t + 12, h->oldest, 4);
  t[16] = h->kind;
  t[17] = h->flags;
  put(t + 18, 0, 2);
  put(t + 20, h->after, 4);
  return CHANNEL_HEADER + bytes + CHANNEL_TRAILER + CHANNEL_TAG;
}

int channel_read(const uint8_t *d, size_t bytes, struct channel_head *h) {
  if (bytes < CHANNEL_OVERHEAD || bytes > UINT16_MAX) return -1;
  const uint8_t *t = d + bytes - CHANNEL_TAG - CHANNEL_TRAILER;
  *h = (struct channel_head){.number = get(t, 8), .vni = (uint32_t)get(d + 4, 3), .sequence = (uint32_t)get(t + 8, 4),
                             .oldest = (uint32_t)get(t + 12, 4), .after = (uint32_t)get(t + 20, 4), .kind = t[16], .flags = t[17]};
  if (h->kind >= CHANNEL_KINDS || d[0] != (h->kind == CHANNEL_FRAME ? FLAGS_FRAME : FLAGS_WORDS)) return -1;
  return (int)(bytes - CHANNEL_OVERHEAD);
}

void channel_write_state(uint8_t b[CHANNEL_STATE_BYTES], const struct channel_words *w) {
  memset(b, 0, CHANNEL_STATE_BYTES);
  put(b, w->sent_ns, 8);
  put(b + 8, w->echo_ns, 8);
  put(b + 16, w->held_ns, 8);
  put(b + 24, w->lost, 8);
  put(b + 32, w->mtu, 4);
  b[36] = w->link;
  b[37] = w->down;
}

bool channel_read_state(const uint8_t *b, uint32_t bytes, struct channel_words *w) {
  if (bytes != CHANNEL_STATE_BYTES) return false;
  *w = (struct channel_words){.sent_ns = get(b, 8), .echo_ns = get(b + 8, 8), .held_ns = get(b + 16, 8),
                              .lost = get(b + 24, 8), .mtu = (uint32_t)get(b + 32, 4), .link = b[36], .down = b[37]};
  return true;
}

uint32_t channel_write_ask(uint8_t b[CHANNEL_WORDS_MAX], const struct channel_range *range, uint32_t n) {
  for (uint32_t i = 0; i < n; i++, b += CHANNEL_RANGE_BYTES) {
    put(b, (uint32_t)range[i].first, 4);
    put(b + 4, range[i].count > UINT16_MAX ? UINT16_MAX : range[i].count, 2);
  }
  return n * CHANNEL_RANGE_BYTES;
}

int channel_read_ask(const uint8_t *b, uint32_t bytes, uint64_t near, struct channel_range to[CHANNEL_RANGES]) {
  if (bytes % CHANNEL_RANGE_BYTES || bytes > CHANNEL_WORDS_MAX) return -1;
  for (uint32_t i = 0; i < bytes / CHANNEL_RANGE_BYTES; i++, b += CHANNEL_RANGE_BYTES)
    to[i] = (struct channel_range){channel_widen(near, (uint32_t)get(b, 4)), (uint32_t)get(b + 4, 2)};
  return (int)(bytes / CHANNEL_RANGE_BYTES);
}

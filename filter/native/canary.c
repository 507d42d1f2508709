/* Canaries through a box that serves: the node plays both ends of a connection of its own, as through a standby.
 *
 * Into such a box goes only what one of these ends says. What comes out of it for one of them, or asks who has its address, is
 * taken out before anything else looks at it: nobody outside hears of it, no table and no detector has it. Control reads
 * it in the capture. Nobody else has the addresses. A box asks for them some seconds after the last word, so they are taken for
 * longer than a drill.
 */
#include <string.h>
#include "canary.h"

#define HEADER_BYTES 14u
#define SOURCE_AT 6u

static uint64_t mac_at(const uint8_t *at) {
  uint64_t mac = 0;
  memcpy(&mac, at, 6);
  return mac;
}

bool canary_says(const struct plane *p, uint32_t side, const uint8_t *frame) {
  return canary_on(p, side) && mac_at(frame + SOURCE_AT) == p->board->command.canary[side].mac;
}

static bool is_for(const struct plane *p, uint32_t side, const struct rte_mbuf *m) {
  const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
  if (m->data_len < HEADER_BYTES) return false;
  if (mac_at(frame) == p->board->command.canary[side].mac) return true;
  if (!(frame[0] & 1)) return false;
  struct bfd_frame asked;
  bfd_read_frame(frame, m->data_len, &asked);
  return asked.kind == BFD_KIND_ASK && memcmp(asked.target, p->board->command.canary[side].ip, sizeof asked.target) == 0;
}

/* Also where nobody wants all that comes out of this box: its own reader does. */
static void keep(struct plane *p, uint32_t role, const struct rte_mbuf *m) {
  if (!p->capture.file || capture_wants(&p->capture, RM_TAP_IN, role)) return;
  struct rm_captured seen = {.mono_ns = p->now, .wire_bytes = m->pkt_len, .role = (uint8_t)role, .tap = RM_TAP_IN, .rule = 0xff};
  capture_write(&p->capture, &seen, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
}

uint16_t canary_take(struct plane *p, uint32_t role, struct rte_mbuf **frames, uint16_t n) {
  uint16_t left = 0;
  for (uint16_t i = 0; i < n; i++) {
    struct rte_mbuf *m = frames[i];
    if (!is_for(p, role_side(role), m)) {
      frames[left++] = m;
      continue;
    }
    keep(p, role, m);
    count(p, RM_COUNT_CANARY_TAKEN, 1, m->pkt_len);
    rte_pktmbuf_free(m);
  }
  return left;
}

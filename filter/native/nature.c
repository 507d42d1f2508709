/* Nature: can the payload of this flow be read by whoever gets the copies?
 *
 * A look at the first bytes of the first few packets. Handshakes of TLS, SSH and QUIC are readable and worth copying; what
 * follows them is not. A wrong guess costs copies or saves them, never more.
 */
#include "parse.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ESP = 50 };
enum { TLS_HANDSHAKE = 0x16, TLS_DATA = 0x17, SSH_NEWKEYS = 21 };
#define SSH_KEYS_BYTES 64u  /* an SSH_MSG_NEWKEYS is never longer */
#define SSH_PACKETS 8u      /* of one side: banner, algorithms, keys are done by then */
#define TLS_PACKETS 16u

/* A TLS or DTLS record of this kind. */
static bool is_record(const uint8_t *b, uint32_t n, uint8_t kind) {
  return n >= 3 && b[0] == kind && ((b[1] == 3 && b[2] <= 4) || b[1] == 0xfe);
}

static bool is_quic(const uint8_t *b, uint32_t n) {
  if (n < 7 || b[0] < 0xc0) return false;
  uint32_t version = read32(b + 1);
  return version == 1 || version == 0x6b3343cf || version >> 8 == 0xff0000; /* RFC 9000, RFC 9369, drafts */
}

static uint8_t first_look(uint8_t proto, const uint8_t *b, uint32_t n) {
  if (proto == PROTO_ESP) return RM_NATURE_OPAQUE;
  if (proto == PROTO_UDP && is_quic(b, n)) return RM_NATURE_QUIC;
  if (proto != PROTO_TCP && proto != PROTO_UDP) return RM_NATURE_PLAIN;
  if (is_record(b, n, TLS_HANDSHAKE)) return RM_NATURE_TLS;
  if (is_record(b, n, TLS_DATA)) return RM_NATURE_OPAQUE;
  return n >= 4 && memcmp(b, "SSH-", 4) == 0 ? RM_NATURE_SSH : RM_NATURE_PLAIN;
}

uint8_t rm_nature_next(uint8_t nature, const struct rm_packet *p, const uint8_t *b, const struct rm_half *h) {
  uint32_t n = p->payload_bytes;
  switch (nature) {
    case RM_NATURE_TLS:
      return is_record(b, n, TLS_DATA) || h->payload_packets >= TLS_PACKETS ? RM_NATURE_OPAQUE : RM_NATURE_TLS;
    case RM_NATURE_SSH: {
      bool keys = n >= 6 && b[5] == SSH_NEWKEYS && read32(b) <= SSH_KEYS_BYTES;
      return keys || h->payload_packets >= SSH_PACKETS ? RM_NATURE_OPAQUE : RM_NATURE_SSH;
    }
    case RM_NATURE_QUIC: return b[0] & 0x80 ? RM_NATURE_QUIC : RM_NATURE_OPAQUE;
    case RM_NATURE_OPAQUE: return RM_NATURE_OPAQUE;
    default: return first_look(p->proto, b, n);
  }
}

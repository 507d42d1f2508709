/* The frames of BFD: control packets and echoes in UDP (RFC 5881, 5883), and who has which address (ARP, RFC 4861). Pure.
 *
 * Addresses are sixteen bytes, IPv4 as ::ffff:a.b.c.d. At most one VLAN tag; no fragments, no extension headers: nobody
 * who speaks BFD has reason for them.
 */
#ifndef RM_BFD_FRAME_H
#define RM_BFD_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BFD_PORT 3784u
#define BFD_PORT_ECHO 3785u
#define BFD_PORT_MULTIHOP 4784u
#define BFD_FRAME_MAX 160u /* tag, IPv6, UDP, and the largest packet with room to spare */

enum bfd_kind {
  BFD_KIND_OTHER,
  BFD_KIND_ASK,    /* who has `target`? */
  BFD_KIND_TELL,   /* `target` is at `mac` */
  BFD_KIND_UDP,
  BFD_KIND_IP,     /* any other packet from `source` to `target` */
  BFD_KIND_BROKEN, /* IP, and its headers cannot be right */
  BFD_KIND_CHECKSUM
};

struct bfd_frame {
  enum bfd_kind kind;
  uint32_t vlan;                      /* 0: no tag, or VLAN 0 */
  uint8_t mac[6];                     /* of `source`, or of `target` where it is told; as the frame says */
  uint8_t source[16], target[16];     /* source of an ASK: all 0 where it has none yet */
  uint16_t source_port, target_port;  /* UDP */
  uint8_t ttl;
  size_t ip_at, payload_at, payload_bytes; /* UDP */
};

/* What a frame is for us. */
void bfd_read_frame(const uint8_t *frame, size_t n, struct bfd_frame *out);

/* Where a frame goes. */
struct bfd_way {
  uint8_t from_mac[6], to_mac[6];
  uint32_t vlan;
  uint8_t from[16], to[16];
  uint16_t from_port, to_port;
  uint8_t ttl;
};
/* All of these return the frame's length, at most BFD_FRAME_MAX, without padding. */
size_t bfd_frame_udp(uint8_t *to, const struct bfd_way *way, const uint8_t *payload, size_t n);
/* Who has way->to? The answer is wanted at from_mac, from. */
size_t bfd_frame_ask(uint8_t *to, const struct bfd_way *way);
/* To to_mac, way->to: way->from is at from_mac. */
size_t bfd_frame_tell(uint8_t *to, const struct bfd_way *way);
/* A received UDP frame, in place, on its way back to `mac` with one hop less. */
void bfd_turn_back(uint8_t *frame, const struct bfd_frame *read, const uint8_t mac[6]);
bool bfd_is_v4(const uint8_t address[16]);
#endif

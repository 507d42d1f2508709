/* What parse.c lends to tunnel.c, and how both read numbers off the wire.
 */
#ifndef RM_PARSE_H
#define RM_PARSE_H
#include <string.h>
#include "filter.h"

enum { TYPE_ARP = 0x0806, TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8, TYPE_QINQ_OLD = 0x9100 };
enum { RM_TYPE_IPV4 = 0x0800, RM_TYPE_IPV6 = 0x86dd, RM_TYPE_ETHERNET = 0x6558 };

/* Bytes of a frame from `at` up to `end`, and what they are by EtherType. */
struct rm_stretch { uint32_t at, end; uint16_t type; };

static inline uint16_t read16(const uint8_t *p) {
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return __builtin_bswap16(v);
}

static inline uint32_t read32(const uint8_t *p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return __builtin_bswap32(v);
}

/* Eight bytes, read and written whole. The processor hands on what was just stored only to a load that lies inside one store;
 * any other waits for all stores before it, also for those whose memory is far away. */
static inline uint64_t load64(const void *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  __asm__("" : "+r"(v)); /* two of them are not to become one of sixteen bytes */
  return v;
}

static inline void store64(void *p, uint64_t v) {
  __asm__("" : "+r"(v));
  memcpy(p, &v, sizeof v);
}

/* Parse what lies in a tunnel into `out`, which holds zeros but for what is kept of the frame around it. */
uint8_t rm_parse_stretch(const uint8_t *frame, struct rm_stretch in, struct rm_packet *out);
#endif

/* Associations: SCTP packets as far as seeds and translation need them (RFC 9260). No DPDK and no clock in here.
 *
 * Each end drew a verification tag, which all packets to it carry. Who knows both can show a box that an association exists with a
 * heartbeat and its answer: every end answers one at any time, and tells the box nothing but the tags.
 */
#ifndef RM_ASSOCIATION_H
#define RM_ASSOCIATION_H
#include "filter.h"

#define RM_ASSOCIATION_INFO 16u /* bytes of a heartbeat that are the sender's own */
#define RM_HEARTBEAT_BYTES (12u + 8u + RM_ASSOCIATION_INFO) /* common header, chunk and parameter, information */

/* The checksum of a packet whose own is 0: CRC32c (appendix A), as the four bytes lie in memory. */
uint32_t association_sum(const uint8_t *packet, uint32_t bytes);
/* The tag that says whom a packet is for, as read from the wire. 0: it is not to be kept: an INIT has none yet, ABORT and SHUTDOWN COMPLETE
 * may have that of the other end (3.3.7, 3.3.13). `packet`: verdict FLOW, of SCTP. */
uint32_t association_tag(const uint8_t *frame, const struct rm_packet *packet);

struct heartbeat { uint16_t from, to; uint32_t tag; bool answer; uint8_t info[RM_ASSOCIATION_INFO]; };
/* A whole packet of RM_HEARTBEAT_BYTES, checksum and all. */
void association_beat(uint8_t *to, const struct heartbeat *h);
/* The information of a packet that is a heartbeat of this size, or the answer to one, and nothing else; null: it is none. */
const uint8_t *association_info(const uint8_t *frame, const struct rm_packet *packet);
#endif

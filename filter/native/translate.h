/* Translation: give a packet other ends.
 *
 * Addresses and ports are replaced, and every checksum that covers them is moved on by what changed (RFC 1624): one that was
 * right stays right, one that was wrong stays wrong, so damage is not hidden. No DPDK and no clock in here.
 */
#ifndef RM_TRANSLATE_H
#define RM_TRANSLATE_H
#include "filter.h"
#include "twin.h"

/* The ends of the same packet on its way back. */
struct twin_tuple translate_turned(const struct twin_tuple *of);

/* Can translate_frame() give this packet these ends? Not a packet in a tunnel, another family of addresses, or other ports
 * of SCTP, whose checksum is not a sum. */
bool translate_can(const struct rm_packet *p, const struct twin_tuple *to);
/* Give a frame the ends `to`. `p`: rm_parse() of it, verdict FLOW or FRAGMENT, translate_can() holds. Of fragments all have addresses, and
 * only a FIRST one ports and a checksum. */
void translate_frame(uint8_t *frame, const struct rm_packet *p, const struct twin_tuple *to);
/* Give the packet that an ICMP error quotes the ends `to`, and the error itself the same addresses where it has those of the quoted
 * packet. `quoted`: rm_quote() of it. False, and nothing is changed: another family of addresses. */
bool translate_error(uint8_t *frame, const struct rm_packet *error, const struct rm_packet *quoted, const struct twin_tuple *to);
#endif

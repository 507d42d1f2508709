/* Quotes: the packet that an ICMP error is about, of which often no more is there than eight bytes behind its IP header. */
#ifndef RM_QUOTE_H
#define RM_QUOTE_H
#include "filter.h"

#define RM_QUOTE_BYTES 8u /* of the quoted transport header at least (RFC 792); of the error's own header */

/* Is this message, of protocol 1 or 58, one that quotes? */
bool rm_quotes(const uint8_t *icmp, uint8_t proto);
/* The quoted packet of a frame with verdict FLOW: its key, direction, protocol and the offsets of its headers, counted from the start
 * of `frame`. TCP, UDP and echo have ports; false for other protocols, IPv6 with extension headers, fragments but
 * the first, and where less than RM_QUOTE_BYTES of transport are there. */
bool rm_quote(const uint8_t *frame, const struct rm_packet *error, struct rm_packet *out);
#endif

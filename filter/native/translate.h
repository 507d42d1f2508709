/* Translation: give a packet other ends, or a TCP segment other numbers.
 *
 * Addresses, ports and numbers are replaced, and every checksum that covers them is moved on by what changed (RFC 1624): one that was
 * right stays right, one that was wrong stays wrong, so damage is not hidden. No DPDK and no clock in here.
 */
#ifndef RM_TRANSLATE_H
#define RM_TRANSLATE_H
#include "filter.h"
#include "twin.h"

/* The ends of the same packet on its way back. */
struct twin_tuple translate_turned(const struct twin_tuple *of);

/* Can translate_frame() give this packet these ends? Not a packet in a tunnel, another family of addresses, or other ports of an SCTP
 * packet that is not all there: its checksum goes over all of it. */
bool translate_can(const struct rm_packet *p, const struct twin_tuple *to);
/* Give a frame the ends `to`. `p`: rm_parse() of it, verdict FLOW or FRAGMENT, translate_can() holds. Of fragments all have addresses, and
 * only a FIRST one ports and a checksum. */
void translate_frame(uint8_t *frame, const struct rm_packet *p, const struct twin_tuple *to);
/* Give the packet that an ICMP error quotes the ends `to`, and the error itself the same addresses where it has those of the quoted
 * packet. `quoted`: rm_quote() of it. False, and nothing is changed: another family of addresses. */
bool translate_error(uint8_t *frame, const struct rm_packet *error, const struct rm_packet *quoted, const struct twin_tuple *to);

/* What is added to the numbers of a TCP segment: sequence, acknowledgment with the edges of SACK (RFC 2018), and both timestamps
 * (RFC 7323). */
struct translate_numbers { uint32_t seq, ack, clock, echo; };
/* Renumber a segment, or what is there of the one that `error` quotes; null: it is none. Other protocols, and packets in
 * a tunnel, are left alone. */
void translate_numbers(uint8_t *frame, const struct rm_packet *p, const struct translate_numbers *by, const struct rm_packet *error);

/* What both do to a frame of a flow over IPv4, worked out once: words as they lie in it, what the checksums over its ends move on by, and
 * what is added to acknowledgments. */
struct translate_plan { uint32_t addr[2], ports; uint16_t head, above; uint32_t ack; };
/* From the ends `is` to the ends `to`, all numbers left alone. False: not all of the ends are IPv4's. */
bool translate_plan(const struct twin_tuple *is, const struct twin_tuple *to, struct translate_plan *plan);
/* translate_frame() and translate_numbers() of a TCP or UDP packet that has those ends, with a header of 20 bytes before the transport's,
 * and is all there. `seq`: what is added to its sequence number beside. */
void translate_planned(uint8_t *frame, uint32_t transport_offset, const struct translate_plan *plan, uint32_t seq);
/* Its timestamp, if it has one. */
bool translate_clock(const uint8_t *frame, const struct rm_packet *p, uint32_t *clock);
#endif

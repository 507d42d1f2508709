/* Traces: what of a frame survives a box, so that the frame that comes out is known for the one that went in.
 *
 * A box may change MAC addresses, VLAN tags, hop count, addresses, ports and the checksums over them. It leaves alone: TCP's
 * numbers and lengths; of UDP and ICMP the payload, whose sum follows from the checksum and the header alone, without
 * reading it. A box between IPv6 and IPv4 leaves as much, and makes
 * an echo of one kind an echo of the other. A box that rewrites sequence numbers, or merges and cuts segments, hides its frames: they are not found,
 * which is noticed (kept.h).
 */
#ifndef RM_TRACE_H
#define RM_TRACE_H
#include "filter.h"

/* Of what kind, in the lowest bits of a print: how well frames of a kind are known again is counted apart. */
enum rm_trace_kind { RM_TRACE_TCP, RM_TRACE_UDP, RM_TRACE_OTHER, RM_TRACE_KINDS };
#define RM_TRACE_KIND 3u

struct rm_trace {
  uint32_t print;    /* what the frame carries */
  uint16_t from, to; /* its ends, address and port; of a NAT one of them stays */
};
_Static_assert(sizeof(struct rm_trace) == 8, "one word in a log");

/* False: not a frame that is followed (no IP, or broken). `k` is its peek. */
bool rm_trace(const uint8_t *frame, uint32_t bytes, const struct rm_peek *k, uint64_t secret, struct rm_trace *out);
#endif

/* Numbers: what becomes of the sequence numbers and timestamps of a TCP connection between the two sides of a box.
 *
 * Most boxes leave them alone. A firewall that hides weak initial numbers, or a proxy that answers a SYN itself, adds to them,
 * the same for the life of a connection. What it adds shows in the SYN and in the SYN-ACK, seen on both sides.
 */
#ifndef RM_NUMBERS_H
#define RM_NUMBERS_H
#include "filter.h"

/* Of one entry, by the direction that sent them: the first numbers. Beside the entries, because few ask. */
struct numbers { uint32_t seq[2], clock[2], word; }; /* word: which of all flows at this place (twin_word), and KNOWN_* */

/* What the other side's numbers are more than this side's. */
struct numbers_gap { uint32_t seq, clock; };

struct plane;
/* A SYN or SYN-ACK of a flow was seen on `side`. */
void numbers_note(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *flow);
/* Of a paired connection, `flow` and `peer` being copies of its entries or these themselves: gap[0] is that of what the outer
 * end of `side` sends, gap[1] of what comes out there. False: it cannot be told. */
bool numbers_between(const struct plane *p, uint32_t side, const struct rm_flow *flow, const struct rm_flow *peer, struct numbers_gap gap[2]);
/* The same by the entries of this moment; zeros where nothing can be told. */
void numbers_of(const struct plane *p, uint32_t side, const struct rm_flow *flow, struct numbers_gap gap[2]);
/* Does a box renumber, or did it ever? */
bool numbers_change(const struct plane *p, uint32_t box);
void numbers_changed(struct plane *p, uint32_t box);
#endif

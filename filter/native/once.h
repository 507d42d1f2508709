/* Once: a frame that may come out of two boxes passes once.
 *
 * After frames were replayed into the new box, the old one may still hand them over, and the new one may have been about to
 * hand over a copy. One word for each print says how often it was played and how often each box has let it out: the n-th of
 * one box and the n-th of the other are the same frame, and whoever comes second is dropped. Words change by compare and
 * exchange, because who plays and who receives may be two workers. No DPDK.
 */
#ifndef RM_ONCE_H
#define RM_ONCE_H
#include <stdbool.h>
#include <stdint.h>

#define RM_ONCE 32768u
#define RM_ONCE_WAYS 4u

struct rm_once { uint64_t word[RM_ONCE]; };

/* A frame of this print is about to be played for the switch of this number. `doubled`: the new box has just been given a
 * copy as well. False: there is no room, and it must not be played. */
bool rm_once_expect(struct rm_once *o, uint32_t switch_number, uint32_t print, bool doubled);
/* A frame came out of the old box or the new one. False: it passed already. */
bool rm_once_passes(struct rm_once *o, uint32_t switch_number, uint32_t print, bool of_new);
#endif

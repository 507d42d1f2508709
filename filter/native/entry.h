/* Reading an entry of a flow table that belongs to another worker, which may be writing to it.
 *
 * An entry is nobody's while it is made (rm_flow_start), and its words are whole each by itself; what is copied has stood
 * still for two looks. Finding an entry by its key is for its worker alone: buckets have nothing that a reader could go by. No
 * DPDK in here.
 */
#ifndef RM_ENTRY_H
#define RM_ENTRY_H
#include "filter.h"

/* False: it does not stand still, or it is nobody's; *to is void then. */
bool entry_copy(const struct rm_flow *from, struct rm_flow *to);

static inline uint32_t entry_peer(const struct rm_flow *f) { return __atomic_load_n(&f->peer, __ATOMIC_RELAXED); }
static inline uint8_t entry_age(const struct rm_flow *f) { return __atomic_load_n(&f->age, __ATOMIC_RELAXED); }
#endif

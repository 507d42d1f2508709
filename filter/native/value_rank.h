/* What a flow is worth to keep: a number from what its entry says, without a clock of its own. Pure. */
#ifndef RM_VALUE_RANK_H
#define RM_VALUE_RANK_H
#include "filter.h"

#define RM_VALUES 128u
/* Of one that ended, of one that nobody has answered, and the least of the rest. */
enum { VALUE_CLOSED, VALUE_UNANSWERED, VALUE_LEAST };

/* Below RM_VALUES. */
uint32_t value_rank(const struct rm_flow *f, uint64_t now);
/* Of so many flows of each rank: the rank above which all fit, and of which not all do. 0: all fit. */
uint8_t value_bar(const uint32_t count[RM_VALUES], uint64_t room);
#endif

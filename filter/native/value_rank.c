/* Ranks of flows, and how many of the best fit. */
#include "value_rank.h"

#define SECOND 1000000000ull

static uint32_t log2_of(uint64_t n) { return 63u - (uint32_t)__builtin_clzll(n + 1); }

/* Four ranks for each time that it has moved twice as much; one less for each time that it is twice as old, and four
 * for each time that it has been idle twice as long. So of two that moved as much the younger one comes first, and what sleeps sinks. */
uint32_t value_rank(const struct rm_flow *f, uint64_t now) {
  bool answered = f->half[0].packets && f->half[1].packets;
  if (f->age == RM_AGE_TCP_CLOSING) return VALUE_CLOSED;
  if (f->age == RM_AGE_TCP_OPENING || !answered) return VALUE_UNANSWERED;
  uint64_t idle = now > f->last_ns ? (now - f->last_ns) / SECOND : 0, age = now > f->first_ns ? (now - f->first_ns) / SECOND : 0;
  int32_t rank = (int32_t)(4 * log2_of(f->half[0].bytes + f->half[1].bytes)) - (int32_t)log2_of(age) - (int32_t)(4 * log2_of(idle));
  if (rank < (int32_t)VALUE_LEAST) return VALUE_LEAST;
  return rank < (int32_t)RM_VALUES ? (uint32_t)rank : RM_VALUES - 1;
}

uint8_t value_bar(const uint32_t count[RM_VALUES], uint64_t room) {
  uint64_t sum = 0;
  for (uint32_t rank = RM_VALUES; rank-- > 0;) {
    sum += count[rank];
    if (sum > room) return (uint8_t)rank;
  }
  return 0;
}

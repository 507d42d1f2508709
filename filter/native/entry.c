/* Two looks at an entry, and whether they are alike. */
#include <string.h>
#include "entry.h"

#define LOOKS 8 /* a worker that writes faster than that has frames of this very flow without end */
#define WORDS (sizeof(struct rm_flow) / sizeof(uint64_t))

typedef uint64_t __attribute__((may_alias)) word;
_Static_assert(sizeof(struct rm_flow) % sizeof(word) == 0, "an entry is read word for word");

bool entry_copy(const struct rm_flow *from, struct rm_flow *to) {
  const word *there = (const word *)from;
  word *here = (word *)to;
  for (int look = 0; look < LOOKS; look++) {
    uint64_t differs = 0;
    for (size_t i = 0; i < WORDS; i++) here[i] = __atomic_load_n(&there[i], __ATOMIC_ACQUIRE);
    for (size_t i = 0; i < WORDS; i++) differs |= here[i] ^ __atomic_load_n(&there[i], __ATOMIC_ACQUIRE);
    if (differs == 0) return to->flags & RM_FLOW_USED;
  }
  return false;
}

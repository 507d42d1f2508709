/* The ring between two workers. Positions count for ever and wrap at 2^32; their difference is what waits. */
#include "crossing.h"

bool crossing_put(struct crossing *c, const struct message *message) {
  uint32_t at = c->writer.at;
  if (at - c->writer.other == RM_CROSSING) {
    c->writer.other = __atomic_load_n(&c->reader.at, __ATOMIC_ACQUIRE);
    if (at - c->writer.other == RM_CROSSING) return false;
  }
  c->message[at % RM_CROSSING] = *message;
  __atomic_store_n(&c->writer.at, at + 1, __ATOMIC_RELEASE);
  return true;
}

bool crossing_take(struct crossing *c, struct message *message) {
  uint32_t at = c->reader.at;
  if (at == c->reader.other) {
    c->reader.other = __atomic_load_n(&c->writer.at, __ATOMIC_ACQUIRE);
    if (at == c->reader.other) return false;
  }
  *message = c->message[at % RM_CROSSING];
  __atomic_store_n(&c->reader.at, at + 1, __ATOMIC_RELEASE);
  return true;
}

/* Events for control: a bounded ring in the board. Full means counted, never waited for. */
#include <time.h>
#include "reflex.h"

void event_write(struct rm_board *board, uint64_t now, const struct rm_event *event) {
  struct rm_live *live = &board->live;
  uint64_t next = live->event_sequence + 1;
  if (next - __atomic_load_n(&live->event_read, __ATOMIC_ACQUIRE) > RM_EVENTS) {
    rm_count(board, RM_COUNT_EVENT_LOST, 1, 0);
    return;
  }
  struct rm_event *slot = &board->event[next % RM_EVENTS];
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  *slot = *event;
  slot->mono_ns = now;
  slot->wall_ns = (uint64_t)t.tv_sec * RM_S + (uint64_t)t.tv_nsec;
  slot->sequence = next;
  __atomic_store_n(&live->event_sequence, next, __ATOMIC_RELEASE);
}

/* Bypass: armed while it is wanted. A NIC that refuses an order stays unarmed, and is asked again with the next tick. */
#include <stddef.h>
#include "bypass.h"

#define FEED_NS 200000000ull /* the shortest watchdog of the known NICs is 1.5 s */

void bypass_open(struct bypass *b, const struct bypass_driver *const *drivers, uint32_t count, void *nic) {
  *b = (struct bypass){.nic = nic};
  for (uint32_t i = 0; i < count && !b->driver; i++)
    if (drivers[i]->open(nic)) b->driver = drivers[i];
}

/* Open the relay before the watchdog begins, and end the watchdog before it is left alone. */
static void arm(struct bypass *b) {
  b->armed = b->driver->set(b->nic, RM_BYPASS_NORMAL) && b->driver->watch(b->nic, true);
}

static void disarm(struct bypass *b) {
  b->armed = !b->driver->watch(b->nic, false);
}

enum rm_bypass bypass_tick(struct bypass *b, bool wanted, uint64_t now) {
  if (!b->driver) return RM_BYPASS_NONE;
  if (b->fed_ns && now - b->fed_ns < FEED_NS) return b->armed ? RM_BYPASS_NORMAL : RM_BYPASS_NONE;
  b->fed_ns = now;
  if (wanted && !b->armed) arm(b);
  else if (!wanted && b->armed) disarm(b);
  if (!b->armed) return RM_BYPASS_NONE;
  b->driver->feed(b->nic);
  return b->driver->get(b->nic);
}

void bypass_close(struct bypass *b) {
  if (!b->driver || !b->armed) return;
  b->driver->set(b->nic, RM_BYPASS_ON);
  disarm(b);
}

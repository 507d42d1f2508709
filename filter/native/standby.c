/* Standbys: which boxes get copies, and what a worker may spend on them.
 *
 * All of them get the same, so a frame that is copied costs once for each, and each has an equal part of the budget. A
 * box that has left, or whose link is down, leaves its part to the others.
 */
#include "plane.h"

static uint64_t part_of(uint64_t rate, uint32_t parts) { return rate == 0 || rate >= parts ? rate / parts : 1; }

static bool is_linked(const struct plane *p, uint32_t box) {
  return p->port[role_box(box, RM_SIDE_UP)].view->link && p->port[role_box(box, RM_SIDE_DOWN)].view->link;
}

/* At least one, so that what is decided does not depend on whether the only one is there. */
static uint32_t standbys(const struct plane *p) {
  uint32_t n = 0;
  for (uint32_t box = 0; box < role_of_box(p->roles); box++)
    n += (p->members >> box & 1) && (int)box != serving(p) && is_linked(p, box);
  return n ? n : 1;
}

void standby_refresh(struct plane *p) {
  p->members = ((1u << role_of_box(p->roles)) - 1) & ~__atomic_load_n(&p->board->command.left, __ATOMIC_RELAXED);
  uint32_t parts = p->crew->workers * standbys(p);
  uint64_t bytes = part_of(p->budget_bytes, parts), packets = part_of(p->budget_packets, parts);
  if (bytes != p->budget.bytes.rate || packets != p->budget.packets.rate)
    rm_budget_set(&p->budget, bytes, packets, p->now);
}

/* The relay of Intel's 82599 bypass adapters, by the calls of DPDK's ixgbe driver. `nic`: a DPDK port id.
 *
 * No such adapter was at hand: what is here follows rte_pmd_ixgbe.h and ran against none. The relay joins the adapter's own
 * two ports, so upstream and downstream have to be these.
 */
#include <rte_pmd_ixgbe.h>
#include "plane.h"

enum { STATE_NORMAL = 1, STATE_BYPASS = 2, STATE_ISOLATE = 3 };
enum { EVENT_MAIN_OFF = 3, EVENT_AUX_OFF = 4, EVENT_WATCHDOG = 5 };
enum { WATCHDOG_OFF = 0, WATCHDOG_1500_MS = 1 };

static uint16_t id_of(const void *nic) { return *(const uint16_t *)nic; }

static bool ixgbe_open(void *nic) { return rte_pmd_ixgbe_bypass_init(id_of(nic)) == 0; }

static bool ixgbe_set(void *nic, enum rm_bypass state) {
  uint32_t to = state == RM_BYPASS_ON ? STATE_BYPASS : state == RM_BYPASS_ISOLATE ? STATE_ISOLATE : STATE_NORMAL;
  return rte_pmd_ixgbe_bypass_state_set(id_of(nic), &to) == 0;
}

static enum rm_bypass ixgbe_get(void *nic) {
  uint32_t state = 0;
  if (rte_pmd_ixgbe_bypass_state_show(id_of(nic), &state) != 0) return RM_BYPASS_NONE;
  return state == STATE_NORMAL ? RM_BYPASS_NORMAL : state == STATE_BYPASS ? RM_BYPASS_ON : RM_BYPASS_ISOLATE;
}

/* A power that fails closes the relay as well. */
static bool ixgbe_watch(void *nic, bool on) {
  uint16_t id = id_of(nic);
  if (!on) return rte_pmd_ixgbe_bypass_wd_timeout_store(id, WATCHDOG_OFF) == 0;
  for (uint32_t event = EVENT_MAIN_OFF; event <= EVENT_WATCHDOG; event++)
    if (rte_pmd_ixgbe_bypass_event_store(id, event, STATE_BYPASS) != 0) return false;
  return rte_pmd_ixgbe_bypass_wd_timeout_store(id, WATCHDOG_1500_MS) == 0;
}

static void ixgbe_feed(void *nic) { rte_pmd_ixgbe_bypass_wd_reset(id_of(nic)); }

static const struct bypass_driver IXGBE = {"ixgbe", ixgbe_open, ixgbe_set, ixgbe_get, ixgbe_watch, ixgbe_feed};

void bypass_find(struct plane *p) {
  static const struct bypass_driver *const DRIVERS[] = {&IXGBE};
  struct port *upstream = &p->port[RM_UPSTREAM];
  bool nic = port_is_pci(p->board->setup.spec[RM_UPSTREAM]);
  bypass_open(&p->bypass, DRIVERS, nic ? 1 : 0, &upstream->dpdk);
}

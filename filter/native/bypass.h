/* Bypass: a relay in a NIC that joins its two ports without the node, so that traffic flows though the node is dead.
 *
 * While the plane runs the relay is open and a watchdog of the NIC is fed; when nobody feeds it any more, or the plane
 * ends, the relay closes. What the node may do is policy; how a NIC does it is a table of functions. No DPDK.
 */
#ifndef RM_BYPASS_H
#define RM_BYPASS_H
#include <stdbool.h>
#include "abi.h"

struct bypass_driver {
  const char *name;
  bool (*open)(void *nic);                                /* false: it has no such relay */
  bool (*set)(void *nic, enum rm_bypass state);
  enum rm_bypass (*get)(void *nic);                       /* RM_BYPASS_NONE: it does not say */
  bool (*watch)(void *nic, bool on);                      /* begin or end the watchdog; it closes the relay */
  void (*feed)(void *nic);
};

struct bypass {
  const struct bypass_driver *driver; /* null: there is none */
  void *nic;
  bool armed;
  uint64_t fed_ns;
};

/* With the first driver that knows the NIC, if any. */
void bypass_open(struct bypass *b, const struct bypass_driver *const *drivers, uint32_t count, void *nic);
/* Every few milliseconds while the plane runs. Returns the state of the relay for the board. */
enum rm_bypass bypass_tick(struct bypass *b, bool wanted, uint64_t now);
/* The plane ends. */
void bypass_close(struct bypass *b);
#endif

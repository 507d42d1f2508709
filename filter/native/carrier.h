/* Carrier: whether an interface of the kernel has a link, asked without waiting.
 *
 * Everybody who answers that question directly (ethtool, /sys/.../carrier) waits for the kernel's lock on its interfaces,
 * for milliseconds while somebody makes or removes one; flags and messages follow when a kernel worker comes to it. But the
 * kernel counts each time a carrier comes and goes, at once, and tells these counts without a lock. From the state at the
 * beginning and the counts follows the state of now.
 */
#ifndef RM_CARRIER_H
#define RM_CARRIER_H
#include <stdint.h>

enum carrier_state { CARRIER_UNKNOWN = -1, CARRIER_DOWN, CARRIER_UP };

struct carrier { int up, down; int64_t base; };

/* Of the interface with this name and number. If the kernel does not tell, its state stays unknown. */
void carrier_open(struct carrier *c, const char *name, int interface);
enum carrier_state carrier_read(const struct carrier *c);
void carrier_close(struct carrier *c);
#endif

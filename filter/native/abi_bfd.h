/* The board's part of BFD (RFC 5880): sessions as configured, what becomes of them, and words for both. Part of the law
 * (abi.h).
 *
 * Control writes the orders between an odd and an even `bfd_generation`. The plane takes keys to memory of its own and
 * wipes them here, so a key lies on the board for a moment.
 */
#ifndef RM_ABI_BFD_H
#define RM_ABI_BFD_H
#include <stdint.h>
#include "abi_words.h"

/* As on the wire (RFC 5880, 4.1). */
enum rm_bfd_state { RM_BFD_ADMIN_DOWN, RM_BFD_DOWN, RM_BFD_INIT, RM_BFD_UP, RM_BFD_STATES };
enum rm_bfd_diag {
  RM_BFD_DIAG_NONE,
  RM_BFD_DIAG_DETECTION, /* control detection time expired */
  RM_BFD_DIAG_ECHO,      /* echo function failed */
  RM_BFD_DIAG_NEIGHBOUR, /* neighbour signaled session down */
  RM_BFD_DIAG_FORWARDING,
  RM_BFD_DIAG_PATH,
  RM_BFD_DIAG_CONCATENATED,
  RM_BFD_DIAG_ADMIN,
  RM_BFD_DIAG_REVERSE,
  RM_BFD_DIAGS
};
/* Why a packet that came for BFD was not taken, in the order in which it is asked. */
enum rm_bfd_discard {
  RM_BFD_TAKEN,
  RM_BFD_FRAME,          /* headers cut, or their lengths disagree */
  RM_BFD_CHECKSUM,       /* of IPv4 or UDP */
  RM_BFD_VERSION,        /* from here on RFC 5880, 6.8.6 */
  RM_BFD_LENGTH,
  RM_BFD_MULTIPLIER,     /* is 0 */
  RM_BFD_MULTIPOINT,
  RM_BFD_MY_DISCRIMINATOR, /* is 0 */
  RM_BFD_STATE,          /* no discriminator of ours, and neither Down nor AdminDown */
  RM_BFD_NO_SESSION,     /* nobody is configured for these ends, or has that discriminator */
  RM_BFD_TTL,            /* below 255 on a single hop (RFC 5881, 5) */
  RM_BFD_AUTH_ABSENT,
  RM_BFD_AUTH_UNASKED,
  RM_BFD_AUTH_TYPE,
  RM_BFD_AUTH_KEY,       /* another key id */
  RM_BFD_AUTH_DIGEST,
  RM_BFD_AUTH_SEQUENCE,  /* outside the window: replayed, or far ahead */
  RM_BFD_ECHO,           /* an echo that is neither ours nor to be sent back */
  RM_BFD_NOT_BFD,        /* something else for the address of a session */
  RM_BFD_DISCARDS
};

#define RM_BFD_SESSIONS 16
#define RM_BFD_KEY_BYTES 20
/* Authentication types (RFC 5880, 4.4). */
#define RM_BFD_AUTH_SHA1 4u
#define RM_BFD_AUTH_SHA1_METICULOUS 5u

/* One session as configured. Addresses are sixteen bytes, IPv4 as ::ffff:a.b.c.d. */
struct rm_bfd_order {
  char name[RM_NAME_BYTES];
  uint32_t box, side;      /* enum rm_box, enum rm_side: the port it runs on */
  uint32_t vlan;           /* 0: no tag */
  uint32_t multihop, passive; /* booleans */
  uint32_t min_tx_us, min_rx_us, multiplier;
  uint32_t echo_us;        /* 0: no echoes, neither sent nor sent back */
  uint32_t auth;           /* 0, or RM_BFD_AUTH_* */
  uint32_t key_id, key_bytes;
  uint8_t peer[16], local[16];
  uint8_t gateway[16];     /* whose link-layer address is asked for; the peer itself if it is on the link */
  uint8_t mac[8];          /* six used; all 0: ask for it */
  uint8_t key[RM_BFD_KEY_BYTES];
  uint32_t rest;
};

/* What became of it. Times are monotonic, 0: never. */
struct rm_bfd_view {
  uint32_t state, remote_state; /* enum rm_bfd_state */
  uint32_t diag, remote_diag;   /* enum rm_bfd_diag; the remote's may be one that has no name here */
  uint32_t light;               /* enum rm_light */
  uint32_t local_discr, remote_discr;
  uint32_t tx_us;          /* between packets sent, before jitter */
  uint32_t detect_us;      /* without a packet for so long it is down; 0: not known yet */
  uint32_t echo_us;        /* between echoes; 0: none are sent */
  uint32_t remote_multiplier;
  uint32_t polling, demand, found; /* booleans: a poll is under way; the peer wants no packets; its MAC is known */
  uint64_t changed_ns, heard_ns, echo_heard_ns;
  uint64_t ups, downs;     /* how often it came up and went down */
  uint64_t sent, taken, echoes_sent, echoes_back, echoes_returned;
  uint64_t late;           /* times the node itself sent later than the peer waits */
  uint64_t excused_ns;     /* the node's own stalls by which detection was put off */
  uint64_t discard[RM_BFD_DISCARDS];
  uint8_t mac[8];
} __attribute__((aligned(64)));
#endif

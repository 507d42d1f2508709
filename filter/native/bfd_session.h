/* One BFD session (RFC 5880, 6.8) as a state machine: no socket, no clock, no frame.
 *
 * What comes in is the present time, packets, and how long the node itself stood still; what goes out are packets to send
 * and the time by which somebody has to look again. Variables are those of the RFC, in parentheses.
 */
#ifndef RM_BFD_SESSION_H
#define RM_BFD_SESSION_H
#include "abi_words.h"
#include "bfd_packet.h"

#define BFD_ECHO_BYTES 24u

struct bfd_terms {
  uint32_t min_tx_us, min_rx_us, echo_us, multiplier, passive;
  struct bfd_key key;
};

struct bfd_session {
  struct bfd_terms terms;
  uint8_t state, remote_state, diag, remote_diag, remote_multiplier;
  bool polling, poll_again, final_due, demand, auth_known, was_up, closing;
  uint32_t local_discr, remote_discr;
  uint32_t tx_us, rx_us;             /* told to the peer (DesiredMinTx, RequiredMinRx) */
  uint32_t tx_used_us, rx_used_us;   /* in force: a change for the slower waits until the peer knows it */
  uint32_t remote_tx_us, remote_rx_us, remote_echo_us;
  uint32_t interval_us;              /* between packets, before jitter */
  uint32_t auth_tx, auth_rx;         /* (XmitAuthSeq, RcvAuthSeq) */
  uint32_t echo_sent, echo_back;     /* numbers of echoes */
  uint64_t tx_ns, sent_ns, heard_ns; /* next packet is due; the last was sent; the last was taken */
  uint64_t patience_ns;              /* for so long after sent_ns the peer waits; 0: it does not */
  uint64_t excused_ns;               /* since heard_ns */
  uint64_t echo_ns, echo_heard_ns, echo_excused_ns;
  uint64_t late_ns;                  /* when the node itself last sent later than the peer waits */
  uint64_t changed_ns, ups, downs, late, excused_total_ns;
  uint64_t random, token;            /* token: tells echoes of this session from anything else */
  uint8_t last[BFD_BYTES];           /* the last packet sent, without authentication */
};

/* `seed`: random, also for the first authentication number. `discr`: unique on this node, not 0. */
struct bfd_start { uint32_t discr; uint64_t seed; };
void bfd_open(struct bfd_session *s, const struct bfd_terms *terms, struct bfd_start start, uint64_t now);
/* Other intervals, multiplier or role of a session that goes on. The key may not change. */
void bfd_retune(struct bfd_session *s, const struct bfd_terms *terms, uint64_t now);
/* To AdminDown, for good; one more packet says so. */
void bfd_shut(struct bfd_session *s, uint64_t now);
/* A control packet for this session. */
enum rm_bfd_discard bfd_receive(struct bfd_session *s, const uint8_t *bytes, size_t n, uint64_t now);
/* The next packet that is due, 0: none. Call until there is none. */
size_t bfd_send(struct bfd_session *s, uint64_t now, uint8_t to[BFD_BYTES_MAX]);
/* The same for echoes. */
size_t bfd_send_echo(struct bfd_session *s, uint64_t now, uint8_t to[BFD_ECHO_BYTES]);
/* An echo that came back; false: it is none of this session's, or old. */
bool bfd_take_echo(struct bfd_session *s, const uint8_t *bytes, size_t n, uint64_t now);
/* Everything that came by `looked` was handed in; did the peer stay away too long? True: the session went down. */
bool bfd_expire(struct bfd_session *s, uint64_t now, uint64_t looked);
/* The node stood still for so long: that is not the peer's silence. */
void bfd_stalled(struct bfd_session *s, uint64_t lost_ns);
/* When the next packet or echo is due, or silence has lasted too long. */
uint64_t bfd_due_ns(const struct bfd_session *s);
/* 0: not known yet. */
uint64_t bfd_detect_ns(const struct bfd_session *s);
/* Interval between echoes; 0: none are sent. */
uint32_t bfd_echo_interval_us(const struct bfd_session *s);
enum rm_light bfd_light(const struct bfd_session *s, uint64_t now);
#endif

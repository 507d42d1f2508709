/* Sessions of a channel: two ends prove to each other that they hold the key and live now. No socket, no clock.
 *
 *   dials                                      listens
 *     hello(d, -)   ------------------------->             whoever has no session says who it is, the dialer first
 *                   <-------------------------  hello(l, d)
 *     open          hello(d, l) ------------->  open       each opens when it hears its own number from the other
 *
 * A number makes one session and no other, so that a hello recorded earlier never brings back old keys. An open session
 * listens to no hello: who could replay them would else end it. An end that starts anew waits until the other finds it silent.
 */
#ifndef RM_CHANNEL_SESSION_H
#define RM_CHANNEL_SESSION_H
#include "channel_wire.h"

#define CHANNEL_REPLAY 4096u /* datagrams may overtake each other by so many */

struct channel_session {
  bool open, confirmed;      /* confirmed: something sealed has come, so the other end has opened too */
  uint8_t own[CHANNEL_NONCE], peer[CHANNEL_NONCE]; /* of this session */
  uint8_t offered[CHANNEL_NONCE];                  /* of this end for the next */
  uint64_t heard_ns, said_ns; /* last proof of the other end; last hello of this one */
  uint64_t sent, highest;    /* number of the last datagram sent; the highest one taken */
  uint64_t seen[CHANNEL_REPLAY / 64];
};

enum channel_greeting { CHANNEL_IGNORE, CHANNEL_ANSWER, CHANNEL_OPENED };

/* `fresh`: random. */
void channel_session_open(struct channel_session *s, const uint8_t fresh[CHANNEL_NONCE]);
/* A signed hello of the other end. CHANNEL_OPENED: derive keys, and answer as well. */
enum channel_greeting channel_session_hear(struct channel_session *s, const uint8_t hello[CHANNEL_HELLO_BYTES],
                                           const uint8_t fresh[CHANNEL_NONCE], uint64_t now);
/* The hello to be sent now: an answer to `heard`, or, if that is null, one of this end's own accord. */
void channel_session_say(const struct channel_session *s, const uint8_t *heard, uint8_t hello[CHANNEL_HELLO_BYTES]);
/* Has this number come before, or is it too old to tell? */
bool channel_session_replayed(const struct channel_session *s, uint64_t number);
/* It has, and its seal is good. */
void channel_session_mark(struct channel_session *s, uint64_t number, uint64_t now);
/* An open session in which nothing was heard for so long ends here. True: it did. */
bool channel_session_silent(struct channel_session *s, uint64_t silence_ns, uint64_t now);
static inline void channel_session_end(struct channel_session *s) { s->open = s->confirmed = false; }
#endif

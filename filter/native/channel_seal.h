/* What proves that a datagram of a channel comes from the other end, and hides what it carries if that is wanted.
 *
 * One key of the operator's for both ends. A session has a key for each direction, derived from it and from a random number of
 * either end (HMAC-SHA256), so nothing recorded in another session is good in this one. Datagrams are sealed by AES-256-GCM
 * with their number as nonce; without encryption the body is only authenticated. Hellos, which come before there is a
 * session, carry an HMAC-SHA256 of 16 bytes. The work is libcrypto's.
 */
#ifndef RM_CHANNEL_SEAL_H
#define RM_CHANNEL_SEAL_H
#include "channel_wire.h"

#define CHANNEL_KEY 32u       /* derived */
#define CHANNEL_KEY_MIN 16u   /* the operator's, in bytes */
#define CHANNEL_KEY_MAX 256u

struct channel_secret { uint32_t bytes; uint8_t key[CHANNEL_KEY_MAX]; };
struct channel_seal { void *cipher; bool encrypts; }; /* of one direction */

/* Who dials and who listens, each with its random number of the session. */
struct channel_pair { uint8_t dials[CHANNEL_NONCE], listens[CHANNEL_NONCE]; uint32_t vni; };

/* The key of one direction. False: libcrypto refuses. */
bool channel_seal_open(struct channel_seal *s, const struct channel_secret *secret, const struct channel_pair *pair, bool of_listener);
void channel_seal_close(struct channel_seal *s);
/* Write the tag of a datagram, `bytes` in all with it, and encrypt its body if the seal does. */
bool channel_seal(struct channel_seal *s, uint8_t *datagram, uint32_t bytes, uint64_t number);
/* The body of a datagram, to `body`; false: it is not of the other end, or not of this session. */
bool channel_unseal(struct channel_seal *s, const uint8_t *datagram, uint32_t bytes, uint64_t number, uint8_t *body);

/* The tag of a hello. False: libcrypto refuses. */
bool channel_sign(const struct channel_secret *secret, uint8_t *datagram, uint32_t bytes);
bool channel_signed(const struct channel_secret *secret, const uint8_t *datagram, uint32_t bytes);
#endif

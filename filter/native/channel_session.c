/* Who is at the other end of a channel, and whether it lives; channel_session.h has the exchange. */
#include "channel_session.h"
#include <string.h>

void channel_session_open(struct channel_session *s, const uint8_t fresh[CHANNEL_NONCE]) {
  memset(s, 0, sizeof *s);
  memcpy(s->offered, fresh, CHANNEL_NONCE);
}

enum channel_greeting channel_session_hear(struct channel_session *s, const uint8_t hello[CHANNEL_HELLO_BYTES],
                                           const uint8_t fresh[CHANNEL_NONCE], uint64_t now) {
  if (s->open) return CHANNEL_IGNORE;
  if (memcmp(hello + CHANNEL_NONCE, s->offered, CHANNEL_NONCE) != 0) return CHANNEL_ANSWER;
  memcpy(s->own, s->offered, CHANNEL_NONCE);
  memcpy(s->peer, hello, CHANNEL_NONCE);
  memcpy(s->offered, fresh, CHANNEL_NONCE);
  memset(s->seen, 0, sizeof s->seen);
  s->sent = s->highest = 0;
  s->heard_ns = now;
  s->open = true;
  s->confirmed = false;
  return CHANNEL_OPENED;
}

void channel_session_say(const struct channel_session *s, const uint8_t *heard, uint8_t hello[CHANNEL_HELLO_BYTES]) {
  memcpy(hello, s->open ? s->own : s->offered, CHANNEL_NONCE);
  if (s->open) memcpy(hello + CHANNEL_NONCE, s->peer, CHANNEL_NONCE);
  else if (heard) memcpy(hello + CHANNEL_NONCE, heard, CHANNEL_NONCE);
  else memset(hello + CHANNEL_NONCE, 0, CHANNEL_NONCE);
}

bool channel_session_replayed(const struct channel_session *s, uint64_t number) {
  /* One word less than there are: the newest one takes the place of the oldest (RFC 6479). */
  if (number == 0 || number + CHANNEL_REPLAY - 64 <= s->highest) return true;
  return number <= s->highest && (s->seen[number / 64 % (CHANNEL_REPLAY / 64)] >> number % 64 & 1);
}

void channel_session_mark(struct channel_session *s, uint64_t number, uint64_t now) {
  if (number > s->highest) {
    /* The words between belong to numbers of a window ago. */
    uint64_t from = s->highest / 64 + 1, to = number / 64;
    if (to >= from + CHANNEL_REPLAY / 64) from = to - CHANNEL_REPLAY / 64 + 1;
    for (uint64_t w = from; w <= to; w++) s->seen[w % (CHANNEL_REPLAY / 64)] = 0;
    s->highest = number;
  }
  s->seen[number / 64 % (CHANNEL_REPLAY / 64)] |= 1ull << number % 64;
  s->heard_ns = now;
  s->confirmed = true;
}

bool channel_session_silent(struct channel_session *s, uint64_t silence_ns, uint64_t now) {
  if (!s->open || now - s->heard_ns < silence_ns) return false;
  channel_session_end(s);
  return true;
}

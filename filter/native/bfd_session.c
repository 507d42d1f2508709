/* BFD's reception, timers and lights. Section numbers are those of RFC 5880. */
#include <string.h>
#include "bfd_session.h"

#define US 1000ull
#define SLOW_US 1000000u      /* 6.8.3: until a session is up, a packet a second at most */
#define FORGET 2              /* 6.8.1: detection times after which the peer's sequence number is no longer known */
#define EXCUSES 2             /* own stalls put off detection by so many detection times at most */
#define LOOKS 2               /* so does who has not looked */
#define OWN_FAULT_NS 5000000000ull /* after a late packet of ours the peer's Down is our fault for so long */

static uint32_t max32(uint32_t a, uint32_t b) { return a > b ? a : b; }

static uint64_t draw(struct bfd_session *s) { /* xorshift64* */
  s->random ^= s->random >> 12, s->random ^= s->random << 25, s->random ^= s->random >> 27;
  return s->random * 0x2545f4914f6cdd1dull >> 32;
}

/* 6.8.7: 75 to 100 % of the interval, to 90 % where one lost packet is too many. */
static uint64_t jittered(struct bfd_session *s, uint32_t interval_us) {
  uint64_t span = s->terms.multiplier == 1 ? 15 : 25, permille = draw(s) % 1001;
  return interval_us * US * 75 / 100 + interval_us * US * span / 100 / 1000 * permille;
}

/* 6.8.7: the slower of what we want and what the peer can take. A new interval counts from the last packet. */
static void pace(struct bfd_session *s) {
  uint32_t interval = max32(s->tx_used_us, s->remote_rx_us);
  if (interval == s->interval_us) return;
  s->interval_us = interval;
  s->tx_ns = s->sent_ns + jittered(s, interval);
}

/* 6.8.3: what the session wants in its present state. While it is up the peer has to learn of a change by a poll, and one
 * for the slower waits for its end; before that nobody relies on anything. */
static void want(struct bfd_session *s) {
  bool up = s->state == RM_BFD_UP;
  uint32_t tx = up ? s->terms.min_tx_us : max32(s->terms.min_tx_us, SLOW_US), rx = s->terms.min_rx_us;
  if (up && (tx != s->tx_us || rx != s->rx_us)) {
    s->poll_again = s->polling;
    s->polling = true;
  }
  if (!up) s->polling = s->poll_again = false;
  if (!up || tx < s->tx_used_us) s->tx_used_us = tx;
  if (!up || rx > s->rx_used_us) s->rx_used_us = rx;
  s->tx_us = tx;
  s->rx_us = rx;
  pace(s);
}

static void go(struct bfd_session *s, uint8_t state, uint8_t diag, uint64_t now) {
  if (state == s->state) return;
  if (state == RM_BFD_UP) s->ups++, s->was_up = true;
  if (s->state == RM_BFD_UP) s->downs++;
  s->state = state;
  s->diag = diag;
  s->changed_ns = now;
  s->echo_ns = s->echo_heard_ns = 0;
  want(s);
  s->tx_ns = now; /* 6.8.7: a change is told at once */
}

void bfd_open(struct bfd_session *s, const struct bfd_terms *terms, struct bfd_start start, uint64_t now) {
  memset(s, 0, sizeof *s);
  s->terms = *terms;
  s->state = s->remote_state = RM_BFD_DOWN;
  s->local_discr = start.discr;
  s->random = start.seed | 1;
  s->remote_rx_us = 1; /* 6.8.1 */
  s->auth_tx = (uint32_t)draw(s);
  s->token = draw(s) << 32 | draw(s);
  s->sent_ns = s->changed_ns = now;
  want(s);
  s->tx_ns = now + jittered(s, s->interval_us); /* many sessions must not begin as one */
}

void bfd_retune(struct bfd_session *s, const struct bfd_terms *terms, uint64_t now) {
  bool other_echo = terms->echo_us != s->terms.echo_us, other = terms->multiplier != s->terms.multiplier || other_echo;
  s->terms = *terms;
  if (other_echo) s->echo_ns = s->echo_heard_ns = 0;
  want(s);
  /* Told by the next packet as well; there is nothing to wait for. */
  if (other && s->tx_ns > now) s->tx_ns = now;
}

void bfd_shut(struct bfd_session *s, uint64_t now) {
  s->was_up = false;
  go(s, RM_BFD_ADMIN_DOWN, RM_BFD_DIAG_ADMIN, now);
  s->closing = true;
}

uint64_t bfd_detect_ns(const struct bfd_session *s) { /* 6.8.4 */
  return s->remote_multiplier * (uint64_t)max32(s->rx_used_us, s->remote_tx_us) * US;
}

/* 6.7.4: the window is three detection multipliers wide; a number may stand still if it is not meticulous. */
static bool in_window(const struct bfd_session *s, uint32_t sequence) {
  uint32_t ahead = sequence - s->auth_rx, width = 3u * (s->remote_multiplier ? s->remote_multiplier : 1);
  bool meticulous = s->terms.key.type == RM_BFD_AUTH_SHA1_METICULOUS;
  return !s->auth_known || (ahead <= width && (ahead > 0 || !meticulous));
}

static enum rm_bfd_discard authenticate(struct bfd_session *s, const uint8_t *bytes, const struct bfd_packet *p) {
  const struct bfd_key *key = &s->terms.key;
  if (!p->auth) return key->type ? RM_BFD_AUTH_ABSENT : RM_BFD_TAKEN;
  if (!key->type) return RM_BFD_AUTH_UNASKED;
  if (p->auth_type != key->type) return RM_BFD_AUTH_TYPE;
  if (p->key_id != key->id) return RM_BFD_AUTH_KEY;
  if (!in_window(s, p->sequence)) return RM_BFD_AUTH_SEQUENCE;
  if (!bfd_authentic(bytes, p, key)) return RM_BFD_AUTH_DIGEST;
  s->auth_known = true;
  s->auth_rx = p->sequence;
  return RM_BFD_TAKEN;
}

/* Does the peer have to wait longer for our next packet than it does? Then its Down is our fault. */
static void note_late(struct bfd_session *s, uint64_t now) {
  if (s->state != RM_BFD_UP || s->patience_ns == 0 || now - s->sent_ns <= s->patience_ns) return;
  s->late++;
  s->late_ns = now;
  s->patience_ns = 0; /* once for each packet */
}

/* 6.8.6, the heart of it. */
static void follow(struct bfd_session *s, const struct bfd_packet *p, uint64_t now) {
  if (p->state == RM_BFD_ADMIN_DOWN) {
    s->was_up = false; /* the peer's own will is no failure */
    if (s->state != RM_BFD_DOWN) go(s, RM_BFD_DOWN, RM_BFD_DIAG_NEIGHBOUR, now);
  } else if (s->state == RM_BFD_DOWN) {
    if (p->state == RM_BFD_DOWN) go(s, RM_BFD_INIT, RM_BFD_DIAG_NONE, now);
    else if (p->state == RM_BFD_INIT) go(s, RM_BFD_UP, RM_BFD_DIAG_NONE, now);
  } else if (s->state == RM_BFD_INIT) {
    if (p->state >= RM_BFD_INIT) go(s, RM_BFD_UP, RM_BFD_DIAG_NONE, now);
  } else if (p->state == RM_BFD_DOWN) {
    note_late(s, now);
    go(s, RM_BFD_DOWN, RM_BFD_DIAG_NEIGHBOUR, now);
  }
}

static void end_poll(struct bfd_session *s) {
  s->polling = s->poll_again;
  s->poll_again = false;
  if (s->polling) return;
  s->tx_used_us = s->tx_us;
  s->rx_used_us = s->rx_us;
}

enum rm_bfd_discard bfd_receive(struct bfd_session *s, const uint8_t *bytes, size_t n, uint64_t now) {
  struct bfd_packet p;
  enum rm_bfd_discard why = bfd_parse(bytes, n, &p);
  if (why != RM_BFD_TAKEN) return why;
  if (p.your_discr != 0 && p.your_discr != s->local_discr) return RM_BFD_NO_SESSION;
  why = authenticate(s, bytes, &p);
  if (why != RM_BFD_TAKEN) return why;
  s->remote_discr = p.my_discr;
  s->remote_state = p.state;
  s->remote_diag = p.diag;
  s->remote_multiplier = p.multiplier;
  s->remote_tx_us = p.desired_tx_us;
  s->remote_rx_us = p.required_rx_us;
  s->remote_echo_us = p.required_echo_us;
  s->heard_ns = now;
  s->excused_ns = 0;
  if (p.final && s->polling) end_poll(s);
  pace(s);
  if (s->state == RM_BFD_ADMIN_DOWN) return RM_BFD_TAKEN;
  follow(s, &p, now);
  s->demand = p.demand;
  s->final_due |= p.poll;
  return RM_BFD_TAKEN;
}

/* 6.8.7: when nothing is sent by the clock. */
static bool quiet(const struct bfd_session *s) {
  if (s->closing) return false;
  if (s->terms.passive && s->remote_discr == 0) return true;
  if (s->remote_rx_us == 0) return true;
  return s->demand && s->state == RM_BFD_UP && s->remote_state == RM_BFD_UP && !s->polling;
}

static size_t write_packet(struct bfd_session *s, bool final, uint8_t *to) {
  struct bfd_packet p = {
      .diag = s->diag, .state = s->state, .multiplier = (uint8_t)s->terms.multiplier, .final = final,
      .poll = s->polling && !final, /* never both */
      .independent = true,          /* the plane outlives control */
      .my_discr = s->local_discr, .your_discr = s->remote_discr, .desired_tx_us = s->tx_us,
      .required_rx_us = s->rx_us, .required_echo_us = s->terms.echo_us};
  uint8_t plain[BFD_BYTES_MAX];
  bfd_write(plain, &p, &(struct bfd_key){0});
  /* 6.7.4: meticulous counts every packet, the other one those that say something new. */
  if (s->terms.key.type == RM_BFD_AUTH_SHA1_METICULOUS || memcmp(plain, s->last, BFD_BYTES) != 0) s->auth_tx++;
  memcpy(s->last, plain, BFD_BYTES);
  p.sequence = s->auth_tx;
  return bfd_write(to, &p, &s->terms.key);
}

size_t bfd_send(struct bfd_session *s, uint64_t now, uint8_t to[BFD_BYTES_MAX]) {
  if (s->final_due) {
    s->final_due = false;
    return write_packet(s, true, to);
  }
  if (quiet(s)) {
    s->sent_ns = now; /* who does not send is not late */
    s->patience_ns = 0;
    return 0;
  }
  if (now < s->tx_ns) return 0;
  note_late(s, now);
  s->sent_ns = now;
  s->patience_ns = s->terms.multiplier * (uint64_t)max32(s->tx_us, s->remote_rx_us) * US; /* by what this packet says */
  s->tx_ns = s->closing ? UINT64_MAX : now + jittered(s, s->interval_us);
  return write_packet(s, false, to);
}

uint32_t bfd_echo_interval_us(const struct bfd_session *s) { /* 6.8.9 */
  if (s->terms.echo_us == 0 || s->remote_echo_us == 0 || s->state != RM_BFD_UP) return 0;
  return max32(s->terms.echo_us, s->remote_echo_us);
}

static void echo_of(const struct bfd_session *s, uint32_t number, uint8_t to[BFD_ECHO_BYTES]) {
  memset(to, 0, BFD_ECHO_BYTES);
  memcpy(to, "RMEC", 4);
  memcpy(to + 4, &s->local_discr, 4);
  memcpy(to + 8, &number, 4);
  memcpy(to + 16, &s->token, 8);
}

size_t bfd_send_echo(struct bfd_session *s, uint64_t now, uint8_t to[BFD_ECHO_BYTES]) {
  uint32_t interval = bfd_echo_interval_us(s);
  if (interval == 0) {
    s->echo_ns = s->echo_heard_ns = 0;
    return 0;
  }
  if (s->echo_heard_ns == 0) {
    s->echo_ns = s->echo_heard_ns = now; /* the first one is not late yet */
    s->echo_excused_ns = 0;
  }
  if (now < s->echo_ns) return 0;
  s->echo_ns = now + jittered(s, interval);
  echo_of(s, ++s->echo_sent, to);
  return BFD_ECHO_BYTES;
}

bool bfd_take_echo(struct bfd_session *s, const uint8_t *bytes, size_t n, uint64_t now) {
  uint8_t ours[BFD_ECHO_BYTES];
  uint32_t number;
  if (n < BFD_ECHO_BYTES) return false;
  memcpy(&number, bytes + 8, sizeof number);
  echo_of(s, number, ours);
  if (memcmp(bytes, ours, sizeof ours) != 0) return false;
  /* One that was sent, and after the last that came back. */
  if (s->echo_sent - number >= 1u << 31 || number - s->echo_back - 1 >= 1u << 31) return false;
  s->echo_back = number;
  if (s->echo_heard_ns) s->echo_heard_ns = now;
  s->echo_excused_ns = 0;
  return true;
}

/* Silence counts up to the time by which everybody has looked; who never looks puts the verdict off, no more. */
static bool silent(uint64_t from, uint64_t patience, uint64_t now, uint64_t looked) {
  return looked > from + patience || now > from + LOOKS * patience;
}

bool bfd_expire(struct bfd_session *s, uint64_t now, uint64_t looked) {
  uint64_t detect = bfd_detect_ns(s), echo = bfd_echo_interval_us(s) * US * s->terms.multiplier;
  if (s->heard_ns && now > s->heard_ns + FORGET * detect + s->excused_ns) s->auth_known = false;
  if (s->heard_ns && silent(s->heard_ns + s->excused_ns, detect, now, looked)) {
    bool was = s->state == RM_BFD_INIT || s->state == RM_BFD_UP;
    s->remote_discr = 0; /* 6.8.1 */
    s->remote_rx_us = 1;
    s->remote_state = RM_BFD_DOWN;
    s->demand = false;
    if (was) go(s, RM_BFD_DOWN, RM_BFD_DIAG_DETECTION, now);
    else pace(s);
    if (!s->auth_known) s->heard_ns = 0; /* nothing is left to wait for */
    return was;
  }
  if (!echo || !s->echo_heard_ns || !silent(s->echo_heard_ns + s->echo_excused_ns, echo, now, looked)) return false;
  go(s, RM_BFD_DOWN, RM_BFD_DIAG_ECHO, now);
  return true;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

void bfd_stalled(struct bfd_session *s, uint64_t lost_ns) {
  if (s->state != RM_BFD_UP && s->state != RM_BFD_INIT) return;
  uint64_t detect = bfd_detect_ns(s), echo = bfd_echo_interval_us(s) * US * s->terms.multiplier;
  uint64_t by = least(lost_ns, EXCUSES * detect - least(EXCUSES * detect, s->excused_ns));
  s->excused_ns += by;
  s->excused_total_ns += by;
  s->echo_excused_ns += least(lost_ns, EXCUSES * echo - least(EXCUSES * echo, s->echo_excused_ns));
}

uint64_t bfd_due_ns(const struct bfd_session *s) {
  uint64_t due = s->final_due ? 0 : quiet(s) ? UINT64_MAX : s->tx_ns;
  uint64_t echo = bfd_echo_interval_us(s) * US * s->terms.multiplier;
  if (s->heard_ns && s->state != RM_BFD_ADMIN_DOWN) {
    bool waits = s->remote_discr != 0;
    uint64_t detect = bfd_detect_ns(s) * (waits ? 1 : FORGET);
    due = least(due, s->heard_ns + s->excused_ns + detect + 1);
  }
  if (echo == 0) return due;
  if (s->echo_heard_ns == 0) return 0;
  return least(due, least(s->echo_ns, s->echo_heard_ns + s->echo_excused_ns + echo + 1));
}

enum rm_light bfd_light(const struct bfd_session *s, uint64_t now) {
  if (s->state == RM_BFD_UP) return RM_LIGHT_GREEN;
  if (s->state == RM_BFD_ADMIN_DOWN) return RM_LIGHT_OFF;
  if (s->was_up) {
    bool own = s->late_ns && s->diag == RM_BFD_DIAG_NEIGHBOUR && now - s->late_ns < OWN_FAULT_NS;
    return own ? RM_LIGHT_YELLOW : RM_LIGHT_RED;
  }
  return s->remote_state == RM_BFD_ADMIN_DOWN ? RM_LIGHT_YELLOW : RM_LIGHT_OFF;
}

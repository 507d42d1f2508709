/* BFD as a library for TypeScript: the codec, a session and the frames, with time and packets from the caller.
 *
 * Serves the tests: a session in C beside one in TypeScript, both fed the same.
 */
#include <stdlib.h>
#include <string.h>
#include "bfd_frame.h"
#include "bfd_session.h"
#include "board.h"

/* As the caller writes them. */
struct terms { uint32_t min_tx_us, min_rx_us, echo_us, multiplier, passive, auth, key_id, key_bytes; uint8_t key[20]; };
/* What it may look at. */
struct look {
  uint32_t state, remote_state, diag, remote_diag, light, remote_discr, tx_us, rx_us, tx_used_us, rx_used_us;
  uint32_t interval_us, polling, auth_rx, auth_known, echo_us, late;
  uint64_t detect_ns, due_ns, ups, downs;
};

RM_EXPORT void rm_bfd_sha1(const uint8_t *bytes, uint32_t n, uint8_t *digest);
RM_EXPORT uint32_t rm_bfd_parse(const uint8_t *bytes, uint32_t n, uint32_t *out);
RM_EXPORT struct bfd_session *rm_bfd_open(const struct terms *t, uint32_t discr, uint64_t seed, uint64_t now);
RM_EXPORT void rm_bfd_close(struct bfd_session *s);
RM_EXPORT void rm_bfd_retune(struct bfd_session *s, const struct terms *t, uint64_t now);
RM_EXPORT void rm_bfd_shut(struct bfd_session *s, uint64_t now);
RM_EXPORT uint32_t rm_bfd_receive(struct bfd_session *s, const uint8_t *bytes, uint32_t n, uint64_t now);
RM_EXPORT uint32_t rm_bfd_send(struct bfd_session *s, uint64_t now, uint8_t *to);
RM_EXPORT uint32_t rm_bfd_send_echo(struct bfd_session *s, uint64_t now, uint8_t *to);
RM_EXPORT uint32_t rm_bfd_take_echo(struct bfd_session *s, const uint8_t *bytes, uint32_t n, uint64_t now);
RM_EXPORT uint32_t rm_bfd_expire(struct bfd_session *s, uint64_t now, uint64_t looked);
RM_EXPORT void rm_bfd_stalled(struct bfd_session *s, uint64_t lost_ns);
RM_EXPORT void rm_bfd_look(const struct bfd_session *s, uint64_t now, struct look *out);
RM_EXPORT uint32_t rm_bfd_frame(const uint8_t *frame, uint32_t n, struct bfd_frame *out);
RM_EXPORT uint32_t rm_bfd_build(uint32_t what, const struct bfd_way *way, const uint8_t *payload, uint8_t *to);

void rm_bfd_sha1(const uint8_t *bytes, uint32_t n, uint8_t *digest) { bfd_sha1(bytes, n, digest); }

uint32_t rm_bfd_parse(const uint8_t *bytes, uint32_t n, uint32_t *out) {
  struct bfd_packet p;
  enum rm_bfd_discard why = bfd_parse(bytes, n, &p);
  uint32_t flags = p.poll | p.final << 1 | p.independent << 2 | p.auth << 3 | p.demand << 4;
  uint32_t all[] = {p.diag, p.state, flags, p.multiplier, p.my_discr, p.your_discr, p.desired_tx_us, p.required_rx_us,
                    p.required_echo_us, p.auth_type, p.key_id, p.sequence};
  memcpy(out, all, sizeof all);
  return why;
}

static struct bfd_terms terms_of(const struct terms *t) {
  struct bfd_terms terms = {.min_tx_us = t->min_tx_us, .min_rx_us = t->min_rx_us, .echo_us = t->echo_us,
                            .multiplier = t->multiplier, .passive = t->passive,
                            .key = {.type = t->auth, .id = t->key_id, .bytes = t->key_bytes}};
  memcpy(terms.key.key, t->key, sizeof t->key);
  return terms;
}

/* Null: no memory. */
struct bfd_session *rm_bfd_open(const struct terms *t, uint32_t discr, uint64_t seed, uint64_t now) {
  struct bfd_session *s = malloc(sizeof *s);
  struct bfd_terms terms = terms_of(t);
  if (s) bfd_open(s, &terms, (struct bfd_start){discr, seed}, now);
  return s;
}

void rm_bfd_close(struct bfd_session *s) { free(s); }

void rm_bfd_retune(struct bfd_session *s, const struct terms *t, uint64_t now) {
  struct bfd_terms terms = terms_of(t);
  bfd_retune(s, &terms, now);
}

void rm_bfd_shut(struct bfd_session *s, uint64_t now) { bfd_shut(s, now); }
uint32_t rm_bfd_receive(struct bfd_session *s, const uint8_t *bytes, uint32_t n, uint64_t now) {
  return bfd_receive(s, bytes, n, now);
}
uint32_t rm_bfd_send(struct bfd_session *s, uint64_t now, uint8_t *to) { return (uint32_t)bfd_send(s, now, to); }
uint32_t rm_bfd_send_echo(struct bfd_session *s, uint64_t now, uint8_t *to) {
  return (uint32_t)bfd_send_echo(s, now, to);
}
uint32_t rm_bfd_take_echo(struct bfd_session *s, const uint8_t *bytes, uint32_t n, uint64_t now) {
  return bfd_take_echo(s, bytes, n, now);
}
uint32_t rm_bfd_expire(struct bfd_session *s, uint64_t now, uint64_t looked) { return bfd_expire(s, now, looked); }
void rm_bfd_stalled(struct bfd_session *s, uint64_t lost_ns) { bfd_stalled(s, lost_ns); }

void rm_bfd_look(const struct bfd_session *s, uint64_t now, struct look *out) {
  *out = (struct look){s->state, s->remote_state, s->diag, s->remote_diag, bfd_light(s, now), s->remote_discr,
                       s->tx_us, s->rx_us, s->tx_used_us, s->rx_used_us, s->interval_us, s->polling, s->auth_rx,
                       s->auth_known, bfd_echo_interval_us(s), (uint32_t)s->late,
                       bfd_detect_ns(s), bfd_due_ns(s), s->ups, s->downs};
}

uint32_t rm_bfd_frame(const uint8_t *frame, uint32_t n, struct bfd_frame *out) {
  bfd_read_frame(frame, n, out);
  return out->kind;
}

/* what: 0 a UDP frame with 24 bytes of payload, 1 a question, 2 an answer. */
uint32_t rm_bfd_build(uint32_t what, const struct bfd_way *way, const uint8_t *payload, uint8_t *to) {
  if (what == 0) return (uint32_t)bfd_frame_udp(to, way, payload, BFD_BYTES);
  return (uint32_t)(what == 1 ? bfd_frame_ask(to, way) : bfd_frame_tell(to, way));
}

/* Datagrams of a channel: what comes in, what goes out, and what is due as time passes.
 *
 * The decisions are the core's (channel.c, channel_session.c); here they meet a socket and frame buffers. A frame that is
 * longer than a datagram goes in parts, each a unit of its own.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "remote.h"

#define HELLO_NS (50 * RM_MS)     /* between two of an end's own accord */
#define ANSWER_NS (5 * RM_MS)     /* between two answers: who sends old hellos gets no flood of new ones */
#define QUICK_NS RM_MS            /* the first word after a unit; each further one four times as long after it */
#define QUICK 3
#define TRIES 4 /* of asking: one in ten thousand units needs more at a loss of 5 % */
#define GATE_NS (10 * RM_MS)
#define ROUTE_UNKNOWN 1280        /* the least that IPv6 carries everywhere */

static uint64_t now_of(const struct remote *r) { return r->port->plane->now; }

void remote_measure(struct remote *r) {
  bool six = r->set.at.ss_family == AF_INET6;
  int mtu = 0;
  socklen_t bytes = sizeof mtu;
  uint32_t headers = (six ? 40 : 20) + 8;
  int got = six ? getsockopt(r->port->fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &bytes) : getsockopt(r->port->fd, IPPROTO_IP, IP_MTU, &mtu, &bytes);
  uint32_t way = r->set.datagram_bytes ? r->set.datagram_bytes : got == 0 && mtu > 0 ? (uint32_t)mtu : ROUTE_UNKNOWN;
  if (way < 576) way = 576;
  uint32_t datagram = way - headers > REMOTE_DATAGRAM ? REMOTE_DATAGRAM : way - headers;
  r->unit_bytes = datagram - CHANNEL_OVERHEAD;
}

/* ---- out ---- */

/* The sibling may be another worker's; what this frame has to follow was put there before. */
static uint32_t after_of(const struct remote *r) {
  return r->sibling ? (uint32_t)__atomic_load_n(&r->sibling->out.next, __ATOMIC_ACQUIRE) : 0;
}

static struct channel_head head_of(struct remote *r, uint8_t kind, uint8_t flags, uint64_t sequence) {
  if (r->set.listens) flags |= CHANNEL_LISTENS;
  if (r->set.encrypts && kind != CHANNEL_HELLO) flags |= CHANNEL_ENCRYPTED;
  return (struct channel_head){.number = kind == CHANNEL_HELLO ? 0 : ++r->session.sent, .vni = r->set.vni,
                               .sequence = (uint32_t)sequence, .oldest = (uint32_t)r->out.oldest, .kind = kind, .flags = flags};
}

static void say(struct remote *r, enum channel_kind kind, const uint8_t *body, uint32_t bytes) {
  uint8_t d[CHANNEL_OVERHEAD + CHANNEL_WORDS_MAX];
  memcpy(d + CHANNEL_HEADER, body, bytes);
  struct channel_head h = head_of(r, (uint8_t)kind, 0, r->out.next);
  uint32_t all = channel_write(d, bytes, &h);
  if (channel_seal(&r->seal, d, all, h.number)) (void)!send(r->port->fd, d, all, MSG_DONTWAIT);
}

static void say_hello(struct remote *r, const uint8_t *heard, const struct sockaddr_storage *to) {
  uint8_t d[CHANNEL_OVERHEAD + CHANNEL_HELLO_BYTES];
  struct channel_head h = head_of(r, CHANNEL_HELLO, 0, 0);
  channel_session_say(&r->session, heard, d + CHANNEL_HEADER);
  uint32_t all = channel_write(d, CHANNEL_HELLO_BYTES, &h);
  r->session.said_ns = now_of(r);
  if (!channel_sign(&r->set.secret, d, all)) return;
  bool named = r->set.listens && !r->connected;
  (void)!sendto(r->port->fd, d, all, MSG_DONTWAIT, named ? (const struct sockaddr *)to : NULL, named ? r->set.at_bytes : 0);
}

static void say_state(struct remote *r, uint64_t now) {
  uint8_t body[CHANNEL_STATE_BYTES];
  bool down = __atomic_load_n(&r->want_down, __ATOMIC_RELAXED);
  struct channel_words w = {.sent_ns = now, .echo_ns = r->peer.sent_ns, .held_ns = r->peer.sent_ns ? now - r->peer_ns : 0,
                            .lost = r->in.lost + r->torn, .mtu = r->local_mtu, .link = r->local_link, .down = down};
  channel_write_state(body, &w);
  say(r, CHANNEL_STATE, body, sizeof body);
  r->beat_ns = now;
  r->said_down = down;
  r->said_link = r->local_link;
}

void remote_bye(struct remote *r) {
  if (r->session.open) say(r, CHANNEL_BYE, NULL, 0);
  channel_session_end(&r->session);
}

/* Put the datagram of a unit behind those that wait. */
static void load(struct remote *r, uint64_t sequence, const struct channel_unit *u) {
  uint32_t i = r->waiting;
  uint8_t *d = r->buffer[i];
  struct channel_head h = head_of(r, CHANNEL_FRAME, u->flags, sequence);
  h.after = u->after; /* sent again it follows no more than it did */
  memcpy(d + CHANNEL_HEADER, channel_bytes(&r->out, u), u->bytes);
  uint32_t all = channel_write(d, u->bytes, &h);
  if (!channel_seal(&r->seal, d, all, h.number)) return;
  r->vector[i] = (struct iovec){d, all};
  r->message[i].msg_hdr = (struct msghdr){.msg_iov = &r->vector[i], .msg_iovlen = 1};
  r->sequence_of[i] = sequence;
  r->waiting++;
}

/* Send what waits; how many the kernel took. One that it will never take counts as taken: the other end gives it up. */
static uint32_t unload(struct remote *r) {
  uint32_t n = r->waiting, sent = 0;
  bool again = true; /* an error may be that of an earlier datagram, which was not delivered */
  r->waiting = 0;
  while (sent < n) {
    int now = sendmmsg(r->port->fd, r->message + sent, n - sent, MSG_DONTWAIT);
    if (now > 0) sent += (uint32_t)now;
    else if (errno == EMSGSIZE) remote_measure(r), sent++;
    else if (errno == ECONNREFUSED && again) again = false;
    else if (errno != EINTR) break;
  }
  return sent;
}

/* Send the batch; false: the kernel had no room, and `taken` says with which frame it ends. */
static bool flush(struct remote *r, uint16_t *taken) {
  uint32_t n = r->waiting, sent = unload(r);
  if (sent == n) return true;
  /* A frame of which a part has left is taken: the rest of it is asked for. */
  uint32_t frame = r->frame_of[sent];
  while (sent > 0 && sent < n && r->frame_of[sent] == frame && r->frame_of[sent - 1] == frame) sent++;
  *taken = (uint16_t)(sent < n ? r->frame_of[sent] : r->frame_of[n - 1] + 1);
  if (sent < n) channel_take_back(&r->out, r->sequence_of[sent]);
  return false;
}

uint16_t remote_send(struct remote *r, struct rte_mbuf *const *frames, uint16_t n) {
  uint16_t taken = n, i = 0;
  uint64_t before = r->out.next;
  for (bool room = true; room && i < n; i++) {
    const uint8_t *body = rte_pktmbuf_mtod(frames[i], const uint8_t *);
    uint32_t bytes = frames[i]->data_len, parts = (bytes + r->unit_bytes - 1) / r->unit_bytes;
    if (parts == 0 || parts > REMOTE_BATCH) continue; /* a datagram of 576 bytes carries 500: none is that long */
    if (r->waiting + parts > REMOTE_BATCH && !(room = flush(r, &taken))) break;
    uint32_t part = (bytes + parts - 1) / parts;
    for (uint32_t at = 0; at < bytes; at += part) {
      uint16_t size = (uint16_t)(bytes - at < part ? bytes - at : part);
      uint8_t flags = (uint8_t)((at == 0 ? CHANNEL_FIRST : 0) | (at + size == bytes ? CHANNEL_LAST : 0));
      r->frame_of[r->waiting] = i;
      uint32_t after = after_of(r); /* before it has a number: of two workers none may wait for the other */
      struct channel_unit *u = channel_put(&r->out, body + at, size, flags);
      u->after = after;
      load(r, r->out.next - 1, u);
    }
  }
  if (r->waiting) flush(r, &taken);
  if (r->out.next != before) r->units += r->out.next - before, r->data_ns = now_of(r), r->quick = 0;
  return taken;
}

static void send_again(struct remote *r, const uint8_t *body, uint32_t bytes, uint64_t now) {
  struct channel_range range[CHANNEL_RANGES];
  int n = channel_read_ask(body, bytes, r->out.next, range);
  for (int i = 0; i < n; i++)
    for (uint64_t s = range[i].first; s < range[i].first + range[i].count; s++) {
      const struct channel_unit *u = channel_again(&r->out, s, r->rtt_ns / 2, now);
      if (!u) continue;
      load(r, s, u);
      if (r->waiting == REMOTE_BATCH) unload(r);
    }
  unload(r);
}

/* ---- in ---- */

static void forget(struct remote *r) {
  for (void *frame; (frame = channel_drain(&r->in));) rte_pktmbuf_free(frame);
  rte_pktmbuf_free(r->partial);
  r->partial = NULL;
  channel_in_reset(&r->in);
  channel_out_reset(&r->out);
  r->peer = (struct channel_words){0};
  r->data_ns = r->beat_ns = 0;
  r->quick = QUICK;
}

/* The listening end hears anybody while it has no session, and then only the one who proved to hold the key. */
static void attach(struct remote *r, const struct sockaddr_storage *to) {
  if (!r->set.listens) return;
  struct sockaddr nobody = {.sa_family = AF_UNSPEC};
  r->connected = to && connect(r->port->fd, (const struct sockaddr *)to, r->set.at_bytes) == 0;
  if (!to) (void)!connect(r->port->fd, &nobody, sizeof nobody);
}

static void begin(struct remote *r, const struct sockaddr_storage *from) {
  struct channel_pair pair = {.vni = r->set.vni};
  const struct channel_session *s = &r->session;
  memcpy(pair.dials, r->set.listens ? s->peer : s->own, CHANNEL_NONCE);
  memcpy(pair.listens, r->set.listens ? s->own : s->peer, CHANNEL_NONCE);
  forget(r);
  attach(r, from);
  remote_measure(r);
  r->sessions++;
  if (!channel_seal_open(&r->seal, &r->set.secret, &pair, r->set.listens) ||
      !channel_seal_open(&r->unseal, &r->set.secret, &pair, !r->set.listens))
    return channel_session_end(&r->session);
}

static void hear_hello(struct remote *r, const uint8_t *d, uint32_t bytes, const struct sockaddr_storage *from) {
  uint8_t fresh[CHANNEL_NONCE];
  uint64_t now = now_of(r);
  if (bytes != CHANNEL_OVERHEAD + CHANNEL_HELLO_BYTES || !channel_signed(&r->set.secret, d, bytes)) {
    r->refused++;
    return;
  }
  if (getentropy(fresh, sizeof fresh) < 0) return;
  enum channel_greeting what = channel_session_hear(&r->session, d + CHANNEL_HEADER, fresh, now);
  if (what == CHANNEL_OPENED) begin(r, from);
  else if (what == CHANNEL_IGNORE || now - r->session.said_ns < ANSWER_NS) return;
  say_hello(r, d + CHANNEL_HEADER, from);
  if (r->session.open) say_state(r, now);
}

static void hear_state(struct remote *r, const uint8_t *body, uint32_t bytes, uint64_t now) {
  struct channel_words w;
  if (!channel_read_state(body, bytes, &w) || w.sent_ns < r->peer.sent_ns) return; /* overtaken by a newer one */
  if (w.echo_ns && now >= w.echo_ns + w.held_ns) {
    uint64_t took = now - w.echo_ns - w.held_ns, off = took > r->rtt_ns ? took - r->rtt_ns : r->rtt_ns - took;
    r->rtt_deviation_ns = r->rtt_ns ? r->rtt_deviation_ns - r->rtt_deviation_ns / 8 + off / 8 : 0;
    r->rtt_ns = r->rtt_ns ? r->rtt_ns - r->rtt_ns / 8 + took / 8 : took;
    /* A way on which delays differ reorders: what is late by that much is not lost yet. */
    r->in.reorder_ns = r->set.reorder_ns + r->rtt_deviation_ns;
  }
  r->peer = w;
  r->peer_ns = now;
  r->peer_lost = w.lost;
  r->port->view->mtu = w.mtu;
}

static void hear_unit(struct remote *r, const struct channel_head *h, struct rte_mbuf *m, uint64_t now) {
  bool follows = r->set.listens && r->sibling && r->sibling->session.open;
  struct channel_arrival a = {.sequence = channel_widen(r->in.known, h->sequence), .frame = m,
                              .after = follows ? channel_widen(r->sibling->in.known, h->after) : 0,
                              .flags = h->flags & (CHANNEL_FIRST | CHANNEL_LAST)};
  enum channel_taken taken = channel_take(&r->in, &a, now);
  r->received++;
  if (taken != CHANNEL_TAKEN) rte_pktmbuf_free(m);
}

/* Sealed by the other end in this session. */
static void hear_sealed(struct remote *r, const struct channel_head *h, struct rte_mbuf *m) {
  uint64_t now = now_of(r), oldest = channel_widen(r->in.known, h->oldest);
  const uint8_t *body = rte_pktmbuf_mtod(m, const uint8_t *);
  uint64_t next = h->kind == CHANNEL_FRAME ? r->in.known : channel_widen(r->in.known, h->sequence);
  uint32_t bytes = m->data_len;
  channel_session_mark(&r->session, h->number, now);
  if (h->kind == CHANNEL_FRAME) {
    hear_unit(r, h, m, now);
    return channel_hear(&r->in, r->in.known, oldest, now);
  }
  channel_hear(&r->in, next, oldest, now);
  if (h->kind == CHANNEL_STATE) hear_state(r, body, bytes, now);
  else if (h->kind == CHANNEL_ASK) send_again(r, body, bytes, now);
  else if (h->kind == CHANNEL_BYE) channel_session_end(&r->session);
  rte_pktmbuf_free(m);
}

static void hear_datagram(struct remote *r, const uint8_t *d, uint32_t bytes, const struct sockaddr_storage *from) {
  struct channel_head h = {0};
  int body = channel_read(d, bytes, &h);
  bool other = !(h.flags & CHANNEL_LISTENS) == r->set.listens, sealed = !(h.flags & CHANNEL_ENCRYPTED) == !r->set.encrypts;
  if (body < 0 || h.vni != r->set.vni || !other) {
    r->refused++;
    return;
  }
  if (h.kind == CHANNEL_HELLO) return hear_hello(r, d, bytes, from);
  if (!r->session.open || !sealed || channel_session_replayed(&r->session, h.number)) {
    r->refused++;
    return;
  }
  struct rte_mbuf *m = rte_pktmbuf_alloc(r->port->plane->pool);
  if (!m || rte_pktmbuf_tailroom(m) < body || !channel_unseal(&r->unseal, d, bytes, h.number, rte_pktmbuf_mtod(m, uint8_t *))) {
    if (!m) r->port->view->rx_missed++;
    else r->refused++;
    return rte_pktmbuf_free(m);
  }
  m->data_len = (uint16_t)body;
  m->pkt_len = (uint32_t)body;
  hear_sealed(r, &h, m);
}

int remote_read(struct remote *r) {
  for (uint32_t i = 0; i < REMOTE_BATCH; i++) {
    r->place[i] = (struct iovec){r->incoming[i], REMOTE_DATAGRAM};
    r->arrived[i].msg_hdr = (struct msghdr){.msg_iov = &r->place[i], .msg_iovlen = 1, .msg_name = &r->from[i],
                                            .msg_namelen = sizeof r->from[i]};
  }
  int n = recvmmsg(r->port->fd, r->arrived, REMOTE_BATCH, MSG_DONTWAIT, NULL);
  for (int i = 0; i < n; i++) hear_datagram(r, r->incoming[i], r->arrived[i].msg_len, &r->from[i]);
  return n < 0 ? 0 : n;
}

/* Put a part behind those before it; false: the frame is not whole, or too long. */
static bool join(struct remote *r, struct rte_mbuf *m, uint8_t flags, bool broken) {
  if (flags & CHANNEL_FIRST) {
    r->torn += r->partial != NULL;
    rte_pktmbuf_free(r->partial);
    r->partial = m;
    return true;
  }
  char *room = r->partial && !broken ? rte_pktmbuf_append(r->partial, m->data_len) : NULL;
  if (room) memcpy(room, rte_pktmbuf_mtod(m, const char *), m->data_len);
  rte_pktmbuf_free(m);
  if (room) return true;
  r->torn++;
  rte_pktmbuf_free(r->partial);
  r->partial = NULL;
  return false;
}

/* The far end has both channels in one thread, and lets none run ahead of the other. What the other one misses it gives up
 * in time, unless its session has changed or a unit was taken back: then the wait has an end of its own. */
static void gate(struct remote *r, uint64_t now) {
  bool follows = r->set.listens && r->sibling && r->sibling->session.open;
  r->in.passed = follows ? r->sibling->in.next : CHANNEL_NEVER;
  if (!channel_waits(&r->in)) r->gated_ns = 0;
  else if (r->gated_ns == 0) r->gated_ns = now;
  else if (now - r->gated_ns > 2 * r->set.wait_ns + GATE_NS) r->in.passed = CHANNEL_NEVER;
}

uint16_t remote_pull(struct remote *r, struct rte_mbuf **frames, uint16_t n) {
  uint16_t got = 0;
  uint8_t flags;
  bool broken;
  gate(r, now_of(r));
  for (struct rte_mbuf *m; got < n && (m = channel_pull(&r->in, &flags, &broken));) {
    if (!join(r, m, flags, broken) || !(flags & CHANNEL_LAST)) continue;
    frames[got++] = r->partial;
    r->partial = NULL;
  }
  return got;
}

/* ---- time ---- */

static uint64_t answer_ns(const struct remote *r) { return r->rtt_ns + 4 * r->rtt_deviation_ns + RM_MS; }

static void ask(struct remote *r, uint64_t now) {
  struct channel_range range[CHANNEL_RANGES];
  uint8_t body[CHANNEL_WORDS_MAX];
  uint32_t n = channel_ask(&r->in, answer_ns(r), range, CHANNEL_RANGES, now);
  if (n) say(r, CHANNEL_ASK, body, channel_write_ask(body, range, n));
}

static uint64_t quick_ns(const struct remote *r) {
  return r->quick >= QUICK || r->data_ns == 0 ? CHANNEL_NEVER : r->data_ns + (QUICK_NS << 2 * r->quick);
}

static uint64_t beat_due(const struct remote *r) {
  uint64_t quick = quick_ns(r), usual = r->beat_ns + r->set.silence_ns / 5;
  return quick < usual ? quick : usual;
}

void remote_tick(struct remote *r, uint64_t now) {
  struct channel_session *s = &r->session;
  bool was_open = r->connected || r->up;
  channel_session_silent(s, r->set.silence_ns, now);
  if (!s->open && was_open) attach(r, NULL);
  if (!r->set.listens && !s->confirmed && now - s->said_ns >= HELLO_NS) {
    if (!s->open) (void)!connect(r->port->fd, (const struct sockaddr *)&r->set.at, r->set.at_bytes); /* routes change */
    say_hello(r, NULL, NULL);
  }
  uint64_t slack = r->in.reorder_ns + TRIES * answer_ns(r);
  __atomic_store_n(&r->slack_ns, slack < r->set.wait_ns ? slack : r->set.wait_ns, __ATOMIC_RELAXED);
  r->up = s->open && s->confirmed && r->peer.sent_ns && r->peer.link;
  if (!s->open) return;
  ask(r, now);
  bool down = __atomic_load_n(&r->want_down, __ATOMIC_RELAXED);
  if (now < beat_due(r) && down == r->said_down && r->local_link == r->said_link) return;
  if (now >= quick_ns(r)) r->quick++;
  say_state(r, now);
}

uint64_t remote_due(const struct remote *r) {
  if (!r->session.open) return r->set.listens ? CHANNEL_NEVER : r->session.said_ns + HELLO_NS;
  uint64_t due = beat_due(r);
  return r->in.due_ns < due ? r->in.due_ns : due;
}

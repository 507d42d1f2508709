/* BFD's life in the plane: orders of control, what is due, the frames it sends, and what it says of a box.
 *
 * A box is as well as the worst of its sessions. Detection waits until every worker has looked at its ports, and leaves
 * out the time in which the node itself stood still.
 */
#include <string.h>
#include <sys/random.h>
#include "plane.h"

#define ASK_NS (1000 * RM_MS)     /* between two questions for a MAC */
#define ASK_AGAIN_NS (30000 * RM_MS) /* a known one is asked for again while the session is down */
#define LOST_NS (RM_MS / 2)       /* shorter turns are no stall */
#define TELL_NS (10 * RM_MS)      /* the lights are told so often, at least */
#define PORT_FIRST 49152u         /* RFC 5881, 4: of the source, one for each session */

static struct rm_bfd_view *view_of(struct plane *p, const struct bfd_run *run) {
  return &p->board->live.bfd[run - p->bfd.run];
}

static uint64_t random64(void) {
  uint64_t r = 0;
  /* What is random is only a defence; a kernel without it still gets sessions that are apart. */
  if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r) r = (uint64_t)(uintptr_t)&r * 0x9e3779b97f4a7c15ull;
  return r;
}

/* ---- orders */

static struct bfd_terms terms_of(const struct rm_bfd_order *o) {
  struct bfd_terms t = {.min_tx_us = o->min_tx_us, .min_rx_us = o->min_rx_us, .multiplier = o->multiplier,
                        .echo_us = o->multihop ? 0 : o->echo_us, .passive = o->passive,
                        .key = {.type = o->auth, .id = o->key_id, .bytes = o->key_bytes}};
  memcpy(t.key.key, o->key, sizeof t.key.key);
  return t;
}

/* What makes it another session and not another setting. */
static bool is_same(const struct bfd_run *run, const struct rm_bfd_order *o) {
  const struct rm_bfd_order *a = &run->order;
  const struct bfd_key *key = &run->session.terms.key;
  return a->box == o->box && a->side == o->side && a->vlan == o->vlan && a->multihop == o->multihop &&
         memcmp(a->peer, o->peer, 16) == 0 && memcmp(a->local, o->local, 16) == 0 &&
         memcmp(a->gateway, o->gateway, 16) == 0 && memcmp(a->mac, o->mac, 6) == 0 && key->type == o->auth &&
         key->id == o->key_id && key->bytes == o->key_bytes && memcmp(key->key, o->key, sizeof key->key) == 0;
}

static bool is_taken(const struct bfd *b, uint32_t discr, uint16_t port) {
  for (uint32_t i = 0; i < b->count; i++)
    if (b->run[i].session.local_discr == discr || b->run[i].from_port == port) return true;
  return discr == 0;
}

bool bfd_has_mac(const struct rm_bfd_order *o) {
  static const uint8_t NONE[6];
  return memcmp(o->mac, NONE, sizeof NONE) != 0;
}

static void begin(struct plane *p, struct bfd_run *run, const struct rm_bfd_order *o) {
  memset(run, 0, sizeof *run);
  struct bfd_terms terms = terms_of(o);
  uint64_t r;
  do r = random64(), run->from_port = (uint16_t)(PORT_FIRST + r % (65536 - PORT_FIRST));
  while (is_taken(&p->bfd, (uint32_t)(r >> 32), run->from_port));
  bfd_open(&run->session, &terms, (struct bfd_start){(uint32_t)(r >> 32), random64()}, p->now);
  memcpy(run->mac, o->mac, 6);
  run->found = bfd_has_mac(o);
}

static void place(struct bfd_place *at, const struct rm_bfd_order *o) {
  *at = (struct bfd_place){.role = role_box(o->box, o->side), .vlan = o->vlan, .multihop = o->multihop};
  memcpy(at->peer, o->peer, 16);
  memcpy(at->local, o->local, 16);
  memcpy(at->gateway, o->gateway, 16);
}

/* Worker 0: sessions that stay move to their new places, others begin, the rest say goodbye. */
static void change_sessions(struct plane *p, const struct rm_bfd_order *order, uint32_t count) {
  static struct bfd_run before[RM_BFD_SESSIONS];
  static struct rm_bfd_view shown[RM_BFD_SESSIONS];
  struct bfd *b = &p->bfd;
  uint32_t had = b->count;
  bool stays[RM_BFD_SESSIONS] = {false};
  memcpy(before, b->run, sizeof before);
  memcpy(shown, p->board->live.bfd, sizeof shown);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t was = 0;
    while (was < had && (stays[was] || !is_same(&before[was], &order[i]))) was++;
    if (was < had) stays[was] = true;
  }
  for (uint32_t i = 0; i < had; i++) {
    if (stays[i]) continue;
    bfd_shut(&b->run[i].session, p->now);
    bfd_work(p, &b->run[i], &b->place[i]);
  }
  b->count = 0;
  for (uint32_t i = 0; i < count; i++) {
    struct bfd_run *run = &b->run[i];
    uint32_t was = 0;
    while (was < had && !(stays[was] && is_same(&before[was], &order[i]))) was++;
    if (was < had) {
      struct bfd_terms terms = terms_of(&order[i]);
      stays[was] = false;
      *run = before[was];
      p->board->live.bfd[i] = shown[was];
      bfd_retune(&run->session, &terms, p->now);
    } else {
      memset(&p->board->live.bfd[i], 0, sizeof p->board->live.bfd[i]);
      begin(p, run, &order[i]);
    }
    run->order = order[i];
    memset(run->order.key, 0, sizeof run->order.key);
    b->count = i + 1;
  }
  memset(before, 0, sizeof before); /* there are keys in it */
}

/* A box that has no session any more is no longer spoken of. */
static void say_off(struct plane *p, const struct rm_bfd_order *order, uint32_t count) {
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    uint32_t i = 0;
    while (i < count && order[i].box != box) i++;
    if (i == count) reflex_detect(&p->reflex, box, RM_DETECTOR_BFD, (struct said){RM_LIGHT_OFF, 0});
  }
}

void bfd_take_orders(struct plane *p) {
  struct rm_command *c = &p->board->command;
  uint32_t before = __atomic_load_n(&c->bfd_generation, __ATOMIC_ACQUIRE), count = c->bfd_count;
  if ((before & 1) || before == p->bfd.generation || count > RM_BFD_SESSIONS) return;
  struct rm_bfd_order order[RM_BFD_SESSIONS];
  memcpy(order, c->bfd, sizeof order);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  if (__atomic_load_n(&c->bfd_generation, __ATOMIC_RELAXED) != before) return;
  for (uint32_t i = 0; i < count; i++)
    if (order[i].side >= RM_SIDES || role_box(order[i].box, order[i].side) >= p->roles || order[i].key_bytes > RM_BFD_KEY_BYTES)
      return; /* taken when the ports are there */
  if (p->index == 0) {
    change_sessions(p, order, count);
    say_off(p, order, count);
    for (uint32_t i = 0; i < RM_BFD_SESSIONS; i++) memset(c->bfd[i].key, 0, sizeof c->bfd[i].key);
    p->bfd.due_ns = 0;
    p->bfd.looked_ns = p->now;
  }
  p->bfd.roles = 0;
  for (uint32_t i = 0; i < count; i++) {
    place(&p->bfd.place[i], &order[i]);
    p->bfd.roles |= 1u << p->bfd.place[i].role;
  }
  p->bfd.count = count;
  p->bfd.generation = before;
  explicit_bzero(order, sizeof order);
  if (p->index == 0) __atomic_store_n(&p->board->live.bfd_done, before, __ATOMIC_RELEASE);
}

/* ---- sending */

bool bfd_send_frame(struct plane *p, uint32_t role, const uint8_t *frame, size_t n) {
  struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);
  uint8_t *to = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(n < 60 ? 60 : n)) : NULL;
  if (!to) {
    rte_pktmbuf_free(m);
    count(p, RM_COUNT_TX_FULL, 1, n);
    return false;
  }
  memcpy(to, frame, n);
  if (n < 60) memset(to + n, 0, 60 - n); /* the least Ethernet takes */
  port_queue(p, role, m, false);
  return true;
}

static struct bfd_way way_of(const struct plane *p, const struct bfd_run *run, const struct bfd_place *at) {
  struct bfd_way way = {.vlan = at->vlan, .from_port = run->from_port, .ttl = 255,
                        .to_port = at->multihop ? BFD_PORT_MULTIHOP : BFD_PORT};
  memcpy(way.from_mac, p->board->live.port[at->role].mac, 6);
  memcpy(way.to_mac, run->mac, 6);
  memcpy(way.from, at->local, 16);
  memcpy(way.to, at->peer, 16);
  return way;
}

/* Nobody can be sent to before it is known where it is. A box that was replaced has another MAC. */
static void ask(struct plane *p, struct bfd_run *run, const struct bfd_place *at) {
  uint8_t frame[BFD_FRAME_MAX];
  if (bfd_has_mac(&run->order) || (run->found && run->session.state == RM_BFD_UP)) return;
  if (run->asked_ns && p->now - run->asked_ns < (run->found ? ASK_AGAIN_NS : ASK_NS)) return;
  run->asked_ns = p->now;
  struct bfd_way way = way_of(p, run, at);
  memcpy(way.to, at->gateway, 16);
  bfd_send_frame(p, at->role, frame, bfd_frame_ask(frame, &way));
}

/* It is known where the peer is, and the port takes frames. */
static bool can_send(const struct plane *p, const struct bfd_run *run, const struct bfd_place *at) {
  return run->found && p->port[at->role].view->link;
}

/* Everything of one session that is due. */
void bfd_work(struct plane *p, struct bfd_run *run, const struct bfd_place *at) {
  uint8_t packet[BFD_BYTES_MAX], frame[BFD_FRAME_MAX];
  struct rm_bfd_view *view = view_of(p, run);
  size_t n;
  if (p->port[at->role].view->link) ask(p, run, at);
  if (!can_send(p, run, at)) return;
  struct bfd_way way = way_of(p, run, at);
  while ((n = bfd_send(&run->session, p->now, packet)) > 0)
    if (bfd_send_frame(p, at->role, frame, bfd_frame_udp(frame, &way, packet, n))) view->sent++;
  memcpy(way.to, at->local, 16); /* to ourselves, by way of the peer */
  way.to_port = BFD_PORT_ECHO;
  while ((n = bfd_send_echo(&run->session, p->now, packet)) > 0)
    if (bfd_send_frame(p, at->role, frame, bfd_frame_udp(frame, &way, packet, n))) view->echoes_sent++;
}

/* ---- a turn */

static void show(struct plane *p, const struct bfd_run *run) {
  struct rm_bfd_view *v = view_of(p, run);
  const struct bfd_session *s = &run->session;
  v->state = s->state, v->remote_state = s->remote_state;
  v->diag = s->diag, v->remote_diag = s->remote_diag;
  v->light = bfd_light(s, p->now);
  v->local_discr = s->local_discr, v->remote_discr = s->remote_discr;
  v->tx_us = s->interval_us, v->detect_us = (uint32_t)(bfd_detect_ns(s) / 1000);
  v->echo_us = bfd_echo_interval_us(s), v->remote_multiplier = s->remote_multiplier;
  v->polling = s->polling, v->demand = s->demand, v->found = run->found;
  v->changed_ns = s->changed_ns, v->ups = s->ups, v->downs = s->downs;
  v->late = s->late, v->excused_ns = s->excused_total_ns;
  memcpy(v->mac, run->mac, 6);
}

/* The worst of a box's sessions speaks for it: number of the session, its diagnostic, and the peer's. */
static void tell(struct plane *p) {
  struct said said[RM_BOXES] = {{RM_LIGHT_OFF, 0}, {RM_LIGHT_OFF, 0}};
  uint32_t has = 0;
  for (uint32_t i = 0; i < p->bfd.count; i++) {
    const struct rm_bfd_view *v = &p->board->live.bfd[i];
    uint32_t box = p->bfd.run[i].order.box;
    uint32_t detail = i | v->state << 8 | v->diag << 16 | v->remote_diag << 24;
    if (v->light > said[box].light || !(has & 1u << box)) said[box] = (struct said){v->light, detail};
    has |= 1u << box;
  }
  for (uint32_t box = 0; box < RM_BOXES; box++)
    if (has & 1u << box) reflex_detect(&p->reflex, box, RM_DETECTOR_BFD, said[box]);
}

/* Everybody who could have received a packet by then has looked. Those asleep are woken where it matters. */
static uint64_t looked_ns(struct plane *p) {
  uint64_t slowest = p->bfd.looked_ns;
  if (p->crew->workers == 1) return slowest;
  for (uint32_t i = 1; i < p->crew->workers; i++) {
    uint64_t looked = __atomic_load_n(&p->crew->report[i].looked_ns, __ATOMIC_ACQUIRE);
    if (looked < slowest) slowest = looked, crew_wake(p->crew, i);
  }
  hear(p); /* what they told before they said so */
  return slowest;
}

void bfd_turn(struct plane *p) {
  struct bfd *b = &p->bfd;
  if (!b->full) b->looked_ns = p->now;
  b->full = false;
  if (p->now < b->due_ns) return;
  uint64_t looked = looked_ns(p), due = p->now + TELL_NS;
  for (uint32_t i = 0; i < b->count; i++) {
    struct bfd_run *run = &b->run[i];
    bfd_expire(&run->session, p->now, looked);
    bfd_work(p, run, &b->place[i]);
    show(p, run);
    uint64_t wants = can_send(p, run, &b->place[i]) ? bfd_due_ns(&run->session) : due;
    if (wants < due) due = wants;
  }
  tell(p);
  b->due_ns = due;
}

void bfd_lost(struct plane *p, uint64_t lost_ns) {
  if (p->index || lost_ns < LOST_NS) return;
  for (uint32_t i = 0; i < p->bfd.count; i++) bfd_stalled(&p->bfd.run[i].session, lost_ns);
  p->bfd.due_ns = 0;
}

long bfd_nap_us(const struct plane *p, long us) {
  if (p->index) return us;
  if (p->bfd.due_ns <= p->now) return 1;
  uint64_t left = (p->bfd.due_ns - p->now + 999) / 1000;
  return left < (uint64_t)us ? (long)left : us;
}

void bfd_close(struct plane *p) {
  for (uint32_t i = 0; i < p->bfd.count; i++) {
    bfd_shut(&p->bfd.run[i].session, p->now);
    bfd_work(p, &p->bfd.run[i], &p->bfd.place[i]);
    port_flush(p, &p->port[p->bfd.place[i].role]);
  }
  explicit_bzero(p->bfd.run, sizeof p->bfd.run);
}

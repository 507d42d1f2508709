/* Probes in the plane. Which is due and what it means: probe_core.c. */
#include <rte_mbuf.h>
#include <string.h>
#include <sys/random.h>
#include "parse.h"
#include "board.h"
#include "plane.h"

#define AFTER_NS (2 * RM_S)      /* a probe that is under way for longer is forgotten */
#define LOOK_NS (500 * 1000ull)  /* judge at most so often; a box is told at least every TELL_NS */
#define TELL_NS (20 * RM_MS)
#define NEVER_LATE 4             /* workers that look late delay a judgement by so many timeouts at most */
enum { HOW_NUMBERED, HOW_RAW };

void probe_mac(uint32_t side, uint8_t mac[6]) {
  memcpy(mac, (const uint8_t[]){0x02, 0x52, 0x4d, 0x50, 0x42, (uint8_t)(side + 1)}, 6);
}

int probe_open(struct plane *p) {
  struct probe_common *c = &p->crew->probe;
  if (getrandom(&c->key, sizeof c->key, 0) != sizeof c->key) return plane_fail(p, "Cannot read random numbers");
  p->probe.probes.view = p->board->live.probe;
  return 0;
}

static bool is_answered(const struct plane *p, uint32_t probe) {
  return p->probe.probe[probe].expect == RM_PROBE_ANSWERED;
}

void probe_command(struct plane *p) {
  const struct rm_command *c = &p->board->command;
  struct probing *g = &p->probe;
  uint32_t before = __atomic_load_n(&c->probe_generation, __ATOMIC_ACQUIRE), count = c->probe_count;
  if (g->count == 0 && g->takes && p->now > g->until_ns) g->takes = g->beyond = false;
  if ((before & 1) || before == g->generation || count > RM_PROBES) return;
  memcpy(g->probe, c->probe, sizeof g->probe);
  memcpy(g->frame, c->probe_frame, sizeof g->frame);
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  if (__atomic_load_n(&c->probe_generation, __ATOMIC_RELAXED) != before) return;
  g->generation = before;
  g->count = count;
  g->raws = 0;
  if (count) g->takes = true, g->beyond = false;
  else g->until_ns = p->now + AFTER_NS;
  for (uint32_t i = 0; i < count; i++) {
    g->raws += g->probe[i].kind == RM_PROBE_RAW;
    g->beyond |= is_answered(p, i);
  }
  if (p->index) return;
  probes_set(&g->probes, g->probe, count, p->now);
  for (uint32_t box = 0; box < RM_BOXES && count == 0; box++)
    reflex_detect(&p->reflex, box, RM_DETECTOR_PROBE, (struct said){RM_LIGHT_OFF, 0});
  g->wake_ns = p->now;
}

bool probe_owns(const struct plane *p, uint32_t side, const uint8_t ip[16]) {
  for (uint32_t i = 0; i < p->probe.count; i++) {
    const struct rm_probe *probe = &p->probe.probe[i];
    if ((probe->own >> side & 1) && memcmp(probe->addr[side], ip, 16) == 0) return true;
  }
  return false;
}

/* Where a box is on a side, or where another one is: a hot spare has the same address and is mostly silent. */
static bool box_mac(const struct plane *p, uint32_t box, uint32_t side, uint8_t mac[6]) {
  const struct probe_common *c = &p->crew->probe;
  uint64_t known = __atomic_load_n(&c->mac[box][side], __ATOMIC_RELAXED);
  for (uint32_t other = 0; other < RM_BOXES && !known; other++)
    known = __atomic_load_n(&c->mac[other][side], __ATOMIC_RELAXED);
  memcpy(mac, &known, 6);
  return known != 0;
}

static bool has_links(const struct plane *p, uint32_t box) {
  if (role_box(box, RM_SIDE_DOWN) >= p->roles) return false; /* its ports are about to be opened */
  return p->port[role_box(box, RM_SIDE_UP)].view->link && p->port[role_box(box, RM_SIDE_DOWN)].view->link;
}

static void send_one(struct plane *p, struct probe_id id) {
  struct probing *g = &p->probe;
  uint32_t probe = track_probe(id.track), box = track_box(id.track), side = track_side(id.track);
  const struct rm_probe_frame *from = &g->frame[probe * RM_SIDES + side];
  uint8_t mac[6];
  /* With one link nothing can pass: the other one tells, and comes back last. */
  bool known = (from->mac_given & 1) || box_mac(p, box, side, mac), up = has_links(p, box);
  struct rte_mbuf *m = known && up && from->bytes ? rte_pktmbuf_alloc(p->pool) : NULL;
  uint8_t *frame = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)from->bytes) : NULL;
  if (!frame) {
    rte_pktmbuf_free(m);
    /* A link that is down is another detector's to tell, and a probe that is not sent is no evidence. */
    count(p, RM_COUNT_PROBE_UNSENT, 1, 0);
    if (!up) probes_forget(&g->probes, id.track);
    return probes_unsent(&g->probes, id, known ? RM_PROBE_WELL : RM_PROBE_NO_MAC);
  }
  probe_stamp(&p->crew->probe.key, &g->probe[probe], from, id, frame);
  if (!(from->mac_given & 1)) memcpy(frame, mac, 6);
  if (!(from->mac_given & 2)) probe_mac(side, frame + 6);
  port_queue(p, role_box(box, side), m, false);
}

static void tell(struct plane *p) {
  struct probing *g = &p->probe;
  for (uint32_t box = 0; box < RM_BOXES; box++)
    reflex_detect(&p->reflex, box, RM_DETECTOR_PROBE, probes_box(&g->probes, box));
  g->probes.changed = false;
}

/* Up to when what came out on each side was looked at. A worker that never looks delays it, but does not prevent it. */
static void looked(const struct plane *p, uint64_t seen_ns[RM_SIDES]) {
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    uint64_t late = p->crew->workers > 1 ? crew_unseen_ns(p, s) : 0, most = NEVER_LATE * 10 * RM_MS;
    seen_ns[s] = p->now - (late < most ? late : most);
  }
}

void probe_turn(struct plane *p) {
  struct probing *g = &p->probe;
  struct probe_id id;
  if (p->index || g->count == 0 || (p->now < g->wake_ns && !g->probes.changed)) return;
  while (probes_due(&g->probes, p->now, &id)) send_one(p, id);
  uint64_t seen_ns[RM_SIDES];
  looked(p, seen_ns);
  probes_judge(&g->probes, seen_ns);
  tell(p);
  uint64_t wake = probes_wake_ns(&g->probes), latest = p->now + TELL_NS;
  if (wake < p->now + LOOK_NS) wake = p->now + LOOK_NS;
  g->wake_ns = wake < latest ? wake : latest;
}

long probe_nap_us(const struct plane *p) {
  const struct probing *g = &p->probe;
  if (p->index) return (long)(RM_MS / 1000); /* worker 0 waits for it to look */
  return g->wake_ns <= p->now ? 1 : (long)((g->wake_ns - p->now) / 1000 + 1);
}

static void seen(struct plane *p, struct probe_id id, uint8_t how, uint64_t ns) {
  struct probes *s = &p->probe.probes;
  uint64_t sent = how == HOW_RAW ? probes_seen_raw(s, id.track, ns) : probes_seen(s, id, ns);
  const struct rm_probe *probe = &s->probe[track_probe(id.track)];
  if (sent && probe->expect == RM_PROBE_SEEN) bystander_passed(&p->reflex, track_box(id.track), sent, probe->interval_ns);
}

static void note(struct plane *p, struct probe_id id, uint8_t how) {
  if (p->index == 0) return seen(p, id, how, p->now);
  /* This worker's turn may have begun before the probe was sent. */
  uint64_t ns = rm_mono_ns();
  crew_send(p, 0, &(struct message){.kind = MESSAGE_PROBE, .how = how, .slot = id.track, .seq = id.number, .ns = ns});
  crew_wake(p->crew, 0);
}

void probe_hear(struct plane *p, const struct message *said) {
  seen(p, (struct probe_id){said->slot, said->seq}, said->how, said->ns);
}

static void drop(struct plane *p, struct rte_mbuf *m, enum rm_counter why) {
  count(p, why, 1, m->pkt_len);
  rte_pktmbuf_free(m);
}

/* What was opened at the host beyond is closed again. */
static void close_again(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  if (probe_reset_of(rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len)) port_queue(p, role, m, false);
  else drop(p, m, RM_COUNT_PROBE_TAKEN);
}

/* A numbered probe that came out of `role`. */
static void came_out(struct plane *p, uint32_t role, struct rte_mbuf *m, struct probe_found f) {
  uint32_t track = f.id.track, side = role_side(role);
  bool home = role_of_box(role) == track_box(track), there = side != track_side(track);
  bool answered = track_probe(track) < p->probe.count && is_answered(p, track_probe(track));
  if (f.is == PROBE_IS_RESET || (answered && home && there && f.is == PROBE_IS_SENT)) {
    if (answered) return port_queue(p, role_outer(side), m, false);
    return drop(p, m, RM_COUNT_PROBE_TAKEN);
  }
  /* An echo service sends a datagram back as it was. */
  bool back = answered && home && !there;
  if (back || (!answered && home && there && f.is == PROBE_IS_SENT)) note(p, f.id, HOW_NUMBERED);
  count(p, RM_COUNT_PROBE_TAKEN, 1, m->pkt_len);
  if (back && p->probe.probe[track_probe(track)].kind == RM_PROBE_TCP) return close_again(p, role, m);
  rte_pktmbuf_free(m);
}

static bool came_out_raw(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  struct probing *g = &p->probe;
  uint32_t side = role_side(role), box = role_of_box(role);
  for (uint32_t i = 0; i < g->count && g->raws; i++) {
    const struct rm_probe *probe = &g->probe[i];
    if (probe->kind != RM_PROBE_RAW || !(probe->ways >> (1 - side) & 1)) continue;
    if (!probe_is_raw(&g->frame[i * RM_SIDES + 1 - side], rte_pktmbuf_mtod(m, uint8_t *), m->data_len)) continue;
    note(p, (struct probe_id){probe_track(i, box, 1 - side), 0}, HOW_RAW);
    drop(p, m, RM_COUNT_PROBE_TAKEN);
    return true;
  }
  return false;
}

static void learn(struct plane *p, uint32_t role, const uint8_t *frame) {
  uint64_t mac = 0, *known = &p->crew->probe.mac[role_of_box(role)][role_side(role)];
  uint16_t type = read16(frame + 12);
  if ((frame[6] & 1) || (type != RM_TYPE_IPV4 && type != RM_TYPE_IPV6 && type != TYPE_ARP && type != TYPE_VLAN)) return;
  memcpy(&mac, frame + 6, 6);
  if (__atomic_load_n(known, __ATOMIC_RELAXED) != mac) __atomic_store_n(known, mac, __ATOMIC_RELAXED);
}

/* A frame out of a box: is it the node's own, or for it? */
static bool take_one(struct plane *p, uint32_t role, struct rte_mbuf *m) {
  const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
  struct probe_found f = probe_recognise(&p->crew->probe.key, frame, m->data_len);
  if (f.is != PROBE_IS_OTHER) return came_out(p, role, m, f), true;
  if (p->probe.raws && came_out_raw(p, role, m)) return true;
  uint8_t own[6];
  probe_mac(role_side(role), own);
  bool asks = read16(frame + 12) == TYPE_ARP || (frame[0] & 1);
  if (asks && neighbour_answer_own(p, role, m, own)) return true;
  if (memcmp(frame, own, 6) != 0) return false;
  drop(p, m, RM_COUNT_PROBE_STRAY);
  return true;
}

uint16_t probe_take(struct plane *p, uint32_t role, struct rte_mbuf **frames, uint16_t n) {
  uint16_t left = 0;
  for (uint16_t i = 0; i < n; i++) {
    if (frames[i]->data_len >= 14 && take_one(p, role, frames[i])) continue;
    if (left == 0 && frames[i]->data_len >= 14) learn(p, role, rte_pktmbuf_mtod(frames[i], const uint8_t *));
    frames[left++] = frames[i];
  }
  return left;
}

/* Answers of hosts beyond go to the box that was asked, whichever serves. */
uint16_t probe_take_outer(struct plane *p, uint32_t side, struct rte_mbuf **frames, uint16_t n) {
  uint16_t left = 0;
  for (uint16_t i = 0; i < n; i++) {
    struct rte_mbuf *m = frames[i];
    struct probe_found f = probe_recognise(&p->crew->probe.key, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
    uint32_t track = f.id.track;
    bool ours = f.is != PROBE_IS_OTHER && track_probe(track) < p->probe.count && is_answered(p, track_probe(track)) &&
                track_side(track) != side;
    if (ours) port_queue(p, role_box(track_box(track), side), m, false);
    else frames[left++] = m;
  }
  return left;
}

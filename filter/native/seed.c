/* Seeding: play a handshake with the current sequence numbers into a box, so that it knows a connection that exists.
 *
 * A mirrored handshake gives the box its entry and binding, but its idea of the windows stays where the last copy was,
 * and a box that tracks windows drops what lies beyond. On the first frame of a connection after a switch the
 * node plays SYN and ACK into the opener's side and SYN-ACK and ACK into the other, then lets the frame follow.
 * A box that is not known to choose the same tuple is heard first: its SYN on the other side says what it chose
 * (seed_steps.h). What comes out of the box for all that never reaches an end host (swallow.c). Eager seeds (seed_walk.c) are the same, but nobody waits for them.
 */
#include <netinet/in.h>
#include <string.h>
#include "entry.h"
#include "fixup.h"
#include "plane.h"

#define BEGUN_MAX 3      /* a drained box that hands over more each time is left behind */
#define LOOK_NS RM_MS    /* for those that wait for nothing but time */
#define EAGER_MAX (RM_SEEDS / 2) /* the rest is kept for connections whose frames wait */

static struct rm_resync *tally_of(struct plane *p, const struct seed *s) { return &p->live->resync[s->box]; }

/* A seed as a message names it; null: it is over. */
static struct seed *named(struct plane *p, uint32_t place, uint32_t serial) {
  struct seed *s = place < RM_SEEDS ? &p->seeding->seed[place] : NULL;
  return s && s->busy && s->serial == serial ? s : NULL;
}

static struct seed *take_place(struct plane *p) {
  struct seeding *all = p->seeding;
  if (all->count == RM_SEEDS) return NULL;
  struct seed *s = &all->seed[all->order[all->count]];
  uint8_t serial = s->serial + 1;
  *s = (struct seed){.serial = serial, .busy = true, .at = all->count++};
  return s;
}

static void leave_place(struct plane *p, struct seed *s) {
  struct seeding *all = p->seeding;
  uint16_t mine = all->order[s->at], last = all->order[--all->count];
  all->eager -= s->eager;
  all->order[s->at] = last;
  all->seed[last].at = s->at;
  all->order[all->count] = mine;
  s->busy = false;
}

/* A connection is named by the slot of its client side's entry. */
uint32_t seed_claim(uint32_t side, uint32_t slot, const struct rm_flow *flow) {
  return side == RM_SIDE_UP ? slot : flow->peer;
}

static uint32_t *claim_of(struct plane *p, const struct seed *s) { return &p->crew->claim[s->slot[RM_SIDE_UP]]; }

/* Of the side where the opening came out. */
static struct match_proof proof_of(const struct seed *s) {
  uint32_t side = 1u - s->opener;
  return (struct match_proof){side, s->slot[side], twin_word(&s->flow[side]), s->box};
}

/* A box that has let nothing of the opening or of the answer through is believed when the answer has come out. */
static void prove(struct plane *p, const struct seed *s) {
  enum seed_heard how = s->steps.heard;
  struct match_proof of = proof_of(s);
  bool lives = s->steps.answered || how == SEED_OTHER;
  match_proved(p, &of, !lives ? TWIN_DROPPED : how == SEED_OTHER || how == SEED_FOLLOWED ? TWIN_DIFFERENT : TWIN_EQUAL);
}

/* A later switch may have been claimed for meanwhile. */
static void end_with(struct plane *p, struct seed *s, uint32_t claim) {
  uint32_t taken = s->done - 1;
  if (s->steps.proves) prove(p, s);
  if (s->claimed) __atomic_compare_exchange_n(claim_of(p, s), &taken, claim, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
  leave_place(p, s);
}

static void finish(struct plane *p, struct seed *s) { end_with(p, s, s->done); }

/* As if it had been done for the switch before: frames wait no longer, and the next one of a connection whose frames waited begins
 * another. */
static void give_up(struct plane *p, struct seed *s, enum rm_counter why) {
  count(p, why, 1, 0);
  if (s->walked) tally_of(p, s)->failed++;
  end_with(p, s, s->done - 2);
}

/* A box that renumbers is followed only where it is known by how much. */
static bool is_numbered(const struct plane *p, uint32_t side, const struct rm_flow *flow, const struct rm_flow *peer) {
  struct numbers_gap gap[2];
  return flow->proto != IPPROTO_TCP || numbers_between(p, side, flow, peer, gap);
}

/* The other entry may have been evicted and reused since. */
bool seed_pair(const struct plane *p, uint32_t side, const struct rm_flow *flow, struct rm_flow *peer) {
  return flow->peer != RM_NO_FLOW && entry_copy(&p->entries[1 - side][flow->peer], peer) &&
         peer->peer == slot_of(p, side, flow) && seed_usable(peer) && (flow->opener | peer->opener) && is_numbered(p, side, flow, peer);
}

/* Take down how a connection stands, `flow` being its entry on `side`. */
static void note_flow(struct plane *p, struct seed *s, uint32_t side, const struct rm_flow *flow) {
  s->flow[side] = *flow;
  s->slot[side] = slot_of(p, side, flow);
  s->slot[1 - side] = flow->peer;
  s->opener = (uint8_t)(flow->opener == flow->outer_dir + 1 ? side : 1 - side);
}

/* What the old box handed over while the seed was played has to be told as well. */
static bool has_moved(const struct plane *p, const struct seed *s) {
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    const struct rm_flow *now = &p->entries[side][s->slot[side]], *then = &s->flow[side];
    uint32_t inner = 1u - then->outer_dir;
    bool same = entry_peer(now) == s->slot[1 - side];
    if (same && (int32_t)(__atomic_load_n(&now->half[inner].next, __ATOMIC_RELAXED) - then->half[inner].next) > 0) return true;
  }
  return false;
}

static uint64_t patience(const struct plane *p, bool answers) { return p->board->command.seed_wait_ns * (answers ? RM_SEED_PATIENCE : 1); }

/* The old box may hand over more, and frames that waited too long for the first try may have passed before the second. */
static bool begin_again(struct plane *p, struct seed *s) {
  bool late = p->now >= p->reflex.drain_until && !s->steps.reset;
  if (s->flow[RM_SIDE_UP].proto != IPPROTO_TCP || !s->claimed || s->begun == BEGUN_MAX || late || !has_moved(p, s) || !seed_renew(p, s)) return false;
  bool numbered = seed_measure(p, s), answers = numbered || seed_crosses(s);
  s->steps = (struct seed_steps){.steps = RM_SEED_STEPS, .waits = answers, .answers = answers, .confirms = numbered, .wait_ns = patience(p, answers)};
  s->begun++;
  return true;
}

/* By what became of the first frame. */
static void count_outcome(struct plane *p, const struct seed *s) {
  static const enum rm_counter OF[SEED_OUTCOMES] = {RM_COUNTERS, RM_COUNT_SEED_ALIKE, RM_COUNT_SEED_TRANSLATED,
                                                    RM_COUNT_SEED_UNLIKE, RM_COUNT_SEED_UNHEARD};
  enum seed_outcome how = seed_outcome(&s->steps);
  if (OF[how] != RM_COUNTERS) count(p, OF[how], 1, 0);
  if (s->eager && !s->walked) return;
  if (how != SEED_UNLIKE) count(p, s->eager ? RM_COUNT_RESYNCED : RM_COUNT_SEEDED, 1, 0);
  if (!s->eager) return;
  struct rm_resync *r = tally_of(p, s);
  r->done++;
  r->unlike += how == SEED_UNLIKE;
  r->unheard += how == SEED_UNHEARD;
}

/* True: it is over. */
static bool go_on(struct plane *p, struct seed *s) {
  for (;;) {
    uint8_t tries = s->steps.tries;
    if (!seed_look(p, s)) return false;
    enum seed_action next = seed_next(&s->steps, p->now);
    if (next == SEED_WAIT) return false;
    if (next == SEED_OVER && s->begun == 1) count_outcome(p, s);
    if (next == SEED_OVER && begin_again(p, s)) continue;
    if (next == SEED_OVER) return finish(p, s), true;
    if (next == SEED_RESET || (tries && s->steps.tries > tries)) count(p, RM_COUNT_SEED_REPEATED, 1, 0);
    if (next == SEED_RESET && seed_renew(p, s)) seed_measure(p, s);
    if (!seed_play(p, s, next == SEED_PLAY ? s->steps.step++ : next == SEED_RESET ? RM_SEED_RESET : RM_SEED_DENIAL)) return give_up(p, s, RM_COUNT_SEED_FULL), true;
  }
}

/* A place for a connection whose frames wait: if there is none, one that waits for its box waits no longer. */
static struct seed *make_place(struct plane *p) {
  struct seeding *all = p->seeding;
  for (uint32_t i = 0; all->count == RM_SEEDS && i < RM_SEEDS; i++) {
    struct seed *s = &all->seed[all->order[i]];
    if (s->steps.away) continue;
    count(p, RM_COUNT_SEED_HURRIED, 1, 0);
    seed_hurry(&s->steps);
    go_on(p, s);
  }
  return take_place(p);
}

/* Is it known what the box makes of this connection? */
static bool is_known_alike(const struct plane *p, const struct seed *s) {
  uint32_t side = 1u - s->opener;
  return match_holds(p, side, s->slot[side], s->box) == TWIN_EQUAL;
}

static uint8_t steps_of(const struct seed *s) {
  uint8_t proto = s->flow[RM_SIDE_UP].proto;
  if (s->removes) return RM_SEED_REMOVAL;
  return proto == IPPROTO_TCP ? RM_SEED_STEPS : proto == IPPROTO_SCTP ? RM_SEED_BEATS : 1;
}

static bool has_to_prove(const struct plane *p, const struct seed *s) {
  struct match_proof of = proof_of(s);
  bool stands_by = s->eager && !s->removes && (int)s->box != serving(p);
  return stands_by && (s->missed || match_verdict(p, of.side, of.slot, s->box) == TWIN_DROPPED);
}

static void begin(struct plane *p, struct seed *s) {
  if (s->claimed) s->done = p->reflex.switch_number * 2 + 1;
  s->begun = 1;
  /* An answer may follow a datagram only when the box has dealt with that. */
  bool tcp = s->flow[RM_SIDE_UP].proto == IPPROTO_TCP, numbered = tcp && seed_measure(p, s), answers = numbered || (tcp && seed_crosses(s));
  s->steps = (struct seed_steps){.steps = steps_of(s), .waits = answers || !tcp || !is_known_alike(p, s), .answers = answers, .proves = tcp && has_to_prove(p, s),
                                 .confirms = numbered && !s->removes, .paced = s->eager, .wait_ns = patience(p, answers)};
  go_on(p, s);
}

bool seed_flow(struct plane *p, uint32_t side, struct rm_flow *flow) {
  struct rm_flow peer;
  uint32_t slot = slot_of(p, side, flow);
  if (serving(p) < 0 || !seed_usable(flow)) return false;
  if (!seed_pair(p, side, flow, &peer)) {
    count(p, RM_COUNT_SEED_UNPAIRED, 1, 0);
    return false;
  }
  uint32_t claim = seed_claim(side, slot, flow), taken = p->reflex.switch_number * 2, *word = &p->crew->claim[claim];
  uint32_t is = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  /* Another worker may know of a later switch already. */
  if ((int32_t)(is - taken) < 0) {
    struct seed *s = make_place(p);
    if (!s) return count(p, RM_COUNT_SEED_FULL, 1, 0), false;
    if (!__atomic_compare_exchange_n(word, &is, taken, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      leave_place(p, s);
    } else {
      note_flow(p, s, side, flow);
      s->flow[1 - side] = peer;
      s->box = (uint8_t)serving(p);
      s->claimed = true;
      begin(p, s);
    }
    is = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  }
  /* Until it is done frames wait, and behind those that still do. */
  return is == taken || hold_has(p, claim);
}

enum errand { WALKED, VALUED, REMOVED, MISSED };
static bool begin_eagerly(struct plane *p, uint32_t side, uint32_t slot, uint32_t box, enum errand why) {
  const struct rm_flow *flow = &p->entries[side][slot];
  struct seed *s = p->seeding->eager < EAGER_MAX ? take_place(p) : NULL;
  if (!s) return false;
  note_flow(p, s, side, flow);
  s->box = (uint8_t)box;
  s->eager = true;
  s->removes = why == REMOVED;
  s->walked = why == WALKED;
  s->missed = why == MISSED;
  p->seeding->eager++;
  if (entry_copy(&p->entries[1 - side][flow->peer], &s->flow[1 - side])) begin(p, s);
  else give_up(p, s, RM_COUNT_SEED_FULL);
  return true;
}

bool seed_eagerly(struct plane *p, uint32_t slot, uint32_t box) { return begin_eagerly(p, RM_SIDE_UP, slot, box, WALKED); }
bool seed_value(struct plane *p, uint32_t slot, uint32_t box) { return begin_eagerly(p, RM_SIDE_UP, slot, box, VALUED); }
bool seed_removal(struct plane *p, uint32_t slot, uint32_t box) { return begin_eagerly(p, RM_SIDE_UP, slot, box, REMOVED); }

bool seed_missed(struct plane *p, uint32_t side, uint32_t slot, uint32_t box) {
  const struct rm_flow *flow = &p->entries[side][slot];
  struct rm_flow peer;
  bool seeded = flow->rule != 0xff && p->rules.rule[flow->rule].seed && flow->proto == IPPROTO_TCP && seed_usable(flow);
  if (!seeded || !seed_pair(p, side, flow, &peer)) return false;
  seed_earn(p);
  if (!seed_can_pay(p) || !begin_eagerly(p, side, slot, box, MISSED)) return false;
  seed_pay(p);
  return true;
}

void seed_turn(struct plane *p) {
  struct seeding *all = p->seeding;
  bool look = p->now - all->looked_ns >= LOOK_NS;
  if (look) all->looked_ns = p->now;
  for (uint32_t i = all->count; i-- > 0;) {
    struct seed *s = &all->seed[all->order[i]];
    /* A worker that stands still plays nothing: its connection goes on without. */
    if (s->steps.away && p->now - s->steps.played_ns >= RM_SEED_TRIES * s->steps.wait_ns + RM_SEED_AWAY_NS) give_up(p, s, RM_COUNT_SEED_FULL);
    else if (s->claimed && (int)s->box != serving(p)) give_up(p, s, RM_COUNT_SEED_LEFT);
    else if (look || s->steps.paced) go_on(p, s);
  }
}

void seed_hurry_up(struct plane *p, uint32_t claim) {
  struct seeding *all = p->seeding;
  for (uint32_t i = 0; i < all->count; i++) {
    struct seed *s = &all->seed[all->order[i]];
    if (!s->claimed || s->slot[RM_SIDE_UP] != claim) continue;
    count(p, RM_COUNT_SEED_HURRIED, 1, 0);
    seed_hurry(&s->steps);
    go_on(p, s);
    return;
  }
}

/* Which frame of a seed came out. */
enum which { FIRST_FRAME, ANSWER, CONFIRMATION };

static void heard(struct plane *p, uint32_t ref, enum seed_heard how, enum which frame) {
  struct seed *s = named(p, ref >> 8 & 0xffff, ref & 0xff);
  bool answer = frame == ANSWER;
  if (s && frame == CONFIRMATION) {
    s->steps.confirmed = true;
    if (!s->steps.paced) go_on(p, s);
    return;
  }
  if (!s || (answer ? s->steps.answered : s->steps.heard != SEED_NOTHING)) return;
  s->steps.answered |= answer;
  if (!answer || how != SEED_SAME) s->steps.heard = (uint8_t)how;
  if (!answer && s->flow[0].proto == IPPROTO_TCP && numbers_change(p, s->box)) {
    s->steps.answers = s->steps.confirms = true;
    s->steps.wait_ns = patience(p, true);
  }
  if (!s->steps.paced) go_on(p, s);
}

void seed_found(struct plane *p, uint32_t role, const uint8_t *frame, const struct rm_packet *packet, const struct seed_found *found) {
  uint32_t side = role_side(role), owner = found->seed >> 24;
  const struct rm_flow *f = &p->entries[side][found->slot];
  if (twin_word(f) != found->word) return; /* another flow has its place now */
  if (packet->tcp_flags & RM_TCP_RST) return match_forget(p, role, found->slot);
  bool tcp = packet->proto == IPPROTO_TCP;
  enum which frame_is = tcp && !(packet->tcp_flags & RM_TCP_SYN) ? CONFIRMATION : tcp && (packet->tcp_flags & RM_TCP_ACK) ? ANSWER : FIRST_FRAME;
  enum seed_heard how = frame_is == CONFIRMATION ? SEED_SAME : match_learn(p, role, frame, packet, found);
  if (owner == p->index) {
    /* Too late: what was played since had other numbers. */
    bool over = !named(p, found->seed >> 8 & 0xffff, found->seed & 0xff);
    if (over && how == SEED_FOLLOWED) seed_rearm(p, side, &p->entries[side][found->slot]);
    return heard(p, found->seed, how, frame_is);
  }
  crew_send(p, owner, &(struct message){.kind = MESSAGE_SEED_HEARD, .how = (uint8_t)how, .window = (uint16_t)frame_is, .slot = found->seed});
  crew_wake(p->crew, owner);
}

void seed_take(struct plane *p, uint32_t from, const struct message *said) {
  if (said->kind == MESSAGE_SEED_HEARD) return heard(p, said->slot, said->how, (enum which)said->window);
  if (said->kind == MESSAGE_SEED) {
    port_queue(p, said->slot, said->pointer, true);
    port_flush(p, &p->port[said->slot]);
    crew_send(p, from, &(struct message){.kind = MESSAGE_SEED_PLAYED, .how = said->how, .window = said->window});
    crew_wake(p->crew, from);
    return;
  }
  struct seed *s = named(p, said->window, said->how);
  if (!s) return;
  s->steps.away = false;
  go_on(p, s);
}

bool seed_rearm(struct plane *p, uint32_t side, struct rm_flow *f) {
  if (f->peer == RM_NO_FLOW) return false;
  uint32_t done = p->reflex.switch_number * 2 + 1, *word = &p->crew->claim[seed_claim(side, slot_of(p, side, f), f)];
  /* If it is being played just now, it looks again itself at the end. */
  if (!__atomic_compare_exchange_n(word, &done, done - 2, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return false;
  f->seed_switch = p->reflex.switch_number - 1;
  rm_flow_wake(&p->table[side], f);
  return true;
}

/* What the old box hands over after the connection was seeded lies beyond what the serving box was told, and so would
 * whatever acknowledges it: it is seeded again with its next frame from this side, which that acknowledgment is. */
void seed_again(struct plane *p, uint32_t side, const struct rm_packet *packet) {
  struct rm_flow *f = rm_flows_find(&p->table[side], packet, rm_flows_hash(&p->table[side], packet));
  if (!f || f->peer == RM_NO_FLOW) return;
  const struct rm_half *h = &f->half[packet->dir];
  uint32_t end = packet->seq + packet->payload_bytes + !!(packet->tcp_flags & RM_TCP_FIN);
  if (!(h->flags & RM_HALF_SEQ) || (int32_t)(end - h->next) <= 0) return;
  seed_rearm(p, side, f);
}

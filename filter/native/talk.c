/* What the workers tell each other: messages, reports to worker 0, and the path from it.
 *
 * Two orders hold everything together. Who puts a frame into a box has told what it means before the frame leaves: the
 * SYN it offers, the put it reports, the path it goes by. And who takes a frame out of a box listens between receiving
 * it and looking at it. So nothing comes out of a box unannounced, without anybody waiting for anybody.
 */
#include <string.h>
#include "pair.h"
#include "plane.h"

#define PROOFS 16  /* a box is proven alive after fewer frames than this, so the rest need not be told one by one */
#define EDITIONS 8 /* of the path that may be published while one is read: one in a turn is usual */
#define EXCUSED 2  /* a worker that looks late delays the judgement by so many silences at most */

bool crew_send(struct plane *p, uint32_t to, const struct message *message) {
  if (crossing_put(p->crew->crossing[to][p->index], message)) return true;
  count(p, RM_COUNT_CROSSING_FULL, 1, 0);
  return false;
}

void crew_send_side(struct plane *p, uint32_t side, const struct message *message) {
  for (uint32_t queue = 0; queue < p->crew->queues; queue++) {
    uint32_t to = crew_worker(p->crew, side, queue);
    if (to != p->index) crew_send(p, to, message);
  }
}

static void take(struct plane *p, uint32_t from, const struct message *said) {
  switch (said->kind) {
    case MESSAGE_OFFER:
    case MESSAGE_MATCH:
    case MESSAGE_CLOSED: return pair_take(p, from % 2, said);
    case MESSAGE_INFER: return infer_take(p, said);
    case MESSAGE_NEIGHBOUR: return neighbour_take(p, said);
    case MESSAGE_LINK: return link_set(p, &p->port[said->slot], false);
    case MESSAGE_FRAME: return port_queue(p, said->slot, said->pointer, false);
    case MESSAGE_SEED:
    case MESSAGE_SEED_PLAYED:
    case MESSAGE_SEED_HEARD: return seed_take(p, from, said);
    case MESSAGE_BFD: return bfd_take(p, said->slot, said->pointer);
    case MESSAGE_PROBE: return probe_hear(p, said);
  }
}

#define WORDS (sizeof(struct published) / sizeof(uint64_t))

/* Word by word: what is torn is thrown away, but must be no race. */
static void copy_words(void *to, const void *from) {
  for (size_t i = 0; i < WORDS; i++)
    __atomic_store_n((uint64_t *)to + i, __atomic_load_n((const uint64_t *)from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

/* The last edition that is complete. Read again only if one more was completed meanwhile. */
static bool read_path(const struct crew *crew, uint32_t known, struct published *fresh, uint32_t *edition) {
  for (int tries = 0; tries < EDITIONS; tries++) {
    *edition = __atomic_load_n(&crew->edition, __ATOMIC_ACQUIRE);
    if (*edition == known) return false;
    copy_words(fresh, &crew->published[*edition & 1]);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&crew->edition, __ATOMIC_RELAXED) == *edition) return true;
  }
  return false;
}

static void adopt(struct plane *p) {
  struct published fresh;
  uint32_t edition;
  if (!read_path(p->crew, p->tally.edition, &fresh, &edition)) return;
  p->tally.edition = edition;
  struct reflex *r = &p->reflex;
  if (r->switch_number != fresh.switch_number) {
    p->tally.put = p->tally.out = 0;
    r->path_since = p->now + 1; /* for this worker the old box served until now */
  }
  r->path = fresh.path;
  r->previous = fresh.previous;
  r->switch_number = fresh.switch_number;
  r->cause = fresh.cause;
  r->drain_until = fresh.drain_until;
  r->moving = fresh.moving;
  r->moving_order = fresh.moving_order;
}

static void publish(struct plane *p) {
  struct crew *crew = p->crew;
  const struct published *last = &crew->published[crew->edition & 1];
  const struct reflex *r = &p->reflex;
  if (last->path == r->path && last->switch_number == r->switch_number && last->drain_until == r->drain_until &&
      last->moving == r->moving)
    return;
  struct published fresh = {
      .path = r->path, .previous = r->previous, .switch_number = r->switch_number, .drain_until = r->drain_until,
      .moving = r->moving, .moving_order = r->moving_order, .cause = r->cause};
  uint32_t next = crew->edition + 1;
  /* Who still reads the edition before the last, which is written over, sees that it is no longer the last. */
  __atomic_thread_fence(__ATOMIC_RELEASE);
  copy_words(&crew->published[next & 1], &fresh);
  __atomic_store_n(&crew->edition, next, __ATOMIC_RELEASE);
}

void crew_start(struct plane *first) {
  publish(first);
  for (uint32_t i = 1; i < first->crew->workers; i++) {
    adopt(first->crew->worker[i]);
    first->crew->report[i].looked_ns = first->now;
  }
}

/* Counts of the present switch, with its number; 0 of another one. */
static uint64_t stamped(const struct plane *p, uint32_t n) { return (uint64_t)p->reflex.switch_number << 32 | n; }
static uint32_t current(const struct plane *p, const uint64_t *word) {
  uint64_t w = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  return (uint32_t)(w >> 32) == p->reflex.switch_number ? (uint32_t)w : 0;
}

void crew_report(struct plane *p) {
  struct report *to = &p->crew->report[p->index];
  struct tally *t = &p->tally;
  if (p->index == 0) return;
  __atomic_store_n(&to->slots, (uint64_t)t->slot[1] << 32 | t->slot[0], __ATOMIC_RELAXED);
  __atomic_store_n(&to->drained, t->drained, __ATOMIC_RELAXED);
  for (uint32_t box = 0; box < RM_BOXES; box++) __atomic_store_n(&to->shadow[box], t->shadow[box], __ATOMIC_RELAXED);
  __atomic_store_n(&to->stall_ns, t->stall_ns, __ATOMIC_RELAXED);
  __atomic_store_n(&to->stalls, t->stalls, __ATOMIC_RELAXED);
  __atomic_store_n(&to->generation, p->rules.generation, __ATOMIC_RELAXED);
  __atomic_store_n(&to->out, stamped(p, t->out), __ATOMIC_RELEASE);
  __atomic_store_n(&to->put, stamped(p, t->put), __ATOMIC_RELEASE);
  t->untold = false;
  if (!t->news) return;
  t->news = false;
  crew_wake(p->crew, 0); /* it has to watch what becomes of them */
}

static void fold_puts(struct plane *p, uint32_t from, uint32_t total) {
  uint32_t side = from % 2, fresh = total - p->taken[from].put;
  p->taken[from].put = total;
  if (fresh == 0) return;
  uint64_t slots = __atomic_load_n(&p->crew->report[from].slots, __ATOMIC_RELAXED);
  /* One frame alone is of one flow; the other slot was told before. */
  uint32_t other = fresh == 1 ? (uint32_t)slots : (uint32_t)(slots >> 32);
  reflex_put(&p->reflex, side, &(struct put){.frames = fresh, .flow = (uint32_t)slots, .other = other});
}

static uint32_t grown(uint32_t *seen, uint32_t total) {
  uint32_t by = total - *seen;
  *seen = total;
  return by < PROOFS ? by : PROOFS;
}

/* Everything of a report but puts. */
static void fold_rest(struct plane *p, uint32_t from, uint32_t out) {
  struct reflex *r = &p->reflex;
  struct tally *seen = &p->taken[from];
  const struct report *report = &p->crew->report[from];
  for (uint32_t n = grown(&seen->out, out); n > 0; n--) reflex_out(r, from % 2);
  if (grown(&seen->drained, __atomic_load_n(&report->drained, __ATOMIC_RELAXED))) reflex_drained(r);
  for (uint32_t box = 0; box < RM_BOXES; box++) {
    uint16_t total = __atomic_load_n(&report->shadow[box], __ATOMIC_RELAXED), by = (uint16_t)(total - seen->shadow[box]);
    seen->shadow[box] = total;
    for (uint32_t n = by < PROOFS ? by : PROOFS; n > 0; n--) reflex_shadow(r, box, from % 2);
  }
  uint64_t lost_ns = __atomic_load_n(&report->stall_ns, __ATOMIC_RELAXED);
  for (uint32_t n = grown(&seen->stalls, __atomic_load_n(&report->stalls, __ATOMIC_RELAXED)); n > 0; n--)
    reflex_own_stall(r, lost_ns);
}

/* What came out is read before what was put in: a put that was answered is then never counted after its answer. */
static void fold(struct plane *p) {
  const struct crew *crew = p->crew;
  uint32_t out[RM_WORKERS], put[RM_WORKERS];
  if (p->tally.edition != p->reflex.switch_number) {
    p->tally.edition = p->reflex.switch_number;
    for (uint32_t i = 1; i < crew->workers; i++) p->taken[i].put = p->taken[i].out = 0;
  }
  for (uint32_t i = 1; i < crew->workers; i++) out[i] = current(p, &crew->report[i].out);
  for (uint32_t i = 1; i < crew->workers; i++) put[i] = current(p, &crew->report[i].put);
  for (uint32_t i = 1; i < crew->workers; i++) fold_puts(p, i, put[i]);
  for (uint32_t i = 1; i < crew->workers; i++) fold_rest(p, i, out[i]);
}

void crew_hear(struct plane *p) {
  if (p->index) adopt(p);
  else fold(p);
  for (uint32_t from = 0; from < p->crew->workers; from++) {
    struct crossing *c = p->crew->crossing[p->index][from];
    if (from == p->index || !crossing_waits(c)) continue;
    struct message said;
    /* As much as fits at most: who fills it while we read is heard the next time. */
    for (uint32_t n = 0; n < RM_CROSSING && crossing_take(c, &said); n++) take(p, from, &said);
  }
}

/* For how long the slowest worker of a side has not looked whether something came out. */
uint64_t crew_unseen_ns(const struct plane *p, uint32_t side) {
  uint64_t slowest = 0;
  for (uint32_t queue = 0; queue < p->crew->queues; queue++) {
    uint32_t i = crew_worker(p->crew, side, queue);
    if (i == 0) continue;
    uint64_t looked = __atomic_load_n(&p->crew->report[i].looked_ns, __ATOMIC_ACQUIRE);
    if (p->now > looked && p->now - looked > slowest) slowest = p->now - looked;
  }
  return slowest;
}

static void wake_side(struct plane *p, uint32_t side) {
  for (uint32_t queue = 0; queue < p->crew->queues; queue++) {
    uint32_t i = crew_worker(p->crew, side, queue);
    if (i != p->index) crew_wake(p->crew, i);
  }
}

/* Silence lasts until everybody who could have seen its end has looked: for the judgement its beginning is moved by what
 * the slowest is behind, and moved back. One that never looks delays it, but does not prevent it. */
void crew_judge(struct plane *p) {
  struct reflex *r = &p->reflex;
  if (p->crew->workers == 1) return reflex_judge(r);
  uint64_t moved[RM_SIDES] = {0}, to[RM_SIDES];
  /* When each looked is read before what it saw. */
  for (uint32_t s = 0; s < RM_SIDES; s++) moved[s] = crew_unseen_ns(p, 1 - s);
  r->behind_ns = moved[0] > moved[1] ? moved[0] : moved[1];
  fold(p);
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    struct way *w = &r->way[s];
    uint64_t bar = reflex_bar(r, s);
    if (moved[s] > EXCUSED * bar) moved[s] = EXCUSED * bar;
    if (w->enough_ns && moved[s] && p->now >= w->enough_ns + bar) wake_side(p, 1 - s);
    to[s] = w->enough_ns ? w->enough_ns += moved[s] : 0;
  }
  reflex_judge(r);
  for (uint32_t s = 0; s < RM_SIDES; s++)
    if (to[s] && r->way[s].enough_ns == to[s]) r->way[s].enough_ns -= moved[s];
  publish(p);
}

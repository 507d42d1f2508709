/* The first numbers of connections, and what two sides of them tell.
 *
 * A place is written by the worker that has the side, twice for each connection, and read by others much later.
 */
#include <netinet/in.h>
#include <sys/mman.h>
#include "entry.h"
#include "numbers.h"
#include "plane.h"
#include "translate.h"
#include "twin.h"

#define KNOWN_SEQ(dir) (1u << (dir))
#define KNOWN_CLOCK(dir) (4u << (dir))
/* What the two sides of a connection have sent differs by what is inside the box, and by no more than a window. */
#define AHEAD_MAX (1u << 30)
/* A proxy opens the connection on the other side some time later, by a clock of at most a tick each ms (RFC 7323 5.4). */
#define LATE_TICKS 10000u

/* Each word is written whole; `word` is void while another flow takes the place, and tells of the others. */
static void put(uint32_t *to, uint32_t v) { __atomic_store_n(to, v, __ATOMIC_RELEASE); }
static uint32_t get(const uint32_t *from) { return __atomic_load_n(from, __ATOMIC_ACQUIRE); }

void numbers_note(struct plane *p, uint32_t side, const uint8_t *frame, const struct rm_packet *packet, const struct rm_flow *f) {
  struct numbers *n = &p->crew->numbers[side][slot_of(p, side, f)];
  uint32_t word = twin_word(f), dir = packet->dir, clock, has = (n->word & ~RM_TWIN_VERDICTS) == word ? n->word : word;
  bool timed = translate_clock(frame, packet, &clock);
  put(&n->word, 0);
  put(&n->seq[dir], packet->seq);
  if (timed) put(&n->clock[dir], clock);
  put(&n->word, has | KNOWN_SEQ(dir) | (timed ? KNOWN_CLOCK(dir) : 0));
}

/* Of a moment. False: it is being written. */
static bool read_numbers(const struct numbers *from, struct numbers *to) {
  to->word = get(&from->word);
  for (uint32_t dir = 0; dir < 2; dir++) to->seq[dir] = get(&from->seq[dir]), to->clock[dir] = get(&from->clock[dir]);
  return to->word != 0 && __atomic_load_n(&from->word, __ATOMIC_RELAXED) == to->word;
}

/* Of what the outer end of `side` sends, which comes out on the other. False: nothing is known. */
struct half { const struct numbers *n; const struct rm_flow *f; uint32_t dir; };
static bool gap_of(const struct half *from, const struct half *to, struct numbers_gap *gap) {
  *gap = (struct numbers_gap){0, 0};
  if ((from->n->word & ~RM_TWIN_VERDICTS) != twin_word(from->f) || (to->n->word & ~RM_TWIN_VERDICTS) != twin_word(to->f)) return false;
  if (!(from->n->word & KNOWN_SEQ(from->dir)) || !(to->n->word & KNOWN_SEQ(to->dir))) return false;
  gap->seq = to->n->seq[to->dir] - from->n->seq[from->dir];
  if (!(from->n->word & KNOWN_CLOCK(from->dir)) || !(to->n->word & KNOWN_CLOCK(to->dir))) return true;
  gap->clock = to->n->clock[to->dir] - from->n->clock[from->dir];
  bool opener = from->f->opener == from->dir + 1;
  if (opener && gap->clock <= LATE_TICKS) gap->clock = 0;
  return true;
}

/* The number behind the last one that was sent is never behind that which came out. */
static bool is_plausible(const struct half *from, const struct half *to, uint32_t gap) {
  uint32_t sent = from->f->half[from->dir].next + gap, emerged = to->f->half[to->dir].next;
  return sent - emerged < AHEAD_MAX;
}

bool numbers_between(const struct plane *p, uint32_t side, const struct rm_flow *f, const struct rm_flow *peer, struct numbers_gap gap[2]) {
  struct numbers mine_now, others_now, *mine = &mine_now, *others = &others_now;
  if (!read_numbers(&p->crew->numbers[side][peer->peer], mine)) mine_now = (struct numbers){.word = 0};
  if (!read_numbers(&p->crew->numbers[1 - side][f->peer], others)) others_now = (struct numbers){.word = 0};
  struct half in = {mine, f, f->outer_dir}, out = {others, peer, 1u - peer->outer_dir};
  struct half back_in = {others, peer, peer->outer_dir}, back_out = {mine, f, 1u - f->outer_dir};
  bool sent = gap_of(&in, &out, &gap[0]), answered = gap_of(&back_in, &back_out, &gap[1]);
  gap[1].seq = 0u - gap[1].seq, gap[1].clock = 0u - gap[1].clock;
  if (!(gap[0].seq | gap[1].seq)) return true;
  return sent && answered && is_plausible(&in, &out, gap[0].seq) && is_plausible(&back_in, &back_out, 0u - gap[1].seq);
}

void numbers_of(const struct plane *p, uint32_t side, const struct rm_flow *f, struct numbers_gap gap[2]) {
  static const struct numbers_gap NONE = {0, 0};
  gap[0] = gap[1] = NONE;
  if (f->proto != IPPROTO_TCP || f->peer == RM_NO_FLOW) return;
  struct rm_flow peer;
  if (!entry_copy(&p->entries[1 - side][f->peer], &peer)) return;
  if (peer.peer != slot_of(p, side, f) || !numbers_between(p, side, f, &peer, gap)) gap[0] = gap[1] = NONE;
}

bool numbers_change(const struct plane *p, uint32_t box) {
  return __builtin_expect(__atomic_load_n(&p->crew->renumbers, __ATOMIC_RELAXED) >> box & 1, 0);
}

void numbers_changed(struct plane *p, uint32_t box) {
  if (numbers_change(p, box)) return;
  __atomic_store_n(&p->crew->renumbers_ns, p->now, __ATOMIC_RELAXED);
  __atomic_or_fetch(&p->crew->renumbers, 1u << box, __ATOMIC_RELAXED);
}

/* Judging grey failure: shares and delays of the last moments against those that are usual for this box and direction.
 *
 * Each bar has a score (a cumulative sum test): every packet adds the logarithm of how much likelier it is if the share
 * lies at the bar than if it is the usual one, and the score never falls below nothing. One burst of loss is bounded, so
 * that only what lasts for several ticks reaches the threshold. What is usual is learnt slowly, and only while all is well.
 */
#include <math.h>
#include "probe_core.h"
#include "grey_core.h"

#define THRESHOLD 16.0   /* e^16 packets between false alarms, if losses were independent */
#define BURST 5          /* a tick adds a fifth of it at most */
#define FADE 0.995       /* of a score in a tick: without traffic it is forgotten in a minute */
#define CALM_NS (3 * RM_S)
#define LEARN 2000.0     /* samples before anything is judged */
#define LEARN_OPENINGS 50.0
#define SLOW 100000.0    /* samples in which the usual share follows */
#define RECENT 0.95      /* kept of the last moments in a tick: they are a second */
#define BLIND 0.5        /* more usual loss than this is no loss: the packets were changed */
#define ALIKE 0.1        /* more packets than this look like others: a loss would not show */
#define ALIKE_MANY 100.0
#define ENDS_MANY 100.0  /* packets in a second that never come out */
#define ENDS_MOST 9.0    /* ... and so many times those that do: it is not that they end at the box */
#define MILLION 1e6
#define WINDOW_NS (500 * 1000000ull) /* of delays */
#define WINDOW_MIN 20
#define WINDOWS 4        /* in a row */
#define WINDOWS_LEARN 10

static bool is_over(const struct grey_meter *m, uint32_t bar) { return m->over_ns[bar] != 0; }
static bool is_learning(const struct grey_meter *m, double least) { return m->learnt < least; }

static void weigh(struct grey_meter *m, uint32_t i, uint32_t bar_ppm, const double seen[2]) {
  /* The usual share is known only so well. */
  double unsure = 3 * sqrt(m->usual * (1 - m->usual) / m->learnt);
  double bar = bar_ppm / MILLION, p0 = m->usual + unsure + bar / 4, p1 = p0 + bar * 3 / 4;
  double all = seen[0], bad = seen[1];
  if (p1 > 0.99) p1 = 0.99;
  if (p0 > 0.95 * p1) p0 = 0.95 * p1;
  double more = bad * log(p1 / p0) + (all - bad) * log((1 - p1) / (1 - p0)), most = THRESHOLD / BURST;
  m->score[i] = m->score[i] * FADE + (more > most ? most : more);
  if (m->score[i] < 0) m->score[i] = 0;
  if (m->score[i] > 2 * THRESHOLD) m->score[i] = 2 * THRESHOLD;
}

struct bars { uint32_t ppm[RM_GREY_BARS]; double least; };

static void meter(struct grey_meter *m, const struct bars *bars, const double seen[2], uint64_t now) {
  bool well = true;
  m->all = m->all * RECENT + seen[0];
  m->bad = m->bad * RECENT + seen[1];
  if (is_learning(m, bars->least)) {
    if (seen[0] <= 0) return;
    m->learnt += seen[0];
    m->usual += (seen[1] / seen[0] - m->usual) * (seen[0] / m->learnt);
    return;
  }
  for (uint32_t i = 0; i < RM_GREY_BARS && bars->ppm[i]; i++) {
    weigh(m, i, bars->ppm[i], seen);
    if (m->score[i] >= THRESHOLD) m->over_ns[i] = now;
    else if (m->over_ns[i] && m->score[i] < THRESHOLD / 4 && now - m->over_ns[i] > CALM_NS) m->over_ns[i] = 0;
    well &= m->score[i] < THRESHOLD / 10 && !is_over(m, i);
  }
  if (!well || seen[0] <= 0) return;
  m->learnt = fmin(SLOW, m->learnt + seen[0]);
  m->usual += (seen[1] / seen[0] - m->usual) * fmin(1, seen[0] / m->learnt);
}

static void delays(struct grey_delays *d, const struct rm_grey *c, const uint64_t *fresh, uint64_t now) {
  uint64_t all = 0, half = 0;
  uint32_t place = 0;
  for (uint32_t i = 0; i < RM_DELAYS; i++) all += d->place[i] += fresh[i];
  if (now - d->since_ns < WINDOW_NS) return;
  d->since_ns = now;
  if (all < WINDOW_MIN) return; /* goes on gathering */
  for (; place < RM_DELAYS - 1 && (half += d->place[place]) * 2 < all; place++) continue;
  memset(d->place, 0, sizeof d->place);
  d->now_ns = rm_delay_of(place);
  if (d->windows < WINDOWS_LEARN) {
    d->windows++;
    d->usual_ns += ((double)d->now_ns - d->usual_ns) / d->windows;
    return;
  }
  bool high = c->delay_ns && (double)d->now_ns > d->usual_ns * c->delay_times &&
              (double)d->now_ns > d->usual_ns + (double)c->delay_ns;
  d->high = high ? d->high + 1 : 0;
  d->low = high ? 0 : d->low + 1;
  if (d->high >= WINDOWS) d->over = true;
  if (d->low >= WINDOWS) d->over = false;
  if (!high && !d->over) d->usual_ns += ((double)d->now_ns - d->usual_ns) / 50;
}

/* New connections are counted as failing only where fewer pass than usual: a scan that a firewall stops is none of its failures. */
static void openings(struct grey_judge_way *w, const struct rm_grey *c, const double seen[2], uint64_t now) {
  struct bars bars = {{c->openings}, LEARN_OPENINGS};
  double passed = seen[0] - seen[1];
  w->opened = w->opened * RECENT + passed * (1 - RECENT);
  double before = w->openings.score[0];
  meter(&w->openings, &bars, seen, now);
  bool fewer = w->opened < w->opened_usual / 2;
  if (!fewer && w->openings.score[0] > before) w->openings.score[0] = before;
  if (w->openings.score[0] < THRESHOLD / 2) w->opened_usual += (passed - w->opened_usual) / 1200;
}

static void judge_way(struct grey_judge_way *w, const struct rm_grey *c, const struct grey_counts *f, uint32_t side,
                      uint64_t now) {
  struct bars loss = {{c->loss_low, c->loss, c->loss_high}, LEARN}, repeats = {{c->repeats}, LEARN};
  double lost[2] = {(double)(f->passed[side] + f->lost[side]), (double)f->lost[side]};
  double opened[2] = {(double)(f->openings_passed[side] + f->openings_lost[side]), (double)f->openings_lost[side]};
  w->ends = w->ends * RECENT + (double)f->ends[side];
  w->entered = w->entered * RECENT + (double)f->entered[side];
  w->alike = w->alike * RECENT + (double)f->alike[side];
  double sent[2] = {(double)f->segments[side], (double)f->repeats[side]};
  meter(&w->loss, &loss, lost, now);
  meter(&w->repeats, &repeats, sent, now);
  openings(w, c, opened, now);
  delays(&w->delays, c, f->delay[side], now);
}

/* A box that begins to serve has what is usual for it, and a clean sheet. */
static void wipe(struct grey_meter *m) {
  m->bad = m->all = 0;
  memset(m->score, 0, sizeof m->score);
  memset(m->over_ns, 0, sizeof m->over_ns);
}

static void change(struct grey_judge *j, const struct rm_grey *c, int serving, uint64_t now) {
  if (j->serving >= 0) {
    j->left[j->serving] = grey_said(j, c, (uint32_t)j->serving, now);
    j->left_ns[j->serving] = now;
  }
  j->serving = serving;
  if (serving < 0) return;
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    struct grey_judge_way *w = &j->way[serving][s];
    wipe(&w->loss), wipe(&w->openings), wipe(&w->repeats);
    w->delays.over = false, w->delays.high = 0;
    w->opened = w->opened_usual;
  }
}

void grey_judge(struct grey_judge *j, const struct rm_grey *command, const struct grey_counts *fresh, int serving, uint64_t now) {
  if (serving != j->serving) return change(j, command, serving, now);
  if (serving < 0) return;
  for (uint32_t s = 0; s < RM_SIDES; s++) judge_way(&j->way[serving][s], command, fresh, s, now);
}

static bool is_alike(const struct grey_judge_way *w) { return w->alike > ALIKE_MANY && w->alike > ALIKE * w->entered; }

static bool is_blind(const struct grey_judge_way *w) {
  if (is_alike(w)) return true;
  if (w->ends > ENDS_MANY && w->ends > ENDS_MOST * w->loss.all) return true;
  return !is_learning(&w->loss, LEARN) && w->loss.usual > BLIND;
}

static enum rm_grey_reason reason_of(const struct grey_judge_way *w, const struct grey_judge_way *back) {
  bool fine = back->loss.all > WINDOW_MIN && back->loss.bad < back->loss.all / 10;
  if (is_over(&w->loss, 2)) return fine ? RM_GREY_ONE_WAY : RM_GREY_LOSS_HIGH;
  if (is_over(&w->loss, 1)) return RM_GREY_LOSS;
  if (is_over(&w->openings, 0)) return RM_GREY_OPENINGS;
  if (is_over(&w->loss, 0)) return RM_GREY_LOSS_LOW;
  if (is_over(&w->repeats, 0)) return RM_GREY_REPEATS;
  return w->delays.over ? RM_GREY_DELAY : RM_GREY_WELL;
}

static bool is_grave(enum rm_grey_reason r) {
  return r == RM_GREY_LOSS || r == RM_GREY_LOSS_HIGH || r == RM_GREY_ONE_WAY || r == RM_GREY_OPENINGS;
}

struct said grey_said(const struct grey_judge *j, const struct rm_grey *c, uint32_t box, uint64_t now) {
  struct said said = {RM_LIGHT_OFF, 0};
  if (!c->on) return said;
  if ((int)box != j->serving) {
    bool holds = j->left[box].light == RM_LIGHT_RED && now - j->left_ns[box] < c->hold_ns;
    return holds ? j->left[box] : said;
  }
  for (uint32_t s = 0; s < RM_SIDES; s++) {
    const struct grey_judge_way *w = &j->way[box][s];
    enum rm_grey_reason reason = is_blind(w) ? RM_GREY_WELL : reason_of(w, &j->way[box][1 - s]);
    bool judges = !is_learning(&w->loss, LEARN) && !is_blind(w);
    enum rm_light light = reason == RM_GREY_WELL         ? judges ? RM_LIGHT_GREEN : RM_LIGHT_OFF
                          : is_grave(reason) && c->act ? RM_LIGHT_RED
                                                         : RM_LIGHT_YELLOW;
    if (light < said.light || (light == said.light && reason <= (said.detail >> 16))) continue;
    said = (struct said){light, (uint32_t)reason << 16 | s << 8};
  }
  return said;
}

static uint32_t millionths(double share) { return share <= 0 ? 0 : share >= 1 ? 1000000 : (uint32_t)(share * MILLION); }
static uint32_t late(const struct grey_meter *m) { return m->all < 1 ? 0 : millionths(m->bad / m->all); }

void grey_show(const struct grey_judge *j, struct rm_grey_view *view) {
  for (uint32_t s = 0; s < RM_SIDES && j->serving >= 0; s++) {
    const struct grey_judge_way *w = &j->way[j->serving][s];
    struct rm_grey_view *v = &view[s];
    v->loss = late(&w->loss), v->loss_usual = millionths(w->loss.usual);
    v->openings_loss = late(&w->openings), v->openings_usual = millionths(w->openings.usual);
    v->repeat = late(&w->repeats), v->repeat_usual = millionths(w->repeats.usual);
    v->delay_ns = w->delays.now_ns, v->delay_ns_usual = (uint64_t)w->delays.usual_ns;
    v->learning = is_learning(&w->loss, LEARN);
    v->blind = is_alike(w) ? 2 : is_blind(w);
  }
}

/* Which box is worth what, who takes over, and where traffic goes: pure, so that it can be decided again offline.
 *
 * What a box is worth comes first: a doubtful one serves only where no other lives. Among equals one without a fault for
 * the hold-up, then the lowest rank, then the first.
 */
#include "reflex.h"

#define RETRY 10 /* with nothing alive, a silent box is tried again after so many hold-ups */
#define PATIENCE 4    /* own stalls lengthen a pause to so many times at most */
#define HANDED_OVER_NS 1000000u /* a box that says nothing for so long while nothing goes in holds nothing... */
#define DOUBT_NS 5000000u       /* ... or so long, if frames are known that have not come out: it may have dropped them */
#define USUAL 2       /* ... and for so many times as long as it is usually silent */

static const struct rm_command *command(const struct reflex *r) { return &r->board->command; }

enum worth box_worth(const struct reflex *r, uint32_t box) {
  const struct box_state *b = &r->box[box];
  if (!box_links(b) || b->silent) return WORTH_NOTHING;
  if (!b->outvoted) return command(r)->suppressed[box] ? WORTH_LITTLE : WORTH_ALL;
  return b->proven_ns && r->now - b->proven_ns >= command(r)->last_ns ? WORTH_NOTHING : WORTH_DOUBT;
}

static bool may_serve(const struct box_state *b) { return b->member && b->joined_ns == 0; }

static uint64_t last_fault_ns(const struct box_state *b) {
  uint64_t last = b->links_up_ns > b->silent_ns ? b->links_up_ns : b->silent_ns;
  return b->outvoted_ns > last ? b->outvoted_ns : last;
}

static bool steady(const struct reflex *r, const struct box_state *b) {
  return r->now - last_fault_ns(b) >= command(r)->hold_up_ns;
}

static bool better(const struct reflex *r, int box, int than) {
  if (than < 0) return true;
  enum worth is = box_worth(r, (uint32_t)box), best = box_worth(r, (uint32_t)than);
  if (is != best) return is > best;
  bool holds = steady(r, &r->box[box]), held = steady(r, &r->box[than]);
  if (holds != held) return holds;
  return command(r)->rank[box] < command(r)->rank[than];
}

struct wish { int except; enum worth least; bool steady; };

static int choose(const struct reflex *r, struct wish wish) {
  int best = -1;
  for (int box = 0; box < (int)r->boxes; box++) {
    const struct box_state *b = &r->box[box];
    if (box == wish.except || !may_serve(b) || box_worth(r, (uint32_t)box) < wish.least) continue;
    if (wish.steady && !steady(r, b)) continue;
    if (better(r, box, best)) best = box;
  }
  return best;
}

int reflex_choose(const struct reflex *r, int except) {
  return choose(r, (struct wish){.except = except, .least = WORTH_DOUBT});
}

bool reflex_has_other(const struct reflex *r, uint32_t box) {
  return choose(r, (struct wish){.except = (int)box, .least = WORTH_LITTLE}) >= 0;
}

/* Silent for so long that it is worth another try. `alone`: no other is on its way back, so an outvoted one will do. */
static int choose_silent(const struct reflex *r, bool alone) {
  int best = -1;
  for (int box = 0; box < (int)r->boxes; box++) {
    const struct box_state *b = &r->box[box];
    if (!b->silent || !box_links(b) || b->proven_ns || !may_serve(b) || (b->outvoted && !alone)) continue;
    if (r->now - b->silent_ns <= RETRY * command(r)->hold_up_ns || !steady(r, b)) continue;
    if (best < 0 || command(r)->rank[box] < command(r)->rank[best]) best = box;
  }
  return best;
}

int reflex_choose_return(const struct reflex *r) {
  int box = choose(r, (struct wish){.except = -1, .least = WORTH_LITTLE, .steady = true});
  bool alone = choose(r, (struct wish){.except = -1, .least = WORTH_LITTLE}) < 0;
  if (box < 0 && alone) box = choose(r, (struct wish){.except = -1, .least = WORTH_DOUBT, .steady = true});
  return box < 0 ? choose_silent(r, alone) : box;
}

/* A box that is dead, or has left. */
static struct step step_from(const struct reflex *r, uint32_t box) {
  const struct box_state *b = &r->box[box];
  struct step stay = {.to = box};
  if (box_alive(b) && b->member) return stay;
  int other = reflex_choose(r, (int)box);
  /* A doubtful box, or one that has left, is better than none and than one that is no better. */
  bool worthy = box_alive(b) || box_worth(r, box) == WORTH_DOUBT;
  if (worthy && !reflex_has_other(r, box)) return stay;
  enum rm_cause cause = box_alive(b) ? RM_CAUSE_ORDER : !box_links(b) ? RM_CAUSE_LINK : b->silent ? RM_CAUSE_SILENCE : b->cause;
  return (struct step){other >= 0 ? (uint32_t)other : command(r)->dead_path, cause, 0};
}

struct step reflex_step(const struct reflex *r) {
  int box = reflex_serving(r);
  if (box >= 0) return step_from(r, (uint32_t)box);
  int back = reflex_choose_return(r);
  return (struct step){back >= 0 ? (uint32_t)back : r->path, RM_CAUSE_RETURN, 0};
}

bool reflex_waits(const struct reflex *r, uint32_t to) {
  int from = reflex_serving(r);
  bool both = from >= 0 && (uint32_t)from != to && box_alive(&r->box[from]) && box_alive(&r->box[to]);
  return both && command(r)->pause_ns;
}

enum move reflex_move(const struct reflex *r) {
  const struct box_state *from = &r->box[r->path];
  if (!box_alive(&r->box[r->moving_to])) return MOVE_END; /* stay where it is */
  uint64_t since = from->seen_ns > r->moving_quiet ? from->seen_ns : r->moving_quiet;
  uint64_t quiet = r->keeps ? DOUBT_NS : HANDED_OVER_NS;
  for (uint32_t side = 0; side < RM_SIDES; side++)
    if (USUAL * from->learnt[side].quiet_ns > quiet) quiet = USUAL * from->learnt[side].quiet_ns;
  /* What nobody has read yet is not quiet, and a time in which nobody looked is no time to hand over. */
  uint64_t looked = r->now - r->behind_ns, late = r->moving_since + command(r)->pause_ns + r->stalled_ns - r->moving_stalled;
  bool over = looked >= late || r->now >= r->moving_since + PATIENCE * command(r)->pause_ns;
  return r->emptied || looked >= since + quiet || over ? MOVE_GO : MOVE_WAIT;
}

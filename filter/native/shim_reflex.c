/* The reflexes as a library for TypeScript: a board in plain memory, and a turn of the plane in single steps.
 *
 * Serves the simulation. There is no port, clock or thread behind it: the caller says what time it is, which links are up
 * and which frames go in and come out, so that a run can be repeated from its seed.
 */
#include <stdlib.h>
#include <string.h>
#include "board.h"
#include "reflex.h"

struct rm_sim {
  struct reflex reflex;
  struct rm_board board;
};

RM_EXPORT struct rm_sim *rm_reflex_open(void);
RM_EXPORT void rm_reflex_close(struct rm_sim *s);
RM_EXPORT void *rm_reflex_board(struct rm_sim *s);
RM_EXPORT void rm_reflex_reset(struct rm_sim *s);
RM_EXPORT void rm_reflex_start(struct rm_sim *s, uint64_t now, uint32_t boxes, uint32_t links);
RM_EXPORT void rm_reflex_clock(struct rm_sim *s, uint64_t now);
RM_EXPORT void rm_reflex_link(struct rm_sim *s, uint32_t role, uint32_t up);
RM_EXPORT void rm_reflex_put(struct rm_sim *s, uint32_t side, uint32_t slot, uint32_t frames);
RM_EXPORT void rm_reflex_out(struct rm_sim *s, uint32_t side, uint32_t frames);
RM_EXPORT void rm_reflex_shadow(struct rm_sim *s, uint32_t box, uint32_t side, uint32_t frames);
RM_EXPORT void rm_reflex_passed(struct rm_sim *s, uint32_t box, uint64_t sent_ns, uint64_t pace_ns);
RM_EXPORT void rm_reflex_stall(struct rm_sim *s, uint64_t lost_ns);
RM_EXPORT void rm_reflex_detect(struct rm_sim *s, uint32_t box, uint32_t detector, uint32_t light);
RM_EXPORT void rm_reflex_turn(struct rm_sim *s);

/* Null: no memory. */
struct rm_sim *rm_reflex_open(void) {
  struct rm_sim *s = aligned_alloc(RM_CACHE_LINE, sizeof *s);
  if (s) rm_reflex_reset(s);
  return s;
}

void rm_reflex_close(struct rm_sim *s) { free(s); }

void *rm_reflex_board(struct rm_sim *s) { return &s->board; }

/* A new board at the same place; what the caller wrote is gone. */
void rm_reflex_reset(struct rm_sim *s) {
  memset(s, 0, sizeof *s);
  board_fill(&s->board, 0, "simulation");
  s->reflex.board = &s->board;
}

/* As a plane with so many boxes starts: `links` has a bit for each port of a box, by role, primary-in lowest. */
void rm_reflex_start(struct rm_sim *s, uint64_t now, uint32_t boxes, uint32_t links) {
  bool link[RM_BOXES][RM_SIDES];
  for (uint32_t r = RM_PRIMARY_IN; r < RM_ROLES; r++)
    link[role_of_box(r)][role_side(r)] = links >> (r - RM_PRIMARY_IN) & 1;
  s->reflex.now = now;
  reflex_open(&s->reflex, boxes, link);
  s->board.live.order_done = s->board.command.order_sequence;
  s->board.header.state = RM_STATE_RUNNING;
}

void rm_reflex_clock(struct rm_sim *s, uint64_t now) { s->reflex.now = now; }
void rm_reflex_link(struct rm_sim *s, uint32_t role, uint32_t up) { reflex_link(&s->reflex, role, up != 0); }

void rm_reflex_put(struct rm_sim *s, uint32_t side, uint32_t slot, uint32_t frames) {
  if (frames) reflex_put(&s->reflex, side, &(struct put){frames, slot, slot});
}

void rm_reflex_out(struct rm_sim *s, uint32_t side, uint32_t frames) {
  for (uint32_t i = 0; i < frames; i++) reflex_out(&s->reflex, side);
}

void rm_reflex_shadow(struct rm_sim *s, uint32_t box, uint32_t side, uint32_t frames) {
  for (uint32_t i = 0; i < frames; i++) reflex_shadow(&s->reflex, box, side);
}

void rm_reflex_passed(struct rm_sim *s, uint32_t box, uint64_t sent_ns, uint64_t pace_ns) {
  bystander_passed(&s->reflex, box, sent_ns, pace_ns);
}

void rm_reflex_stall(struct rm_sim *s, uint64_t lost_ns) { reflex_own_stall(&s->reflex, lost_ns); }

void rm_reflex_detect(struct rm_sim *s, uint32_t box, uint32_t detector, uint32_t light) {
  reflex_detect(&s->reflex, box, detector, (struct said){.light = light});
}

/* What a turn does after its frames. */
void rm_reflex_turn(struct rm_sim *s) {
  reflex_order(&s->reflex);
  reflex_judge(&s->reflex);
}

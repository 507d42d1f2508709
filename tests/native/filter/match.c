/* What is said of a standby when a frame of an opening did not come out of it: by hand, with real openings and answers, and in place of
 * seeds a list of those that were asked for.
 *
 *   match       a line for each story: seeds asked for, as side:slot, and the verdict on the opening; what it shows is in match_test.ts
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "burst.h"
#include "entry.h"
#include "fixup.h"
#include "pair.h"
#include "plane.h"

#define SLOTS 64u
#define PRIMARY 0u
#define SPARE 1u
#define CLIENT 1 /* last byte of its address, and the lower one: its direction is 0 */
#define SERVER 2
#define LATE_NS (RM_TWIN_NS + 1000000)

static struct plane *p;
static struct crew *crew;
static struct rm_flow *entries;
static struct rm_live own; /* what this worker counts; the board has the sum */
static bool affords; /* a seed that is asked for is begun */

/* What the rest of the plane would do. */
void *crew_memory(size_t bytes) { return calloc(1, bytes); }
int plane_fail(struct plane *of, const char *format, ...) { (void)of, fputs(format, stderr), abort(); }
void fixup_learn(struct plane *of, uint32_t side, uint32_t box, const struct rm_flow *f, const struct alias_guise *made) { (void)of, (void)side, (void)box, (void)f, (void)made; }
bool fixup_follows(const struct plane *of, uint32_t side, uint32_t box, const struct rm_flow *f) { return (void)of, (void)side, (void)box, (void)f, false; }
void numbers_changed(struct plane *of, uint32_t box) { (void)of, (void)box, abort(); }
void numbers_of(const struct plane *of, uint32_t side, const struct rm_flow *f, struct numbers_gap gap[2]) { (void)of, (void)side, (void)f, (void)gap; }
bool pair_is_stranger(struct plane *of, uint32_t side, const struct rm_packet *packet) { return (void)of, (void)side, (void)packet, false; }
bool pair_keeps_ends(struct plane *of, uint32_t side, const struct rm_packet *packet) { return (void)of, (void)side, (void)packet, true; }
bool seed_missed(struct plane *of, uint32_t side, uint32_t slot, uint32_t box) {
  (void)of;
  printf(" %s:%u", side == RM_SIDE_UP ? "up" : "down", slot);
  return box == SPARE && affords;
}

static struct rm_packet packet_of(bool answers) {
  struct rm_packet packet = {.verdict = RM_PARSE_FLOW, .proto = 6, .dir = answers, .port = {1000, 80}, .seq = answers ? 900 : 7, .ack = answers ? 8 : 0, .window = 64240,
                             .scale = 7, .tcp_flags = RM_TCP_SYN | (answers ? RM_TCP_ACK : 0)};
  packet.addr[0][15] = CLIENT, packet.addr[1][15] = SERVER;
  return packet;
}

/* One connection, at another place on each side, whose opening and answer were copied. */
static void begin(const char *story) {
  printf("%s%s:", p->now > RM_S ? "\n" : "", story);
  p->now += 60 * RM_S;
  const uint32_t slot[RM_SIDES] = {3, 5};
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    struct rm_flow *f = &p->entries[side][slot[side]];
    *f = (struct rm_flow){.first_ns = p->now, .flags = RM_FLOW_USED, .proto = 6, .rule = 0, .peer = slot[1 - side], .outer_dir = (uint8_t)side, .opener = 1};
    f->half[0].packets = f->half[1].packets = 1;
    if (side == RM_SIDE_UP) f->half[0].mirrored = 1;
    else f->half[1].mirrored = 1;
  }
  p->board->live.match[SPARE * RM_MATCH_CLASSES + RM_MATCH_TCP] = (struct rm_match){.equal = 10};
  p->rules.rule[0] = (struct rm_rule){.handshake = 1, .seed = 1};
  affords = true;
}

/* It comes out of the box that serves, and then out of the spare, or not. */
static void passes(bool answers, bool of_spare) {
  uint32_t side = answers ? RM_SIDE_UP : RM_SIDE_DOWN;
  struct rm_packet packet = packet_of(answers);
  uint8_t frame[64] = {0};
  match_passed(p, role_box(PRIMARY, side), frame, &packet, &p->entries[side][side == RM_SIDE_UP ? 3 : 5]);
  if (of_spare) match_shadow(p, role_box(SPARE, side), frame, &packet);
  p->now += 1000;
}

/* Nothing more comes; every opening is looked at. */
static void wait_for_all(void) {
  p->now += LATE_NS;
  for (uint32_t i = 0; i < RM_TWINS; i++) match_step(p);
  printf(" %c", "?=#x"[match_verdict(p, RM_SIDE_DOWN, 5, SPARE)]);
}

static void proved(uint32_t older_ns, enum twin_verdict verdict) {
  const struct rm_flow *f = &p->entries[RM_SIDE_DOWN][5];
  match_proved(p, &(struct match_proof){RM_SIDE_DOWN, 5, twin_word(f) - older_ns, SPARE}, verdict);
  printf(" %c", "?=#x"[match_verdict(p, RM_SIDE_DOWN, 5, SPARE)]);
}

static void stories(void) {
  begin("both come out"), passes(false, true), passes(true, true), wait_for_all();
  begin("the opening does not, and a seed is asked"), passes(false, false), passes(true, false), wait_for_all();
  begin("the answer does not, and a seed is asked before the verdict falls"), passes(false, true), passes(true, false), wait_for_all();
  proved(0, TWIN_DROPPED), proved(0, TWIN_EQUAL);
  begin("there is no seed for the answer"), affords = false, passes(false, true), passes(true, false), wait_for_all();
  begin("a spare that hands over nothing at all"), passes(false, true), passes(true, false);
  p->board->live.match[SPARE * RM_MATCH_CLASSES + RM_MATCH_TCP].equal = 0, wait_for_all();
  begin("no copy of the answer was made"), p->entries[RM_SIDE_DOWN][5].half[1].mirrored = 0, passes(false, true), passes(true, false), wait_for_all();
  begin("a seed that ends when another flow has the place"), passes(false, true), proved(256, TWIN_DROPPED), wait_for_all();
}

static void make_plane(void) {
  size_t words = RM_SIDES * SLOTS * sizeof(uint32_t);
  p = aligned_alloc(RM_CACHE_LINE, sizeof *p), crew = aligned_alloc(RM_CACHE_LINE, sizeof *crew);
  entries = aligned_alloc(RM_CACHE_LINE, RM_SIDES * SLOTS * sizeof *entries);
  struct rm_board *board = aligned_alloc(RM_CACHE_LINE, (sizeof *board + words + 4095) / 4096 * 4096);
  if (!p || !crew || !entries || !board) abort();
  memset(p, 0, sizeof *p), memset(crew, 0, sizeof *crew), memset(board, 0, sizeof *board + words), memset(entries, 0, RM_SIDES * SLOTS * sizeof *entries);
  *p = (struct plane){.board = board, .live = &own, .crew = crew, .roles = RM_PRIMARY_IN + 4, .members = 3};
  p->now = RM_S, crew->queues = 1, crew->workers = 1, board->setup.flow_slots = SLOTS;
  for (uint32_t side = 0; side < RM_SIDES; side++) {
    p->has[side] = true;
    p->entries[side] = entries + side * SLOTS;
    board->header.twin_offset[side] = sizeof *board + side * SLOTS * sizeof(uint32_t);
  }
  for (uint32_t role = 0; role < RM_ROLES; role++) p->port[role].view = &board->live.port[role], board->live.port[role].link = 1;
  match_open(p);
}

int main(void) {
  make_plane();
  stories();
  putchar('\n');
  for (uint32_t side = 0; side < RM_SIDES; side++) free(p->matching[side]);
  free(p->board), free(entries), free(crew), free(p);
  return 0;
}

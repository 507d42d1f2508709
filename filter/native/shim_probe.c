/* Probes and grey failure as a library for TypeScript: tracks, tokens and meters in plain memory. Serves the simulation: what
 * is sent, lost, late and how long the node stands still is the caller's.
 */
#include <stdlib.h>
#include "board.h"
#include "grey_core.h"
#include "probe_core.h"

struct rm_probe_sim {
  struct probes probes;
  struct probe_key key;
  struct grey_way way;
  struct grey_common common;
  struct grey_counts last;
  struct grey_judge judge;
  struct rm_board board;
};

RM_EXPORT struct rm_probe_sim *rm_probe_open(uint64_t k0, uint64_t k1);
RM_EXPORT void rm_probe_close(struct rm_probe_sim *s);
RM_EXPORT void *rm_probe_board(struct rm_probe_sim *s);
RM_EXPORT void rm_probe_set(struct rm_probe_sim *s, uint64_t now);
RM_EXPORT uint64_t rm_probe_due(struct rm_probe_sim *s, uint64_t now);
RM_EXPORT void rm_probe_seen(struct rm_probe_sim *s, uint32_t track, uint32_t number, uint64_t now);
RM_EXPORT void rm_probe_forget(struct rm_probe_sim *s, uint32_t track);
RM_EXPORT void rm_probe_excuse(struct rm_probe_sim *s, uint64_t lost_ns);
RM_EXPORT uint64_t rm_probe_judge(struct rm_probe_sim *s, uint64_t now, uint32_t box);
RM_EXPORT uint32_t rm_probe_stamp(struct rm_probe_sim *s, uint32_t track, uint32_t number, uint8_t *frame);
RM_EXPORT uint64_t rm_probe_recognise(struct rm_probe_sim *s, const uint8_t *frame, uint32_t bytes);
RM_EXPORT uint32_t rm_probe_is_raw(struct rm_probe_sim *s, uint32_t place, const uint8_t *frame, uint32_t bytes);
RM_EXPORT uint32_t rm_probe_reset_of(uint8_t *frame, uint32_t bytes);
RM_EXPORT uint64_t rm_grey_name(const uint8_t *transport, uint32_t payload_bytes, uint32_t tcp);
RM_EXPORT void rm_grey_in(struct rm_probe_sim *s, uint64_t name, uint32_t flow, uint64_t now);
RM_EXPORT uint32_t rm_grey_repeats(struct rm_probe_sim *s, uint64_t name, uint64_t now);
RM_EXPORT uint32_t rm_grey_out(struct rm_probe_sim *s, uint64_t name, uint64_t now);
RM_EXPORT uint64_t rm_grey_tick(struct rm_probe_sim *s, int32_t serving, uint32_t box, uint64_t now);

/* Null: no memory. */
struct rm_probe_sim *rm_probe_open(uint64_t k0, uint64_t k1) {
  struct rm_probe_sim *s = aligned_alloc(RM_CACHE_LINE, (sizeof *s + RM_CACHE_LINE - 1) & ~(size_t)(RM_CACHE_LINE - 1));
  if (!s) return NULL;
  memset(s, 0, sizeof *s);
  board_fill(&s->board, 0, "simulation");
  s->key = (struct probe_key){k0, k1};
  s->probes.view = s->board.live.probe;
  s->judge.serving = -1;
  return s;
}

void rm_probe_close(struct rm_probe_sim *s) { free(s); }
void *rm_probe_board(struct rm_probe_sim *s) { return &s->board; }

/* Go by what the board commands. */
void rm_probe_set(struct rm_probe_sim *s, uint64_t now) {
  probes_set(&s->probes, s->board.command.probe, s->board.command.probe_count, now);
}

/* Track << 32 | number of a probe that is sent now; 0: none is due. */
uint64_t rm_probe_due(struct rm_probe_sim *s, uint64_t now) {
  struct probe_id id;
  return probes_due(&s->probes, now, &id) ? (uint64_t)id.track << 32 | id.number : 0;
}

void rm_probe_seen(struct rm_probe_sim *s, uint32_t track, uint32_t number, uint64_t now) {
  if (number) probes_seen(&s->probes, (struct probe_id){track, number}, now);
  else probes_seen_raw(&s->probes, track, now);
}

void rm_probe_forget(struct rm_probe_sim *s, uint32_t track) { probes_forget(&s->probes, track); }

void rm_probe_excuse(struct rm_probe_sim *s, uint64_t lost_ns) { probes_excuse(&s->probes, lost_ns); }

static uint64_t packed(struct said said) { return (uint64_t)said.light << 32 | said.detail; }

/* Light << 32 | detail of a box. */
uint64_t rm_probe_judge(struct rm_probe_sim *s, uint64_t now, uint32_t box) {
  uint64_t seen[RM_SIDES] = {now, now};
  probes_judge(&s->probes, seen);
  return packed(probes_box(&s->probes, box));
}

/* Write the frame of a probe as it is sent; returns its bytes. */
uint32_t rm_probe_stamp(struct rm_probe_sim *s, uint32_t track, uint32_t number, uint8_t *frame) {
  const struct rm_command *c = &s->board.command;
  const struct rm_probe_frame *from = &c->probe_frame[track_probe(track) * RM_SIDES + track_side(track)];
  probe_stamp(&s->key, &c->probe[track_probe(track)], from, (struct probe_id){track, number}, frame);
  return from->bytes;
}

/* What it is << 48 | track << 32 | number. */
uint64_t rm_probe_recognise(struct rm_probe_sim *s, const uint8_t *frame, uint32_t bytes) {
  struct probe_found f = probe_recognise(&s->key, frame, bytes);
  return (uint64_t)f.is << 48 | (uint64_t)f.id.track << 32 | f.id.number;
}

uint32_t rm_probe_is_raw(struct rm_probe_sim *s, uint32_t place, const uint8_t *frame, uint32_t bytes) {
  return probe_is_raw(&s->board.command.probe_frame[place], frame, bytes);
}

uint32_t rm_probe_reset_of(uint8_t *frame, uint32_t bytes) { return probe_reset_of(frame, bytes); }

uint64_t rm_grey_name(const uint8_t *transport, uint32_t payload_bytes, uint32_t tcp) {
  return tcp ? grey_name_tcp(transport, payload_bytes) : grey_name_udp(transport, payload_bytes);
}

/* Flow 0: it opens one. */
void rm_grey_in(struct rm_probe_sim *s, uint64_t name, uint32_t flow, uint64_t now) {
  struct grey_counts *c = &s->common.counts[0];
  c->entered[0]++;
  if (!grey_in(&s->way, s->common.mark[0], &(struct grey_packet){name, flow, flow == 0}, now)) c->alike[0]++;
}

/* A segment with payload: counted, and whether it was sent before. */
uint32_t rm_grey_repeats(struct rm_probe_sim *s, uint64_t name, uint64_t now) {
  bool again = grey_repeats(&s->way, name, now);
  s->common.counts[0].segments[0]++;
  s->common.counts[0].repeats[0] += again;
  return again;
}

/* 1: it was one of those that went in. */
uint32_t rm_grey_out(struct rm_probe_sim *s, uint64_t name, uint64_t now) {
  uint64_t took = grey_out(s->common.mark[0], name, now);
  if (took == UINT64_MAX) return 0;
  s->common.counts[0].delay[0][rm_delay_place(took)]++;
  return 1;
}

/* Judge what was counted since the last tick, on the way from the client side. Light << 32 | detail of `box`. */
uint64_t rm_grey_tick(struct rm_probe_sim *s, int32_t serving, uint32_t box, uint64_t now) {
  const struct rm_grey *c = &s->board.command.grey;
  struct grey_counts fresh, *now_at = &s->common.counts[0];
  grey_settle(&s->way, s->common.mark[0], now_at, 0, now - c->wait_ns);
  uint64_t *to = (uint64_t *)&fresh, *last = (uint64_t *)&s->last, *from = (uint64_t *)now_at;
  for (size_t i = 0; i < sizeof fresh / sizeof *to; i++) to[i] = from[i] - last[i], last[i] = from[i];
  grey_judge(&s->judge, c, &fresh, serving, now);
  grey_show(&s->judge, s->board.live.grey);
  return packed(grey_said(&s->judge, c, box, now));
}

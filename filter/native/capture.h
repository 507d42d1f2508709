/* The capture ring: frames for people to look at, written by the plane without waiting, read by control. No DPDK. */
#ifndef RM_CAPTURE_H
#define RM_CAPTURE_H
#include <stdbool.h>
#include <stddef.h>
#include "board.h"

/* The writing end of one ring. One thread owns it. */
struct capture {
  struct rm_capture_header *file; /* null: there is none */
  struct rm_capture_ring *ring;
  uint8_t *slots;
  uint64_t next;           /* sequence of the next record */
  uint64_t wall_offset_ns; /* wall clock minus CLOCK_MONOTONIC, of a moment ago */
  uint32_t mask, slot_bytes, snap_bytes;
  uint32_t wanted;         /* of this turn */
};

/* Write to ring `ring` of the capture mapped at `map`; null: what is wanted is nothing, for ever. */
void capture_open(struct capture *c, void *map, uint32_t ring);
/* Follow the wall clock, now and then. */
void capture_clock(struct capture *c);
/* Take over what control wants, once a turn. */
static inline void capture_turn(struct capture *c) {
  if (c->file) c->wanted = __atomic_load_n(&c->file->wanted, __ATOMIC_RELAXED);
}
static inline bool capture_wants(const struct capture *c, enum rm_tap tap, uint32_t role) {
  return c->wanted & RM_TAP_BIT((uint32_t)tap, role);
}
/* Keep a frame of which so many bytes are at hand, behind a head of at most snap_bytes, which may be none. `seen` without
 * sequence, wall clock and kept bytes. Only after capture_wants(). */
struct capture_piece { const void *at; uint32_t bytes; };
void capture_write_behind(struct capture *c, const struct rm_captured *seen, struct capture_piece head, struct capture_piece frame);
static inline void capture_write(struct capture *c, const struct rm_captured *seen, const uint8_t *frame, uint32_t bytes) {
  capture_write_behind(c, seen, (struct capture_piece){NULL, 0}, (struct capture_piece){frame, bytes});
}

/* bpf.c: rm_bpf_run() on a frame of which not all is at hand. Its length is that on the wire; a look beyond what is
 * there rejects it. */
struct rm_cut { uint32_t wire_bytes, bytes; };
uint32_t rm_bpf_run_cut(const struct rm_bpf *program, uint32_t count, const uint8_t *frame, struct rm_cut cut);

/* The file and its readers; see capture.c. */
struct rm_capture_reader;
RM_EXPORT void *rm_capture_create(const char *path, const struct rm_board *board, uint32_t rings, int32_t *error);
/* The rings of the flight recorder: the same, with a struct rm_witness before each frame. */
RM_EXPORT void *rm_recorder_create(const char *path, const struct rm_board *board, uint32_t rings, int32_t *error);
RM_EXPORT struct rm_capture_reader *rm_capture_open(const char *path, int32_t *error);
RM_EXPORT void rm_capture_close(struct rm_capture_reader *r);
RM_EXPORT void *rm_capture_map(const struct rm_capture_reader *r);
RM_EXPORT void rm_capture_want(struct rm_capture_reader *r, uint32_t wanted);
RM_EXPORT int32_t rm_capture_choose(struct rm_capture_reader *r, uint32_t wanted, const struct rm_bpf *program,
                                    uint32_t count);
RM_EXPORT uint32_t rm_capture_take(struct rm_capture_reader *r, uint64_t until_ns, uint8_t *out, uint32_t room);
RM_EXPORT uint64_t rm_capture_missed(const struct rm_capture_reader *r);
#endif

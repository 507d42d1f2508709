/* The capture file, beside the board: frames of the mirror for people to look at, one ring for each thread that moves
 * frames. The writer never waits and overwrites the oldest; a reader finds by the sequence what it came too late for.
 * Its header describes it as the board's does the board. Part of the law (abi.h).
 */
#ifndef RM_ABI_CAPTURE_H
#define RM_ABI_CAPTURE_H
#define RM_CAPTURE_MAGIC 0x43584d52u /* "RMXC" */
#define RM_CAPTURE_RINGS 32
/* Bit of `wanted` for frames of a role at a tap. */
#define RM_TAP_BIT(tap, role) (1u << (RM_ROLES * (tap) + (role)))

struct rm_capture_header {
  uint32_t magic, abi;
  uint64_t size;                                   /* of the whole file */
  uint32_t field_offset, field_count, field_bytes; /* as in struct rm_header */
  uint32_t rings, slots;    /* of each ring, power of two */
  uint32_t slot_bytes;      /* a struct rm_captured and the frame's bytes behind it, whole cache lines */
  uint32_t record_bytes;    /* sizeof(struct rm_captured) */
  uint32_t snap_bytes;
  uint64_t ring_offset, ring_bytes; /* of ring 0; of each */
  uint64_t boot;            /* of the board that it belongs to */
  RM_ALIGNED uint32_t wanted; /* control: RM_TAP_BIT of what is to be written */
} RM_ALIGNED;

struct rm_capture_ring { uint64_t written; } RM_ALIGNED; /* sequence of the last whole record; the slots follow */

struct rm_captured {
  uint64_t sequence;        /* from 1; 0 while it is being written. Slot = sequence % slots */
  uint64_t mono_ns, wall_ns;
  uint32_t wire_bytes;      /* length of the frame */
  uint16_t bytes;           /* of it that are kept, at most snap_bytes */
  uint8_t role, tap;        /* enum rm_role, enum rm_tap */
  uint8_t why, rule;        /* of a copy: enum rm_why, index or 0xff */
  uint8_t pad[6];
};
_Static_assert(sizeof(struct rm_captured) == 40, "head of a captured frame");
_Static_assert(RM_TAPS * RM_ROLES <= 32, "a bit of `wanted` for each role at each tap");
#endif

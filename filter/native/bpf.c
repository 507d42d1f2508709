/* Interpreter of classic BPF, the way libpcap's bpf_filter() runs it.
 *
 * The programs come from libpcap's compiler, but nothing here depends on that: a jump only goes forward,
 * and a read outside the frame, an unknown instruction or a jump past the end rejects the frame.
 */
#include "capture.h"
#include "filter.h"

enum { CLASS_LD, CLASS_LDX, CLASS_ST, CLASS_STX, CLASS_ALU, CLASS_JMP, CLASS_RET, CLASS_MISC };
enum { MODE_IMM = 0x00, MODE_ABS = 0x20, MODE_IND = 0x40, MODE_MEM = 0x60, MODE_LEN = 0x80, MODE_MSH = 0xa0 };
enum { SIZE_W = 0x00, SIZE_H = 0x08, SIZE_B = 0x10 };
enum { ALU_ADD = 0x00, ALU_SUB = 0x10, ALU_MUL = 0x20, ALU_DIV = 0x30, ALU_OR = 0x40, ALU_AND = 0x50 };
enum { ALU_LSH = 0x60, ALU_RSH = 0x70, ALU_NEG = 0x80, ALU_MOD = 0x90, ALU_XOR = 0xa0 };
enum { JMP_JA = 0x00, JMP_JEQ = 0x10, JMP_JGT = 0x20, JMP_JGE = 0x30, JMP_JSET = 0x40 };
enum { FROM_X = 0x08, RET_A = 0x10, MISC_TXA = 0x80 };
#define WORDS 16u

struct machine {
  uint32_t a, x, length;
  uint32_t word[WORDS];
  bool beyond; /* it looked at what is part of the frame and not at hand */
};

/* Big-endian value of the instruction's size at `at`; false outside the frame. */
static bool load_frame(struct machine *m, uint16_t code, uint64_t at, const uint8_t *frame, uint32_t bytes, uint32_t *out) {
  uint32_t size = (code & 0x18) == SIZE_W ? 4 : (code & 0x18) == SIZE_H ? 2 : 1, value = 0;
  if (at + size > bytes) return m->beyond |= at + size <= m->length, false;
  for (uint32_t i = 0; i < size; i++) value = value << 8 | frame[at + i];
  *out = value;
  return true;
}

static bool load(struct machine *m, const struct rm_bpf *op, const uint8_t *frame, uint32_t bytes) {
  uint32_t value;
  bool to_x = (op->code & 7) == CLASS_LDX;
  switch (op->code & 0xe0) {
    case MODE_IMM: value = op->k; break;
    case MODE_LEN: value = m->length; break;
    case MODE_MEM:
      if (op->k >= WORDS) return false;
      value = m->word[op->k];
      break;
    case MODE_ABS:
      if (to_x || !load_frame(m, op->code, op->k, frame, bytes, &value)) return false;
      break;
    case MODE_IND:
      if (to_x || !load_frame(m, op->code, (uint64_t)m->x + op->k, frame, bytes, &value)) return false;
      break;
    case MODE_MSH: /* length of the IPv4 header that starts at k */
      if (!to_x || !load_frame(m, SIZE_B, op->k, frame, bytes, &value)) return false;
      value = (value & 15u) << 2;
      break;
    default: return false;
  }
  *(to_x ? &m->x : &m->a) = value;
  return true;
}

static bool compute(struct machine *m, const struct rm_bpf *op) {
  uint32_t v = op->code & FROM_X ? m->x : op->k;
  switch (op->code & 0xf0) {
    case ALU_ADD: m->a += v; return true;
    case ALU_SUB: m->a -= v; return true;
    case ALU_MUL: m->a *= v; return true;
    case ALU_OR: m->a |= v; return true;
    case ALU_AND: m->a &= v; return true;
    case ALU_XOR: m->a ^= v; return true;
    case ALU_LSH: m->a = v < 32 ? m->a << v : 0; return true;
    case ALU_RSH: m->a = v < 32 ? m->a >> v : 0; return true;
    case ALU_NEG: m->a = 0u - m->a; return true;
    case ALU_DIV:
      if (v == 0) return false;
      m->a /= v;
      return true;
    case ALU_MOD:
      if (v == 0) return false;
      m->a %= v;
      return true;
    default: return false;
  }
}

/* How many instructions to skip; false for an unknown jump. */
static bool jump(const struct machine *m, const struct rm_bpf *op, uint32_t *skip) {
  uint32_t v = op->code & FROM_X ? m->x : op->k;
  bool yes;
  switch (op->code & 0xf0) {
    case JMP_JA: *skip = op->k; return true;
    case JMP_JEQ: yes = m->a == v; break;
    case JMP_JGT: yes = m->a > v; break;
    case JMP_JGE: yes = m->a >= v; break;
    case JMP_JSET: yes = (m->a & v) != 0; break;
    default: return false;
  }
  *skip = yes ? op->jt : op->jf;
  return true;
}

static inline uint32_t run(struct machine *m, const struct rm_bpf *program, uint32_t count, const uint8_t *frame, uint32_t bytes) {
  if (count == 0) return 0xffffffffu;
  for (uint64_t at = 0; at < count; at++) {
    const struct rm_bpf *op = &program[at];
    uint32_t skip = 0;
    switch (op->code & 7) {
      case CLASS_LD:
      case CLASS_LDX:
        if (!load(m, op, frame, bytes)) return 0;
        break;
      case CLASS_ST:
      case CLASS_STX:
        if (op->k >= WORDS) return 0;
        m->word[op->k] = (op->code & 7) == CLASS_ST ? m->a : m->x;
        break;
      case CLASS_ALU:
        if (!compute(m, op)) return 0;
        break;
      case CLASS_JMP:
        if (!jump(m, op, &skip)) return 0;
        at += skip;
        break;
      case CLASS_RET: return op->code & RET_A ? m->a : op->k;
      case CLASS_MISC:
        if (op->code & MISC_TXA) m->a = m->x;
        else m->x = m->a;
        break;
    }
  }
  return 0;
}

uint32_t rm_bpf_run_cut(const struct rm_bpf *program, uint32_t count, const uint8_t *frame, struct rm_cut cut) {
  struct machine m = {.length = cut.wire_bytes};
  return run(&m, program, count, frame, cut.bytes);
}

uint32_t rm_bpf_run(const struct rm_bpf *program, uint32_t count, const uint8_t *frame, uint32_t bytes) {
  return rm_bpf_run_cut(program, count, frame, (struct rm_cut){bytes, bytes});
}

bool rm_bpf_reaches(const struct rm_bpf *program, uint32_t count, const uint8_t *frame, uint32_t bytes, uint32_t wire_bytes) {
  struct machine m = {.length = wire_bytes};
  run(&m, program, count, frame, bytes);
  return m.beyond;
}

/**
 * Interpreter of classic BPF for the oracle, after the description in bpf(4): one accumulator, one index register,
 * sixteen words of memory, jumps only forward. Whatever is not in the description rejects the frame.
 */

/** One instruction, as libpcap's compiler emits it. */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}
export type BpfProgram = readonly BpfInstruction[];

/** A program as C takes it: struct bpf_insn by struct bpf_insn, never empty. */
export function encodeBpf(program: BpfProgram): Uint8Array<ArrayBuffer> {
  // An empty buffer has no address that FFI would accept.
  const view = new DataView(new ArrayBuffer(8 * Math.max(program.length, 1)));
  program.forEach((op, i) => {
    view.setUint16(8 * i, op.code, true);
    view.setUint8(8 * i + 2, op.jt);
    view.setUint8(8 * i + 3, op.jf);
    view.setUint32(8 * i + 4, op.k, true);
  });
  return new Uint8Array(view.buffer);
}

interface Machine {
  a: number;
  x: number;
  readonly word: Uint32Array;
  readonly frame: Uint8Array;
  readonly wireLength: number;
}

/**
 * Run a program on a frame: nonzero accepts. An empty program accepts everything. Of a frame that was cut, a look beyond
 * what is there rejects it.
 */
export function runBpf(program: BpfProgram, frame: Uint8Array, wireLength = frame.length): number {
  if (program.length === 0) return 0xffffffff;
  const m: Machine = { a: 0, x: 0, word: new Uint32Array(16), frame, wireLength };
  for (let at = 0; at < program.length; at++) {
    const op = program[at]!;
    const kind = op.code & 7;
    if (kind === 6) return op.code & 0x10 ? m.a : op.k >>> 0;
    if (kind === 7) {
      if (op.code & 0x80) m.a = m.x;
      else m.x = m.a;
      continue;
    }
    if (kind === 5) {
      const skip = jump(m, op);
      if (skip === undefined) return 0;
      at += skip;
      continue;
    }
    const value = kind === 4 ? compute(m, op) : kind >= 2 ? store(m, op) : load(m, op);
    if (value === undefined) return 0;
    if (kind === 1) m.x = value;
    else m.a = value;
  }
  return 0;
}

/** ST and STX; the accumulator stays what it is. */
function store(m: Machine, op: BpfInstruction): number | undefined {
  if (op.k > 15) return undefined;
  m.word[op.k] = (op.code & 7) === 2 ? m.a : m.x;
  return m.a;
}

function load(m: Machine, op: BpfInstruction): number | undefined {
  const toX = (op.code & 7) === 1;
  switch (op.code & 0xe0) {
    case 0x00:
      return op.k >>> 0;
    case 0x20:
      return toX ? undefined : fromFrame(m.frame, op.k, sizeOf(op));
    case 0x40:
      return toX ? undefined : fromFrame(m.frame, m.x + op.k, sizeOf(op));
    case 0x60:
      return m.word[op.k];
    case 0x80:
      return m.wireLength;
    case 0xa0: {
      const first = toX ? fromFrame(m.frame, op.k, 1) : undefined;
      return first === undefined ? undefined : (first & 15) * 4;
    }
  }
  return undefined;
}

function sizeOf(op: BpfInstruction): number {
  const size = op.code & 0x18;
  return size === 0 ? 4 : size === 8 ? 2 : 1;
}

function fromFrame(frame: Uint8Array, at: number, bytes: number): number | undefined {
  if (at + bytes > frame.length) return undefined;
  let value = 0;
  for (let i = 0; i < bytes; i++) value = value * 256 + frame[at + i]!;
  return value;
}

function compute(m: Machine, op: BpfInstruction): number | undefined {
  const v = op.code & 8 ? m.x : op.k;
  switch (op.code & 0xf0) {
    case 0x00:
      return (m.a + v) >>> 0;
    case 0x10:
      return (m.a - v) >>> 0;
    case 0x20:
      return Math.imul(m.a, v) >>> 0;
    case 0x30:
      return v === 0 ? undefined : Math.floor(m.a / v);
    case 0x40:
      return (m.a | v) >>> 0;
    case 0x50:
      return (m.a & v) >>> 0;
    case 0x60:
      return v > 31 ? 0 : (m.a << v) >>> 0;
    case 0x70:
      return v > 31 ? 0 : m.a >>> v;
    case 0x80:
      return -m.a >>> 0;
    case 0x90:
      return v === 0 ? undefined : m.a % v;
    case 0xa0:
      return (m.a ^ v) >>> 0;
  }
  return undefined;
}

/** Instructions to skip. */
function jump(m: Machine, op: BpfInstruction): number | undefined {
  const v = op.code & 8 ? m.x : op.k;
  switch (op.code & 0xf0) {
    case 0x00:
      return op.k;
    case 0x10:
      return m.a === v ? op.jt : op.jf;
    case 0x20:
      return m.a > v ? op.jt : op.jf;
    case 0x30:
      return m.a >= v ? op.jt : op.jf;
    case 0x40:
      return (m.a & v) !== 0 ? op.jt : op.jf;
  }
  return undefined;
}

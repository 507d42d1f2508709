/** The interpreter of classic BPF, instruction by instruction. */
import assert from "node:assert/strict";
import { type BpfProgram, encodeBpf, runBpf } from "../../../filter/bpf.ts";

const FRAME = Uint8Array.of(0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x45);
const RET_A = 0x16;

/** [code, k, jt, jf] each; the result is the accumulator unless a program returns by itself. */
function run(...steps: readonly (readonly [number, number?, number?, number?])[]): number {
  const program: BpfProgram = [...steps, [RET_A] as const].map(([code, k = 0, jt = 0, jf = 0]) => ({
    code,
    jt,
    jf,
    k,
  }));
  return runBpf(program, FRAME);
}

Deno.test("runBpf() loads words, half words and bytes in network order", () => {
  assert.equal(run([0x20, 4]), 0x9abcdef0);
  assert.equal(run([0x28, 1]), 0x3456);
  assert.equal(run([0x30, 8]), 0x45);
  assert.equal(run([0x01, 2], [0x48, 1]), 0x789a, "from x + k");
  assert.equal(run([0x80]), 9, "the length");
  assert.equal(run([0xb1, 8], [0x87]), 20, "length of an IPv4 header");
});

Deno.test("runBpf() rejects what reads outside the frame", () => {
  const all = [0x06, 1] as const;
  assert.equal(run([0x20, 6], all), 0);
  assert.equal(run([0x20, 5], all), 1);
  assert.equal(run([0x30, 9], all), 0);
  assert.equal(run([0x30, 0xffffffff], all), 0);
  assert.equal(run([0x01, 0xffffffff], [0x50, 2], all), 0, "x + k does not wrap");
  assert.equal(run([0xb1, 9], all), 0);
});

Deno.test("runBpf() computes in 32 bits without sign", () => {
  const table = [
    [0x04, 0xffffffff, 4], // add
    [0x14, 6, 0xffffffff], // sub
    [0x24, 0x40000001, 0x40000005], // mul
    [0x34, 2, 2], // div
    [0x94, 3, 2], // mod
    [0x44, 0x80000000, 0x80000005], // or
    [0x54, 4, 4], // and
    [0xa4, 0xffffffff, 0xfffffffa], // xor
    [0x64, 30, 0x40000000], // lsh
    [0x64, 32, 0],
    [0x74, 1, 2], // rsh
    [0x74, 32, 0],
    [0x84, 0, 0xfffffffb], // neg
  ] as const;
  for (const [code, k, expected] of table) {
    assert.equal(run([0x00, 5], [code, k]), expected, `code 0x${code.toString(16)}`);
    assert.equal(run([0x00, 5], [0x01, k], [code | 8, 0]), expected, `code 0x${code.toString(16)} with x`);
  }
  assert.equal(run([0x34, 0]), 0, "division by zero rejects");
  assert.equal(run([0x9c, 0], [0x06, 1]), 0, "remainder by zero rejects");
});

Deno.test("runBpf() jumps on equal, greater, not less and common bits", () => {
  /** 1 if the jump is taken for accumulator 5. */
  const taken = (code: number, k: number) => run([0x00, 5], [code, k, 0, 1], [0x06, 1], [0x06, 0]);
  assert.deepEqual([taken(0x15, 5), taken(0x15, 4)], [1, 0]);
  assert.deepEqual([taken(0x25, 4), taken(0x25, 5)], [1, 0]);
  assert.deepEqual([taken(0x35, 5), taken(0x35, 6)], [1, 0]);
  assert.deepEqual([taken(0x45, 4), taken(0x45, 2)], [1, 0]);
  assert.equal(run([0x05, 1], [0x06, 0], [0x06, 7]), 7, "always");
});

Deno.test("runBpf() remembers sixteen words and moves between registers", () => {
  assert.equal(run([0x00, 42], [0x02, 15], [0x00, 0], [0x60, 15]), 42);
  assert.equal(run([0x01, 43], [0x03, 3], [0x60, 3]), 43);
  assert.equal(run([0x00, 44], [0x07], [0x00, 0], [0x87]), 44);
  assert.equal(run([0x02, 16], [0x06, 1]), 0);
  assert.equal(run([0x60, 16], [0x06, 1]), 0);
});

Deno.test("runBpf() accepts without a program, and rejects past the end and unknown instructions", () => {
  assert.equal(runBpf([], FRAME), 0xffffffff);
  assert.equal(runBpf([{ code: 0x00, jt: 0, jf: 0, k: 1 }], FRAME), 0);
  assert.equal(run([0x05, 0xffffffff], [0x06, 1]), 0);
  for (const code of [0xe0, 0xc0, 0x21, 0xa0, 0xb4, 0xf5]) {
    assert.equal(run([code], [0x06, 1]), 0, `code 0x${code.toString(16)}`);
  }
});

Deno.test("runBpf() takes the length on the wire of a frame that was cut, and looks no further than it goes", () => {
  const length: BpfProgram = [{ code: 0x80, jt: 0, jf: 0, k: 0 }, { code: RET_A, jt: 0, jf: 0, k: 0 }];
  assert.equal(runBpf(length, FRAME), FRAME.length);
  assert.equal(runBpf(length, FRAME, 1500), 1500);
  const beyond: BpfProgram = [{ code: 0x30, jt: 0, jf: 0, k: 9 }, { code: 6, jt: 0, jf: 0, k: 1 }];
  assert.equal(runBpf(beyond, FRAME, 1500), 0);
});

Deno.test("encodeBpf() lays instructions out as C has them, and is never empty", () => {
  const bytes = encodeBpf([{ code: 0x0102, jt: 3, jf: 4, k: 0x05060708 }, { code: 6, jt: 0, jf: 0, k: 1 }]);
  assert.deepEqual([...bytes], [2, 1, 3, 4, 8, 7, 6, 5, 6, 0, 0, 0, 1, 0, 0, 0]);
  assert.equal(encodeBpf([]).length, 8);
});

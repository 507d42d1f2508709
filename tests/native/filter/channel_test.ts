/**
 * A channel's core across networks that lose, repeat, delay and reorder: whatever they do, what comes out is whole, in order
 * and never twice; and while the ring covers the way, everything comes out.
 */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const UNITS = 2_000_000;
const UNITS_SANITIZED = 100_000;

interface Way {
  /** Of 10,000 datagrams, both ways. */
  readonly loss: number;
  readonly repeats?: number;
  readonly delayUs?: number;
  readonly jitterUs?: number;
  readonly ring?: number;
  readonly waitUs?: number;
  readonly perMs?: number;
  readonly darkMs?: number;
}

async function build(folder: string, ...sanitizers: string[]): Promise<string> {
  const program = `${folder}/channel`;
  const strict = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", `-I${TOP}/filter/native`];
  const sources = [`${TOP}/tests/native/filter/channel.c`, `${TOP}/filter/native/channel.c`];
  await run("gcc", [...strict, ...sanitizers, ...sources, "-o", program]);
  return program;
}

async function cross(program: string, units: number, way: Way): Promise<Record<string, number>> {
  const { loss, repeats = 100, delayUs = 1_000, jitterUs = 300, ring = 4096 } = way;
  const { waitUs = 200_000, perMs = 100, darkMs = 0 } = way;
  const numbers = [units, SEED, loss, repeats, delayUs, jitterUs, ring, waitUs, perMs, darkMs];
  const text = await run(program, numbers.map(String));
  const words = text.trim().split(/\s+/);
  return Object.fromEntries(words.flatMap((word, i) => i % 2 === 0 ? [[word, Number(words[i + 1])]] : []));
}

/** What holds on every way. */
function assertSound(told: Record<string, number>, units: number): void {
  assert.equal(told.bad, 0, JSON.stringify(told));
  assert.equal(told.left, 0, JSON.stringify(told));
  assert.equal(told.sent, units);
  assert.equal(told.out! + told.lost!, units, JSON.stringify(told));
}

const CLEAN: readonly Way[] = [
  { loss: 0, repeats: 0, jitterUs: 0 },
  { loss: 10 },
  { loss: 100 },
  { loss: 500 },
  { loss: 2_000 },
  { loss: 500, jitterUs: 2_000, perMs: 50 },
  { loss: 500, delayUs: 20_000, jitterUs: 300, ring: 8192, perMs: 8, waitUs: 400_000 },
  { loss: 100, darkMs: 60, perMs: 40 },
];

Deno.test(`a channel loses nothing while its ring covers the way (seed ${SEED})`, async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-channel-" });
  try {
    const program = await build(folder, "-fsanitize=address,undefined", "-fno-sanitize-recover=all");
    for (const way of CLEAN) {
      const told = await cross(program, UNITS_SANITIZED, way);
      assertSound(told, UNITS_SANITIZED);
      assert.equal(told.lost, 0, `${JSON.stringify(way)}: ${JSON.stringify(told)}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a channel with too small a ring, too little patience or none gives up, counts, and goes on", async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-channel-" });
  try {
    const program = await build(folder, "-fsanitize=address,undefined", "-fno-sanitize-recover=all");
    const small = await cross(program, UNITS_SANITIZED, { loss: 500, ring: 64 });
    assertSound(small, UNITS_SANITIZED);
    assert.ok(small.lost! > 0 && small.gone! > 0, JSON.stringify(small));
    const hasty = await cross(program, UNITS_SANITIZED, { loss: 2_000, waitUs: 3_000 });
    assertSound(hasty, UNITS_SANITIZED);
    assert.ok(hasty.lost! > 0 && hasty.recovered! > 0, JSON.stringify(hasty));
    const none = await cross(program, UNITS_SANITIZED, { loss: 500, repeats: 0, jitterUs: 0, waitUs: 0 });
    assertSound(none, UNITS_SANITIZED);
    assert.deepEqual([none.asked, none.again], [0, 0]);
    assert.ok(
      none.lost! > UNITS_SANITIZED * 0.04 && none.lost! < UNITS_SANITIZED * 0.06,
      JSON.stringify(none),
    );
    const dark = await cross(program, UNITS_SANITIZED, { loss: 0, darkMs: 500, waitUs: 50_000 });
    assertSound(dark, UNITS_SANITIZED);
    assert.ok(dark.lost! > 40_000 && dark.gone === 0, JSON.stringify(dark));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test(`${UNITS} units cross a network that loses 5 % both ways`, async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-channel-" });
  try {
    const told = await cross(await build(folder), UNITS, { loss: 500 });
    assertSound(told, UNITS);
    assert.equal(told.lost, 0, JSON.stringify(told));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

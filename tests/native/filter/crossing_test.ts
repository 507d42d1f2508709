/**
 * The ring between two workers: bounded, in order, nothing lost and nothing torn, with its positions wrapping; under
 * ThreadSanitizer, which fails the program at the first race.
 */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const MESSAGES = 1_000_000;
const ROOM = 4096;

async function crossing(...sanitizers: string[]): Promise<Map<string, string>> {
  const folder = await Deno.makeTempDir({ prefix: "remediate-crossing-" });
  try {
    const program = `${folder}/crossing`;
    const strict = [
      "-std=gnu11",
      "-O2",
      "-g",
      "-Wall",
      "-Wextra",
      "-Werror",
      `-I${TOP}/filter/native`,
      "-pthread",
    ];
    const sources = [`${TOP}/tests/native/filter/crossing.c`, `${TOP}/filter/native/crossing.c`];
    await run("gcc", [...strict, ...sanitizers, ...sources, "-o", program]);
    // With random addresses the sanitizer may find no room for its shadow.
    const text = await run("setarch", ["-R", program, String(MESSAGES), String(SEED)]);
    return new Map(text.trim().split("\n").map((line) => line.split(/ (.*)/) as [string, string]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function assertSound(told: ReadonlyMap<string, string>): void {
  const words = ["room", "first", "again", "full", "left", "waits", "taken", "misplaced", "torn"];
  assert.deepEqual(
    words.map((word) => `${word} ${told.get(word)}`),
    [
      `room ${ROOM}`,
      "first 1",
      "again 1",
      "full 1",
      `left ${ROOM}`,
      "waits 1 0",
      `taken ${MESSAGES}`,
      "misplaced 0",
      "torn 0",
    ],
  );
}

Deno.test("crossing_put() and crossing_take() keep every message, in order, and refuse what does not fit", async () => {
  const told = await crossing();
  assertSound(told);
  console.log(`${MESSAGES} messages, the ring was full ${told.get("refused")} times (seed ${SEED})`);
});

Deno.test("crossing_put() and crossing_take() have no race", async () => {
  assertSound(await crossing("-fsanitize=thread"));
});

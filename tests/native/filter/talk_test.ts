/**
 * What workers tell each other, with threads and a box that hands on at once: nobody looks at a frame before it has heard
 * of the switch it was put in after, no put is thought unanswered once all was answered, and ThreadSanitizer is silent.
 */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const FRAMES = 100; // of each worker in a round, as in talk.c
const SOURCES = ["talk", "reflex", "choice", "step", "silence", "votes", "events", "crossing"].map((name) =>
  `${TOP}/filter/native/${name}.c`
);

async function talk(workers: number, rounds: number, ...sanitizers: string[]): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "remediate-talk-" });
  try {
    const program = `${folder}/talk`;
    const dpdk = (await run("pkg-config", ["--cflags", "libdpdk"])).trim().split(/\s+/);
    const strict = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
    const headers = [`-I${TOP}/filter/native`, ...dpdk.map((flag) => flag.replace(/^-I/, "-isystem"))];
    const main = `${TOP}/tests/native/filter/talk.c`;
    await run("gcc", [...strict, ...headers, ...sanitizers, main, ...SOURCES, "-o", program]);
    // With random addresses the sanitizer may find no room for its shadow.
    const text = await run("setarch", ["-R", program, ...[workers, rounds, SEED].map(String)]);
    const told = Object.fromEntries(text.trim().split("\n").map((line) => line.split(" ")));
    const frames = String(workers * rounds * FRAMES);
    const { switches, ...rest } = told;
    assert.deepEqual(rest, { sent: frames, received: frames, unheard: "0", unanswered: "0" });
    assert.ok(Number(switches) > rounds / 100, `${switches} switches (seed ${SEED})`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const workers of [2, 4]) {
  Deno.test(`${workers} workers hear of every switch before its frames, and answer every put`, () =>
    talk(workers, 20_000));

  // It knows atomic words but no fences; the words alone must be enough for it.
  Deno.test(`${workers} workers tell each other without a race`, () =>
    talk(workers, 400, "-fsanitize=thread", "-Wno-tsan"));
}

/**
 * Steps of the reflexes decided again, and whatever bytes a file may hold handed to the replay, under the sanitizers.
 */
import assert from "node:assert/strict";
import { STEP } from "../../../filter/names.ts";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const RUNS = 20_000;
const CORE = [
  "parse",
  "peek",
  "look",
  "tunnel",
  "flows",
  "nature",
  "decide",
  "fragment",
  "witness",
  "budget",
  "bpf",
];
const REFLEXES = ["events", "reflex", "choice", "step", "silence", "votes", "shim_replay"];
const FLAGS = [
  "-std=gnu11",
  "-O1",
  "-g",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-D_GNU_SOURCE",
  "-fsanitize=address,undefined",
];

Deno.test(`step_retell() decides every step again as it was, and no file makes the replay stumble (seed ${SEED})`, async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-replay-" });
  try {
    const sources = [...CORE, ...REFLEXES].map((name) => `${TOP}/filter/native/${name}.c`);
    const main = `${TOP}/tests/native/filter/replay.c`, program = `${folder}/replay`;
    const include = `-I${TOP}/filter/native`;
    await run("gcc", [...FLAGS, "-fno-sanitize-recover=all", include, main, ...sources, "-o", program]);
    const report = await run("setarch", ["-R", program, `${RUNS}`, `${SEED}`]);
    const [, steps, same, found, of, kinds] = /^steps (\d+) same (\d+) found (\d+) of (\d+) kinds (.*)$/m
      .exec(report)!;
    assert.ok(Number(steps) > 20, report);
    assert.deepEqual([same, found], [steps, of]);
    kinds!.split(" ").forEach((count, i) =>
      assert.ok(Number(count) > 0, `there was no ${STEP[i]}: ${report}`)
    );
    assert.match(report, new RegExp(`^anything ${RUNS} other 1 impossible 1$`, "m"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

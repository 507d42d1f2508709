/**
 * Steps of the reflexes decided again, and whatever bytes a file may hold handed to the replay, under the sanitizers.
 */
import assert from "node:assert/strict";
import { STEP } from "../../../filter/names.ts";
import { CORE, run, sanitized } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const RUNS = 20_000;
const REFLEXES = ["events", "reflex", "choice", "step", "silence", "votes", "shim_replay"];

Deno.test(`step_retell() decides every step again as it was, and no file makes the replay stumble (seed ${SEED})`, async () => {
  await sanitized("replay", [...CORE, ...REFLEXES], async ({ program }) => {
    const report = await run("setarch", ["-R", program, `${RUNS}`, `${SEED}`]);
    const [, steps, same, found, of, kinds] = /^steps (\d+) same (\d+) found (\d+) of (\d+) kinds (.*)$/m
      .exec(report)!;
    assert.ok(Number(steps) > 20, report);
    assert.deepEqual([same, found], [steps, of]);
    kinds!.split(" ").forEach((count, i) =>
      assert.ok(Number(count) > 0, `there was no ${STEP[i]}: ${report}`)
    );
    assert.match(report, new RegExp(`^anything ${RUNS} other 1 impossible 1$`, "m"));
  });
});

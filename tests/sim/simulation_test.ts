/**
 * The point of failover in a crowd of simulated worlds: every claim of the oracle, after each of two million turns.
 *
 * A failure names its seed; `./scripts/deno task sim SEED` replays it. The same task runs longer crowds.
 */
import assert from "node:assert/strict";
import { buildLibrary, Reflex } from "./reflex.ts";
import { simulate, type Tally, tellBroken } from "./simulate.ts";

const SEEDS = 3000;
const STEPS = 600;

/** Each must have happened at least so often, else the worlds have become too quiet to prove anything. */
const SEEN: Readonly<Record<string, number>> = {
  "switch by link": 5000,
  "switch by silence": 500,
  "switch by probe": 200,
  "switch by bfd": 100,
  "switch by grey": 50,
  "switch by check": 50,
  "switch by order": 1000,
  "switch by return": 1000,
  "failback by the point": 100,
  "events lost": 1000,
  "stalls": 10_000,
};

/** By what stands in them, each with the same end; else the reflex itself throws. */
const STEPS_RETOLD = 5000;

Deno.test("the point of failover keeps every claim in a crowd of worlds", async () => {
  using reflex = new Reflex(await buildLibrary());
  const tally: Tally = new Map();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { broken } = simulate(reflex, { seed, steps: STEPS, tally });
    if (broken === null) continue;
    const story = tellBroken(reflex, { seed, steps: STEPS });
    assert.fail(`${broken.message}\n${story}\nreplay: ./scripts/deno task sim ${seed} --steps ${STEPS}`);
  }
  for (const [what, least] of Object.entries(SEEN)) {
    const seen = tally.get(what) ?? 0;
    assert.ok(
      seen >= least,
      `"${what}" happened ${seen} times in ${SEEDS} worlds, at least ${least} are needed`,
    );
  }
  assert.ok(Reflex.retold > STEPS_RETOLD, `${Reflex.retold} steps were decided again`);
});

Deno.test("simulate() repeats a run from its seed, word by word", async () => {
  using reflex = new Reflex(await buildLibrary());
  for (const seed of [3, 17, 4711]) {
    const first = simulate(reflex, { seed, steps: 300, logs: true }).log;
    simulate(reflex, { seed: seed + 1, steps: 50 });
    assert.deepEqual(simulate(reflex, { seed, steps: 300, logs: true }).log, first);
    assert.ok(first.length > 2, `seed ${seed} tells nothing`);
  }
});

/**
 * The layer in a crowd of simulated worlds: whatever dies at whichever of the eight steps, a move ends wholly here or wholly
 * there, no frame is lost or doubled, and counts are those of a single box.
 *
 * A failure names its seed; `./scripts/deno task sim:layer SEED` replays it.
 */
import assert from "node:assert/strict";
import { STEPS } from "../../appliance/layer/move.ts";
import { type Mishap, MISHAPS, simulateLayer } from "./layer_simulate.ts";

async function trial(seed: number, tally: Map<string, number>, mishaps?: readonly Mishap[]): Promise<void> {
  try {
    await simulateLayer({ seed, tally, ...(mishaps && { mishaps }) });
  } catch (error) {
    const log: string[] = [];
    await simulateLayer({ seed, log: (line) => log.push(line), ...(mishaps && { mishaps }) }).catch(() => {});
    const told = error instanceof Error ? error.message : String(error);
    const plan = mishaps === undefined ? "" : ` with ${JSON.stringify(mishaps)}`;
    assert.fail(`seed ${seed}${plan}: ${told}\n${log.slice(-40).join("\n")}`);
  }
}

Deno.test("a move ends wholly here or there, whatever dies at which step", async () => {
  const tally = new Map<string, number>();
  let seed = 1;
  for (const step of [...STEPS, "merge"] as const) {
    for (const kind of MISHAPS) {
      for (const when of ["before", "after"] as const) {
        for (const skip of [0, 2, 3, 4]) {
          for (const way of ["there", "back"] as const) {
            await trial(seed++, tally, [{ kind, step, way, when, skip, times: kind === "control" ? 1 : 2 }]);
          }
        }
      }
    }
  }
  for (const step of STEPS) {
    const seen = tally.get(`control at ${step}`) ?? 0;
    assert.ok(seen >= 2, `control died ${seen} times at ${step}`);
  }
});

Deno.test("the layer keeps every claim in a crowd of worlds", async () => {
  const tally = new Map<string, number>();
  for (let seed = 1; seed <= 200; seed++) await trial(seed, tally);
  for (const what of ["ended moved", "ended back", "merged"]) {
    assert.ok((tally.get(what) ?? 0) >= 30, `"${what}" happened ${tally.get(what) ?? 0} times`);
  }
});

Deno.test("a plane that begins anew behind the route goes by the rule of the move that ends", async () => {
  const tally = new Map<string, number>();
  await trial(1137, tally);
  assert.deepEqual([tally.get("plane at delete"), tally.get("ended moved")], [1, 2]);
});

Deno.test("simulateLayer() repeats a run from its seed, word by word", async () => {
  const tell = async (seed: number) => {
    const log: string[] = [];
    await simulateLayer({ seed, log: (line) => log.push(line) });
    return log;
  };
  for (const seed of [5, 77]) {
    const first = await tell(seed);
    await tell(seed + 1);
    assert.deepEqual(await tell(seed), first);
  }
});

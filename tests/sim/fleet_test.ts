/**
 * Roll-outs in a crowd of simulated fleets: never both members of a pair, nothing twice, nothing that fell back again, a bad
 * bundle stops at its canaries; whatever dies, and wherever the controller is killed.
 *
 * A failure names its seed; `./scripts/deno task sim:fleet SEED` replays it.
 */
import assert from "node:assert/strict";
import { type FleetRun, KILLS, simulateFleet } from "./fleet_simulate.ts";

function trial(run: FleetRun): void {
  try {
    simulateFleet(run);
  } catch (error) {
    const log: string[] = [];
    try {
      simulateFleet({ ...run, log: (line) => log.push(line) });
    } catch {
      // The same again.
    }
    const told = error instanceof Error ? error.stack : String(error);
    assert.fail(
      `seed ${run.seed}, ${run.nodes} nodes, ${run.kill ?? ""}: ${told}\n${log.slice(-40).join("\n")}`,
    );
  }
}

Deno.test("roll-outs keep every claim in a crowd of fleets", () => {
  const tally = new Map<string, number>();
  for (let seed = 1; seed <= 60; seed++) trial({ seed, nodes: 6 + seed * 3, tally });
  const seen = ["nodes good", "fell", "late", "halted", "phase done", "phase aborted", "killed after commit"];
  for (const what of seen) assert.ok((tally.get(what) ?? 0) > 0, `"${what}" never happened`);
});

Deno.test("roll-outs: a controller that is killed at each step starts no update twice", () => {
  for (const kill of KILLS) {
    const tally = new Map<string, number>();
    for (let seed = 100; seed < 108; seed++) trial({ seed, nodes: 60, kill, tally });
    assert.ok(tally.get(`killed ${kill}`)! > 20, `killed ${kill} ${tally.get(`killed ${kill}`)} times`);
  }
});

Deno.test("roll-outs: a bad bundle stops at its canaries", () => {
  for (const nature of ["falls back", "sickens"] as const) {
    for (let seed = 200; seed < 206; seed++) trial({ seed, nodes: 300, nature, mishaps: 0 });
  }
});

Deno.test("simulateFleet() repeats a run from its seed, word by word", () => {
  const tell = (seed: number) => {
    const log: string[] = [];
    simulateFleet({ seed, nodes: 40, log: (line) => log.push(line) });
    return log;
  };
  assert.deepEqual(tell(5), tell(5));
});

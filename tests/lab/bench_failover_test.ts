/**
 * The bench of failovers, small: a link that is cut moves the streams with every system, and leaves none behind.
 *
 * Nothing is timed. That traffic is back on the primary, with nothing lost, is what a trial ends with.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { type System, SYSTEM_TEXT } from "../../scripts/bench/failover_cells.ts";
import { plannedRun } from "../../scripts/bench/failover_planned.ts";
import { quietHours } from "../../scripts/bench/failover_quiet.ts";
import { type Kit, withSystem } from "../../scripts/bench/failover_systems.ts";
import { trial } from "../../scripts/bench/failover_trial.ts";
import { SWITCH_PROGRAM } from "../../scripts/bench/ovs.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";

const TOP = dirname(dirname(import.meta.dirname!));

async function kit(lifetime: Lifetime): Promise<Kit> {
  await sweep();
  return { top: TOP, programs: await programs(TOP), lifetime, node: {} };
}

/** What a system needs that is not there, in words. */
function missing(system: System): string {
  const needs: Partial<Record<System, string[]>> = {
    ovs: [SWITCH_PROGRAM.sockets, "/usr/sbin/bird"],
    "keepalived-100": ["/usr/sbin/keepalived"],
    conntrackd: ["/usr/sbin/keepalived", "/usr/sbin/conntrackd"],
  };
  const absent = (needs[system] ?? []).filter((path) => {
    try {
      Deno.statSync(path);
      return false;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      throw error;
    }
  });
  return absent.map((path) => path.split("/").at(-1)).join(", ");
}

for (const system of ["remediate", "ovs", "keepalived-100", "conntrackd"] as const) {
  const absent = missing(system);
  Deno.test({
    name: `${SYSTEM_TEXT[system]}: a trial moves both streams and puts them back${
      absent && ` (needs ${absent})`
    }`,
    ignore: absent !== "",
    fn: async () => {
      using lifetime = new Lifetime(console.error);
      const all = await kit(lifetime);
      await withSystem(system, all, async (standing) => {
        // A busy machine may hold a peer's hellos up for as long; the trial waits for it.
        const found = await trial(standing, all, { death: "link-both", afterMs: 3_000 });
        assert.notEqual(found.switchMs, null);
        assert.equal(found.duplicates, 0);
        assert.ok(found.lostFast > 0 || system === "remediate");
      });
    },
  });
}

Deno.test("a trial of a silent death and one of grey loss begin at the second they were prepared for", async () => {
  using lifetime = new Lifetime(console.error);
  const all = await kit(lifetime);
  await withSystem("remediate", all, async (standing) => {
    const silent = await trial(standing, all, { death: "silent", afterMs: 1_000 });
    assert.notEqual(silent.switchMs, null);
    assert.equal(silent.cause, "silence");
    const grey = await trial(standing, all, { death: "grey", afterMs: 500 });
    assert.ok(grey.lostFast > 0);
    assert.deepEqual([silent.elsewhere, grey.elsewhere], [0, 0]);
  });
});

Deno.test("plannedRun() orders switches under load and hangs no connection; quietHours() restarts control", async () => {
  using lifetime = new Lifetime(console.error);
  const all = await kit(lifetime);
  const run = await plannedRun(all, "ordered", { times: 4, everyMs: 500 });
  // A slow machine may leave some out, and says so.
  assert.deepEqual([run.switches + run.leftOut, run.hung, run.small.readErrors], [4, 0, 0]);
  assert.ok(run.switches > 0);
  assert.ok(run.small.requests > 0 && run.bulk.requests > 0 && run.streams[1].sent > 0);
  const quiet = await quietHours(all, 14);
  assert.equal(quiet.restarts, 1);
  assert.ok(quiet.bursts > 0 && quiet.sent > quiet.lost);
});

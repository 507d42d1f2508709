/**
 * Real boxes that renumber TCP connections: firewalls behind a part that changes sequence numbers, and a kernel's synproxy. The
 * primary loses its links; connections go on, each end by the numbers it knows. NATs that renumber as well are a row of
 * bench:match alone: they lose connections, for a cause that is not found.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { matchRun } from "../../scripts/bench/match_predict.ts";
import type { Way } from "../../scripts/bench/match_report.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const FLOWS = 20;

/**
 * What renumbers in the lab is a process beside everything else: on a busy machine a seed's answer comes too late for some, and a
 * connection that is just being opened may stall.
 */
const LEAST = 0.7;

for (
  const [kind, way, least] of [
    ["firewall-renumber", "both", LEAST],
    ["firewall-renumber", "seed", LEAST],
    ["synproxy", "both", 1],
  ] as const satisfies readonly (readonly [string, Way, number])[]
) {
  Deno.test(`connections live through a failover of boxes that renumber: ${kind}, ${way}`, async () => {
    using lifetime = new Lifetime(console.error);
    await sweep();
    const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    const found = await matchRun(kit, kind, way, { flows: FLOWS, seconds: 6 });
    assert.ok(found.alive >= least * FLOWS, JSON.stringify(found));
  });
}

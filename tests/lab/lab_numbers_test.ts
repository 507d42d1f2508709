/**
 * Real boxes that renumber TCP connections: firewalls and NATs behind a part that changes sequence numbers, and a kernel's
 * synproxy. The primary loses its links; all connections go on, each end by the numbers it knows. On a busy machine, copies of
 * answers overtake the openings that say how the redundant box numbers, so it holds half connections when it is seeded.
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

for (
  const [kind, way, cores] of [
    ["firewall-renumber", "both", 1],
    ["firewall-renumber", "seed", 2],
    ["nat-renumber", "both", 1],
    ["nat-renumber", "both", 2],
    ["synproxy", "both", 1],
  ] as const satisfies readonly (readonly [string, Way, number])[]
) {
  Deno.test(`connections live through a failover of boxes that renumber: ${kind}, ${way}, ${cores} core(s)`, async () => {
    using lifetime = new Lifetime(console.error);
    await sweep();
    const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    const found = await matchRun(kit, kind, way, { flows: FLOWS, seconds: 6, cores });
    assert.equal(found.alive, FLOWS, JSON.stringify(found));
  });
}

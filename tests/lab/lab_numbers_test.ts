/**
 * Real boxes that renumber TCP connections: firewalls behind a part that changes sequence numbers, and a kernel's synproxy. The
 * primary loses its links; connections go on, each end by the numbers it knows.
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
  const [kind, way] of [
    ["firewall-renumber", "both"],
    ["firewall-renumber", "seed"],
    ["nat-renumber", "both"],
    ["synproxy", "both"],
  ] as const satisfies readonly (readonly [string, Way])[]
) {
  Deno.test(`connections live through a failover of boxes that renumber: ${kind}, ${way}`, async () => {
    using lifetime = new Lifetime(console.error);
    await sweep();
    const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    const found = await matchRun(kit, kind, way, { flows: FLOWS, seconds: 6 });
    console.log(JSON.stringify(found));
    assert.equal(found.alive, FLOWS, JSON.stringify(found));
  });
}

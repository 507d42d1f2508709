/** The bench of seeds, small: a cold strict firewall carries on what is seeded, and nothing of it gets out. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { seedRun } from "../../scripts/bench/seed.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";

const TOP = dirname(dirname(import.meta.dirname!));

for (const [way, death, cores] of [["lazy", "link-both", 1], ["before", "silent", 2]] as const) {
  Deno.test(`200 connections live on, seeded ${way}, ${death}, on ${cores} core(s)`, async () => {
    using lifetime = new Lifetime(console.error);
    await sweep();
    const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    const found = await seedRun(kit, { flows: 200, way, death, rate: 5000, cores });
    assert.deepEqual([found.alive, found.leaked], [200, 0], JSON.stringify(found));
    assert.equal(found.resync?.done ?? 200, 200, JSON.stringify(found));
  });
}

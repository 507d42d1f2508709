/** The bench of matches, small: what the node says of a failover comes true, where ports are kept, where not, and with a fault. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { matchRun } from "../../scripts/bench/match_predict.ts";
import { errorOf } from "../../scripts/bench/match_report.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const PLAN = { flows: 20, seconds: 6 };

for (const [kind, alive] of [["nat-collide", 20], ["nat-fully-random", 20]] as const) {
  Deno.test(`${kind}: what is predicted of a failover comes true`, async () => {
    using lifetime = new Lifetime(console.error);
    await sweep();
    const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    const found = await matchRun(kit, kind, "both", PLAN);
    assert.ok(found.compared >= PLAN.flows, JSON.stringify(found));
    assert.deepEqual([found.alive, Math.round(errorOf(found))], [alive, 0], JSON.stringify(found));
    // The clients have ended by then, and reset what they had: that is no loss.
    assert.deepEqual([found.counted?.carried, found.counted?.lost], [alive, 0], JSON.stringify(found));
  });
}

for (const way of ["mirror", "seed"] as const) {
  Deno.test(`sessions of UDP live through a failover of NATs with random ports, ${way}`, async () => {
    using lifetime = new Lifetime(console.error);
    await sweep();
    const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    const found = await matchRun(kit, "nat-fully-random", way, { ...PLAN, proto: "udp" });
    assert.equal(found.alive, PLAN.flows, JSON.stringify(found));
  });
}

Deno.test("a spare that drops one client's flows loses them, as predicted", async () => {
  using lifetime = new Lifetime(console.error);
  await sweep();
  const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
  const found = await matchRun(kit, "nat", "both", { ...PLAN, fault: { fault: "client", percent: 50 } });
  assert.equal(found.alive, PLAN.flows / 2, JSON.stringify(found));
  // The others go on asking when those have ended. The box is not taken for silent by that, or there would be no proof.
  assert.deepEqual([found.counted?.carried, found.counted?.lost], [10, 10], JSON.stringify(found));
  // A datagram that looked for the way is among those compared.
  assert.ok(found.equal - found.alive <= 2 && found.compared - PLAN.flows <= 2, JSON.stringify(found));
});

Deno.test("connections that have moved 10 MB live through a failover of strict firewalls", async () => {
  using lifetime = new Lifetime(console.error);
  await sweep();
  const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
  const found = await matchRun(kit, "firewall+10MB", "both", { flows: 2, seconds: 4 });
  assert.ok(found.moved >= 1e7, JSON.stringify(found));
  assert.equal(found.alive, 2, JSON.stringify(found));
});

Deno.test("a connection whose first seed is lost on its way into the box is seeded again, and lives", async () => {
  using lifetime = new Lifetime(console.error);
  await sweep();
  const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
  const cores = Number(Deno.env.get("REMEDIATE_CORES") ?? 1);
  const found = await matchRun(kit, "firewall+deaf", "both", { ...PLAN, cores });
  assert.equal(found.alive, PLAN.flows, JSON.stringify(found));
});

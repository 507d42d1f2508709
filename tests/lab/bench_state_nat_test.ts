/** The bench of a NAT's log, small: a replica that has the connections goes on where one without them loses them. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { requestRun, viewRun } from "../../scripts/bench/state_nat.ts";
import { failedOf } from "../../scripts/bench/state_nat_report.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { hasServer } from "../../scripts/lab/redis_server.ts";
import { sweep } from "../../scripts/lab/registry.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const missing = hasServer() ? "" : "redis-server";

for (const setup of ["simple", "remediate"] as const) {
  Deno.test({
    name: `10 connections through a NAT that is known by its log, ${setup}${
      missing && ` (needs ${missing})`
    }`,
    ignore: missing !== "",
    fn: async () => {
      using lifetime = new Lifetime(console.error);
      await sweep();
      const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
      const found = await requestRun(kit, { setup, count: 10, seconds: 8 });
      const text = JSON.stringify(found);
      if (setup === "simple") assert.ok(found.known === 0 && found.ended >= 10, text);
      else assert.ok(found.known >= 10 && found.ended + found.resets === 0 && found.after > 0, text);
    },
  });
}

Deno.test({
  name: `3 viewers behind a NAT that is known by its log, remediate${missing && ` (needs ${missing})`}`,
  ignore: missing !== "",
  fn: async () => {
    using lifetime = new Lifetime(console.error);
    await sweep();
    const kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
    const found = await viewRun(kit, { setup: "remediate", count: 3, seconds: 8 });
    assert.deepEqual([failedOf(found), found.known >= 3], [0, true], JSON.stringify(found));
  },
});

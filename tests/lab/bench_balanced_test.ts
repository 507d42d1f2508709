/**
 * The benches of balancers and of video, small: each balancer serves through the node, flips, and serves again; a cold
 * spare is seen to break what ours keeps.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { dashRun } from "../../scripts/bench/dash.ts";
import { seen } from "../../scripts/bench/dash_report.ts";
import type { Kit } from "../../scripts/bench/failover_systems.ts";
import { lbRun } from "../../scripts/bench/lb.ts";
import { resetsOf } from "../../scripts/bench/lb_report.ts";
import { SWITCH_PROGRAM } from "../../scripts/bench/ovs.ts";
import { type Balancer, BALANCER_TEXT } from "../../scripts/lab/balancers.ts";
import { Lifetime } from "../../scripts/lab/lifetime.ts";
import { programs } from "../../scripts/lab/native.ts";
import { sweep } from "../../scripts/lab/registry.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const PLAN = { seconds: 6, everyMs: 1_500, connections: 4 };

async function kit(lifetime: Lifetime): Promise<Kit> {
  await sweep();
  return { top: TOP, programs: await programs(TOP), lifetime, node: {} };
}

function missing(balancer: Balancer): string {
  const needs: Partial<Record<Balancer, string>> = {
    ovs: SWITCH_PROGRAM.sockets,
    haproxy: "/usr/sbin/haproxy",
  };
  const path = needs[balancer];
  if (path === undefined) return "";
  try {
    Deno.statSync(path);
    return "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return path.split("/").at(-1)!;
    throw error;
  }
}

for (const balancer of ["nft-turns", "ovs", "haproxy"] as const) {
  const absent = missing(balancer);
  Deno.test({
    name: `${BALANCER_TEXT[balancer]}: serves through the node, undisturbed${absent && ` (needs ${absent})`}`,
    ignore: absent !== "",
    fn: async () => {
      using lifetime = new Lifetime(console.error);
      const found = await lbRun(await kit(lifetime), balancer, "base", PLAN);
      assert.deepEqual([found.flips, resetsOf(found), found.longBroken, found.longStuck], [0, 0, 0, 0]);
      assert.ok(found.wrk.requests > 0 && found.longFlows === 30);
    },
  });
}

Deno.test("a balancer whose path flips keeps every long flow, and a cold one that takes over none", async () => {
  using lifetime = new Lifetime(console.error);
  const all = await kit(lifetime);
  const ours = await lbRun(all, "nft-turns", "remediate", PLAN);
  assert.deepEqual([ours.flips, ours.longBroken, ours.longStuck, resetsOf(ours)], [2, 0, 0, 0]);
  // One flip and no way back: what the cold box does not know stays lost.
  const simple = await lbRun(all, "nft-turns", "simple", { ...PLAN, everyMs: 3_000 });
  assert.deepEqual([simple.flips, simple.longBroken + simple.longStuck], [1, 30]);
});

Deno.test("viewers behind a dying balancer see no difference, and with a cold spare every failure", async () => {
  using lifetime = new Lifetime(console.error);
  const all = await kit(lifetime);
  const plan = { streams: 2, segments: 8, failovers: 1, seed: 1 };
  const ours = await dashRun(all, "remediate", plan);
  assert.deepEqual([ours.failovers, seen(ours).failed, seen(ours).unfinished], [1, 0, 0]);
  const simple = await dashRun(all, "simple", plan);
  assert.ok(seen(simple).failed > 0 && seen(simple).unfinished === 0);
});

/**
 * Scenarios in the lab with a plain bridge in the node's place: the workloads tell a living path from a dead one.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Failure, FAILURES, recoveryAction } from "../../scripts/lab/failures.ts";
import { programs } from "../../scripts/lab/native.ts";
import { startBridge } from "../../scripts/lab/node.ts";
import { fail, runScenario, waitForPath, type Workload } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const WORKLOADS: readonly Workload[] = [
  { kind: "wrk", from: "c1", to: "s1", object: "5k", connections: 20, timeoutSeconds: 2 },
  { kind: "long", from: "c2", to: "s2", flows: 10, bytesPerSecond: 20_480 },
  { kind: "probe", from: "c3", to: "s3", intervalUs: 2_000 },
];

async function scenario(failure: Failure) {
  await using lab = await Lab.up(hotReplica({ clients: 3, serverMbit: 20 }));
  const built = await programs(TOP);
  await startBridge(lab);
  await startServers(lab, built);
  return await runScenario(lab, built, { workloads: WORKLOADS, box: "primary", failure, seconds: 4 });
}

Deno.test("runScenario() without a failure finds every flow alive and answers in both halves", async () => {
  const { wrk, http, long, probe } = await scenario("none");
  assert.deepEqual([long?.flows, long?.ok, http?.active, http?.ended, probe?.outageMs], [10, 10, 20, 0, 0]);
  assert.ok(http!.before > 0 && http!.after > 0);
  assert.equal(wrk!.readErrors + wrk!.connectErrors + wrk!.badStatus, 0);
});

Deno.test("runScenario() with a dead primary and nothing to take over finds every flow stuck", async () => {
  const { failed, http, long, probe } = await scenario("link-both");
  assert.deepEqual([long?.ok, long?.stuck, http?.active, http?.ended], [0, 10, 20, 20]);
  assert.ok(failed.afterNs >= failed.beforeNs);
  assert.ok(probe!.lost > 0 && probe!.outageMs > 0 && probe!.lostBefore === 0);
});

Deno.test("every failure stops the traffic and its recovery brings it back", async () => {
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const built = await programs(TOP);
  await startBridge(lab);
  await startServers(lab, built);
  await waitForPath(lab, built, "c1", "s1");
  const argv = [built.probe, "send", "10.2.0.11", "7001", "1000", "5"];
  const replies = async () => (JSON.parse(await lab.exec("c1", argv)) as { received: number }).received;
  const box = lab.topology.boxes[0]!;
  for (const failure of FAILURES.filter((one) => one !== "none" && one !== "grey")) {
    await fail(lab, built, "primary", failure);
    assert.equal(await replies(), 0, failure);
    await lab.exec("primary", recoveryAction(failure, box).argv);
    await waitForPath(lab, built, "c1", "s1");
  }
});

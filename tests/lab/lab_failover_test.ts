/**
 * The main promise, end to end: a strict NAT dies under load, and what was open stays open on the other one.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import type { Failure } from "../../scripts/lab/failures.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { runScenario, type Workload } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const WORKLOADS: readonly Workload[] = [
  { kind: "wrk", from: "c1", to: "s1", object: "5k", connections: 20, timeoutSeconds: 5 },
  { kind: "long", from: "c2", to: "s2", flows: 20, bytesPerSecond: 20_480 },
  { kind: "probe", from: "c3", to: "s3", intervalUs: 2_000 },
];

/** What planes leave in shared memory. */
function boards(prefix: string): string[] {
  return [...Deno.readDirSync("/dev/shm")].map((entry) => entry.name).filter((name) => name.includes(prefix));
}

async function failover(failure: Failure, preset: "nat" | "none", cores = 1) {
  await using lab = await Lab.up(hotReplica({ clients: 3, serverMbit: 20 }));
  const built = await programs(TOP);
  const node = await LabNode.start(lab, { top: TOP, preset, cores });
  try {
    await startServers(lab, built);
    const outcome = await runScenario(lab, built, {
      workloads: WORKLOADS,
      box: "primary",
      failure,
      seconds: 6,
    });
    const [status, events] = [await node.status(), await node.events()];
    assert.ok(boards(lab.prefix).length > 0);
    return { ...outcome, status, switches: events.filter((event) => event.kind === "switch") };
  } finally {
    await node.stop();
    await lab.down();
    assert.deepEqual(boards(lab.prefix), []);
  }
}

for (
  const [failure, cause, cores] of [
    ["link-both", "link", 1],
    ["silent", "silence", 1],
    ["silent", "silence", 2],
  ] as const
) {
  const on = cores === 1 ? "" : `, on ${cores} cores`;
  Deno.test(`remediate run keeps every connection when the primary dies (${failure})${on}`, async () => {
    const { long, http, status, switches } = await failover(failure, "nat", cores);
    assert.deepEqual(switches.map((event) => [event.cause, event.after]), [[cause, "redundant"]]);
    assert.equal(status.path, "redundant");
    assert.deepEqual([long?.ok, long?.corrupt, http?.active, http?.ended], [20, 0, 20, 0]);
    assert.ok(status.mirror.share > 0 && status.mirror.share < 0.2, `mirrored ${status.mirror.share}`);
  });
}

Deno.test("remediate run with preset none moves the traffic, and the cold box knows no connection", async () => {
  const { long, http, status } = await failover("link-both", "none");
  assert.equal(status.path === "primary", false);
  assert.deepEqual([long?.ok, http?.ended], [0, 20]);
});

/**
 * Seeding, and the guard behind it, with real boxes: a spare that answers what it does not know with a reset, and every connection lives on.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { runScenario } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));

for (const cores of [1, 2]) {
  Deno.test(`no connection ends at a NAT that resets what it does not know, on ${cores} cores`, async () => {
    await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1, input: "reset", serverMbit: 20 }));
    const built = await programs(TOP);
    const node = await LabNode.start(lab, { top: TOP, preset: "nat", cores });
    try {
      await startServers(lab, built);
      const { long } = await runScenario(lab, built, {
        workloads: [{ kind: "long", from: "c1", to: "s1", flows: 20, bytesPerSecond: 20_480 }],
        box: "primary",
        failure: "link-both",
        seconds: 5,
      });
      const status = await node.status();
      const guarded = status.counters.find(({ name }) => name === "guarded")!.packets;
      console.log({ long, guarded });
      assert.equal(status.path, "redundant");
      assert.deepEqual([long?.ok, long?.corrupt], [20, 0]);
    } finally {
      await node.stop();
    }
  });
}

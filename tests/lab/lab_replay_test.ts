/**
 * The hold ring with real boxes: a strict NAT dies silently under ten thousand datagrams a second, and each of them arrives
 * once.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { parseProbe } from "../../scripts/lab/reports.ts";
import { fail, waitForPath } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { machineDrops } from "../support/wire.ts";

const TOP = dirname(dirname(import.meta.dirname!));
/** With the replies ten thousand a second. */
const INTERVAL_US = 200;

for (
  const [kind, cores] of [
    ["nat", 1],
    ["nat", 2],
    ["firewall", 1],
  ] as const
) {
  Deno.test(`a ${kind} that dies silently loses and doubles no datagram, on ${cores} cores`, async () => {
    await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1, kind, serverMbit: null }));
    const built = await programs(TOP);
    const node = await LabNode.start(lab, { top: TOP, preset: kind, cores, silenceMs: 50 });
    try {
      await startServers(lab, built);
      await waitForPath(lab, built, "c1", "s1");
      const drops = machineDrops();
      const argv = [built.probe, "send", "10.2.0.11", "7001", String(INTERVAL_US), "3000"];
      const probing = run(lab.argv("c1", argv), { timeoutMs: 20_000 });
      await sleep(1_500);
      await fail(lab, built, "primary", "silent");
      const text = await probing;
      const report = parseProbe(text);
      const status = await node.status();
      const counted = (name: string) => status.counters.find((one) => one.name === name)?.packets ?? 0;
      const { sent, received, duplicates, losses } = report;
      const dropped = machineDrops() - drops;
      console.log(
        { sent, received, duplicates, dropped, replayed: counted("replayed"), seen: counted("replay_seen") },
        losses,
        status.counters.filter(({ packets }) => packets > 0).map((c) => `${c.name} ${c.packets}`).join(", "),
      );
      assert.equal(status.path, "redundant");
      assert.equal(duplicates, 0);
      assert.ok(
        sent - received <= dropped,
        `${sent - received} lost, of which the kernel dropped ${dropped}`,
      );
      assert.ok(counted("replayed") > 0);
    } finally {
      await node.stop();
    }
  });
}

/**
 * Three strict NATs: the primary dies, then the one that took over, and what was open stays open on the third.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { judgeLong, parseLong } from "../../scripts/lab/reports.ts";
import { addressOf, fail, waitForPath, workloadArgv } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const FLOWS = 20;
const SECONDS = 9;
const LONG = { kind: "long", from: "c1", to: "s1", flows: FLOWS, bytesPerSecond: 20_480 } as const;

async function twoDeaths(cores: number) {
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1, serverMbit: 20, boxes: 3 }));
  const built = await programs(TOP);
  const node = await LabNode.start(lab, { top: TOP, preset: "nat", cores, boxes: 3 });
  try {
    await startServers(lab, built);
    await waitForPath(lab, built, LONG.from, LONG.to);
    const argv = workloadArgv(LONG, addressOf(lab, LONG.to), built, SECONDS);
    const long = run(lab.argv(LONG.from, argv), { timeoutMs: (SECONDS + 10) * 1_000 });
    long.catch(() => {}); // awaited below, which an earlier failure keeps from happening
    await sleep(3_000);
    await fail(lab, built, "primary", "link-both");
    await sleep(3_000);
    await fail(lab, built, "redundant", "silent");
    const flows = judgeLong(parseLong(await long));
    return { flows, status: await node.status(), events: await node.events() };
  } finally {
    await node.stop();
  }
}

for (const cores of [1, 2]) {
  Deno.test(`remediate run keeps every connection through two deaths, on ${cores} cores`, async () => {
    const { flows, status, events } = await twoDeaths(cores);
    const moves = events.filter(({ kind }) => kind === "switch").map(({ after, cause }) =>
      `${after} ${cause}`
    );
    assert.deepEqual(moves, ["redundant link", "redundant-2 silence"]);
    assert.equal(status.path, "redundant-2");
    assert.deepEqual([flows.ok, flows.corrupt], [FLOWS, 0]);
  });
}

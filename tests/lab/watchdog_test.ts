/**
 * Control feeds the watchdog of its service, and ends a plane that stands, so that another one forwards.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { waitForPath } from "../../scripts/lab/scenario.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));

Deno.test("control feeds its watchdog, and has another plane where one stands", async () => {
  const tools = await programs(TOP);
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const path = `${lab.directory}/notify`, program = `${lab.directory}/program`;
  const words = `NOTIFY_SOCKET=${path} WATCHDOG_USEC=30000000 exec ${TOP}/scripts/remediate "$@"`;
  await Deno.writeTextFile(program, `#!/bin/sh\n${words}\n`, { mode: 0o755 });
  const heard: string[] = [];
  const manager = Deno.listenDatagram({ transport: "unixpacket", path });
  const listening = (async () => {
    for await (const [bytes] of manager) heard.push(new TextDecoder().decode(bytes));
  })();
  try {
    const node = await LabNode.start(lab, { top: TOP, program, preset: "nat" });
    await startServers(lab, tools);
    await waitForPath(lab, tools, "c1", "s1");
    const { pid } = (await node.status()).plane;
    Deno.kill(pid, "SIGSTOP");
    for (let tries = 0; tries < 120 && (await node.status()).plane.pid === pid; tries++) await sleep(500);
    const { plane } = await node.status();
    assert.notEqual(plane.pid, pid, "another plane");
    await waitForPath(lab, tools, "c1", "s1");
    assert.match(await Deno.readTextFile(`${lab.directory}/node.log`), /makes no progress: it is ended/);
    await node.stop();
  } finally {
    manager.close();
    await listening;
  }
  assert.equal(heard[0], "READY=1\nWATCHDOG=1");
  assert.ok(heard.length > 5 && heard.slice(1).every((one) => one === "WATCHDOG=1"), heard.join(" "));
});

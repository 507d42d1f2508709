/**
 * A node that is reset forgets who may come in and what it noted, and loses no packet meanwhile.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { parseProbe } from "../../scripts/lab/reports.ts";
import { addressOf, waitForPath } from "../../scripts/lab/scenario.ts";
import { ECHO_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const PROBE_MS = 6_000;

Deno.test("reset forgets users, certificate and events, and the plane forwards on", async () => {
  const tools = await programs(TOP);
  await using lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }));
  const options = { top: TOP, preset: "nat", more: ["[api]", 'listen = "127.0.0.1:8443"'] } as const;
  const node = await LabNode.start(lab, options);
  const state = (name: string) => `${lab.directory}/state/${name}`;
  await startServers(lab, tools);
  await waitForPath(lab, tools, "c1", "s1");
  const certificate = await Deno.readTextFile(state("api.pem"));
  const { pid } = (await node.status()).plane;
  assert.equal((await node.command(["reset"])).code, 2, "not without --factory");
  await Deno.writeTextFile(state("somebody-elses"), "x");

  const argv = [tools.probe, "send", addressOf(lab, "s1"), String(ECHO_PORT), "2000", String(PROBE_MS)];
  const probing = run(lab.argv("c1", argv), { timeoutMs: 3 * PROBE_MS });
  await sleep(500);
  const answer = await node.command(["reset", "--factory"]);
  assert.equal(answer.code, 0, answer.stderr);
  assert.match(answer.stdout, /control starts again/);
  assert.equal((await node.child.status).code, 0, "control ends as a service does");
  await Deno.stat(state("reset"));
  const next = await LabNode.start(lab, options);
  const status = await next.status();
  assert.equal(status.plane.pid, pid, "the same plane");
  const { sent, received } = parseProbe(await probing);
  assert.equal(received, sent, "no packet was lost");
  assert.notEqual(await Deno.readTextFile(state("api.pem")), certificate);
  assert.match(await Deno.readTextFile(`${lab.directory}/node.log`), /the node was reset/);
  const names = [...Deno.readDirSync(`${lab.directory}/state`)].map(({ name }) => name);
  assert.ok(names.includes("somebody-elses") && !names.includes("reset"), names.join(" "));
  await next.stop();
});

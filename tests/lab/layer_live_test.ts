/**
 * Moves on a live node, with real boxes: two NATs that choose ports at random, so that a connection lives only where its state
 * is. Half of the flows go to the second box and come back while they talk; none is lost, and none waits long.
 */
import assert from "node:assert/strict";
import type { ApplicationView, MoveView } from "../../appliance/layer/contract.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { type Programs, programs } from "../../scripts/lab/native.ts";
import { conntrackSource, LabNode } from "../../scripts/lab/node.ts";
import { run, sleep } from "../../scripts/lab/process.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { type LongReport, parseProbe, type ProbeReport } from "../../scripts/lab/reports.ts";
import { waitForPath } from "../../scripts/lab/scenario.ts";
import { ECHO_PORT, LONG_PORT, startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";
import { TOP } from "../support/programs.ts";
import { listed } from "../support/state_lab.ts";

async function up(): Promise<{ lab: Lab; built: Programs; node: LabNode }> {
  await sweep();
  const lab = await Lab.up(hotReplica({ clients: 2, servers: 1, ports: "fully-random" }));
  try {
    const built = await programs(TOP);
    const more = [...conntrackSource(lab, "a", "primary"), ...conntrackSource(lab, "b", "redundant")];
    const node = await LabNode.start(lab, { top: TOP, preset: "none", more });
    await startServers(lab, built);
    await Promise.all(["c1", "c2"].map((client) => waitForPath(lab, built, client, "s1")));
    return { lab, built, node };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

const FLOWS = 50;

/** Connections and 500 datagrams a second, for so long. */
async function talk(lab: Lab, built: Programs, client: string, ms: number) {
  const ask = async (argv: readonly string[]) =>
    await run(lab.argv(client, [...argv]), { timeoutMs: ms + 20_000 });
  const [long, probe] = await Promise.all([
    ask([built.longflows, "fetch", "10.2.0.11", String(LONG_PORT), String(FLOWS), "4096", String(ms)]),
    ask([built.probe, "send", "10.2.0.11", String(ECHO_PORT), "2000", String(ms)]),
  ]);
  return { flows: (JSON.parse(long) as LongReport).flows, probe: parseProbe(probe) };
}

async function json<T>(node: LabNode, argv: readonly string[]): Promise<T> {
  const { stdout, stderr, code } = await node.command([...argv, "--json"]);
  assert.equal(code, 0, `${argv.join(" ")}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as T;
}

const lost = ({ losses }: ProbeReport) => losses.reduce((sum, [, count]) => sum + count, 0);
const of = async (lab: Lab, box: string) => {
  const keys = [...await listed(lab, box, "tcp")].filter((key) => key.endsWith(` ${LONG_PORT}`));
  const from = (address: string) => keys.filter((key) => key.startsWith(`tcp ${address} `)).length;
  return [from("10.1.0.11"), from("10.1.0.12")];
};

Deno.test("state move takes half of the flows of a NAT to another one and back, live: 0 lost", async () => {
  const { lab, built, node } = await up();
  await using _ = lab;
  const talking = Promise.all(["c1", "c2"].map((client) => talk(lab, built, client, 11_000)));
  await sleep(1_500);
  for (let look = 0; look < 60 && (await of(lab, "primary")).join() !== `${FLOWS},${FLOWS}`;) {
    look++;
    await sleep(50);
  }
  const moved = await json<MoveView>(node, ["state", "move", "a", "b", "* 10.1.0.11"]);
  assert.deepEqual([moved.end, moved.reason], ["moved", ""]);
  assert.ok(moved.counts.records > FLOWS, JSON.stringify(moved.counts));
  assert.deepEqual([await of(lab, "primary"), await of(lab, "redundant")], [[0, FLOWS], [FLOWS, 0]]);
  await sleep(1_500);
  const back = await json<ApplicationView>(node, ["scale-in", "b", "a"]);
  assert.equal(back.application, "scale-in");
  assert.deepEqual(await of(lab, "primary"), [FLOWS, FLOWS]);
  // All of them, what they had left behind, and the path.
  const { lines } = await json<ApplicationView>(node, ["migrate", "a", "b"]);
  assert.match(lines.at(-1)!, /traffic goes by the redundant box/);
  assert.equal((await node.status()).path, "redundant");
  assert.deepEqual([await of(lab, "primary"), await of(lab, "redundant")], [[0, 0], [FLOWS, FLOWS]]);
  // Nothing pins flows to it: what begins now and what is moved goes by the path alone.
  const home = await json<ApplicationView>(node, ["migrate", "b", "a"]);
  assert.match(home.lines.at(-1)!, /traffic goes by the primary box/);
  assert.deepEqual([await of(lab, "primary"), await of(lab, "redundant")], [[FLOWS, FLOWS], [0, 0]]);
  const told = async () => {
    const { counters } = await node.status(), events = (await node.events()).slice(-80);
    const some = counters.filter(({ packets }) => packets > 0).map(({ name, packets }) =>
      `${name} ${packets}`
    );
    return [...some, ...events.map(({ monoUs, text }) => `${monoUs} ${text}`)].join("\n");
  };
  for (const { flows, probe } of await talking) {
    assert.deepEqual(new Set(flows.map(([state]) => state)), new Set(["open"]));
    assert.equal(flows.filter(([, , , , alive]) => alive).length, FLOWS);
    assert.ok(probe.sent > 2_000);
    assert.deepEqual(
      [lost(probe), probe.duplicates],
      [0, 0],
      `${JSON.stringify(probe.losses)}\n${await told()}`,
    );
  }
  const { counters } = await node.status();
  const counted = (name: string) => counters.find((one) => one.name === name)?.packets ?? 0;
  assert.ok(counted("steered") > 500 && counted("steer_held") > 0);
  assert.deepEqual([counted("tx_full"), counted("blocked")], [0, 0]);
});

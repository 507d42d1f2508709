/**
 * Grey failure on real traffic through real boxes: a share of packets lost one way, a full table, losses elsewhere that
 * show as repetition, and delay that has grown are found and named; a good box is left alone.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { NodeStatus } from "../../appliance/view.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const LOOKS = 300;
const LOOK_MS = 100;
/** 5,000 datagrams a second, each answered. */
const INTERVAL_US = "200";

async function until(node: LabNode, what: string, is: (status: NodeStatus) => boolean): Promise<NodeStatus> {
  for (let look = 0;; look++) {
    const status = await node.status();
    if (is(status)) return status;
    if (look === LOOKS) {
      throw new Error(`Cannot see ${what}: ${JSON.stringify([status.boxes, await node.probes()])}`);
    }
    await sleep(LOOK_MS);
  }
}

const grey = ({ boxes }: NodeStatus, box: 0 | 1) =>
  boxes[box]!.detectors.find(({ detector }) => detector === "grey");

for (
  const [kind, way, words, act, cores] of [
    ["firewall", "in", "traffic from the clients loses packets", true, 1],
    ["nat", "out", "traffic from the servers loses packets", false, 1],
    ["nat", "in", "traffic from the clients loses packets", true, 2],
  ] as const
) {
  Deno.test(`a ${kind} that loses 5 % of what enters by ${way} is found, by ${cores} core(s), and left ${act ? "" : "only "}if told so`, async () => {
    await using lab = await Lab.up(hotReplica({ kind, clients: 1, servers: 1, serverMbit: null }));
    const built = await programs(TOP);
    const node = await LabNode.start(lab, {
      top: TOP,
      preset: "nat",
      silenceMs: 0,
      cores,
      more: ["[grey]", `act = ${act}`, "delay_ms = 0"],
    });
    try {
      await startServers(lab, built);
      lab.start("c1", [built.probe, "send", "10.2.0.11", "7001", INTERVAL_US, "40000"]);
      await until(node, "a green primary", (status) => grey(status, 0)?.light === "green");
      const drop = [
        "nft",
        "insert",
        "rule",
        "inet",
        "box",
        "forward",
        "iifname",
        way,
        "numgen",
        "random",
        "mod",
        "100",
        "<",
        "5",
        "drop",
      ];
      await lab.exec("primary", drop);
      const light = act ? "red" : "yellow";
      const status = await until(
        node,
        `a ${light} primary`,
        (status) =>
          grey(status, 0)?.light === light && grey(status, 0)!.reason === words &&
          status.path === (act ? "redundant" : "primary"),
      );
      assert.equal(status.path, act ? "redundant" : "primary");
      const causes = (await node.events()).filter(({ kind }) => kind === "switch").map(({ cause }) => cause);
      assert.deepEqual(causes, act ? ["grey"] : []);
      const sampled = async () => (await node.probes()).traffic.map(({ sampled }) => sampled);
      for (let look = 0; look < LOOKS && Math.min(...await sampled()) <= 1000; look++) await sleep(LOOK_MS);
      assert.ok(Math.min(...await sampled()) > 1000, JSON.stringify(await sampled()));
    } finally {
      await node.stop();
    }
  });
}

/** A node around firewalls with web servers behind; nothing is moved for grey failure. */
async function web(work: (lab: Lab, node: LabNode) => Promise<void>): Promise<void> {
  await using lab = await Lab.up(hotReplica({ kind: "firewall", clients: 1, servers: 1, serverMbit: null }));
  const built = await programs(TOP);
  const node = await LabNode.start(lab, { top: TOP, preset: "firewall", silenceMs: 0 });
  try {
    await startServers(lab, built);
    await work(lab, node);
    assert.equal((await node.status()).path, "primary", "it is told and no more");
  } finally {
    await node.stop();
  }
}

function wrk(lab: Lab, connections: number, object: string): void {
  const flow = ["-t", "1", "-c", String(connections), "-d", "60s", "--timeout", "30s"];
  lab.start("c1", ["wrk", ...flow, `http://10.2.0.11/${object}`]).unref();
}

/** New connections all the time, whatever becomes of those before: 20 at once, each given up after 0.2 s. */
function newcomers(lab: Lab): void {
  const each = ["-s", "-o", "/dev/null", "--connect-timeout", "0.2", "-H", "Connection: close"];
  const many = ["-Z", "--parallel-max", "20", ...each, "http://10.2.0.11/5k?[1-100000]"];
  lab.start("c1", ["timeout", "60", "curl", ...many]).unref();
}

const learnt = (status: NodeStatus) => grey(status, 0)?.light === "green";
const says = (words: string) => (status: NodeStatus) =>
  grey(status, 0)?.light === "yellow" && grey(status, 0)!.reason.includes(words);

Deno.test("a firewall that takes no new connections while old ones pass is told as such", async () => {
  await web(async (lab, node) => {
    wrk(lab, 4, "5k");
    newcomers(lab);
    await until(node, "traffic that is learnt", learnt);
    await sleep(5_000);
    const full = ["nft", "insert", "rule", "inet", "box", "forward", "ct", "state", "new", "drop"];
    await lab.exec("primary", full);
    await until(node, "failing openings", says("does not let new connections through, old ones are well"));
  });
});

Deno.test("losses before a box show as repeated segments, and the box loses nothing", async () => {
  await web(async (lab, node) => {
    wrk(lab, 4, "617k");
    await until(node, "traffic that is learnt", learnt);
    await sleep(2_000);
    const lossy = 'table netdev lossy { chain in { type filter hook ingress device "eth0" priority 0; ' +
      "meta l4proto tcp numgen random mod 100 < 20 drop; }; }";
    await lab.exec("c1", ["nft", lossy]);
    await until(node, "repetition", says("traffic from the servers sees a wave of retransmissions"));
    const { traffic } = await node.probes();
    assert.ok(traffic.every(({ loss }) => loss.now < 0.01), JSON.stringify(traffic));
  });
});

Deno.test("a box that begins to queue for long is told by its delay", async () => {
  await web(async (lab, node) => {
    wrk(lab, 1, "617k");
    await until(node, "traffic that is learnt", learnt);
    await sleep(6_000);
    const queue = ["tbf", "rate", "20mbit", "burst", "10kb", "limit", "128kb"];
    await lab.exec("primary", ["tc", "qdisc", "add", "dev", "in", "root", ...queue]);
    await until(node, "a delay", says("traffic from the servers has become slow"));
  });
});

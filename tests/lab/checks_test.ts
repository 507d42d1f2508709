/**
 * Checks of a real box over a management network: every kind is answered, and what the box no longer answers moves traffic.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { NodeStatus } from "../../appliance/view.ts";
import { Lab } from "../../scripts/lab/engine.ts";
import { programs } from "../../scripts/lab/native.ts";
import { LabNode } from "../../scripts/lab/node.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { startServers } from "../../scripts/lab/servers.ts";
import { hotReplica, NODE_NS, type Topology } from "../../scripts/lab/topology.ts";

const TOP = dirname(dirname(import.meta.dirname!));
const BOX = "192.0.2.2";
/** Late enough that a machine which stands still for a moment is not taken for a box that does. */
const PACE = ["interval_ms = 1000", "timeout_ms = 900", "fall = 2"];

function managed(): Topology {
  const base = hotReplica({ clients: 1, servers: 1 });
  const management = (ns: string, address: string) => ({ ns, name: "mgmt", addresses: [`${address}/24`] });
  return {
    ...base,
    links: [...base.links, { ends: [management(NODE_NS, "192.0.2.1"), management("primary", BOX)] }],
    servers: [...base.servers, { ns: "primary", kind: "nginx" }],
  };
}

function check(name: string, kind: string, ...more: string[]): string[] {
  return ["[[check]]", `name = "${name}"`, `kind = "${kind}"`, ...more, ...PACE];
}

const CHECKS = [
  ...check("echo", "icmp", `address = "${BOX}"`),
  ...check("web", "tcp", `address = "${BOX}"`, "port = 80"),
  ...check("bound", "tcp", `address = "${BOX}"`, "port = 80", 'interface = "mgmt"'),
  ...check("page", "http", `url = "http://${BOX}/5k"`),
  ...check("arp", "neighbour", `address = "${BOX}"`, 'interface = "mgmt"'),
  ...check("closed", "tcp", `address = "${BOX}"`, "port = 81", 'severity = "yellow"'),
  ...check("nobody", "neighbour", 'address = "192.0.2.77"', 'interface = "mgmt"', 'severity = "yellow"'),
];

async function until(node: LabNode, what: string, is: (status: NodeStatus) => boolean): Promise<NodeStatus> {
  for (let i = 0; i < 300; i++) {
    const status = await node.status();
    if (is(status)) return status;
    await sleep(100);
  }
  throw new Error(`${what} did not come: ${JSON.stringify((await node.status()).checks)}`);
}

const lights = ({ checks }: NodeStatus) => checks.map(({ name, light }) => `${name} ${light}`);

Deno.test("checks of every kind are answered by a box, and one that fails moves traffic and is named", async () => {
  await using lab = await Lab.up(managed());
  await startServers(lab, await programs(TOP));
  const accept = ["nft", "insert", "rule", "inet", "box", "input", "iifname", "mgmt", "tcp", "dport"];
  await lab.exec("primary", [...accept, "80", "accept"]);
  await lab.exec("primary", [...accept, "81", "reject", "with", "tcp", "reset"]);
  const node = await LabNode.start(lab, { top: TOP, preset: "none", more: CHECKS });
  try {
    const well = await until(
      node,
      "an outcome of every check",
      ({ checks }) =>
        checks.every(({ light, name }) =>
          light === (["closed", "nobody"].includes(name) ? "yellow" : "green") || light === "red"
        ),
    );
    assert.deepEqual(lights(well).sort(), [
      "arp green",
      "bound green",
      "closed yellow",
      "echo green",
      "nobody yellow",
      "page green",
      "web green",
    ]);
    assert.match(well.checks.find(({ name }) => name === "closed")!.reason, /refused/);
    assert.equal(well.path, "primary");
    await lab.exec("primary", [...accept, "80", "drop"]);
    const moved = await until(node, "the redundant box serving", ({ path }) => path === "redundant");
    assert.equal(moved.boxes[0]!.light, "red");
    const events = (await node.events()).filter(({ kind }) => kind === "switch");
    assert.deepEqual(events.map(({ before, after, cause }) => [before, after, cause]), [[
      "primary",
      "redundant",
      "check",
    ]]);
    const last = await until(node, "a reason", ({ boxes }) => /no answer in time/.test(boxes[0]!.reason));
    assert.ok(lights(last).includes("echo green"), "what still answers stays green");
  } finally {
    await node.stop();
  }
});

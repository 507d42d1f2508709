/**
 * Duty: a lab whose boxes are load balancers, with the node around them, and the path that flips: the primary's links go
 * down, later they come back and the traffic with them.
 *
 * Base has the same node and no flip. Simple has a redundant box that is told nothing.
 */
import { type Balancer, BALANCER_TEXT, BARE_SCRIPT, haproxyConfig, haproxyRule } from "../lab/balancers.ts";
import { nftBalancer, SERVICE, switchBalancer, switchGroup } from "../lab/balancers.ts";
import { Lab } from "../lab/engine.ts";
import { recoveryAction } from "../lab/failures.ts";
import { LabNode } from "../lab/node.ts";
import { sleep } from "../lab/process.ts";
import { fail } from "../lab/scenario.ts";
import { startServers } from "../lab/servers.ts";
import { hotReplica } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { OpenVSwitch } from "./ovs.ts";
import type { Setup } from "./setups.ts";

export interface Balanced {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly kit: Kit;
}

/**
 * For a box that checks sequence windows and takes no second SYN of a connection it knows, so that a seed cannot bring
 * its window up to date: it is kept there by pairs of a data packet and its ACK.
 */
const WINDOWED = [
  "[[filter.rules]]",
  'name = "windowed"',
  "handshake = true",
  "teardown = true",
  "first_packets = 3",
  "keepalive_s = 10",
  "keepalive_window = true",
  "seed = true",
];

/** After a primary has come back, before the traffic goes back to it. */
const RETURN_MS = 300;
const ANSWER_TRIES = 100;

/** Makes a box of a lab a load balancer. */
export async function becomeBalancer(lab: Lab, name: string, balancer: Balancer): Promise<void> {
  switch (balancer) {
    case "nft-hash":
    case "nft-turns":
    case "nft-random":
      await lab.exec(name, ["nft", "-f", "-"], { stdin: nftBalancer(balancer) });
      return;
    case "haproxy": {
      const home = `${lab.directory}/${name}-haproxy`;
      await Deno.writeTextFile(`${home}.cfg`, haproxyConfig());
      await lab.exec(name, ["nft", haproxyRule()]);
      const argv = ["haproxy", "-db", "-f", `${home}.cfg`, "-p", `${home}.pid`];
      lab.startNode(name, argv, `${name}-haproxy.log`).unref();
      return;
    }
    case "ovs": {
      await lab.script(name, BARE_SCRIPT);
      const ports = ["in", "out"].map((port, index) => ({ name: port, number: index + 1 }));
      const core = lab.processors?.world[0] ?? 0;
      const ovs = await OpenVSwitch.start(lab, { kind: "sockets", core, ports, ns: name });
      await ovs.addGroup(switchGroup());
      for (const flow of switchBalancer()) await ovs.addFlow(flow);
    }
  }
}

async function untilServed(lab: Lab, balancer: Balancer): Promise<void> {
  for (let tries = 0; tries < ANSWER_TRIES; tries++) {
    const argv = ["curl", "-sS", "-m", "1", "-o", "/dev/null", `http://${SERVICE}/5k`];
    if ((await lab.tryExec("c1", argv)).code === 0) return;
    await sleep(100);
  }
  throw new Error(`Cannot get an answer through ${BALANCER_TEXT[balancer]}`);
}

/** What a lab of balancers is built from. */
export interface BalancedOptions {
  readonly balancer: Balancer;
  readonly setup: Setup;
  readonly mbit: number;
  /** Puts more into the lab before the servers start. */
  readonly prepare?: (lab: Lab) => Promise<void>;
}

/** Brings the lab up and runs `work` in it. */
export async function withBalancers<T>(
  kit: Kit,
  { balancer, setup, mbit, prepare }: BalancedOptions,
  work: (stand: Balanced) => Promise<T>,
): Promise<T> {
  const topology = hotReplica({ clients: 3, servers: 3, kind: "firewall", serverMbit: mbit });
  await using lab = await Lab.up(topology, kit.lifetime);
  for (const { name } of lab.topology.boxes) await becomeBalancer(lab, name, balancer);
  const preset = setup === "simple" ? "none" : "lb";
  const rules = balancer === "ovs" && setup !== "simple" ? WINDOWED : [];
  const node = await LabNode.start(lab, { top: kit.top, preset, rules, ...kit.node });
  try {
    await prepare?.(lab);
    await startServers(lab, kit.programs);
    await untilServed(lab, balancer);
    return await work({ lab, node, kit });
  } finally {
    await node.stop();
  }
}

/** Lets the primary lose its links and find them again, at these moments after `start`. Returns how often it did. */
export async function flip({ lab, node, kit }: Balanced, momentsMs: readonly number[]): Promise<number> {
  const start = Date.now();
  const box = lab.topology.boxes.find((one) => one.name === "primary")!;
  const api = node.connect();
  let isDown = false, flips = 0;
  try {
    for (const moment of momentsMs) {
      await sleep(Math.max(0, start + moment - Date.now()));
      if (isDown) {
        await lab.exec(box.name, recoveryAction("link-both", box).argv);
        await sleep(RETURN_MS);
        const { ok, text } = await api.order("failback", { force: true });
        if (!ok) throw new Error(`Cannot put the path back: ${text}`);
      } else await fail(lab, kit.programs, box.name, "link-both");
      isDown = !isDown;
      flips++;
    }
    return flips;
  } finally {
    api.close();
  }
}

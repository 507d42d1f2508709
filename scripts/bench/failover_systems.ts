/**
 * Duty: bring up one of the systems that are compared, with traffic on the primary, and put it back there after a trial.
 *
 * Ours and Open vSwitch stand between two boxes with the same addresses; keepalived runs in the boxes. Every
 * program lives in a namespace of the lab, with files of its own, and ends with it.
 */
import { BFD_RULE, BFD_SIDES, birdConfig, switchBfd, switchNeighbours } from "../lab/bird.ts";
import { Lab } from "../lab/engine.ts";
import type { Lifetime } from "../lab/lifetime.ts";
import type { Programs } from "../lab/native.ts";
import { LabNode, type NodeOptions } from "../lab/node.ts";
import {
  conntrackdConfig,
  keepalivedConfig,
  notifyScript,
  PAIR,
  pairRules,
  pairTopology,
} from "../lab/pair.ts";
import { sleep } from "../lab/process.ts";
import { PATH_MARK, runStreams } from "../lab/streams.ts";
import { hotReplica, NODE_INTERFACES, NODE_NS } from "../lab/topology.ts";
import type { System } from "./failover_cells.ts";
import { OpenVSwitch } from "./ovs.ts";

export interface Kit {
  readonly top: string;
  readonly programs: Programs;
  readonly lifetime: Lifetime;
  /** What the node is configured with beyond its defaults, as far as it knows it. */
  readonly node: Pick<NodeOptions, "failover" | "more">;
  /** A node carries the traffic for so long before its first death: what is learnt of a box is learnt by then. */
  readonly serviceMs?: number;
  /** Told after it: why traffic left the primary though nothing had happened; null: it did not. */
  readonly served?: (cause: string | null) => void;
}

/** A system that carries traffic. */
export interface Standing {
  readonly lab: Lab;
  /** Namespace with the far ends of the boxes' links. */
  readonly peer: string;
  /** Null where the system is not ours. */
  readonly node: LabNode | null;
  /** Why it has switched, in its own words; null where it does not say, or has not. */
  why(): Promise<string | null>;
  /** Puts the traffic back on a primary that is well again. */
  restore(): Promise<void>;
  stop(): Promise<void>;
}

/** Of a system that cannot be asked, and that ends with its lab. */
const SILENT = {
  node: null,
  why: () => Promise.resolve(null),
  stop: () => Promise.resolve(),
} as const;

const SERVER = "10.2.0.11";
const SETTLE_TRIES = 100;

async function startOurs(lab: Lab, kit: Kit, silenceMs: number | undefined): Promise<Standing> {
  const options = { top: kit.top, preset: "firewall" as const, ...kit.node };
  const node = await LabNode.start(lab, silenceMs === undefined ? options : { ...options, silenceMs });
  const api = node.connect();
  return {
    lab,
    peer: NODE_NS,
    node,
    why: async () => {
      const { path, lastSwitch } = await api.status();
      return path === "primary" ? null : lastSwitch?.cause ?? null;
    },
    restore: async () => {
      const { ok, text } = await api.order("failback", { force: true });
      if (!ok && (await api.status()).path !== "primary") {
        throw new Error(`Cannot put the path back: ${text}`);
      }
    },
    stop: async () => {
      api.close();
      await node.stop();
    },
  };
}

/** Group 1 is the way to the servers, 2 the way to the clients; each watches the ports of its own side. */
const GROUPS = [
  "group_id=1,type=ff,bucket=watch_port:3,output:3,bucket=watch_port:5,output:5",
  "group_id=2,type=ff,bucket=watch_port:4,output:4,bucket=watch_port:6,output:6",
];
const FLOWS = [
  ...["in_port=1,actions=group:1", "in_port=2,actions=group:2"],
  ...[3, 5].map((port) => `in_port=${port},actions=output:1`),
  ...[4, 6].map((port) => `in_port=${port},actions=output:2`),
];

async function untilUp(ovs: OpenVSwitch, names: readonly string[]): Promise<void> {
  for (let tries = 0; tries < SETTLE_TRIES; tries++) {
    const states = await Promise.all(names.map((name) => ovs.interfaceColumn(name, "bfd_status:state")));
    if (states.every((state) => state === "up")) return;
    await sleep(100);
  }
  throw new Error(`Cannot bring BFD up between Open vSwitch and BIRD on ${names.join(", ")}`);
}

async function startSwitch(lab: Lab): Promise<Standing> {
  const core = lab.processors?.node ?? 0;
  for (const box of lab.topology.boxes) {
    const config = `${lab.directory}/${box.name}-bird.conf`;
    await Deno.writeTextFile(config, birdConfig());
    await lab.exec(box.name, ["nft", BFD_RULE]);
    await lab.script(box.name, switchNeighbours(box));
    const own = ["-s", `${config}.ctl`, "-P", `${config}.pid`];
    lab.startNode(box.name, ["bird", "-f", "-c", config, ...own], `${box.name}-bird.log`).unref();
  }
  const { upstream, downstream, primary_in, primary_out, redundant_in, redundant_out } = NODE_INTERFACES;
  const names = [upstream, downstream, primary_in, primary_out, redundant_in, redundant_out];
  const ports = names.map((name, index) => ({ name, number: index + 1 }));
  const ovs = await OpenVSwitch.start(lab, { kind: "sockets", core, ports });
  for (const [index, name] of names.slice(2).entries()) {
    await ovs.setInterface(name, switchBfd(BFD_SIDES[index % 2 === 0 ? "in" : "out"]));
  }
  for (const group of GROUPS) await ovs.addGroup(group);
  for (const flow of FLOWS) await ovs.addFlow(flow);
  await untilUp(ovs, names.slice(2));
  const restore = async () => {
    await lab.script("primary", switchNeighbours(lab.topology.boxes[0]!));
    await untilUp(ovs, names.slice(2));
  };
  return { ...SILENT, lab, peer: NODE_NS, restore };
}

async function startPair(lab: Lab, advertMs: number, carry: boolean): Promise<Standing> {
  for (const name of PAIR) {
    const home = `${lab.directory}/${name}`;
    await Deno.mkdir(home);
    for (const rule of pairRules(name)) await lab.exec(name, ["nft", rule]);
    if (carry) {
      await Deno.writeTextFile(`${home}/conntrackd.conf`, conntrackdConfig(name, home));
      await Deno.writeTextFile(`${home}/notify`, notifyScript(`${home}/conntrackd.conf`), { mode: 0o755 });
      const argv = ["conntrackd", "-C", `${home}/conntrackd.conf`];
      lab.startNode(name, argv, `${name}-conntrackd.log`).unref();
    }
    const notify = carry ? `${home}/notify` : null;
    await Deno.writeTextFile(`${home}/keepalived.conf`, keepalivedConfig(name, { advertMs, notify }));
    const files = ["-f", `${home}/keepalived.conf`, "-p", `${home}/keepalived.pid`, "-r", `${home}/vrrp.pid`];
    const argv = ["keepalived", "--dont-fork", "--log-console", "--vrrp", ...files];
    lab.startNode(name, argv, `${name}-keepalived.log`).unref();
  }
  // The primary has the higher priority and takes the addresses back by itself.
  return { ...SILENT, lab, peer: "cbr", restore: () => Promise.resolve() };
}

function start(system: System, lab: Lab, kit: Kit): Promise<Standing> {
  switch (system) {
    case "remediate":
      return startOurs(lab, kit, undefined);
    case "remediate-10":
      return startOurs(lab, kit, 10);
    case "ovs":
      return startSwitch(lab);
    case "keepalived-10":
      return startPair(lab, 10, false);
    case "keepalived-100":
      return startPair(lab, 100, false);
    case "conntrackd":
      return startPair(lab, 100, true);
  }
}

/** The streams every trial runs. */
export function streamsOf(ms: number) {
  return { from: "c1", to: "s1", address: SERVER, ms };
}

/**
 * Waits until both streams pass by the primary, and nothing else happens. Throws Error when that takes too long.
 */
export async function settle(standing: Standing, kit: Kit): Promise<void> {
  let last = "";
  for (let tries = 0; tries < SETTLE_TRIES; tries++) {
    const { streams } = await runStreams(standing.lab, kit.programs, streamsOf(100));
    if (streams.every((one) => one.sent > 0 && one.lost + one.otherBefore === 0)) return;
    last = streams.map((one) => `${one.lost} of ${one.sent} lost, ${one.otherBefore} by the other path`).join(
      "; ",
    );
    await sleep(50);
  }
  throw new Error(`Cannot settle the traffic on the primary: ${last}`);
}

/** A switch in this time is told as such, and put back, or it would be held against the first trial. */
async function serve(standing: Standing, kit: Kit, ms: number): Promise<void> {
  await runStreams(standing.lab, kit.programs, streamsOf(ms));
  const cause = await standing.why();
  kit.served?.(cause);
  if (cause === null) return;
  await standing.restore();
  await settle(standing, kit);
}

/** Brings a system up in a lab of its own and runs `work` with it. */
export async function withSystem(
  system: System,
  kit: Kit,
  work: (standing: Standing) => Promise<void>,
): Promise<void> {
  const paired = system.startsWith("keepalived") || system === "conntrackd";
  const replica = hotReplica({ clients: 1, servers: 1, kind: "firewall", serverMbit: null });
  const topology = paired ? pairTopology() : { ...replica, servers: [] };
  await using lab = await Lab.up(topology, kit.lifetime);
  await lab.exec("redundant", ["nft", PATH_MARK]);
  const standing = await start(system, lab, kit);
  try {
    await settle(standing, kit);
    if (kit.serviceMs && standing.node) await serve(standing, kit, kit.serviceMs);
    await work(standing);
  } finally {
    await standing.stop();
  }
}

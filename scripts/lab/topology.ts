/**
 * Duty: say what a lab is made of, as plain data, and hold the one topology most experiments use.
 *
 * A lab is a set of network namespaces joined by veth pairs. Nothing here runs a command: plan.ts turns
 * the data into scripts and engine.ts runs them, so a new experiment is a new object and not a new shell script.
 */
import type { Box } from "./boxes.ts";

/** Token bucket on what leaves an interface. */
export interface Rate {
  readonly mbit: number;
  readonly burstKb: number;
  /** Longest time a packet may wait in the queue. */
  readonly queueMs: number;
}

/** One end of a veth pair. */
export interface End {
  readonly ns: string;
  readonly name: string;
  readonly mac?: string;
  /** With prefix length: "10.1.0.11/24". */
  readonly addresses?: readonly string[];
  /** Bridge of the same namespace this end is a port of. */
  readonly bridge?: string;
  readonly rate?: Rate;
}

export interface Link {
  readonly ends: readonly [End, End];
}

export interface Route {
  readonly to: string;
  readonly via: string;
}

export interface Namespace {
  readonly name: string;
  /** Names as sysctl(8) writes them, below "net.". */
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly bridges?: readonly string[];
  readonly routes?: readonly Route[];
}

/** A program that answers workloads. `nginx` listens on 80, `long` on 7000/tcp, `echo` on 7001/udp. */
export interface Server {
  readonly ns: string;
  readonly kind: "nginx" | "long" | "echo";
}

export interface Topology {
  readonly name: string;
  readonly ipv6: boolean;
  readonly namespaces: readonly Namespace[];
  readonly links: readonly Link[];
  readonly boxes: readonly Box[];
  readonly servers: readonly Server[];
}

/** Where the node sits and how its interfaces are called, by role. */
export const NODE_NS = "node";
export const NODE_INTERFACES = {
  upstream: "pup",
  downstream: "pdn",
  primary_in: "pin",
  primary_out: "pout",
  redundant_in: "rin",
  redundant_out: "rout",
} as const;

export interface HotReplicaOptions {
  readonly clients?: number;
  readonly servers?: number;
  readonly kind?: Box["kind"];
  /** Port choice of a NAT. @default "preserve" */
  readonly ports?: "preserve" | "random" | "fully-random";
  /** What a packet to the box itself gets. @default "drop" */
  readonly input?: "drop" | "reset";
  /** Limit of each server's own link; null: none. @default 200 */
  readonly serverMbit?: number | null;
  /** Leave all clients the same source ports, so that the NAT has to choose others. @default false */
  readonly collide?: boolean;
}

/** Token bucket of a server: a queue long enough that the window of every connection fits. */
function serverRate(mbit: number | null): Rate | undefined {
  return mbit === null ? undefined : { mbit, burstKb: 64, queueMs: 200 };
}

/**
 * Every client has its own slice of source ports. Two clients that pick the same port for the same server make a
 * port-preserving NAT choose another one at random; the replica then chooses differently, and only a node that
 * translates bindings can follow. `collide` leaves the natural range to test exactly that.
 */
function portSlice(index: number): string {
  const first = 20_000 + index * 8_000;
  return `${first} ${first + 7_999}`;
}

function client(index: number, collide: boolean): Namespace {
  const sysctls = collide ? {} : { "ipv4.ip_local_port_range": portSlice(index) };
  return { name: `c${index + 1}`, sysctls, routes: [{ to: "default", via: "10.1.0.1" }] };
}

/** Both boxes carry the same addresses on both sides: a hot replica, so no neighbour learns anything new. */
function boxLinks(name: string, inside: string, outside: string): Link[] {
  return [
    {
      ends: [
        { ns: NODE_NS, name: inside },
        { ns: name, name: "in", mac: "02:00:00:00:01:01", addresses: ["10.1.0.1/24"] },
      ],
    },
    {
      ends: [
        { ns: NODE_NS, name: outside },
        { ns: name, name: "out", mac: "02:00:00:00:02:01", addresses: ["10.2.0.1/24"] },
      ],
    },
  ];
}

/**
 * Clients c1.. (10.1.0.11 on) and servers s1.. (10.2.0.11 on), the node between them, and two boxes that look the
 * same from outside. Throws RangeError for more than five clients: the port slices end there.
 */
export function hotReplica(options: HotReplicaOptions = {}): Topology {
  const { clients = 5, servers = 3, kind = "nat", serverMbit = 200, collide = false } = options;
  if (clients < 1 || clients > 5) throw new RangeError(`Cannot make ${clients} clients: between 1 and 5 fit`);
  if (servers < 1 || servers > 9) throw new RangeError(`Cannot make ${servers} servers: between 1 and 9 fit`);
  const nodeName = NODE_INTERFACES;
  const box = (name: string): Box => ({
    name,
    kind,
    inside: "in",
    outside: "out",
    ports: options.ports ?? "preserve",
    input: options.input ?? "drop",
  });
  const rate = serverRate(serverMbit);
  const range = (count: number) => Array.from({ length: count }, (_, index) => index);
  return {
    name: `hot-replica-${kind}`,
    ipv6: false,
    namespaces: [
      ...range(clients).map((index) => client(index, collide)),
      { name: "cbr", bridges: ["br"] },
      { name: NODE_NS },
      { name: "primary" },
      { name: "redundant" },
      { name: "sbr", bridges: ["br"] },
      ...range(servers).map((i) => ({ name: `s${i + 1}`, routes: [{ to: "default", via: "10.2.0.1" }] })),
    ],
    links: [
      ...range(clients).map((i): Link => ({
        ends: [
          {
            ns: `c${i + 1}`,
            name: "eth0",
            mac: `02:00:00:01:00:${11 + i}`,
            addresses: [`10.1.0.${11 + i}/24`],
          },
          { ns: "cbr", name: `c${i + 1}`, bridge: "br" },
        ],
      })),
      { ends: [{ ns: "cbr", name: "uplink", bridge: "br" }, { ns: NODE_NS, name: nodeName.upstream }] },
      ...boxLinks("primary", nodeName.primary_in, nodeName.primary_out),
      ...boxLinks("redundant", nodeName.redundant_in, nodeName.redundant_out),
      { ends: [{ ns: "sbr", name: "uplink", bridge: "br" }, { ns: NODE_NS, name: nodeName.downstream }] },
      ...range(servers).map((i): Link => ({
        ends: [
          {
            ns: `s${i + 1}`,
            name: "eth0",
            mac: `02:00:00:02:00:${11 + i}`,
            addresses: [`10.2.0.${11 + i}/24`],
            ...(rate ? { rate } : {}),
          },
          { ns: "sbr", name: `s${i + 1}`, bridge: "br" },
        ],
      })),
    ],
    boxes: [box("primary"), box("redundant")],
    servers: range(servers).flatMap((i): Server[] =>
      (["nginx", "long", "echo"] as const).map((program) => ({ ns: `s${i + 1}`, kind: program }))
    ),
  };
}

/** Topologies by the name the command line takes. */
export const TOPOLOGIES: Readonly<Record<string, () => Topology>> = {
  nat: () => hotReplica(),
  "nat-random": () => hotReplica({ ports: "random" }),
  "nat-fully-random": () => hotReplica({ ports: "fully-random" }),
  "nat-collide": () => hotReplica({ collide: true }),
  "nat-reset": () => hotReplica({ input: "reset" }),
  firewall: () => hotReplica({ kind: "firewall" }),
};

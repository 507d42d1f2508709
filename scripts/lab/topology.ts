/**
 * Duty: say what a lab is made of, as plain data, and hold the one topology most experiments use.
 *
 * A lab is a set of network namespaces joined by veth pairs. Nothing here runs a command: plan.ts turns
 * the data into scripts and engine.ts runs them, so a new experiment is a new object and not a new shell script.
 */
import { BOXES } from "../../appliance/view.ts";
import { type Box, isNat64 } from "./boxes.ts";

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

/** Programs that answer workloads. `nginx` listens on 80, `long` on 7000/tcp, `echo` on 7001/udp. */
export const SERVER_KINDS = ["nginx", "long", "echo"] as const;
export interface Server {
  readonly ns: string;
  readonly kind: (typeof SERVER_KINDS)[number];
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
/** The same for further boxes, by role. */
export const FURTHER_INTERFACES = {
  "redundant-2-in": "r2in",
  "redundant-2-out": "r2out",
  "redundant-3-in": "r3in",
  "redundant-3-out": "r3out",
} as const;

/** Both interfaces of each box, in the order of their numbers. */
const BOX_INTERFACES: readonly (readonly [string, string])[] = [
  [NODE_INTERFACES.primary_in, NODE_INTERFACES.primary_out],
  [NODE_INTERFACES.redundant_in, NODE_INTERFACES.redundant_out],
  [FURTHER_INTERFACES["redundant-2-in"], FURTHER_INTERFACES["redundant-2-out"]],
  [FURTHER_INTERFACES["redundant-3-in"], FURTHER_INTERFACES["redundant-3-out"]],
];

export interface HotReplicaOptions {
  readonly clients?: number;
  readonly servers?: number;
  /** From 2 to 4: the primary and redundant ones. @default 2 */
  readonly boxes?: number;
  readonly kind?: Box["kind"];
  /** Ports that a NAT has to choose from. @default all */
  readonly portRange?: readonly [first: number, last: number];
  /** What the others are. @default that of the primary */
  readonly redundant?: Box["kind"];
  /** Boxes, by their namespaces, that change sequence numbers; `startServers` starts what does it. @default none */
  readonly renumber?: readonly string[];
  /** Port choice of a NAT. @default "preserve" */
  readonly ports?: Box["ports"];
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

/** In the clients' network, with prefix length; `host` 1 is the box. */
function insideAddress(kind: Box["kind"], host: number): string {
  return isNat64({ kind }) ? `fd00:1::${host}/64` : `10.1.0.${host}/24`;
}

function client(index: number, kind: Box["kind"], collide: boolean): Namespace {
  const sysctls = collide ? {} : { "ipv4.ip_local_port_range": portSlice(index) };
  return {
    name: `c${index + 1}`,
    sysctls,
    routes: [{ to: "default", via: insideAddress(kind, 1).split("/")[0]! }],
  };
}

/** All boxes carry the same addresses on both sides: a hot replica, so no neighbour learns anything new. */
function boxLinks({ name, kind, renumbers }: Box, inside: string, outside: string): Link[] {
  const [wire, patch] = renumbers ?? [];
  return [
    ...(wire ? [{ ends: [{ ns: NODE_NS, name: inside }, { ns: name, name: wire }] } satisfies Link] : []),
    {
      ends: [
        patch ? { ns: name, name: patch } : { ns: NODE_NS, name: inside },
        { ns: name, name: "in", mac: "02:00:00:00:01:01", addresses: [insideAddress(kind, 1)] },
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

/** An interface answers for its own addresses only: what stands before a box is no part of it. */
const OWN_ADDRESSES = { "ipv4.conf.all.arp_ignore": "1" };

/** A host's link into the bridge of its side: clients are net 1, servers net 2. */
function hostLink(ns: string, address: string, extra: Pick<End, "rate"> = {}): Link {
  const net = ns.startsWith("c") ? 1 : 2;
  const mac = `02:00:00:0${net}:00:${10 + Number(ns.slice(1))}`;
  const end = { ns, name: "eth0", mac, addresses: [address], ...extra };
  return { ends: [end, { ns: net === 1 ? "cbr" : "sbr", name: ns, bridge: "br" }] };
}

function uplink(ns: string, name: string): Link {
  return { ends: [{ ns, name: "uplink", bridge: "br" }, { ns: NODE_NS, name }] };
}

/**
 * Clients c1.. (10.1.0.11 on) and servers s1.. (10.2.0.11 on), the node between them, and boxes that look
 * the same from outside. Throws RangeError for more than five clients (the port slices end there) or nine servers.
 */
export function hotReplica(options: HotReplicaOptions = {}): Topology {
  const { clients = 5, servers = 3, kind = "nat", serverMbit = 200, collide = false } = options;
  if (clients < 1 || clients > 5) throw new RangeError(`Cannot make ${clients} clients: between 1 and 5 fit`);
  if (servers < 1 || servers > 9) throw new RangeError(`Cannot make ${servers} servers: between 1 and 9 fit`);
  const { ports = "preserve", input = "drop" } = options;
  const { redundant = kind, renumber = [] } = options;
  const box = (name: string): Box => ({
    name,
    kind: name === "primary" ? kind : redundant,
    inside: "in",
    outside: "out",
    ports,
    input,
    ...(options.portRange && { portRange: options.portRange }),
    ...(renumber.includes(name) && { renumbers: ["wire", "patch"] as const }),
  });
  // A namespace has no hyphen in its name.
  const boxes = BOXES.slice(0, options.boxes ?? 2).map((name) => box(name.replaceAll("-", "")));
  const rate = serverRate(serverMbit);
  const names = (letter: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
  const clientNames = names("c", clients), serverNames = names("s", servers);
  return {
    name: `hot-replica-${kind}`,
    ipv6: isNat64({ kind }),
    namespaces: [
      ...clientNames.map((_, index) => client(index, kind, collide)),
      { name: "cbr", bridges: ["br"] },
      { name: NODE_NS },
      ...boxes.map(({ name, renumbers }) => ({ name, ...(renumbers && { sysctls: OWN_ADDRESSES }) })),
      { name: "sbr", bridges: ["br"] },
      ...serverNames.map((name) => ({ name, routes: [{ to: "default", via: "10.2.0.1" }] })),
    ],
    links: [
      ...clientNames.map((name, index) => hostLink(name, insideAddress(kind, 11 + index))),
      uplink("cbr", NODE_INTERFACES.upstream),
      ...boxes.flatMap((one, index) => boxLinks(one, ...BOX_INTERFACES[index]!)),
      uplink("sbr", NODE_INTERFACES.downstream),
      ...serverNames.map((name, index) => hostLink(name, `10.2.0.${11 + index}/24`, rate ? { rate } : {})),
    ],
    boxes,
    servers: serverNames.flatMap((ns): Server[] => SERVER_KINDS.map((program) => ({ ns, kind: program }))),
  };
}

/** Topologies by the name the command line takes. */
export const TOPOLOGIES: Readonly<Record<string, (options?: HotReplicaOptions) => Topology>> = {
  nat: (options) => hotReplica({ ...options }),
  "nat-random": (options) => hotReplica({ ...options, ports: "random" }),
  "nat-fully-random": (options) => hotReplica({ ...options, ports: "fully-random" }),
  "nat-persistent": (options) => hotReplica({ ...options, ports: "persistent" }),
  "nat-collide": (options) => hotReplica({ ...options, collide: true }),
  "nat-pressure": (options) => hotReplica({ ...options, portRange: [40_000, 40_319] }),
  "nat-reset": (options) => hotReplica({ ...options, input: "reset" }),
  firewall: (options) => hotReplica({ ...options, kind: "firewall" }),
  "firewall-renumber": (options) =>
    hotReplica({ ...options, kind: "firewall", renumber: ["primary", "redundant"] }),
  "nat-renumber": (options) => hotReplica({ ...options, renumber: ["primary", "redundant"] }),
  nat64: (options) => hotReplica({ ...options, kind: "nat64" }),
  "nat64-pool": (options) => hotReplica({ ...options, kind: "nat64-pool" }),
  synproxy: (options) => hotReplica({ ...options, kind: "synproxy", redundant: "firewall" }),
};

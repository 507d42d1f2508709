/**
 * Duty: what is built for the bench on links of the kernel: the topology, the work, and each device's rules. Pure.
 *
 *   src --- [ device ] --- dst       frames and a probe go from src to dst, the probe's answers come back
 *               |
 *              mir                   copies
 *
 * Three more links end nowhere: the node has six ports, and is measured with all of them.
 */
import { NODE_INTERFACES, NODE_NS, type Topology } from "../lab/topology.ts";

export const WAY = { from: NODE_INTERFACES.upstream, to: NODE_INTERFACES.primary_in } as const;
export const COPIES = NODE_INTERFACES.redundant_in;
const DARK = [NODE_INTERFACES.downstream, NODE_INTERFACES.primary_out, NODE_INTERFACES.redundant_out];

/** The far end of a link, in each namespace of the world. */
export const FAR = "eth0";
const SOURCE = { ns: "src", name: FAR, mac: "02:00:00:00:00:11", addresses: ["10.9.0.1/24"] };
const SINK = { ns: "dst", name: FAR, mac: "02:00:00:00:00:22", addresses: ["10.9.0.2/24"] };
export const SINK_ADDRESS = "10.9.0.2";
/** Lines for `sh -e`: neighbours are told, so that nobody asks and no frame is on the links but ours. */
export const NEIGHBOURS = {
  src: `ip neigh replace ${SINK_ADDRESS} lladdr ${SINK.mac} dev ${FAR} nud permanent`,
  dst: `ip neigh replace 10.9.0.1 lladdr ${SOURCE.mac} dev ${FAR} nud permanent`,
} as const;

/** A device between, or, without one, a cable from end to end. */
export function linksTopology(cable: boolean): Topology {
  const node = (name: string) => ({ ns: NODE_NS, name });
  const through: Topology["links"] = [
    { ends: [SOURCE, node(WAY.from)] },
    { ends: [SINK, node(WAY.to)] },
    { ends: [{ ns: "mir", name: FAR }, node(COPIES)] },
    ...DARK.map((name) => ({ ends: [{ ns: "dark", name: `d${name}` }, node(name)] as const })),
  ];
  return {
    name: "links",
    ipv6: false,
    namespaces: ["src", "dst", "mir", "dark", NODE_NS].map((name) => ({ name })),
    links: cable ? [{ ends: [SOURCE, SINK] }] : through,
    boxes: [],
    servers: [],
  };
}

export const DEVICES = ["cable", "plane", "ovs", "tc", "ebpf"] as const;
export type Device = (typeof DEVICES)[number];
export const DEVICE_TEXT: Readonly<Record<Device, string>> = {
  cable: "a cable, no device",
  plane: "the plane, packet sockets",
  ovs: "Open vSwitch, user space",
  tc: "tc mirred, kernel",
  ebpf: "our eBPF export, kernel",
};

export interface Work {
  readonly name: string;
  /** Lines of our rules. */
  readonly rules: readonly string[];
  readonly copies: "syn" | "all";
  /** Our frames for one second of a processor, over those of Open vSwitch. */
  readonly bar: number;
  readonly goal: number;
}

export const WORKS: readonly Work[] = [
  {
    name: "links, mirror SYN",
    rules: ["[[filter.rules]]", 'name = "syn"', "handshake = true"],
    copies: "syn",
    bar: 1,
    goal: 2,
  },
  {
    name: "links, mirror all",
    rules: ["[[filter.rules]]", 'name = "all"', "all = true"],
    copies: "all",
    bar: 1,
    goal: 2,
  },
];

/** OpenFlow: port 1 is the way in, 2 the way on, 3 takes copies. All copies are the work of a mirror. */
export function switchFlows(copies: Work["copies"]): string[] {
  const ways = ["priority=1,in_port=1,actions=output:2", "priority=1,in_port=2,actions=output:1"];
  return copies === "all"
    ? ways
    : [...ways, "priority=2,tcp,in_port=1,tcp_flags=+syn,actions=output:2,output:3"];
}

const on = (device: string) => `action mirred egress redirect dev ${device}`;
const copy = `action mirred egress mirror dev ${COPIES}`;
const rule = (device: string, hook: string, priority: number, rest: string) =>
  `tc filter add dev ${device} ${hook} prio ${priority} protocol ${rest}`;
const hooks = [WAY.from, WAY.to].map((name) => `tc qdisc add dev ${name} clsact`);
const back = rule(WAY.to, "ingress", 2, `all u32 match u32 0 0 ${on(WAY.from)}`);

/** For `sh -e`: mirror and redirect. u32 reads the TCP flags behind an IPv4 header without options. */
export function tcScript(copies: Work["copies"]): string {
  const syn = "ip u32 match ip protocol 6 0xff match ip ihl 5 0xf match u8 2 2 at 33";
  const lines = copies === "all"
    ? [rule(WAY.from, "ingress", 2, `all u32 match u32 0 0 ${copy} pipe ${on(WAY.to)}`)]
    : [
      rule(WAY.from, "ingress", 1, `${syn} ${copy} pipe ${on(WAY.to)}`),
      rule(WAY.from, "ingress", 2, `all u32 match u32 0 0 ${on(WAY.to)}`),
    ];
  return [...hooks, ...lines, back].join("\n") + "\n";
}

/** For `sh -e`: our program decides and copies at both hooks, a redirect behind it moves the frames on. */
export function ebpfScript(object: string): string {
  const program = (hook: string) => `all bpf direct-action obj ${object} sec ${hook}`;
  return [
    ...hooks,
    ...["ingress", "egress"].map((hook) => rule(WAY.from, hook, 1, program(hook))),
    rule(WAY.from, "ingress", 2, `all u32 match u32 0 0 ${on(WAY.to)}`),
    back,
  ].join("\n") + "\n";
}

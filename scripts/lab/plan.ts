/**
 * Duty: turn a topology into the fewest scripts that build it. Pure: text in, text out.
 *
 * One `ip -batch` makes all namespaces and veth pairs (both ends are born where they belong, so the
 * machine's own namespace never sees them), then one shell script for each namespace sets it up from inside.
 */
import { BOX_SYSCTLS, boxRules, isNat64, NAT64_SYSCTLS, nat64Lines } from "./boxes.ts";
import { type End, type Link, type Namespace, NODE_NS, type Rate, type Topology } from "./topology.ts";

export interface Plan {
  /** For `ip -batch -` in the machine's own namespace. */
  readonly batch: string;
  /** For `sh -e` inside each namespace (with the namespace's own /sys), by the namespace's name in the topology. */
  readonly scripts: ReadonlyMap<string, string>;
}

/**
 * Which processors do what. A box, a host and the node are different machines in life; here they share one, and a
 * frame handed to a veth would be worked on by whoever sent it, all the way to the next socket. So the node (or
 * the bridge in its place) has the last processor to itself and the world has the others.
 */
export interface Processors {
  readonly world: readonly number[];
  readonly node: number;
}

/** The split for a machine with `count` processors; null where there is nothing to split. */
export function splitProcessors(count: number): Processors | null {
  return count < 2
    ? null
    : { world: Array.from({ length: count - 1 }, (_, index) => index), node: count - 1 };
}

/** A set of processors as the kernel writes it in /sys: hexadecimal, groups of 32 bits, highest first. */
export function processorMask(processors: readonly number[]): string {
  let bits = 0n;
  for (const one of processors) bits |= 1n << BigInt(one);
  const digits = bits.toString(16);
  const groups = digits.padStart(Math.ceil(digits.length / 8) * 8, "0").match(/.{8}/g)!;
  return groups.join(",");
}

const FIRST_INDEX = 100;
const OFFLOADS = "tx off rx off tso off gso off gro off sg off txvlan off rxvlan off";
const HOST_SYSCTLS: Readonly<Record<string, string>> = {
  "ipv4.tcp_no_metrics_save": "1",
  // One fixed window for every connection: shares stay equal and the queues of the rate limits hold them all, so
  // that loss comes from failures alone.
  "ipv4.tcp_rmem": "4096 131072 131072",
  "ipv4.tcp_wmem": "4096 131072 131072",
};

/** Problems of a topology, each one sentence; empty when it can be built. */
export function topologyProblems(topology: Topology): string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  for (const ns of topology.namespaces) {
    if (!/^[a-z][a-z0-9]{0,11}$/.test(ns.name)) {
      problems.push(`Cannot name a namespace "${ns.name}": a-z, 0-9, at most 12`);
    }
    if (names.has(ns.name)) problems.push(`Cannot make namespace "${ns.name}": it is there twice`);
    names.add(ns.name);
  }
  const interfaces = new Set<string>();
  for (const end of topology.links.flatMap((link) => link.ends)) {
    const where = `${end.ns}/${end.name}`;
    if (!names.has(end.ns)) problems.push(`Cannot make interface ${where}: there is no such namespace`);
    if (!/^[a-z][a-z0-9-]{0,14}$/.test(end.name)) {
      problems.push(`Cannot name an interface "${end.name}": a-z, 0-9, at most 15`);
    }
    if (interfaces.has(where)) problems.push(`Cannot make interface ${where}: it is there twice`);
    interfaces.add(where);
    const bridges = topology.namespaces.find((ns) => ns.name === end.ns)?.bridges ?? [];
    if (end.bridge !== undefined && !bridges.includes(end.bridge)) {
      problems.push(`Cannot put ${where} into bridge "${end.bridge}": there is no such bridge`);
    }
  }
  for (const box of topology.boxes) {
    for (const name of [box.inside, box.outside]) {
      if (!interfaces.has(`${box.name}/${name}`)) {
        problems.push(`Cannot make box ${box.name}: interface ${name} is missing`);
      }
    }
  }
  return problems;
}

/**
 * The kernel reports a lost carrier at once only where an interface's index differs from its peer's, else up to
 * a second late (linkwatch_urgent_event). Namespaces count from the same start, so every end gets an index of its own.
 */
function endText(end: End, index: number, prefix: string): string {
  const mac = end.mac === undefined ? "" : ` address ${end.mac}`;
  return `name ${end.name} index ${FIRST_INDEX + index}${mac} netns ${prefix}-${end.ns}`;
}

function linkText(link: Link, index: number, prefix: string): string {
  const [a, b] = link.ends;
  return `link add ${endText(a, 2 * index, prefix)} type veth peer ${endText(b, 2 * index + 1, prefix)}`;
}

function sysctlLine(name: string, value: string): string {
  return `echo ${value} >/proc/sys/net/${name.replaceAll(".", "/")}`;
}

function rateLine(name: string, rate: Rate): string {
  return `tc qdisc add dev ${name} root tbf rate ${rate.mbit}mbit burst ${rate.burstKb}kb latency ${rate.queueMs}ms`;
}

function inside(ns: Namespace, ends: readonly End[]): string[] {
  const lines = ["link set lo up"];
  for (const bridge of ns.bridges ?? []) {
    lines.push(
      `link add name ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link set dev ${bridge} up`,
    );
  }
  for (const end of ends) {
    if (end.bridge !== undefined) lines.push(`link set dev ${end.name} master ${end.bridge}`);
    for (const address of end.addresses ?? []) {
      // Both boxes have the same addresses, and nobody waits for the second in which IPv6 looks whether they are free.
      lines.push(`addr add ${address} dev ${end.name}${address.includes(":") ? " nodad" : ""}`);
    }
    lines.push(`link set dev ${end.name} up`);
  }
  for (const route of ns.routes ?? []) lines.push(`route add ${route.to} via ${route.via}`);
  return lines;
}

/** Steers what arrives at an interface to the processors of its machine (receive packet steering). */
function steerLine(name: string, processors: readonly number[]): string {
  return `echo ${processorMask(processors)} >/sys/class/net/${name}/queues/rx-0/rps_cpus`;
}

function namespaceScript(topology: Topology, ns: Namespace, processors: Processors | null): string {
  const ends = topology.links.flatMap((link) => link.ends).filter((end) => end.ns === ns.name);
  const box = topology.boxes.find((one) => one.name === ns.name);
  // The node's interfaces are its ports: nothing is to come out of them that it did not send.
  const off = topology.ipv6 && ns.name !== NODE_NS ? "0" : "1";
  const nat64 = box !== undefined && isNat64(box);
  const sysctls = {
    ...HOST_SYSCTLS,
    ...(box ? BOX_SYSCTLS : {}),
    ...(nat64 ? NAT64_SYSCTLS : {}),
    ...ns.sysctls,
  };
  const mine = processors && (ns.name === NODE_NS ? [processors.node] : processors.world);
  return [
    `for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo ${off} >$f; done`,
    // The stricter of `all` and the interface's own value counts, so every one is written.
    "for f in /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >$f; done",
    ...Object.entries(sysctls).map(([name, value]) => sysctlLine(name, `'${value}'`)),
    // The same everywhere; what the machine prefers may pace or probe in ways of its own.
    "cc=/proc/sys/net/ipv4/tcp_congestion_control; echo cubic >$cc 2>/dev/null || echo reno >$cc",
    ...ends.map((end) => `ethtool -K ${end.name} ${OFFLOADS} >/dev/null`),
    ...(mine ? ends.map((end) => steerLine(end.name, mine)) : []),
    ...ends.flatMap((end) => end.rate === undefined ? [] : [rateLine(end.name, end.rate)]),
    ...(box ? ["nft -f - <<'NFT'", boxRules(box) + "NFT"] : []),
    "ip -batch - <<'IP'",
    ...inside(ns, ends),
    ...(nat64 ? nat64Lines(box) : []),
    "IP",
  ].join("\n") + "\n";
}

/** The scripts that build `topology` under a prefix. Throws TypeError with all problems of the topology. */
export function buildPlan(topology: Topology, prefix: string, processors: Processors | null = null): Plan {
  const problems = topologyProblems(topology);
  if (problems.length > 0) throw new TypeError(problems.join("; "));
  const batch = [
    ...topology.namespaces.map((ns) => `netns add ${prefix}-${ns.name}`),
    ...topology.links.map((link, index) => linkText(link, index, prefix)),
  ];
  return {
    batch: batch.join("\n") + "\n",
    scripts: new Map(topology.namespaces.map((ns) => [ns.name, namespaceScript(topology, ns, processors)])),
  };
}

/** The lines for `sh -e` in the node's namespace that put a plain Linux bridge in the node's place. */
export function bridgeScript(pairs: readonly (readonly [string, string])[]): string {
  const lines = pairs.flatMap(([a, b], index) => [
    `link add name br${index} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link set dev ${a} master br${index}`,
    `link set dev ${b} master br${index}`,
    `link set dev br${index} up`,
  ]);
  return ["ip -batch - <<'IP'", ...lines, "IP"].join("\n") + "\n";
}

/**
 * Duty: the middleboxes of the lab as data, and the kernel settings and nftables rules that make them real.
 *
 * Boxes are strict: what conntrack does not know is dropped, no connection is picked up in the middle and no
 * sequence number outside the window passes. The kernel's loose defaults would hide lost state.
 */
export interface Box {
  /** Namespace it lives in. */
  readonly name: string;
  /**
   * A synproxy answers SYNs itself, and opens the connection on its other side when the client has answered. Behind a NAT64
   * clients have IPv6 alone and servers IPv4: tayga gives each client an address of a pool, which a "nat64" masquerades. A
   * "nat64-pool" lets servers see it; its primary has one pool and the others another.
   */
  readonly kind: "nat" | "firewall" | "synproxy" | "nat64" | "nat64-pool";
  /** Interface towards the clients, and towards the servers. */
  readonly inside: string;
  readonly outside: string;
  readonly ports: "preserve" | "random" | "fully-random" | "persistent";
  /** Ports that a NAT has to choose from. @default all */
  readonly portRange?: readonly [first: number, last: number];
  /** What a packet addressed to the box itself gets: silence, or a TCP reset as many products answer. */
  readonly input: "drop" | "reset";
  /** Interfaces between which `renumber` moves frames, before the box itself: towards the node, towards `inside`. */
  readonly renumbers?: readonly [string, string];
}

/** Below "net.". */
export const BOX_SYSCTLS: Readonly<Record<string, string>> = {
  "ipv4.ip_forward": "1",
  "netfilter.nf_conntrack_tcp_loose": "0",
  "netfilter.nf_conntrack_tcp_be_liberal": "0",
};

/** Between IPv6 and IPv4: where a box hands packets to tayga, and how clients call IPv4 servers. */
export const NAT64 = {
  device: "nat64",
  prefix: "2001:db8:64::/96",
} as const;

/** The addresses that clients may get of tayga in a box, without the last two bytes. */
function poolOf({ name, kind }: Box): string {
  return kind === "nat64-pool" && name !== "primary" ? "10.65" : "10.64";
}

/** Does it stand between IPv6 and IPv4? `startServers` starts what translates. */
export function isNat64({ kind }: Pick<Box, "kind">): boolean {
  return kind === "nat64" || kind === "nat64-pool";
}

/** How a client behind a NAT64 calls an IPv4 server (RFC 6052). */
export function nat64Address(ipv4: string): string {
  return NAT64.prefix.replace("/96", ipv4);
}

/** Below "net.", of a box that forwards IPv6 as well. */
export const NAT64_SYSCTLS: Readonly<Record<string, string>> = { "ipv6.conf.all.forwarding": "1" };

/** Lines for `ip -batch -` in a NAT64: both worlds lead through the device. */
export function nat64Lines(box: Box): string[] {
  const { device, prefix } = NAT64;
  return [
    `tuntap add dev ${device} mode tun`,
    // A program that waits for a processor is slow and loses nothing.
    `link set dev ${device} txqueuelen 10000 up`,
    `route add ${prefix} dev ${device}`,
    `route add ${poolOf(box)}.0.0/16 dev ${device}`,
  ];
}

/** Configuration of tayga in a box. Two of the same pool mostly give a client the same address. */
export function taygaConfig(box: Box): string {
  const { device, prefix } = NAT64, pool = poolOf(box);
  return `tun-device ${device}\nipv4-addr ${pool}.0.1\nprefix ${prefix}\ndynamic-pool ${pool}.0.0/16\n`;
}

function inputChain(box: Box): string[] {
  return [
    "  chain input {",
    "    type filter hook input priority filter; policy drop;",
    "    ct state established,related accept",
    "    icmp type echo-request accept",
    ...(isNat64(box) ? ["    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"] : []),
    ...(box.input === "reset" ? ["    meta l4proto tcp reject with tcp reset"] : []),
    "  }",
  ];
}

const SYNPROXY =
  "    meta l4proto tcp ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm";

/** Openings have to come to the proxy before they are connections. */
function untracked(box: Box): string[] {
  return [
    "table ip raw {",
    "  chain prerouting {",
    "    type filter hook prerouting priority raw;",
    `    iifname "${box.inside}" tcp flags & (fin|syn|rst|ack) == syn notrack`,
    "  }",
    "}",
  ];
}

/** What may open connections: from which interface to which. A NAT64 sees each packet twice, as IPv6 and as IPv4. */
function ways(box: Box): (readonly [string, string])[] {
  if (!isNat64(box)) return [[box.inside, box.outside]];
  return [[box.inside, NAT64.device], [NAT64.device, box.outside]];
}

/** The nftables ruleset of a box, for `nft -f -`. */
export function boxRules(box: Box): string {
  const lines = [
    "table inet box {",
    ...inputChain(box),
    "  chain forward {",
    "    type filter hook forward priority filter; policy drop;",
    ...(box.kind === "synproxy" ? [SYNPROXY] : []),
    "    ct state invalid drop",
    "    ct state established,related accept",
    ...ways(box).map(([from, to]) => `    iifname "${from}" oifname "${to}" ct state new accept`),
    "  }",
    "}",
  ];
  if (box.kind === "synproxy") lines.push(...untracked(box));
  if (box.kind === "nat" || box.kind === "nat64") {
    const flag = box.ports === "preserve" ? "" : ` ${box.ports}`;
    lines.push(
      "table ip nat {",
      "  chain postrouting {",
      "    type nat hook postrouting priority srcnat;",
      ...(box.portRange
        ? [`    oifname "${box.outside}" meta l4proto tcp masquerade to :${box.portRange.join("-")}${flag}`]
        : []),
      `    oifname "${box.outside}" masquerade${flag}`,
      "  }",
      "}",
    );
  }
  return lines.join("\n") + "\n";
}

/**
 * Duty: the middleboxes of the lab as data, and the kernel settings and nftables rules that make them real.
 *
 * Boxes are strict: what conntrack does not know is dropped, no connection is picked up in the middle and no
 * sequence number outside the window passes. The kernel's loose defaults would hide lost state.
 */
export interface Box {
  /** Namespace it lives in. */
  readonly name: string;
  /** A synproxy answers SYNs itself, and opens the connection on its other side when the client has answered. */
  readonly kind: "nat" | "firewall" | "synproxy";
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

function inputChain(box: Box): string[] {
  return [
    "  chain input {",
    "    type filter hook input priority filter; policy drop;",
    "    ct state established,related accept",
    "    icmp type echo-request accept",
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
    `    iifname "${box.inside}" oifname "${box.outside}" ct state new accept`,
    "  }",
    "}",
  ];
  if (box.kind === "synproxy") lines.push(...untracked(box));
  if (box.kind === "nat") {
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

/**
 * Duty: the middleboxes of the lab as data, and the kernel settings and nftables rules that make them real.
 *
 * Boxes are strict: what conntrack does not know is dropped, no connection is picked up in the middle and no
 * sequence number outside the window passes. The kernel's loose defaults would hide lost state.
 */
export interface Box {
  /** Namespace it lives in. */
  readonly name: string;
  readonly kind: "nat" | "firewall";
  /** Interface towards the clients, and towards the servers. */
  readonly inside: string;
  readonly outside: string;
  readonly ports: "preserve" | "random" | "fully-random";
  /** What a packet addressed to the box itself gets: silence, or a TCP reset as many products answer. */
  readonly input: "drop" | "reset";
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

/** The nftables ruleset of a box, for `nft -f -`. */
export function boxRules(box: Box): string {
  const lines = [
    "table inet box {",
    ...inputChain(box),
    "  chain forward {",
    "    type filter hook forward priority filter; policy drop;",
    "    ct state invalid drop",
    "    ct state established,related accept",
    `    iifname "${box.inside}" oifname "${box.outside}" ct state new accept`,
    "  }",
    "}",
  ];
  if (box.kind === "nat") {
    const flag = box.ports === "preserve" ? "" : ` ${box.ports}`;
    lines.push(
      "table ip nat {",
      "  chain postrouting {",
      "    type nat hook postrouting priority srcnat;",
      `    oifname "${box.outside}" masquerade${flag}`,
      "  }",
      "}",
    );
  }
  return lines.join("\n") + "\n";
}

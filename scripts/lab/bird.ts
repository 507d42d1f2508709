/**
 * Duty: a box that speaks BFD: BIRD in its namespace, one session on each side. Pure.
 *
 * The switch in the node's place has no address of its own; its sessions use these, and the box is told its MAC.
 */
import type { Box } from "./boxes.ts";

export const BFD_MS = 100;
export const SWITCH_MAC = "00:23:20:00:00:01";

export interface BfdSide {
  readonly box: string;
  readonly boxMac: string;
  readonly node: string;
}
export const BFD_SIDES: Readonly<Record<"in" | "out", BfdSide>> = {
  in: { box: "10.1.0.1", boxMac: "02:00:00:00:01:01", node: "10.1.0.201" },
  out: { box: "10.2.0.1", boxMac: "02:00:00:00:02:01", node: "10.2.0.201" },
};

export function birdConfig(): string {
  const timers = `min rx interval ${BFD_MS} ms; min tx interval ${BFD_MS} ms; multiplier 3;`;
  const neighbors = Object.entries(BFD_SIDES).map(([side, { box, node }]) =>
    `  neighbor ${node} dev "${side}" local ${box};`
  );
  return [
    "router id 10.1.0.1;",
    "protocol device {\n}",
    "protocol bfd {",
    `  interface "in", "out" { ${timers} };`,
    ...neighbors,
    "}",
  ].join("\n") + "\n";
}

/** For `nft` in the box. */
export const BFD_RULE = "add rule inet box input udp dport 3784 accept";

/** For `sh -e` in the box: the switch's MAC, which nobody answers for. Lost with the link, even if permanent. */
export function switchNeighbours(box: Box): string {
  return [
    `ip neigh replace ${BFD_SIDES.in.node} lladdr ${SWITCH_MAC} dev ${box.inside} nud permanent`,
    `ip neigh replace ${BFD_SIDES.out.node} lladdr ${SWITCH_MAC} dev ${box.outside} nud permanent`,
  ].join("\n") + "\n";
}

/** Settings of an Open vSwitch port that has a session with a box. */
export function switchBfd(side: BfdSide): string[] {
  const settings = {
    enable: "true",
    min_rx: String(BFD_MS),
    min_tx: String(BFD_MS),
    bfd_src_ip: side.node,
    bfd_dst_ip: side.box,
    bfd_local_src_mac: SWITCH_MAC,
    // Of what is sent, and of what is taken for BFD when it comes.
    bfd_local_dst_mac: side.boxMac,
    bfd_remote_dst_mac: SWITCH_MAC,
  };
  return Object.entries(settings).map(([key, value]) => `bfd:${key}=${JSON.stringify(value)}`);
}

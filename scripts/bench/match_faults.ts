/**
 * Duty: ways in which a redundant box comes to differ from the primary, as data, and the commands that make and heal them.
 * Pure.
 *
 * All act inside the box's namespace, as a fault of the box would. A full table is a bound on new connections
 * (`ct count`): the kernel has one nf_conntrack_max for all namespaces, and would fill the primary's table with it.
 */
export const FAULTS = ["rule", "client", "full", "random", "lost", "timeout", "answers"] as const;
export type Fault = (typeof FAULTS)[number];

export const FAULT_TEXT: Readonly<Record<Fault, string>> = {
  rule: "a rule drops source ports",
  client: "a rule drops a client",
  full: "a full table",
  random: "random ports",
  lost: "lost copies of SYNs",
  timeout: "a timeout of a second",
  answers: "a rule drops answers to a client",
};

export interface FaultOptions {
  /** Of the connections that it is to hit, 0..1; a rule for a client hits all of one, a timeout all that are silent. */
  readonly share: number;
  /** Connections that are going to be opened. */
  readonly flows: number;
}

type Argv = readonly string[];
/** Of the kernel, for connections that stand. */
const TIMEOUT = "net.netfilter.nf_conntrack_tcp_timeout_established", TIMEOUT_S = 432_000;
const MARK = 'comment "fault"';

/** A part of the clients' ports. Those of a client follow each other by twos, so that the bits above the lowest tell. */
function somePorts({ share }: FaultOptions): string {
  return `tcp sport & 30 < ${2 * Math.max(1, Math.round(16 * share))}`;
}

/** What servers send has a source port as well, and they have one for all: a rule for it hits nothing or everything. */
const FROM_CLIENTS = 'iifname "in"';

/** Commands for the box's namespace. */
export function makeFault(fault: Fault, options: FaultOptions): Argv[] {
  switch (fault) {
    case "rule":
      return [["nft", `insert rule inet box forward ${FROM_CLIENTS} ${somePorts(options)} drop ${MARK}`]];
    case "client":
      return [["nft", `insert rule inet box forward ip saddr 10.1.0.12 drop ${MARK}`]];
    case "answers":
      return [["nft", `insert rule inet box forward ip daddr 10.1.0.12 drop ${MARK}`]];
    case "full": {
      const most = Math.max(1, Math.round(options.flows * (1 - options.share)));
      return [["nft", `insert rule inet box forward ct state new ct count over ${most} drop ${MARK}`]];
    }
    case "random":
      return [[
        "nft",
        `insert rule ip nat postrouting oifname out ${somePorts(options)} masquerade fully-random ${MARK}`,
      ]];
    case "timeout":
      return [["sysctl", "-qw", `${TIMEOUT}=1`]];
    case "lost": {
      const percent = Math.min(100, Math.round(100 * options.share));
      const rule = `tcp flags & (syn|ack) == syn numgen random mod 101 < ${percent} drop`;
      return [[
        "nft",
        `table netdev lost { chain c { type filter hook ingress device "in" priority 0; ${rule}; }; }`,
      ]];
    }
  }
}

/** Commands that take it away again; what the box has dropped meanwhile stays dropped. */
export function healFault(fault: Fault): Argv[] {
  if (fault === "timeout") return [["sysctl", "-qw", `${TIMEOUT}=${TIMEOUT_S}`]];
  if (fault === "lost") return [["nft", "delete table netdev lost"]];
  const chain = fault === "random" ? "ip nat postrouting" : "inet box forward";
  const find = `nft -a list chain ${chain} | sed -n 's/.*"fault" # handle //p'`;
  return [["sh", "-c", `nft delete rule ${chain} handle $(${find})`]];
}

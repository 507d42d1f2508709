/**
 * Keys of external switches: `[[switch]]`, one table for each switch that the node drives. Pure; a part of the one table,
 * config_keys.ts.
 */
import { ADDRESS_FORM, parseAddress } from "../drivers/openflow/where.ts";
import { type Keys, pathFault } from "./config_key.ts";
import { BOXES_MAX } from "./failover/external/settings.ts";

/** "3, eth5" in its parts. */
export function portList(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

function portFault(text: string): string | null {
  // deno-lint-ignore no-control-regex
  return /^[^,\s\x00-\x1f\x7f]{1,15}$/.test(text) ? null : "is no name or number of a port";
}

function listFault(text: string): string | null {
  const ports = portList(text);
  if (ports.length >= BOXES_MAX) return `names ${ports.length} boxes`;
  const bad = ports.find((port) => portFault(port) !== null);
  return bad === undefined ? null : `has "${bad}", which is no name or number of a port`;
}

function address(example: string, absent: string, help: string) {
  return {
    type: "text",
    default: null,
    absent,
    example,
    form: ADDRESS_FORM,
    fault: (text: string) => parseAddress(text) === null ? "is no address" : null,
    help,
  } as const;
}

function file(example: string, help: string) {
  return {
    type: "text",
    default: null,
    absent: "required with tls",
    example,
    form: "an absolute path",
    fault: (text: string) => pathFault(text, 4000),
    help,
  } as const;
}

function port(example: string, help: string, absent = "that side is not on this switch") {
  const form = "the name or the number of a port of the switch";
  return { type: "text", default: null, absent, example, form, fault: portFault, help } as const;
}

function ports(example: string, help: string) {
  const form = "names or numbers of ports, at most three, separated by commas";
  return { ...port(example, help), form, fault: listFault } as const;
}

export const SWITCH = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: "1 to 31 letters, digits, dots, dashes and underscores",
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no name of a switch",
    example: "edge",
    help: "Names the switch in status and events. No two switches share a name.",
  },
  address: address(
    "tcp:192.0.2.7:6653",
    "the switch connects, see `listen`",
    "Where the switch listens for its controller (ptcp: and pssl: of Open vSwitch); the node connects.",
  ),
  listen: address(
    "tls:192.0.2.1:6653",
    "the node connects, see `address`",
    "Where the node listens, and the switch connects. Switches that share it are told apart by `datapath`.",
  ),
  ca: file(
    "/etc/remediate/switch-ca.pem",
    "The certificate authority that has signed the switch's certificate, PEM.",
  ),
  certificate: file("/etc/remediate/switch.pem", "The node's own certificate for switches, PEM."),
  key: file("/etc/remediate/switch.key", "The key of `certificate`, PEM. For the node's user alone (0600)."),
  datapath: {
    type: "text",
    default: null,
    absent: "any",
    example: "0000020000000001",
    form: "16 hexadecimal digits",
    fault: (text) => /^[0-9A-Fa-f]{16}$/.test(text) ? null : "is no datapath",
    help: "The switch's number of itself. One that tells another is refused.",
  },
  upstream: port("1", "The switch's port towards the clients."),
  downstream: port("2", "Its port towards the servers."),
  primary_in: port("eth3", "Its port to the client side of the primary."),
  primary_out: port("eth4", "Its port to the server side of the primary."),
  redundant_in: ports("eth5", "Its ports to the client side of the redundant boxes, in order."),
  redundant_out: ports("eth6", "Its ports to the server side of the redundant boxes, in the same order."),
  bypass: port(
    "7",
    "A port of a switch with one side that leads around the boxes to the other switch.",
    "none; a switch with both sides joins upstream and downstream",
  ),
  dead_policy: {
    type: "choice",
    choices: ["forward", "block"],
    default: null,
    absent: "as `failover.dead_policy`",
    example: "forward",
    help: "The last bucket, when no box is live: `forward` leads around them, `block` is none.",
  },
  mirror: {
    type: "choice",
    choices: ["none", "state", "all"],
    default: "state",
    help:
      "What the redundant boxes are sent as well: `state` is TCP SYN, FIN and RST, ARP and neighbour discovery, " +
      "of both directions; it needs a switch that matches TCP flags.",
  },
  table: {
    type: "integer",
    min: 0,
    max: 253,
    default: 0,
    help: "The flow table for the node's flows.",
  },
  priority: {
    type: "integer",
    min: 1,
    max: 65534,
    default: 1000,
    help: "The priority of its flows; those for classes of packets have the next one.",
  },
  group_first: {
    type: "integer",
    min: 1,
    max: 4294900000,
    default: 21000,
    help: "The first of 256 numbers of groups that are the node's alone.",
  },
  verify_ms: {
    type: "integer",
    min: 100,
    max: 600000,
    default: 1000,
    help: "How often the switch is read back and compared with what it should hold.",
  },
} as const satisfies Keys;

/**
 * The one table of configuration keys.
 *
 * Validation (config.ts), the commented example and docs/configuration.md are all derived from it: a key is
 * declared here once, with its type, bounds, default and help, or it does not exist. Names carry their unit
 * last.
 */
import { LIMIT } from "../filter/names.ts";
import { type Keys, pathFault } from "./config_key.ts";
import { BFD } from "./config_keys_bfd.ts";
import { CAPTURE } from "./config_keys_capture.ts";
import { DRILL } from "./config_keys_drill.ts";
import { CHECK } from "./config_keys_check.ts";
import { DAMPING, SILENCE, VOTES } from "./config_keys_votes.ts";
import { SWITCH } from "./config_keys_external.ts";
import { SWITCHING } from "./config_keys_switching.ts";
import { MATCH, RESTORE } from "./config_keys_match.ts";
import { CAPACITY, CAPACITY_HELP, SEED } from "./config_keys_seed.ts";
import { GREY, PROBE } from "./config_keys_probe.ts";
import { RECORDER } from "./config_keys_recorder.ts";
import { KINDS, PORTS, REDUNDANT, STAGE } from "./config_keys_ports.ts";
import { PLANE } from "./config_plane.ts";
import { SOCKET_BYTES_MAX } from "./config_ports.ts";
import { parseWindow } from "./failover/window.ts";

export { PLANE, PORTS, REDUNDANT, STAGE };
export { REDUNDANT_MAX, STAGES_MAX } from "./config_keys_ports.ts";

export const RULES_MAX = LIMIT.rules;
const RULE_NAME_BYTES_MAX = LIMIT.name_bytes - 1;

export const NODE = {
  name: {
    type: "text",
    default: "remediate",
    form: "1 to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit",
    fault: (text) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text) ? null : "is no name",
    help: "What this node is called in status, events and logs.",
  },
  state_directory: {
    type: "text",
    default: "/var/lib/remediate",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    help: "Where the node keeps what must survive a restart.",
  },
  runtime_directory: {
    type: "text",
    default: "/run/remediate",
    form: "an absolute path of at most 80 bytes (sockets live in it)",
    fault: (text) => pathFault(text, 80),
    help:
      "Where the sockets of a running node and the configuration it goes by are. May be empty after a reboot.",
  },
} as const satisfies Keys;

export const FILTER = {
  preset: {
    type: "choice",
    choices: [...KINDS, "none"],
    default: "nat",
    help: "Which packets form state in this kind of box, and so are copied to the standby. `none` copies " +
      "nothing but what `[[filter.rules]]` say. What each costs and keeps stands in docs/architecture.md.",
  },
  budget_mbit: {
    type: "integer",
    min: 1,
    max: 400000,
    zero: "no bound",
    default: 0,
    help: "Megabits per second that copies may take, both directions together. Above it the copies worth " +
      "least are left out and counted as `shed`: first `all`, `sample` and turns, handshakes last.",
  },
  budget_pps: {
    type: "integer",
    min: 1,
    max: 1000000000,
    zero: "no bound",
    default: 0,
    help: "The same in copies per second.",
  },
  inner: {
    type: "boolean",
    default: false,
    help:
      "Tells flows apart inside GRE, IP in IP, VXLAN, GTP-U, MPLS and PPPoE, as the boxes see them if they look " +
      "inside. A tunnel is one flow otherwise. Such flows are not seeded, and `match` still sees the outer headers.",
  },
} as const satisfies Keys;

export const RULE = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: `1 to ${RULE_NAME_BYTES_MAX} letters, digits, dots, dashes and underscores`,
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no rule name",
    example: "sip",
    help: "Names the rule in status and flows. No two rules share a name.",
  },
  match: {
    type: "text",
    default: null,
    form: "a pcap-filter(7) expression",
    fault: (text) => text.trim() === "" ? "is empty (leave the key out to match everything)" : null,
    absent: "everything",
    example: "udp port 5060",
    help:
      "Which flows the rule is for, in the language of tcpdump. Judged once per flow, on its first frame.",
  },
  preset: {
    type: "choice",
    choices: KINDS,
    default: null,
    absent: "nothing is set",
    example: "firewall",
    help: "Takes the settings of this preset as a base; the keys below override it.",
  },
  handshake: flag(
    "Copies the TCP handshake of both directions, and the first packet of each direction otherwise.",
  ),
  teardown: flag("Copies FIN and RST, and the ACK that closes."),
  all: flag("Copies every packet."),
  none: flag("Copies nothing: exempts what it matches from later rules.", "true"),
  seed: flag("Makes the flow's state in the box that takes over by playing a handshake into it."),
  first_packets: count(4294967295, "Copies this many first packets of each direction."),
  first_payload_packets: count(4294967295, "Copies this many first packets with payload of each direction."),
  first_bytes: count(
    4294967295,
    "Copies packets until this many payload bytes have passed in each direction.",
  ),
  first_bytes_up: bytes("The same for what the client sends, who is the end that opened.", "first_bytes"),
  first_bytes_down: bytes("The same for what the client is sent.", "first_bytes"),
  turn_bytes_up: bytes(
    "Copies packets until this many payload bytes have passed since the client began to talk, anew each time " +
      "it does so after the other side.",
  ),
  turn_bytes_down: bytes("The same for the other side."),
  turn_bytes_max: {
    ...bytes("Payload bytes that turns may copy of a flow in all, both directions together."),
    absent: "as in `preset`, else no bound",
    zero: "no bound",
  },
  plaintext: flag(
    "First bytes and turns end where a flow is encrypted: the handshakes of TLS, SSH and QUIC are copied, what " +
      "follows is not.",
  ),
  acks: flag("Copies the ACK that covers what was copied, so that a stream is put together while it runs."),
  sample: {
    ...count(4294967295, "Copies one in this many packets of each direction."),
    min: 2,
  },
  keepalive_s: count(
    86400,
    "Copies a packet of each direction when none was copied for so long; after a TCP segment with payload, its " +
      "ACK as well.",
  ),
  keepalive_window: flag(
    "Copies such a pair at least every half receive window, so that a box which checks windows goes along. The " +
      "window's scale is learnt from the handshake.",
  ),
} as const satisfies Keys;

export const AGES = {
  tcp_opening_s: age(120, "A TCP connection whose handshake is not done"),
  tcp_s: age(7200, "An established TCP connection"),
  tcp_closing_s: age(10, "A TCP connection that was reset or closed from both ends"),
  udp_s: age(180, "A UDP flow"),
  icmp_s: age(30, "An ICMP exchange"),
  other_s: age(600, "A flow of any other protocol"),
} as const satisfies Keys;

export const FAILOVER = {
  automatic: {
    type: "boolean",
    default: true,
    help: "Whether the plane switches by itself. With `false` it only reports, and a person switches.",
  },
  silence_ms: {
    type: "integer",
    min: 1,
    max: 60000,
    zero: "off",
    default: 20,
    help: "A box is judged dead when packets go in and none come out for so long.",
  },
  ...SILENCE,
  silence_packets: {
    type: "integer",
    min: 2,
    max: 1000000,
    default: 8,
    help: "... and at least so many packets, of two flows or more, went in during that time.",
  },
  hold_up_ms: {
    type: "integer",
    min: 1,
    max: 3600000,
    zero: "at once",
    default: 3000,
    help: "A box that returns counts as alive after so long without a fault, so that a flapping port does " +
      "not flap traffic.",
  },
  drain_ms: {
    type: "integer",
    min: 1,
    max: 1000,
    zero: "off",
    default: 5,
    help: "After a switch, what the old box still sends is forwarded for so long.",
  },
  pause_ms: {
    type: "integer",
    min: 2,
    max: 1000,
    zero: "off",
    default: 20,
    help:
      "A planned switch from one living box to another holds frames back until the old box has handed over all " +
      "it has (nothing for 1 ms), for so long at most: nothing is lost, and nothing overtakes.",
  },
  stall_ms: {
    type: "integer",
    min: 1,
    max: 1000,
    default: 5,
    help:
      "A turn of the plane's loop longer than this is the node's own stall, and no evidence against a box.",
  },
  dead_policy: {
    type: "choice",
    choices: ["forward", "block"],
    default: "forward",
    help: "When neither box is alive: `forward` joins upstream and downstream directly, `block` drops.",
  },
  failback: {
    type: "choice",
    choices: ["manual", "automatic"],
    default: "manual",
    help: "Who moves the traffic back to the primary after it has returned.",
  },
  failback_after_s: {
    type: "integer",
    min: 1,
    max: 86400,
    default: 60,
    help: 'With `failback = "automatic"`: how long the primary has to be alive without a fault before.',
  },
  failback_window: {
    type: "text",
    default: null,
    absent: "at any time",
    form: "two times of a day, as 02:00-04:30",
    fault: (text) => parseWindow(text) === null ? "is no span of a day" : null,
    example: "02:00-04:30",
    help:
      'With `failback = "automatic"`: only in these hours of the machine\'s time zone. May span midnight.',
  },
  ...SWITCHING,
} as const satisfies Keys;

export {
  BFD,
  CAPACITY,
  CAPTURE,
  CHECK,
  DAMPING,
  DRILL,
  GREY,
  MATCH,
  PROBE,
  RECORDER,
  RESTORE,
  SEED,
  SWITCH,
  VOTES,
};

export const API = {
  socket: {
    type: "text",
    default: null,
    absent: "`control.sock` in `node.runtime_directory`",
    example: "/run/remediate/control.sock",
    form: `an absolute path of at most ${SOCKET_BYTES_MAX} bytes`,
    fault: (text) => pathFault(text, SOCKET_BYTES_MAX),
    help: "The unix socket of the local API. Only its owner can use it.",
  },
} as const satisfies Keys;

export const LOG = {
  level: {
    type: "choice",
    choices: ["debug", "info", "warn", "error"],
    default: "info",
    help: "The least important message that is written.",
  },
  format: {
    type: "choice",
    choices: ["text", "json"],
    default: "text",
    help: "One message per line, for people or for machines.",
  },
} as const satisfies Keys;

export interface Section {
  /** "filter.ages"; a list is an array of tables. */
  readonly path: string;
  readonly list: boolean;
  readonly help: string;
  readonly keys: Keys;
}

export const SECTIONS: readonly Section[] = [
  section("node", NODE, "The node itself."),
  section(
    "ports",
    PORTS,
    "The six roles. Every one is required, and no two may hold the same port (but `null`).",
  ),
  list(
    "redundant",
    REDUNDANT,
    "Further redundant boxes, two at most, beside the one of `[ports]`. Each gets copies of its own and an equal " +
      "part of the budget of `[filter]`. They are known as `redundant-2` and `redundant-3`, in the order of the " +
      "tables. `remediate box` makes them join and leave.",
  ),
  list(
    "stage",
    STAGE,
    "Further boxes in the way, behind those of `[ports]` as seen from the clients: a firewall, then an IDS, then a " +
      "NAT. Each stage has a primary and a redundant box of its own, and fails over by itself. It has a plane of " +
      "its own, joined to the one before by shared memory, and the rest of this file in common with it: `[filter]` " +
      "but for `preset`, and all of `[plane]`, memory included. `remediate --stage NAME` asks it.",
  ),
  section("plane", PLANE, "The packet process. A change takes effect when the plane starts again."),
  section("filter", FILTER, "Which packets are copied to the standby."),
  list(
    "filter.rules",
    RULE,
    "Rules of your own, in order, ahead of the preset's. The first that matches wins.",
  ),
  section("filter.ages", AGES, "How long a flow may be idle before it is forgotten."),
  section("failover", FAILOVER, "When the traffic moves."),
  section("failover.votes", VOTES, "What the detectors' red lights add up to."),
  section("failover.damping", DAMPING, "What becomes of a box that dies again and again."),
  list(
    "check",
    CHECK,
    "Questions to a box itself (of the first stage in a chain): is it there? What they are worth: `failover.votes.check`.",
  ),
  list("bfd", BFD, "Sessions of BFD (RFC 5880, 5881, 5883) with boxes that speak it."),
  list(
    "probe",
    PROBE,
    "Frames of the node's own that go through the boxes, any number of them up to 16. What they find moves the traffic.",
  ),
  section("grey", GREY, "Loss, delay and repetition of real traffic through the serving box."),
  section("match", MATCH, "How many of the live connections each standby would carry on."),
  section("seed", SEED, "Connections that the node plays into boxes, for rules that say `seed`."),
  section("seed.capacity", CAPACITY, CAPACITY_HELP),
  section("restore", RESTORE, "What has to be so before traffic goes back by itself, besides `[failover]`."),
  section("capture", CAPTURE, "Frames of the mirror for people to look at."),
  section("recorder", RECORDER, "The flight recorder: decisions, with all they depended on."),
  section("drill", DRILL, "Canaries: connections of the node's own through the box that does not serve."),
  section("api", API, "The local API that the command line uses."),
  section("log", LOG, "What is written to standard error."),
  list(
    "switch",
    SWITCH,
    "Switches of the site that the node drives by OpenFlow 1.3, in place of carrying the traffic itself. One stands " +
      "on both sides of the boxes, or two on a side each.",
  ),
];

function list(path: string, keys: Keys, help: string): Section {
  return { path, list: true, help, keys };
}

function section(path: string, keys: Keys, help: string): Section {
  return { path, list: false, help, keys };
}

function flag(help: string, example = "true") {
  return { type: "boolean", default: null, absent: "as in `preset`, else false", example, help } as const;
}

function count(max: number, help: string) {
  const absent = "as in `preset`, else 0";
  return { type: "integer", min: 1, max, zero: "off", default: null, absent, example: "0", help } as const;
}

function bytes(help: string, other?: string) {
  const absent = other === undefined ? {} : { absent: `as \`${other}\`` };
  return { ...count(4294967295, help), ...absent };
}

function age(seconds: number, what: string) {
  return { type: "integer", min: 1, max: 604800, default: seconds, help: `${what}.` } as const;
}

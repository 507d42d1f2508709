/**
 * The one table of configuration keys.
 *
 * Validation (config.ts), the commented example and docs/configuration.md are all derived from it: a key is
 * declared here once, with its type, bounds, default and help, or it does not exist. Names carry their unit
 * last.
 */
import { type Keys, pathFault } from "./config_key.ts";
import { API } from "./config_keys_api.ts";
import { BFD } from "./config_keys_bfd.ts";
import { CAPTURE } from "./config_keys_capture.ts";
import { AGES, FILTER, RULE } from "./config_keys_filter.ts";
import { DRILL } from "./config_keys_drill.ts";
import { FLEET } from "./config_keys_fleet.ts";
import { CHECK } from "./config_keys_check.ts";
import { DAMPING, SILENCE, VOTES } from "./config_keys_votes.ts";
import { SWITCH } from "./config_keys_external.ts";
import { SWITCHING } from "./config_keys_switching.ts";
import { MATCH, RESTORE } from "./config_keys_match.ts";
import { CAPACITY, CAPACITY_HELP, SEED } from "./config_keys_seed.ts";
import { VNF } from "./config_keys_vnf.ts";
import { DRIVER, DRIVER_HELP, driverKeys, REPOSITORY } from "./config_keys_state.ts";
import { GREY, PROBE } from "./config_keys_probe.ts";
import { RECORDER } from "./config_keys_recorder.ts";
import { PORTS, REDUNDANT, STAGE } from "./config_keys_ports.ts";
import { PLANE } from "./config_plane.ts";
import { parseWindow } from "./failover/window.ts";

export { PLANE, PORTS, REDUNDANT, STAGE };
export { RULES_MAX } from "./config_keys_filter.ts";
export { AGES, DRIVER, FILTER, REPOSITORY, RULE };
export { REDUNDANT_MAX, STAGES_MAX } from "./config_keys_ports.ts";

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

export const FAILOVER = {
  automatic: {
    type: "boolean",
    default: true,
    help: "Whether the plane switches by itself. With `false` it only reports, and a person switches.",
  },
  learning_first: {
    type: "boolean",
    default: false,
    help:
      "A node that nobody has armed or disarmed yet begins by learning: it copies, compares and judges, says " +
      "what it would have done, and moves nothing until `remediate arm`.",
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
  choose: {
    type: "choice",
    choices: ["order", "weight"],
    default: "order",
    help:
      "Which of several redundant boxes takes over: by `order`, or by `weight` the one whose weight times its share " +
      "of live connections that it would carry on now is highest. Another is next in line only when it is clearly " +
      "better (by a ninth), judged once in a second.",
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
  API,
  BFD,
  CAPACITY,
  CAPTURE,
  CHECK,
  DAMPING,
  DRILL,
  FLEET,
  GREY,
  MATCH,
  PROBE,
  RECORDER,
  RESTORE,
  SEED,
  SWITCH,
  VOTES,
};

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
  /** Of tables that people name, [driver.NAME]: the keys of one. */
  readonly named?: (table: Readonly<Record<string, unknown>>) => Keys;
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
  list(
    "vnf",
    VNF,
    "Boxes that the node starts, looks after and stops by itself: a template each, of what runs in a namespace, a " +
      "container or a unit that is wired to the ports of a box. `remediate vnf` lists and orders them.",
  ),
  section("grey", GREY, "Loss, delay and repetition of real traffic through the serving box."),
  section("match", MATCH, "How many of the live connections each standby would carry on."),
  section("seed", SEED, "Connections that the node plays into boxes, for rules that say `seed`."),
  section("seed.capacity", CAPACITY, CAPACITY_HELP),
  section("restore", RESTORE, "What has to be so before traffic goes back by itself, besides `[failover]`."),
  section("capture", CAPTURE, "Frames of the mirror for people to look at."),
  section("recorder", RECORDER, "The flight recorder: decisions, with all they depended on."),
  section("drill", DRILL, "Canaries: connections of the node's own through the box that does not serve."),
  section("api", API, "How people and machines reach the node."),
  section("fleet", FLEET, "The controller that this node reports to. `remediate fleet agent` does so."),
  section("log", LOG, "What is written to standard error."),
  { ...section("driver", DRIVER, DRIVER_HELP), named: driverKeys },
  section("repository", REPOSITORY, "Where drivers' records are, sealed, between the boxes."),
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

/** The keys that name ports, [ports], [[redundant]] and [[stage]]: a part of the table in config_keys.ts. */
import { BOX } from "../filter/names.ts";
import type { Preset } from "../filter/rule.ts";
import type { Keys } from "./config_key.ts";
import { isPort, parsePort, PORT_FORM } from "./config_ports.ts";

export const KINDS = ["nat", "lb", "firewall", "ids", "ids-full"] as const satisfies readonly Preset[];

function portKey(example: string, help: string) {
  return {
    type: "text",
    required: true,
    default: null,
    form: PORT_FORM,
    fault: portFault,
    example,
    help,
  } as const;
}

export const PORTS = {
  upstream: portKey("0000:03:00.0", "The port towards the clients."),
  downstream: portKey("0000:03:00.1", "The port towards the servers."),
  primary_in: portKey("0000:04:00.0", "The port to the client side of the primary."),
  primary_out: portKey("0000:04:00.1", "The port to the server side of the primary."),
  redundant_in: portKey("0000:05:00.0", "The port to the client side of the redundant box."),
  redundant_out: portKey("0000:05:00.1", "The port to the server side of the redundant box."),
} as const satisfies Keys;

export const REDUNDANT_MAX = BOX.length - 2;

export const REDUNDANT = {
  name: {
    type: "text",
    default: null,
    absent: "`redundant-2` for the first table, `redundant-3` for the second",
    example: "fw-c",
    form: "1 to 31 letters, digits, dots, dashes and underscores, beginning with a letter or digit",
    fault: (text) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$/.test(text) ? null : "is no name",
    help: "What people call the box. Commands take this name and the one it has by its place.",
  },
  in: portKey("0000:06:00.0", "The port to its client side."),
  out: portKey("0000:06:00.1", "The port to its server side."),
  order: {
    type: "integer",
    min: 1,
    max: 1000,
    default: null,
    absent: "200 for the first table, 300 for the second",
    example: "200",
    help:
      "Who takes over when the box that serves dies: of those alive, without a fault for `failover.hold_up_ms`, " +
      "the one with the lowest number. The primary has 0, the redundant box of `[ports]` 100.",
  },
  weight: {
    type: "integer",
    min: 1,
    max: 1000,
    default: 100,
    help: 'What the box is worth with `failover.choose = "weight"`. The redundant box of `[ports]` has 100.',
  },
} as const satisfies Keys;

export const STAGES_MAX = 4;

export const STAGE = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: "1 to 16 lower case letters and digits, beginning with a letter",
    fault: (text) => /^[a-z][a-z0-9]{0,15}$/.test(text) ? null : "is no name of a stage",
    example: "ids",
    help: "Names the stage in commands, and its directories below those of the node.",
  },
  primary_in: portKey("0000:07:00.0", "The port to the client side of its primary."),
  primary_out: portKey("0000:07:00.1", "The port to the server side of its primary."),
  redundant_in: portKey("0000:08:00.0", "The port to the client side of its redundant box."),
  redundant_out: portKey("0000:08:00.1", "The port to the server side of its redundant box."),
  preset: {
    type: "choice",
    choices: [...KINDS, "none"],
    default: null,
    absent: "as in `[filter]`",
    example: "ids",
    help: "What is copied to its standby, as `preset` of `[filter]`.",
  },
} as const satisfies Keys;

function portFault(text: string): string | null {
  const found = parsePort(text);
  return isPort(found) ? null : found.reason;
}

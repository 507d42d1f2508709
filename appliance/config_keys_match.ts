/** The keys of [match], a part of the table in config_keys.ts. */
import type { Keys } from "./config_key.ts";

export const MATCH = {
  alarm_below: {
    type: "integer",
    min: 1,
    max: 100,
    zero: "off",
    default: 95,
    help:
      "Percent of the live flows compared that a standby would carry on. With fewer it is yellow, which is an event, and " +
      "the node is not ready to fail over to it. `remediate flows --unlike` lists the others.",
  },
  clear_from: {
    type: "integer",
    min: 1,
    max: 100,
    default: 98,
    help: "From so many percent on, all is well again.",
  },
  flows_min: {
    type: "integer",
    min: 1,
    max: 1_000_000,
    default: 10,
    help: "Fewer flows compared say nothing.",
  },
  hold_ms: {
    type: "integer",
    min: 0,
    max: 3_600_000,
    default: 500,
    help: "It has to last so long, either way.",
  },
} as const satisfies Keys;

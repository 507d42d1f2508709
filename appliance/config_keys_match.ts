/** The keys of [match] and [restore], a part of the table in config_keys.ts. */
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
    help:
      "It has to last so long, either way. What a standby drops is known after a second without an answer, which counts.",
  },
} as const satisfies Keys;

export const RESTORE = {
  match_min: {
    type: "integer",
    min: 1,
    max: 100,
    zero: "off",
    default: 95,
    help:
      "Percent of the live flows compared that the primary has to carry on before traffic goes back to it by itself. " +
      "It is warmed by copies and seeds meanwhile. With fewer than `match.flows_min` flows nothing is waited for; with " +
      "fewer compared, but more alive, it is.",
  },
  match_wait_s: {
    type: "integer",
    min: 1,
    max: 604_800,
    default: 600,
    help: "How long that is waited for, from when the traffic could go back otherwise.",
  },
  match_overdue: {
    type: "choice",
    choices: ["go", "stay"],
    default: "go",
    help:
      "What happens then: `go` goes back all the same, `stay` waits on until the match is good. Either is an event.",
  },
} as const satisfies Keys;

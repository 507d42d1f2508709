/**
 * The keys of [failover.votes], [failover.damping] and of learnt silence, a part of the table in config_keys.ts.
 *
 * A lost link and silence have no weight: both are facts about the traffic itself, and each suffices.
 */
import type { Keys } from "./config_key.ts";

/** Of learnt silence, where `silence_ms` is not given. */
export const SILENCE_MS_MIN = 6;

const LAST_BOX_SILENCES = 10;
const LAST_BOX_MS = 200;

/** How long proof has to last before it takes traffic from a box that has no other beside it. */
export function lastBoxMs(silenceMs: number): number {
  return silenceMs === 0 ? LAST_BOX_MS : LAST_BOX_SILENCES * silenceMs;
}

/** Bounds of the silence that is learnt, a part of [failover]. */
export const SILENCE = {
  silence_ms_min: {
    type: "integer",
    min: 1,
    max: 60000,
    zero: "nothing is learnt",
    default: null,
    absent: "6, or 0 where `silence_ms` is given: who chooses a time is taken at their word",
    example: "6",
    help:
      "Where output is dense and never pauses, silence is judged earlier: after four times the longest silence " +
      "that is usual there, and never before this.",
  },
  silence_ms_max: {
    type: "integer",
    min: 1,
    max: 60000,
    zero: "as `silence_ms`",
    default: 0,
    help: "Where long silences are usual, a box is judged later, and never later than this.",
  },
  silence_learn_s: {
    type: "integer",
    min: 1,
    max: 86400,
    default: 60,
    help: "So much steady traffic has to have come out of a box, each way, before it is judged earlier.",
  },
} as const satisfies Keys;

/** Detectors that have votes. */
export const VOTERS = ["probe", "bfd", "grey", "check"] as const;

export const VOTES = {
  needed: {
    type: "integer",
    min: 1,
    max: 400,
    default: 1,
    help:
      "Votes that make a box dead, added up over its detectors that are red. A lost link and silence suffice by " +
      "themselves.",
  },
  probe: weight("probes through the box (`[[probe]]`)"),
  bfd: weight("BFD (`[[bfd]]`)"),
  grey: weight("grey failure (`[grey]`)"),
  check: weight("checks of the box itself (`[[check]]`)"),
  probe_stale_ms: stale(3000),
  bfd_stale_ms: stale(3000),
  grey_stale_ms: stale(5000),
  check_stale_ms: stale(5000),
  last_box: {
    type: "choice",
    choices: ["keep", "proven", "leave"],
    default: "proven",
    help:
      "What votes do to a box that has no other beside it, by `dead_policy`. `keep`: nothing, a doubtful box is " +
      "better than none. `proven`: probes and BFD, which show that nothing passes, take the traffic away if their " +
      "votes suffice without others for ten silences. `leave`: any votes that suffice, at once.",
  },
} as const satisfies Keys;

export const DAMPING = {
  half_life_s: {
    type: "integer",
    min: 1,
    max: 86400,
    default: 900,
    help: "Each death of a box costs it 1000 points; half of what it has is forgotten in this time.",
  },
  suppress_above: {
    type: "integer",
    min: 1000,
    max: 1000000,
    zero: "off",
    default: 2000,
    help:
      "A box with more points than this is suppressed: traffic does not return to it, and where there is a " +
      "choice another box is taken. It still serves while no other is alive.",
  },
  reuse_below: {
    type: "integer",
    min: 1,
    max: 1000000,
    default: 750,
    help: "A suppressed box is like any other again when it has fewer points than this.",
  },
  suppress_s_max: {
    type: "integer",
    min: 1,
    max: 604800,
    default: 3600,
    help: "No box stays suppressed for longer after its last death.",
  },
} as const satisfies Keys;

function weight(what: string) {
  return {
    type: "integer",
    min: 1,
    max: 100,
    zero: "only shown",
    default: 1,
    help: `How many votes ${what} have.`,
  } as const;
}

function stale(ms: number) {
  return {
    type: "integer",
    min: 100,
    max: 3600000,
    zero: "never",
    default: ms,
    help: "What it said longer ago than this counts as not said.",
  } as const;
}

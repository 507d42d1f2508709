/** The keys of [seed], a part of the table in config_keys.ts. */
import type { Keys } from "./config_key.ts";

export const SEED = {
  rate: {
    type: "integer",
    min: 1,
    max: 1_000_000,
    default: 2000,
    help: "Flows per second that resync and refresh seed into a box, four small frames each.",
  },
  resync: {
    type: "choice",
    choices: ["off", "joins", "switches"],
    default: "joins",
    help:
      "When all live connections are seeded without being asked for: never, into a box that joins or comes back, or into " +
      "the box that serves after a switch as well. `remediate resync` does it at any time.",
  },
  refresh_s: {
    type: "integer",
    min: 1,
    max: 86_400,
    zero: "off",
    default: 0,
    help:
      "So often standbys get the live connections again of which nothing was copied meanwhile, so that they forget none. " +
      "It takes the place of `keepalive_s`.",
  },
  wait_ms: {
    type: "integer",
    min: 1,
    max: 1000,
    default: 20,
    help:
      "A box that is not known to choose the same binding is given so long, twice, to let out the first frame of a seed; " +
      "frames of the connection wait. Then the rest is played all the same.",
  },
} as const satisfies Keys;

const room = {
  type: "integer",
  min: 1,
  max: 100_000_000,
  zero: "more than there are",
  default: 0,
  help: "Flows that this box's table holds.",
} as const;

/** The keys of [seed.capacity]. */
export const CAPACITY = {
  primary: room,
  redundant: room,
  redundant_2: room,
  redundant_3: room,
} as const satisfies Keys;

export const CAPACITY_HELP =
  "Boxes whose table holds fewer flows than there are. While such a box stands by it gets those that are worth most: " +
  "busy and young before old and idle. Others are not copied to it once it is full, and are taken out of it for " +
  "better ones, for rules that say `seed`.";

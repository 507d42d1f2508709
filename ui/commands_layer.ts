/** The commands of the layer, a part of the table in commands.ts. */
import { GUARANTEES } from "../appliance/layer/steering.ts";
import type { Command, Option } from "./commands.ts";
import type { Shared } from "./commands_capture.ts";
import { DEFAULT_GUARANTEE } from "./layer_requests.ts";

const SRC = { name: "SRC", help: "The driver of the box that has the state." };
const DST = { name: "DST", help: "The driver of the box that is to have it." };
const FIELDS = {
  name: "FIELDS",
  help: 'Header fields in one word, stars and what is missing match all: "tcp 10.1.0.0/16 * > * 80", "all".',
};

const GUARANTEE: Option = {
  name: "guarantee",
  value: "KIND",
  choices: GUARANTEES,
  default: DEFAULT_GUARANTEE,
  help: "What holds while the flows move: state of no frame lost, also their order, or nothing.",
};

const REFUSED = "no node answers, or it refuses, or the move went back";

/** The longer names first: the first that fits is taken. */
export function layerCommands({ remote, json, exits }: Shared): readonly Command[] {
  const shared = { options: [...remote, GUARANTEE, json], exits: { ...exits, 1: REFUSED } };
  return [...stateCommands({ remote, json, exits }), ...applications(shared)];
}

type Rest = Pick<Command, "options" | "exits">;

function stateCommands({ remote, json, exits }: Shared): readonly Command[] {
  const told = { ...exits, 1: REFUSED };
  return [
    {
      name: "state moves",
      summary: "List moves of state: those under way, and the last that ended",
      text: "Oldest first, each with its step of the eight, its age, what it carried and why it went back.",
      arguments: [],
      options: [...remote, json],
      examples: [{ line: "remediate state moves", help: "Where is it?" }],
      exits,
    },
    {
      name: "state move",
      summary: "Move flows and their state from one box to another, all or nothing",
      text:
        "Eight steps: op, get, send, insert, event, reprocess, route, delete. Whatever dies in between, the " +
        "flows end up wholly at DST or wholly at SRC. Frames wait for some milliseconds, unless nothing is guaranteed.",
      arguments: [SRC, DST, FIELDS],
      options: [...remote, GUARANTEE, json],
      exits: told,
      examples: [{ line: 'remediate state move fw-a fw-b "* 10.1.2.0/24"', help: "One subnet of clients." }],
    },
    {
      name: "state clone",
      summary: "Copy the supporting state of one box into another",
      text: "No flow is led elsewhere. Run again, it brings what is missing or newer.",
      arguments: [SRC, DST],
      options: [...remote, json],
      examples: [{ line: "remediate state clone fw-a fw-b", help: "Warm a box that is to help." }],
      exits: told,
    },
    {
      name: "state merge",
      summary: "Merge what one box has and has counted into another",
      text:
        "Supporting state: the higher version stays. Counts by their kind: sum, max, union; then they are " +
        "deleted at SRC, which must not serve any more. Run again, it adds nothing twice. Conflicts are named.",
      arguments: [SRC, DST],
      options: [...remote, json],
      examples: [{ line: "remediate state merge fw-b fw-a", help: "Before fw-b is stopped." }],
      exits: told,
    },
  ];
}

function applications(shared: Rest): readonly Command[] {
  return [
    {
      name: "scale-out",
      summary: "Let a further box take over some flows",
      text: "Clones the supporting state, then moves the flows.",
      arguments: [SRC, DST, FIELDS],
      ...shared,
      examples: [{ line: 'remediate scale-out fw-a fw-b "* * * > 10.2.0.12"', help: "One of two servers." }],
    },
    {
      name: "scale-in",
      summary: "Take all flows and counts back from a further box",
      text: "Moves every set of flows that was led to SRC, then merges.",
      arguments: [SRC, DST, { ...FIELDS, optional: true }],
      ...shared,
      examples: [{ line: "remediate scale-in fw-b fw-a", help: "Then fw-b may be stopped." }],
    },
    {
      name: "migrate",
      summary: "Move everything that a box serves to another",
      text: "Clones, moves all flows, merges, and has the path follow, as a planned switchover does.",
      arguments: [SRC, DST],
      ...shared,
      examples: [{ line: "remediate migrate fw-old fw-new", help: "Live, to a box of another make." }],
    },
  ];
}

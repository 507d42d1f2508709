/** Commands on the boxes of a node: a part of the table in commands.ts. */
import type { Command, Option } from "./commands.ts";

const BOX = { name: "BOX", help: "By either of its names, as `remediate box list` tells them." } as const;

interface Shared {
  readonly remote: readonly Option[];
  readonly json: Option;
  readonly exits: Command["exits"];
}

export function boxCommands(shared: Shared): Command[] {
  const { remote, json, exits } = shared;
  return [
    {
      name: "box list",
      summary: "List the boxes: who serves, who stands by, who is away",
      text: "Each has the name of its place and the one that the configuration gives it.",
      arguments: [],
      options: [...remote, json],
      examples: [{ line: "remediate box list", help: "All of them." }],
      exits,
    },
    {
      name: "box join",
      summary: "Let a box join: it gets copies, and takes over when it is warm",
      text:
        "Copies begin at once; it is chosen when it has been there for failover.hold_up_ms. That lasts over " +
        "restarts.",
      arguments: [BOX],
      options: remote,
      examples: [{ line: "remediate box join redundant-2", help: "After it was mended." }],
      exits,
    },
    {
      name: "box leave",
      summary: "Let a box leave: it gets no copies and does not take over",
      text: "Refused while it serves. That lasts over restarts, until it joins.",
      arguments: [BOX],
      options: remote,
      examples: [{ line: "remediate box leave redundant-2", help: "It is lent to somebody." }],
      exits,
    },
    {
      name: "maintenance on",
      summary: "Have a box out of the way before you work on it",
      text:
        "If it serves, the traffic moves first, without loss, to the best other box that is alive and warm; " +
        "without one nothing changes. Then it leaves: no copies, no takeover, over restarts as well.",
      arguments: [BOX],
      options: remote,
      examples: [{ line: "remediate maintenance on primary", help: "Before its software is updated." }],
      exits,
    },
    {
      name: "maintenance off",
      summary: "Have a box back after work on it",
      text:
        "It joins: it gets copies at once and is chosen when it has been there for failover.hold_up_ms. The " +
        "traffic comes back to the primary as failover.failback says.",
      arguments: [BOX],
      options: remote,
      examples: [{ line: "remediate maintenance off primary", help: "The work is done." }],
      exits,
    },
    resyncCommand(shared),
  ];
}

function resyncCommand({ remote, exits }: Pick<Shared, "remote" | "exits">): Command {
  return {
    name: "resync",
    summary: "Seed all live connections into a box, the busiest first",
    text:
      "For rules that say `seed`. It goes on by itself at [seed] rate; `status` shows how far it is, an event tells " +
      "the result. A box that joins or comes back is given them without being asked for, as [seed] resync says.",
    arguments: [],
    options: [
      ...remote,
      { name: "box", value: "BOX", help: "By either of its names; else the first that stands by." },
      { name: "stop", help: "End one that goes on." },
    ],
    examples: [
      { line: "remediate resync", help: "After the redundant box was restarted." },
      { line: "remediate resync --box redundant-2 --stop", help: "Not now." },
    ],
    exits,
  };
}

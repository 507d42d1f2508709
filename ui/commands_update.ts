/** The commands on updates of an appliance image, a part of the table in commands.ts. */
import type { Shared } from "./commands_capture.ts";
import type { Command } from "./commands.ts";

const EXITS = {
  0: "done",
  1: "refused, or this machine is no appliance image",
  2: "bad arguments",
} as const;

export function updateCommands({ json }: Shared): readonly Command[] {
  return [
    {
      name: "update status",
      summary: "Show the slots, what became of updates, and versions that failed",
      text: "A slot on trial has three starts to prove itself; then the last good one is taken.",
      arguments: [],
      options: [json],
      examples: [{
        line: "remediate update status",
        help: "Which version runs, and which is there to go back to.",
      }],
      exits: EXITS,
    },
    {
      name: "update restart",
      summary: "Restart the machine, into the slot that is first",
      text: "Traffic stands while the machine starts, unless a relay, a switch or a second node carries it.",
      arguments: [],
      options: [],
      examples: [{ line: "remediate update restart", help: "Into the version that was installed." }],
      exits: EXITS,
    },
    {
      name: "update rollback",
      summary: "Start from the other slot next time, if it was good once",
      text: "Nothing restarts yet. The configuration of then comes back if that version cannot read today's.",
      arguments: [],
      options: [],
      examples: [{ line: "remediate update rollback && remediate update restart", help: "Back, now." }],
      exits: EXITS,
    },
    ...MACHINE,
    // Behind those of two words, whose first word it is.
    {
      name: "update",
      summary: "Write a bundle into the slot that does not run",
      text:
        "The bundle's signature, board and version are judged first; whatever is refused changes nothing. Traffic " +
        "goes on. The new version is tried at the next start: `remediate update restart`.",
      arguments: [{ name: "FILE", help: "The bundle, a .raucb file." }],
      options: [
        { name: "digest", value: "HEX", help: "Refuse it unless its SHA-256 is this." },
        {
          name: "force",
          help: "Take a version that is older than the running one, or that failed here before.",
        },
        json,
      ],
      examples: [{ line: "remediate update remediate-0.2.0.raucb", help: "Then restart when it suits." }],
      exits: EXITS,
    },
  ];
}

/** What units of the image run. */
const MACHINE = [
  machine("judge", "Judge this start: good, or back to the other slot"),
  machine("settings", "Choose the configuration that this slot can read"),
  machine("backend", "Answer RAUC for the boot loader", {
    arguments: [
      { name: "VERB", help: "get-primary, set-primary, get-state, set-state or get-current." },
      { name: "SLOT", optional: true, help: "a or b." },
      { name: "STATE", optional: true, help: "good or bad." },
    ],
  }),
];

function machine(name: string, summary: string, more: Partial<Command> = {}): Command {
  return {
    ...{ name: `update ${name}`, summary, text: "Called by the machine, not by people.", arguments: [] },
    ...{ options: [], examples: [], exits: EXITS },
    ...more,
  };
}

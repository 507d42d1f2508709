/** `drivers` and `state` in the table of subcommands. */
import { STATE_ROLES } from "../drivers/record_json.ts";
import type { Argument, Command, Option } from "./commands.ts";

interface Shared {
  readonly remote: readonly Option[];
  readonly json: Option;
  readonly exits: Command["exits"];
}

const DRIVER: Argument = { name: "DRIVER", help: "By its name in the configuration." };
const FIELDS: Argument = {
  name: "FIELDS",
  optional: true,
  help:
    'Of which flows: "PROTOCOL SOURCE PORT > DESTINATION PORT", with prefixes, ranges and stars; without it all.',
};
const ROLE: Option = {
  name: "role",
  value: "ROLE",
  choices: STATE_ROLES,
  help: "Only state of this role.",
};

export function stateCommands({ remote, json, exits }: Shared): readonly Command[] {
  return [
    {
      name: "drivers",
      summary: "List the kinds of state drivers, those that run, and how far replicas are",
      text:
        "Of each driver its state, since when, how often it failed, and the counts of the way to its box. The " +
        "lag of a replica is the number of changes that its source has told and it has not put.",
      arguments: [],
      options: [...remote, json],
      examples: [{
        line: "remediate drivers",
        help: "Does every driver run, and is every replica up to date?",
      }],
      exits: { ...exits, 0: "every driver runs", 4: "one does not, or the repository is out of reach" },
    },
    {
      name: "state get",
      summary: "Read the state of a box",
      text:
        "Asks the driver for what there is now. With --json a line for each record, as `state put` reads them.",
      arguments: [DRIVER, FIELDS],
      options: [...remote, ROLE, json],
      examples: [
        { line: "remediate state get fw-a", help: "All of it." },
        { line: 'remediate state get fw-a "tcp 10.1.0.0/16 * > * 443" --json', help: "Of some flows." },
      ],
      exits: { ...exits, 0: "read" },
    },
    {
      name: "state put",
      summary: "Write state into a box",
      text:
        "Reads records from standard input, one JSON object a line, and puts them in order. With one line that " +
        "is no record nothing is put; what the box refuses is told by name.",
      arguments: [DRIVER],
      options: [...remote, json],
      examples: [
        {
          line: "remediate state get fw-a --json | remediate state put fw-b",
          help: "From one box into another.",
        },
      ],
      exits: { ...exits, 0: "all was taken or known", 1: "something was refused, or no node answers" },
    },
    {
      name: "state del",
      summary: "Delete state of a box",
      text: "FIELDS must be given: `all` for everything.",
      arguments: [DRIVER, { name: FIELDS.name, help: `${FIELDS.help.split(";")[0]}.` }],
      options: [...remote, ROLE, json],
      examples: [{ line: 'remediate state del fw-a "tcp 10.1.0.11"', help: "Of one client." }],
      exits: { ...exits, 0: "deleted" },
    },
  ];
}

/** Commands on whether a node acts by itself: a part of the table in commands.ts. */
import type { Command, Option } from "./commands.ts";

interface Shared {
  readonly remote: readonly Option[];
  readonly exits: Command["exits"];
}

export function modeCommands({ remote, exits }: Shared): Command[] {
  return [
    {
      name: "arm",
      summary: "Let a node that learns move traffic by itself",
      text:
        "Refused, unless forced, where it would move the traffic at once. Of a chain all stages, unless --stage " +
        "names one. That lasts over restarts.",
      arguments: [],
      options: [...remote, { name: "force", help: "Arm although the traffic would move at once." }],
      examples: [{ line: "remediate arm", help: "When what it learnt looks right." }],
      exits: { ...exits, 0: "armed" },
    },
    {
      name: "disarm",
      summary: "Have a node learn: it copies, compares and judges, and moves nothing",
      text:
        "Events say what it would have done. A person still can, with `switchover --force`. Of a chain all " +
        "stages, unless --stage names one. That lasts over restarts.",
      arguments: [],
      options: remote,
      examples: [{ line: "remediate disarm", help: "Before work on the network around it." }],
      exits: { ...exits, 0: "it learns" },
    },
  ];
}

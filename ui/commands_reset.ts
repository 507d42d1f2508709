/** The command back to a new node, a part of the table in commands.ts. */
import type { Command, Option } from "./commands.ts";

interface Shared {
  readonly remote: readonly Option[];
  readonly exits: Command["exits"];
}

export function resetCommand({ remote, exits }: Shared): Command {
  return {
    name: "reset",
    summary: "Make the node as it was when it was new; it forwards on",
    text:
      "Users, tokens, the device's own certificate, the history of configurations, events, records of state, captures " +
      "and recordings are removed. Control ends for that, and its service starts it again; the plane forwards on. The " +
      "configuration stays, for the traffic goes by it.",
    arguments: [],
    options: [
      ...remote,
      { name: "factory", help: "Required: nobody resets a node by mistake." },
      {
        name: "with-configuration",
        help: "Forget the configuration too. The plane goes by it until the machine starts again.",
      },
    ],
    examples: [{ line: "remediate reset --factory", help: "Before the machine goes to somebody else." }],
    exits: { ...exits, 2: "bad arguments, or --factory is missing" },
  };
}

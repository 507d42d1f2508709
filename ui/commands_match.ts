/** `match` in the table of subcommands. */
import type { Command, Option } from "./commands.ts";

interface Shared {
  readonly remote: readonly Option[];
  readonly json: Option;
  readonly exits: Command["exits"];
}

export function matchCommand({ remote, json, exits }: Shared): Command {
  return {
    name: "match",
    summary: "Show what standbys would carry on, whether that was ever proven, and why not all",
    text:
      "Of the live connections compared, those that a standby opened as the serving box did: now, at worst in the last " +
      "hour and day, by protocol. What was predicted before the last switch stands beside what lived after it. Likely " +
      "causes are told with what speaks for them; the flows themselves are listed by `flows --unlike`.",
    arguments: [],
    options: [
      ...remote,
      { name: "history", help: "A line for each minute of the last day, in place of the summary." },
      json,
    ],
    examples: [
      { line: "remediate match", help: "Would a failover now be noticed by anybody?" },
      { line: "remediate match --history", help: "When did it begin to differ?" },
    ],
    exits: { ...exits, 0: "no standby has been told to be below the bar", 4: "one has" },
  };
}

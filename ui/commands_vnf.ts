/** The commands on VNFs, a part of the table in commands.ts. */
import type { Command } from "./commands.ts";
import type { Shared } from "./commands_capture.ts";

const NAME = { name: "NAME", help: "The VNF, as [[vnf]] calls it." };

export function vnfCommands({ remote, json, exits }: Shared): readonly Command[] {
  const told = { ...exits, 1: "no node answers, or it refuses, or the VNF does not come up" };
  const options = [...remote, json];
  return [
    {
      name: "vnf list",
      summary: "List the boxes that the node starts itself",
      text: "With what each is at, its process, how often it was started again, and why it is not up.",
      arguments: [],
      options,
      examples: [{ line: "remediate vnf list", help: "Which are up?" }],
      exits,
    },
    {
      name: "vnf status",
      summary: "Show one of them",
      text: "Ends with 4 if it is not up although it should be.",
      arguments: [NAME],
      options,
      examples: [{ line: "remediate vnf status fw-b", help: "Is it up?" }],
      exits: { ...exits, 4: "it should be up and is not" },
    },
    {
      name: "vnf start",
      summary: "Start a VNF, and keep it up",
      text: "Waits until it is up. One that dies is started again, after longer and longer pauses.",
      arguments: [NAME],
      options,
      examples: [{ line: "remediate vnf start fw-b", help: "Before flows are moved to it." }],
      exits: told,
    },
    {
      name: "vnf stop",
      summary: "Stop a VNF, and keep it down",
      text: "By its `stop` command, then SIGTERM, then SIGKILL. Its flows are not moved: scale-in does that.",
      arguments: [NAME],
      options,
      examples: [{ line: "remediate vnf stop fw-b", help: "After scale-in." }],
      exits: told,
    },
  ];
}

/** The commands on drills, a part of the table in commands.ts. */
import type { Command } from "./commands.ts";
import type { Shared } from "./commands_capture.ts";

/** The longer names first: the first that fits is taken. */
export function drillCommands({ remote, json, exits }: Shared): readonly Command[] {
  return [
    {
      name: "drill list",
      summary: "List the drills whose reports are kept",
      text: "Oldest first. Reports are files in `drills` of the node's state directory.",
      arguments: [],
      options: [...remote, json],
      examples: [{ line: "remediate drill list", help: "When was it last proven?" }],
      exits,
    },
    {
      name: "drill verify",
      summary: "Check the signature of a drill's report",
      text:
        "Needs no node. The key in the report is believed unless --key names the one it must be signed with.",
      arguments: [{ name: "FILE", help: "A report, as --json prints it." }],
      options: [{ name: "key", value: "BASE64", help: "The node's public key, as its reports show it." }],
      examples: [{ line: "remediate drill verify report.json", help: "Has anybody changed it?" }],
      exits: { 0: "as it was signed", 1: "changed, or no report", 2: "bad arguments" },
    },
    {
      name: "drill",
      summary: "Prove that the box which stands by would serve, without touching traffic",
      text:
        "Canaries, connections of the node's own between the addresses of [drill], go through the box: opening, data " +
        "both ways, end. What the box sends is held back as ever. The report is signed with the node's key and kept.",
      arguments: [],
      options: [
        ...remote,
        { name: "box", value: "BOX", help: "The box; without it the one that would take over." },
        json,
      ],
      examples: [
        { line: "remediate drill", help: "Would it work?" },
        { line: "remediate drill --json > report.json", help: "Evidence for the files." },
      ],
      exits: {
        ...exits,
        0: "all canaries were as they should be",
        1: "some were not, or there was no drill",
      },
    },
  ];
}

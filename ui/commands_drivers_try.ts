/** The commands on log formats, which need no node, a part of the table in commands.ts. */
import type { Command } from "./commands.ts";
import type { Shared } from "./commands_capture.ts";

export function driversTryCommands({ json }: Shared): readonly Command[] {
  return [
    {
      name: "drivers try",
      summary: "Read a log from standard input and tell what of each line is understood",
      text:
        "Line by line: what happened to which connection, or why the line is not understood and how far it went " +
        "along with which rule. Syslog headers may be there or not. Totals are at the end. Needs no node and changes " +
        "nothing.",
      arguments: [{ name: "FORMAT", help: "By `remediate drivers formats`, or the path of a format file." }],
      options: [
        { name: "odd", help: "Only lines that are not understood." },
        json,
      ],
      examples: [
        { line: "remediate drivers try cisco-asa < asa.log", help: "Before the box is pointed at the node." },
        {
          line: "remediate drivers try conntrack < list.txt",
          help: "What of `conntrack -L` would be carried.",
        },
        { line: "remediate drivers try ./mine.toml --odd < box.log", help: "While a format is written." },
      ],
      exits: {
        0: "every line is understood, or passed over by a rule",
        1: "a line is not understood, or the format or the log cannot be read",
        2: "bad arguments",
      },
    },
    {
      name: "drivers formats",
      summary: "List the log formats, or print one as the file it is",
      text:
        "A format is data: how lines are split, and rules that say what happened. Print one to begin with, change it, " +
        "and give its path as `format` of a driver of kind syslog.",
      arguments: [{ name: "FORMAT", optional: true, help: "Print this one." }],
      options: [json],
      examples: [
        { line: "remediate drivers formats", help: "What comes with the product." },
        { line: "remediate drivers formats fortinet > mine.toml", help: "As a start for your own." },
      ],
      exits: { 0: "printed", 1: "there is no such format", 2: "bad arguments" },
    },
  ];
}

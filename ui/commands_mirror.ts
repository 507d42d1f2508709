/** The commands on captures that need no node, a part of the table in commands.ts. */
import { PRESETS } from "../filter/rule.ts";
import type { Command, Option } from "./commands.ts";
import type { Shared } from "./commands_capture.ts";

const POLICY: readonly Option[] = [
  {
    name: "preset",
    value: "NAME",
    choices: Object.keys(PRESETS),
    help: "Take the rules of this preset; without it and --config those of ids.",
  },
  { name: "config", value: "FILE", help: "Take the rules and flow ages of this configuration." },
];
const CAPTURE_EXITS = {
  0: "done",
  1: "a file cannot be read or written",
  2: "bad arguments or configuration",
} as const;

const explainCommand = (json: Option): Command => ({
  name: "mirror explain",
  summary: "Tell why each packet of a capture would be mirrored or not",
  text: "Flow by flow, in the order of their first packets. Neighbouring packets with the same answer are " +
    "one line; numbers are those of the packets in the capture.",
  arguments: [{ name: "FILE", help: "A pcap or pcapng file." }],
  options: [
    ...POLICY,
    { name: "flow", value: "TEXT", help: "Only flows with this in their protocol, addresses or ports." },
    { name: "limit", value: "N", min: 1, max: 10000, default: 20, help: "At most so many flows." },
    json,
  ],
  examples: [{
    line: "remediate mirror explain in.pcap --flow :443 --limit 1",
    help: "One flow of HTTPS.",
  }],
  exits: CAPTURE_EXITS,
});

const tuneCommand = (json: Option): Command => ({
  name: "mirror tune",
  summary: "Find the rule that keeps most of a capture for its price",
  text:
    "Tries a grid of rules: the first 0, 5 or 12 packets, the first 0, 1, 4 or 16 KiB of each direction, " +
    "and 0, 0.5, 4 or 16 KiB each time the client begins to talk (0.5 KiB for the other side). Prints the " +
    "share of bytes that each mirrors against what it keeps, where the curve bends, and the best rule " +
    "within the budget.",
  arguments: [{ name: "FILE", help: "A pcap or pcapng file." }],
  options: [
    {
      name: "judge",
      value: "JUDGE",
      choices: ["suricata", "none"],
      default: "none",
      help: "What counts as kept: signatures that Suricata raises on the copy too, or, with none, turns of " +
        "conversations whose first packet is in it.",
    },
    { name: "budget", value: "SHARE", default: "5%", help: "Of the bytes, at most so many." },
    {
      name: "signatures",
      value: "FILE",
      default: "/var/lib/suricata/rules/suricata.rules",
      help: "Rules for Suricata.",
    },
    {
      name: "plot",
      value: "FILE",
      help: "Draw the curve into this file: PNG if its name ends so, else SVG.",
    },
    json,
  ],
  examples: [{
    line: "remediate mirror tune in.pcap --budget 5% --plot curve.svg",
    help: "With a picture.",
  }],
  exits: CAPTURE_EXITS,
});

const copyCommand = (json: Option): Command => ({
  name: "mirror",
  summary: "Write what the standby would get of a capture to another",
  text: "The same filter as in the plane, without ports: the capture is taken as seen on the wire, both " +
    "directions of it. Of any size; pcap and pcapng are read, pcap with nanoseconds is written. Tells packets and " +
    "bytes mirrored by reason and by rule.",
  arguments: [],
  options: [
    { name: "read", value: "FILE", help: "The capture; must be given." },
    { name: "write", value: "FILE", help: "The copy; must be given. A file that is there is replaced." },
    ...POLICY,
    json,
  ],
  examples: [{
    line: "remediate mirror --read in.pcap --write out.pcap --preset ids",
    help: "As for an IDS.",
  }],
  exits: CAPTURE_EXITS,
});

/** The longer names first: the first that fits is taken. */
export function mirrorCommands({ json }: Shared): readonly Command[] {
  return [explainCommand(json), tuneCommand(json), copyCommand(json)];
}

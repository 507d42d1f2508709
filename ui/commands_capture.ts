/** The commands on captured frames, a part of the table in commands.ts. */
import { ALL_ROLES } from "../appliance/view.ts";
import type { Command, Option } from "./commands.ts";

const YEAR_S = 366 * 86_400;
const FILTER: Option = {
  name: "filter",
  value: "EXPR",
  help:
    "Only frames that this expression accepts, as of tcpdump (pcap-filter(7)). Events stand in the file in any case.",
};
const WRITE: Option = {
  name: "write",
  value: "FILE",
  default: "-",
  help: "Where to; - is standard output, which must not be a terminal. Others cannot read the file.",
};

/** What these commands share with all others. */
export interface Shared {
  readonly remote: readonly Option[];
  readonly json: Option;
  readonly exits: Command["exits"];
}

/** The longer names first: the first that fits is taken. */
export function captureCommands(shared: Shared): readonly Command[] {
  return [...ringCommands(shared), captureCommand(shared)];
}

function ringCommands({ remote, json, exits }: Shared): readonly Command[] {
  return [
    {
      name: "capture list",
      summary: "List the files of the ring of captured frames",
      text:
        "The ring is kept where capture.ring_mib is set. Its files are pcapng and can be opened as they are.",
      arguments: [],
      options: [...remote, json],
      examples: [{ line: "remediate capture list", help: "With the number of switches in each." }],
      exits,
    },
    {
      name: "capture get",
      summary: "Fetch what the ring of captured frames holds around the last switch",
      text: "One pcapng file out of those of the ring, cut to the time and the filter.",
      arguments: [],
      options: [
        ...remote,
        FILTER,
        WRITE,
        {
          name: "around",
          value: "SECONDS",
          min: 1,
          max: YEAR_S,
          default: 60,
          help: "So much before and after the last switch.",
        },
        {
          name: "last",
          value: "MINUTES",
          min: 1,
          max: Math.floor(YEAR_S / 60),
          help: "The last so many minutes instead.",
        },
      ],
      examples: [
        { line: "remediate capture get --write incident.pcapng", help: "After an incident." },
        { line: "remediate capture get --last 5 --write - | tshark -r -", help: "Read it at once." },
      ],
      exits,
    },
  ];
}

function captureCommand({ remote, exits }: Shared): Command {
  return {
    name: "capture",
    summary: "Record the frames that are mirrored, as pcapng",
    text:
      "From now on, until interrupted or as long as is said. Each packet tells in its comment why it was copied " +
      "and by which rule; switches and other events stand among them, as comments of frames on the interface `node`. Frames are " +
      "cut to capture.snap_bytes. Forwarding never waits for a capture: what it is too slow for is counted.",
    arguments: [],
    options: [
      ...remote,
      FILTER,
      { name: "seconds", value: "N", min: 1, max: YEAR_S, help: "End by itself after so long." },
      { name: "packets", value: "N", min: 1, max: 1e15 - 1, help: "End by itself after so many packets." },
      {
        name: "ports",
        value: "ROLES",
        help: `Also all that these ports receive and are handed, with commas between: ${
          ALL_ROLES.join(", ")
        }.`,
      },
      WRITE,
    ],
    examples: [
      { line: "remediate capture --seconds 10 --write mirror.pcapng", help: "Ten seconds of the mirror." },
      {
        line: "remediate capture --filter icmp --write - | tshark -r -",
        help: "Pings, watched.",
      },
    ],
    exits,
  };
}

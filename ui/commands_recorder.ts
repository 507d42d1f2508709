/** The commands on the flight recorder, a part of the table in commands.ts. */
import type { Shared } from "./commands_capture.ts";
import type { Command } from "./commands.ts";

const YEAR_S = 366 * 86_400;

export function recorderCommands({ remote, json, exits }: Shared): readonly Command[] {
  const turn = (on: boolean): Command => ({
    name: `recorder ${on ? "on" : "off"}`,
    summary: on ? "Record again" : "Stop recording until it is turned on again",
    text: on
      ? "It is on when control starts, wherever recorder.mib is not 0."
      : "What was recorded stays. Control that starts anew records again.",
    arguments: [],
    options: remote,
    examples: [],
    exits,
  });
  return [
    {
      name: "recorder status",
      summary: "Tell what the flight recorder holds and what it left out",
      text: "The recorder keeps the last decisions of the node with all they depended on.",
      arguments: [],
      options: [...remote, json],
      examples: [{ line: "remediate recorder status", help: "How far back it reaches." }],
      exits,
    },
    {
      name: "recorder save",
      summary: "Fetch what was recorded around the last switch, as one file",
      text:
        "A pcapng file that Wireshark opens, with each verdict in words, and that `replay` decides again. It holds the " +
        "first bytes of what users sent.",
      arguments: [{ name: "FILE", help: "Where to; - is standard output." }],
      options: [
        ...remote,
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
      examples: [{ line: "remediate recorder save incident.pcapng", help: "After an incident." }],
      exits,
    },
    turn(true),
    turn(false),
  ];
}

export function replayCommand({ json }: Pick<Shared, "json">): Command {
  return {
    name: "replay",
    summary: "Decide a recording again and tell whether everything comes out the same",
    text:
      "Every verdict on a frame, every step of the reflexes and every judgement of control in the file is taken again " +
      "by the code that took it, offline. Tells the first difference, and whether the file is as it was written. Packets " +
      "for which nothing was to be done are not recorded, so nothing is said of them.",
    arguments: [{ name: "FILE", help: "What `recorder save` wrote, or a file of the recorder's directory." }],
    options: [json, { name: "diff", help: "Tell every difference, not only the first." }],
    examples: [
      {
        line: "remediate replay incident.pcapng",
        help: "After an incident, or after an update of the software.",
      },
    ],
    exits: {
      0: "everything that can be told comes out the same",
      1: "something comes out otherwise, the file was changed, or it cannot be read",
      2: "bad arguments",
    },
  };
}

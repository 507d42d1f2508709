/** The command on probes, a part of the table in commands.ts. */
import type { Command } from "./commands.ts";
import type { Shared } from "./commands_capture.ts";

export function probeCommand({ remote, json, exits }: Shared): Command {
  return {
    name: "probe",
    summary: "List the probes through the boxes, and what real traffic shows",
    text:
      "One line for each probe, way and box: sent, come through, lost, the time through the box and when the last " +
      "one came. Below, the loss, delay and repetition of traffic through the box that serves, against what is usual.",
    arguments: [],
    options: [...remote, json],
    examples: [{ line: "remediate probe", help: "What the probes of the configuration say now." }],
    exits,
  };
}

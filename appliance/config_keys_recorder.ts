/** The keys of [recorder], a part of the table in config_keys.ts. */
import { type Keys, pathFault } from "./config_key.ts";

export const RECORDER = {
  mib: {
    type: "integer",
    min: 8,
    max: 65536,
    zero: "no recorder",
    default: 64,
    help:
      "Disk for the flight recorder: the last decisions of the node, each with all it depended on, so that " +
      "`remediate replay` can take them again. In pcapng files that only their owner can read; the oldest give way.",
  },
  hours: {
    type: "integer",
    min: 1,
    max: 8760,
    default: 24,
    help: "What is older is removed.",
  },
  rate: {
    type: "integer",
    min: 10,
    max: 20000,
    default: 1000,
    help:
      "Decisions per second that are recorded at most. Beyond it what was not copied is left out first and openings last; " +
      "the counter `record_shed` has how many. A decision takes about 600 bytes of disk, and control some " +
      "microseconds.",
  },
  snap_bytes: {
    type: "integer",
    min: 64,
    max: 1536,
    default: 96,
    help:
      "Bytes that are kept of each frame: headers, and little of what users send. A decision that depended on more cannot be " +
      "taken again, which is said. A change takes effect when the plane starts again.",
  },
  directory: {
    type: "text",
    default: null,
    absent: "`recorder` in `node.state_directory`",
    example: "/var/lib/remediate/recorder",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    help: "Where the files are.",
  },
} as const satisfies Keys;

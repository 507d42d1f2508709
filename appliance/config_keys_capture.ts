/** The keys of [capture], a part of the table in config_keys.ts. */
import { type Keys, pathFault } from "./config_key.ts";

export const CAPTURE = {
  buffer_mib: {
    type: "integer",
    min: 1,
    max: 1024,
    zero: "no captures",
    default: 4,
    help:
      "Memory through which captured frames leave the plane. It is written to only while somebody captures or a " +
      "ring is kept. More makes up for longer pauses of the reader. A change takes effect when the plane starts " +
      "again, as with `snap_bytes`.",
  },
  snap_bytes: {
    type: "integer",
    min: 64,
    max: 9600,
    default: 128,
    help:
      "Bytes that are kept of each frame. Captures hold what users send: the default holds headers and the first " +
      "bytes behind them. A place in the buffer takes as much and 40 bytes, whatever the frame's length.",
  },
  ring_mib: {
    type: "integer",
    min: 1,
    max: 65536,
    zero: "off",
    default: 0,
    help:
      "Disk for the last frames that were mirrored, with a comment at each event, in pcapng files that only " +
      "their owner can read. The oldest give way. `remediate capture get` fetches what was around a switch.",
  },
  directory: {
    type: "text",
    default: null,
    absent: "`capture` in `node.state_directory`",
    example: "/var/lib/remediate/capture",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    help: "Where that ring is.",
  },
} as const satisfies Keys;

/** The far end's command: a part of the table in commands.ts. */
import type { Command } from "./commands.ts";

export const farCommand: Command = {
  name: "far",
  summary: "Run the far end of remote ports, beside a redundant box that stands elsewhere",
  text: "Joins two interfaces to a node that has them as `remote:ADDRESS:PORT` (client side) and " +
    "`remote:ADDRESS:PORT+1` (server side). Runs in the foreground, needs no configuration, and tells of links and " +
    "losses on standard error. Listens to nobody who does not hold the key.",
  arguments: [],
  options: [
    {
      name: "listen",
      value: "ADDRESS:PORT",
      help: "Where the node calls: this UDP port for the client side, the next one for the server side.",
    },
    { name: "in", value: "IF", help: "The interface to the client side of the box." },
    { name: "out", value: "IF", help: "The interface to the server side of the box." },
    { name: "key", value: "FILE", help: "The key that the node has too: 16 to 256 bytes." },
    {
      name: "silence-ms",
      value: "N",
      min: 10,
      max: 60_000,
      default: 200,
      help: "A node that is silent for so long is gone.",
    },
    {
      name: "wait-ms",
      value: "N",
      min: 0,
      max: 10_000,
      default: 100,
      help: "How long what is missing may hold up what is behind it; 0: nothing is asked for again.",
    },
    {
      name: "reorder-us",
      value: "N",
      min: 0,
      max: 100_000,
      default: 500,
      help: "How late a datagram may be before it is asked for.",
    },
    { name: "ring-mib", value: "N", min: 1, max: 256, default: 8, help: "What is kept to be sent again." },
    { name: "mtu", value: "N", min: 576, max: 9216, help: "Of the way, if the route does not say it." },
    { name: "encrypt", help: "Frames are not only authenticated but hidden; the node must do the same." },
    {
      name: "frame-bytes-max",
      value: "N",
      min: 1518,
      max: 9216,
      default: 1522,
      help: "As plane.frame_bytes_max of the node.",
    },
    { name: "memory-mib", value: "N", min: 64, max: 65_536, default: 128, help: "Of frame buffers." },
    {
      name: "spin-us",
      value: "N",
      min: 0,
      max: 1_000_000,
      default: 200,
      help: "It polls for so long after a frame before it sleeps.",
    },
    {
      name: "core",
      value: "N",
      min: 0,
      max: 1023,
      help:
        "The CPU it stays on, which keeps frames of both its ports in their order. Without it the kernel chooses.",
    },
    {
      name: "board",
      value: "PATH",
      default: "/dev/shm/remediate-far",
      help: "Shared memory of its counters. Two far ends on one machine need one each.",
    },
  ],
  examples: [{
    line: "remediate far --listen 192.0.2.7:4790 --in eth1 --out eth2 --key channel.key",
    help: "For ports remote:192.0.2.7:4790 and remote:192.0.2.7:4791 of the node.",
  }],
  exits: { 0: "stopped as asked", 2: "bad arguments", 3: "it cannot run" },
};

/**
 * The keys of `[plane]`: processors, memory and sizes of the packet process.
 *
 * A part of the table in config_keys.ts. All of them are fixed for the life of a plane.
 */
import { FLOW_BYTES } from "../filter/names.ts";
import { LIMIT } from "../filter/names.ts";
import type { Keys } from "./config_key.ts";

export const PLANE = {
  core: {
    type: "integer",
    min: 0,
    max: 1023,
    default: null,
    absent: "not pinned",
    example: "2",
    help: "The CPU that the plane's worker stays on. Keep other work off it (isolcpus, cpusets). With more " +
      "`cores` the second worker stays on the next CPU, and so on.",
  },
  cores: {
    type: "integer",
    min: 1,
    max: LIMIT.workers,
    default: 1,
    help:
      "Workers of the plane, each for a core: 1, 2, 4, 8 or 16. With 2 one has the ports of the client side, " +
      "the other those of the server side. With more the flows of a side are spread over its workers, which needs " +
      "ports with a receive queue for each: `af_packet`, or a NIC by PCI address with symmetric RSS.",
  },
  hugepages: {
    type: "choice",
    choices: ["auto", "on", "off"],
    default: "auto",
    help:
      "`auto` uses hugepages where enough are free and says so when it runs without; `on` refuses to start " +
      "without; `off` never uses them. PCI ports need them.",
  },
  memory_mib: {
    type: "integer",
    min: 64,
    max: 65536,
    default: 256,
    help: "Memory for packet buffers. The flow tables are apart from it: see `flows_max`.",
  },
  flows_max: {
    type: "integer",
    min: 1024,
    max: 16777216,
    default: 131072,
    help: "Flows the node keeps track of on each side. The table gets the next power of two of at least " +
      `twice as many places, ${FLOW_BYTES} bytes each, on both sides: the default takes 96 MiB. When it is full ` +
      "the flow worth least gives way: one that nobody answered, else one unused for long. It is counted.",
  },
  frame_bytes_max: {
    type: "integer",
    min: 1518,
    max: 9600,
    default: 9216,
    help:
      "The largest Ethernet frame that passes, without its checksum; larger ones are dropped and counted.",
  },
  spin_us: {
    type: "integer",
    min: 1,
    max: 1000000,
    zero: "sleeps at once",
    default: 50,
    help: "How long the loop polls in vain before it sleeps until the next frame. More means fewer " +
      "wake-ups and more CPU.",
  },
} as const satisfies Keys;

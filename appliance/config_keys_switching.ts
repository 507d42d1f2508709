/** Keys of [failover] about what a switch does besides moving traffic, a part of the table in config_keys.ts. */
import type { Keys } from "./config_key.ts";

export const SWITCHING = {
  hold_ring_ms: {
    type: "integer",
    min: 1,
    max: 10000,
    zero: "off",
    default: null,
    absent: "`silence_ms` and 10 more if all ports are `af_packet`, else 0",
    example: "30",
    help:
      "Frames that entered a box so long ago at most and did not come out are put into the box that takes over, " +
      "once each and before newer ones, when a detector moved the traffic. Has to be longer than it takes to " +
      "notice that a box is dead. At most a quarter of the frame buffers are held. It costs some 15 ns a frame each " +
      "way: nothing to packet sockets, a fifth of what the fastest ports can do.",
  },
  guard_ms: {
    type: "integer",
    min: 1,
    max: 60000,
    zero: "off",
    default: 1000,
    help:
      "For so long after a switch, resets and ICMP errors by which the box that took over would end connections " +
      "that are known to be alive are held back, unless the other end sent them.",
  },
  fixup: {
    type: "boolean",
    default: true,
    help:
      "Where a box knows a flow by another binding than the network does, its packets are translated in both " +
      "directions until the flow ends. Without it such flows are lost with a switch.",
  },
  announce: {
    type: "choice",
    choices: ["auto", "off"],
    default: "auto",
    help:
      "Where the boxes have the same IP address on different MAC addresses, `auto` tells the network after a " +
      "switch who has it now (ARP and neighbour advertisements), and asks the boxes beforehand. With equal MAC " +
      "addresses nothing is sent.",
  },
  propagate_link: {
    type: "choice",
    choices: ["off", "one", "both"],
    default: "off",
    help:
      "When the link of `upstream` or `downstream` is lost: `one` takes down the other of the two, `both` also the " +
      "boxes' ports of the side that lost its link. They come back with it.",
  },
  bypass: {
    type: "choice",
    choices: ["off", "on_failure"],
    default: "off",
    help:
      "With `on_failure`, a NIC with a bypass relay between `upstream` and `downstream` joins the two when the plane " +
      "stops, crashes or hangs. `remediate doctor` says whether the NIC has one. What forbids traffic to pass " +
      "around the boxes forbids this.",
  },
} as const satisfies Keys;

/** The keys of [drill], a part of the table in config_keys.ts. */
import { addressFault } from "./address.ts";
import type { Keys } from "./config_key.ts";

function address(example: string, absent: string, help: string) {
  return {
    type: "text",
    default: null,
    absent,
    example,
    form: "an IPv4 or IPv6 address",
    fault: addressFault,
    help,
  } as const;
}

function port(value: number, help: string) {
  return { type: "integer", min: 1, max: 65535, zero: "none", default: value, help } as const;
}

export const DRILL = {
  client: address(
    "10.1.0.250",
    "there are no drills",
    "An address that nobody has, which the box would serve as a client: the node speaks in its name.",
  ),
  server: address(
    "10.2.0.250",
    "there are no drills",
    "Whom canaries ask for; of the same kind. Nobody's address on the server side, or the service's address of a " +
      "load balancer. The node answers in its name.",
  ),
  gateway: address(
    "10.1.0.1",
    "the box is a bridge",
    "The box's own address on the client side, where it is one that clients send to.",
  ),
  vlan: {
    type: "integer",
    min: 1,
    max: 4094,
    zero: "untagged",
    default: 0,
    help: "The VLAN of canaries, on both sides.",
  },
  flows: {
    type: "integer",
    min: 1,
    max: 64,
    default: 8,
    help: "TCP canaries of one drill, each from a port of its own.",
  },
  tcp_port: port(443, "The port that TCP canaries ask for."),
  idle_s: {
    type: "integer",
    min: 1,
    max: 600,
    zero: "none",
    default: 0,
    help:
      "One more TCP canary that says nothing for so long and then goes on: a box with shorter timeouts than the " +
      "others, or whose clock runs ahead, has forgotten it by then.",
  },
  twin: {
    type: "boolean",
    default: false,
    help:
      "Whether silent canaries go through the box that serves as well: then only what it keeps and the other forgets is a " +
      "fault, and there is one of UDP too where that has a port. Only for a `server` that is nobody's address: what comes " +
      "out of the serving box for it goes no further than the node, but a load balancer would send it to its servers.",
  },
  udp_port: port(0, "The port that one UDP canary asks for."),
  icmp: { type: "boolean", default: true, help: "Whether one canary is a ping." },
  refused_port: port(0, "A TCP port that the box must not let through: if it does, the drill fails."),
} as const satisfies Keys;

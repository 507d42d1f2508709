/** The keys of [[probe]] and [grey], a part of the table in config_keys.ts. */
import { BOX, LIMIT, PROBE_EXPECT, PROBE_KIND } from "../filter/names.ts";
import { type Keys, pathFault } from "./config_key.ts";
import { parseIpAddress, parseMac } from "../filter/ip_address.ts";

export const PROBES_MAX = LIMIT.probes;
const NAME_BYTES_MAX = LIMIT.name_bytes - 1;

/** Where the configuration does not say: a host beyond must not be asked too much, and takes its time. */
export const PACE_MS = {
  seen: { interval: 3, timeout: 8 },
  blocked: { interval: 3, timeout: 8 },
  answered: { interval: 50, timeout: 200 },
} as const satisfies Readonly<Record<(typeof PROBE_EXPECT)[number], object>>;

export const PROBE = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: `1 to ${NAME_BYTES_MAX} letters, digits, dots, dashes and underscores`,
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no name",
    example: "web",
    help: "Names the probe in status and events. No two probes share a name.",
  },
  kind: {
    type: "choice",
    choices: PROBE_KIND,
    default: "icmp",
    help:
      "What is sent: an ICMP echo request, a UDP datagram, a TCP SYN, or a frame from a capture file as it is.",
  },
  expect: {
    type: "choice",
    choices: PROBE_EXPECT,
    default: "seen",
    help:
      "What is to become of it. `seen`: it comes out on the other side of the box, where the node takes it in, so " +
      "that no host ever gets it. `answered`: it goes on to the host `to`, whose answer comes back through the box " +
      "(an echo reply, a SYN-ACK or RST, or the datagram itself from an echo service). `blocked`: it must not come " +
      "out; if it does, the box lets through what it should stop.",
  },
  from: address("10.1.0.250", "The address on the client side. It must belong to nobody else (see `own`)."),
  to: address("10.2.0.11", "The address on the server side."),
  from_port: port(
    62000,
    "The port on the client side, for udp and tcp. Of tcp that is to be answered it is the first of 64.",
  ),
  to_port: port(7, "The port on the server side, for udp and tcp."),
  own: {
    type: "choice",
    choices: ["from", "to", "both", "none"],
    default: "from",
    help:
      "Which of the two addresses are the node's own: it answers for them when a box asks (ARP, neighbour " +
      'discovery). Never name one that a real host has. With `direction = "down"` and a `to` that exists nowhere, ' +
      "`both` is right.",
  },
  direction: {
    type: "choice",
    choices: ["up", "down", "both"],
    default: "both",
    help:
      "Which way it goes: `up` from the client side, `down` from the server side. Through a NAT only `up` " +
      "gets through as a rule.",
  },
  box: {
    type: "choice",
    choices: [...BOX, "both", "all"],
    default: "all",
    help:
      "Which box is probed; `both` are those of `[ports]`. Those that stand by are probed as well: that proves that " +
      "they would forward.",
  },
  interval_ms: {
    ...integer(
      [1, 60000],
      null,
      "Time from one probe to the next, each way and box. Less than `failover.votes.probe_stale_ms`.",
    ),
    absent: "3, or 50 if it is to be answered",
    example: "3",
  },
  timeout_ms: {
    ...integer(
      [1, 10000],
      null,
      "A probe that has not come by then is lost. At most 50 times `interval_ms`.",
    ),
    absent: "8, or 200 if it is to be answered",
    example: "8",
  },
  fall: integer([1, 50], 3, "So many lost in a row make it fail."),
  rise: integer([1, 1000], 20, "So many good ones in a row make it well again."),
  on_failure: {
    type: "choice",
    choices: ["red", "yellow"],
    default: null,
    absent: "`red`, and `yellow` of a probe that is to be blocked",
    example: "red",
    help:
      "What a box is that fails it: red counts as a vote against the box, yellow is only told. A probe that was " +
      "never good since it was configured is never more than yellow: the fault may be in the probe.",
  },
  vlan: { ...integer([1, 4094], 0, "The VLAN tag it carries."), zero: "none" },
  ttl: integer([1, 255], 64, "Time to live, hop limit."),
  payload_bytes: integer([16, 1400], 32, "Bytes behind the header of icmp and udp."),
  mac_up: mac("02:00:00:00:01:01", "The MAC it is sent to on the client side."),
  mac_down: mac("02:00:00:00:02:01", "The same on the server side."),
  file: {
    type: "text",
    default: null,
    absent: "required for raw",
    example: "/etc/remediate/probe.pcap",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    help:
      "A pcap or pcapng file with the frame of a raw probe, MACs included. It is known again by its payload, so " +
      "choose one that no user sends. Read when the configuration is taken over.",
  },
  frame: integer([1, 1000000], 1, "Which frame of that file."),
} as const satisfies Keys;

export const GREY = {
  enabled: {
    type: "boolean",
    default: true,
    help:
      "Samples the traffic of connections that pass, and compares what goes into the serving box with what comes out.",
  },
  act: {
    type: "boolean",
    default: false,
    help:
      "Whether loss above `loss_percent`, and new connections that fail, make the box red, which moves the " +
      "traffic. Otherwise they are yellow: told, and left to a person. See docs/operating.md before you set it.",
  },
  loss_low_percent: percent(1, "Loss each way above what is usual from which the box is yellow."),
  loss_percent: percent(5, "... from which it is red if `act` says so."),
  loss_high_percent: percent(
    50,
    "... from which it is told as a loss of most packets, or of one direction.",
  ),
  openings_percent: percent(50, "Share of new TCP connections that do not get through while old ones do."),
  repeats_percent: percent(
    10,
    "Share of TCP segments that were sent before, above what is usual: a wave of retransmissions.",
  ),
  delay_ms: {
    ...integer(
      [1, 10000],
      10,
      "The median delay through the box is yellow when it is so much above the usual one,",
    ),
    zero: "off",
  },
  delay_times: integer([2, 1000], 5, "... and so many times as long."),
  wait_ms: integer([10, 2000], 100, "A packet that has not come out by then is lost."),
  hold_s: integer([1, 86400], 300, "A box that was left as red is not well before."),
} as const satisfies Keys;

function address(example: string, help: string) {
  return {
    type: "text",
    default: null,
    absent: "required but for raw",
    example,
    form: "an IPv4 or IPv6 address",
    fault: (text: string) => parseIpAddress(text) === null ? "is no address" : null,
    help,
  } as const;
}

function mac(example: string, help: string) {
  return {
    type: "text",
    default: null,
    absent: "the one the box sends from there, learnt from traffic",
    example,
    form: "a MAC, 02:00:00:00:00:01",
    fault: (text: string) => parseMac(text) === null ? "is no MAC" : null,
    help,
  } as const;
}

function integer<T extends number | null>(bounds: readonly [number, number], value: T, help: string) {
  return { type: "integer", min: bounds[0], max: bounds[1], default: value, help } as const;
}

function port(value: number, help: string) {
  return integer([1, 65535], value, help);
}

function percent(value: number, help: string) {
  return integer([1, 100], value, help);
}

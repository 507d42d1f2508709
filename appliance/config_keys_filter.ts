/** Keys of the filter: its preset, its budget, its rules, and how long it remembers flows. */
import { LIMIT } from "../filter/names.ts";
import type { Keys } from "./config_key.ts";
import { KINDS } from "./config_keys_ports.ts";

export const RULES_MAX = LIMIT.rules;
const RULE_NAME_BYTES_MAX = LIMIT.name_bytes - 1;

export const FILTER = {
  preset: {
    type: "choice",
    choices: [...KINDS, "none"],
    default: "nat",
    help: "Which packets form state in this kind of box, and so are copied to the standby. `none` copies " +
      "nothing but what `[[filter.rules]]` say. What each costs and keeps stands in docs/architecture.md.",
  },
  budget_mbit: {
    type: "integer",
    min: 1,
    max: 400000,
    zero: "no bound",
    default: 0,
    help: "Megabits per second that copies may take, both directions together. Above it the copies worth " +
      "least are left out and counted as `shed`: first `all`, `sample` and turns, handshakes last.",
  },
  budget_pps: {
    type: "integer",
    min: 1,
    max: 1000000000,
    zero: "no bound",
    default: 0,
    help: "The same in copies per second.",
  },
  inner: {
    type: "boolean",
    default: null,
    absent: "true with the presets `ids` and `ids-full`, else false",
    example: "false",
    help:
      "Tells flows apart inside GRE, IP in IP, VXLAN, GTP-U, MPLS and PPPoE, as the boxes see them if they look " +
      "inside. A tunnel is one flow otherwise. Such flows are not seeded, and `match` still sees the outer headers.",
  },
} as const satisfies Keys;

export const RULE = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: `1 to ${RULE_NAME_BYTES_MAX} letters, digits, dots, dashes and underscores`,
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no rule name",
    example: "sip",
    help: "Names the rule in status and flows. No two rules share a name.",
  },
  match: {
    type: "text",
    default: null,
    form: "a pcap-filter(7) expression",
    fault: (text) => text.trim() === "" ? "is empty (leave the key out to match everything)" : null,
    absent: "everything",
    example: "udp port 5060",
    help:
      "Which flows the rule is for, in the language of tcpdump. Judged once per flow, on its first frame.",
  },
  preset: {
    type: "choice",
    choices: KINDS,
    default: null,
    absent: "nothing is set",
    example: "firewall",
    help: "Takes the settings of this preset as a base; the keys below override it.",
  },
  handshake: flag(
    "Copies the TCP handshake of both directions, and the first packet of each direction otherwise.",
  ),
  teardown: flag("Copies FIN and RST, and the ACK that closes."),
  all: flag("Copies every packet."),
  none: flag("Copies nothing: exempts what it matches from later rules.", "true"),
  seed: flag("Makes the flow's state in the box that takes over by playing a handshake into it."),
  first_packets: count(4294967295, "Copies this many first packets of each direction."),
  first_payload_packets: count(4294967295, "Copies this many first packets with payload of each direction."),
  first_bytes: count(
    4294967295,
    "Copies packets until this many payload bytes have passed in each direction.",
  ),
  first_bytes_up: bytes("The same for what the client sends, who is the end that opened.", "first_bytes"),
  first_bytes_down: bytes("The same for what the client is sent.", "first_bytes"),
  turn_bytes_up: bytes(
    "Copies packets until this many payload bytes have passed since the client began to talk, anew each time " +
      "it does so after the other side.",
  ),
  turn_bytes_down: bytes("The same for the other side."),
  turn_bytes_max: {
    ...bytes("Payload bytes that turns may copy of a flow in all, both directions together."),
    absent: "as in `preset`, else no bound",
    zero: "no bound",
  },
  plaintext: flag(
    "First bytes and turns end where a flow is encrypted: the handshakes of TLS, SSH and QUIC are copied, what " +
      "follows is not.",
  ),
  acks: flag("Copies the ACK that covers what was copied, so that a stream is put together while it runs."),
  sample: {
    ...count(4294967295, "Copies one in this many packets of each direction."),
    min: 2,
  },
  keepalive_s: count(
    86400,
    "Copies a packet of each direction when none was copied for so long; after a TCP segment with payload, its " +
      "ACK as well.",
  ),
  keepalive_window: flag(
    "Copies such a pair at least every half receive window, so that a box which checks windows goes along. The " +
      "window's scale is learnt from the handshake.",
  ),
} as const satisfies Keys;

export const AGES = {
  tcp_opening_s: age(120, "A TCP connection whose handshake is not done"),
  tcp_s: age(7200, "An established TCP connection"),
  tcp_closing_s: age(10, "A TCP connection that was reset or closed from both ends"),
  udp_s: age(180, "A UDP flow"),
  icmp_s: age(30, "An ICMP exchange"),
  other_s: age(600, "A flow of any other protocol"),
} as const satisfies Keys;

function flag(help: string, example = "true") {
  return { type: "boolean", default: null, absent: "as in `preset`, else false", example, help } as const;
}

function count(max: number, help: string) {
  const absent = "as in `preset`, else 0";
  return { type: "integer", min: 1, max, zero: "off", default: null, absent, example: "0", help } as const;
}

function bytes(help: string, other?: string) {
  const absent = other === undefined ? {} : { absent: `as \`${other}\`` };
  return { ...count(4294967295, help), ...absent };
}

function age(seconds: number, what: string) {
  return { type: "integer", min: 1, max: 604800, default: seconds, help: `${what}.` } as const;
}

/** The keys of [[bfd]], a part of the table in config_keys.ts. */
import { BOX, LIMIT } from "../filter/names.ts";
import { addressFault, macBytes } from "./address.ts";
import { type Keys, pathFault } from "./config_key.ts";

export const BFD_SESSIONS_MAX = LIMIT.bfd_sessions;
const ADDRESS_FORM = "an IPv4 or IPv6 address of one host";

function address(example: string, help: string) {
  return { type: "text", form: ADDRESS_FORM, fault: addressFault, example, help } as const;
}

function interval(ms: number, help: string) {
  return { type: "integer", min: 1, max: 60000, default: ms, help } as const;
}

export const BFD = {
  name: {
    type: "text",
    required: true,
    default: null,
    form: `1 to ${LIMIT.name_bytes - 1} letters, digits, dots, dashes and underscores`,
    fault: (text) => /^[A-Za-z0-9._-]{1,31}$/.test(text) ? null : "is no name",
    example: "fw1-inside",
    help: "Names the session in status. No two share a name.",
  },
  box: {
    type: "choice",
    choices: BOX,
    required: true,
    default: null,
    example: "primary",
    help: "The box that is the peer, or that the peer is a part of.",
  },
  side: {
    type: "choice",
    choices: ["up", "down"],
    required: true,
    default: null,
    example: "up",
    help: "On which of its ports: the client side (`up`) or the server side.",
  },
  peer: {
    ...address("10.1.0.1", "The peer's address."),
    required: true,
    default: null,
  },
  local: {
    ...address(
      "10.1.0.250",
      "The node's own address towards the peer. Nobody else may have it: the node answers for it on that port.",
    ),
    required: true,
    default: null,
  },
  gateway: {
    ...address("10.1.0.1", "Whose link-layer address packets go to, where the peer is not on the link."),
    default: null,
    absent: "the peer",
  },
  mac: {
    type: "text",
    default: null,
    form: "six bytes in hexadecimal, as 02:00:00:00:01:01",
    fault: (text) => macBytes(text) === null ? "is no address of one interface" : null,
    absent: "asked for by ARP, or neighbour discovery",
    example: "02:00:00:00:01:01",
    help: "The link-layer address that packets go to.",
  },
  vlan: {
    type: "integer",
    min: 1,
    max: 4094,
    zero: "no tag",
    default: 0,
    help: "The VLAN that the session is in.",
  },
  multihop: {
    type: "boolean",
    default: false,
    help: "RFC 5883: UDP port 4784, and the peer may be behind routers. Use authentication then.",
  },
  passive: {
    type: "boolean",
    default: false,
    help: "Says nothing before the peer does.",
  },
  min_tx_ms: interval(50, "The least time between packets that the node wants to send. A peer may slow it."),
  min_rx_ms: interval(50, "The least time between packets that the node wants to receive."),
  multiplier: {
    type: "integer",
    min: 1,
    max: 255,
    default: 3,
    help: "The peer takes the node for dead after so many missing packets. For how many of its packets the " +
      "node waits, the peer says.",
  },
  echo_ms: {
    type: "integer",
    min: 1,
    max: 60000,
    zero: "off",
    default: 0,
    help:
      "Time between echoes that the peer has to forward back, and of its own that the node sends back. They " +
      "prove that the box forwards, not only that it is there. Both ends have to want them.",
  },
  auth: {
    type: "choice",
    choices: ["none", "sha1", "meticulous-sha1"],
    default: "none",
    help: "Keyed SHA1 of RFC 5880. `meticulous-sha1` takes no packet twice.",
  },
  key_file: {
    type: "text",
    default: null,
    absent: "none; `auth` needs it",
    form: "an absolute path",
    fault: (text) => pathFault(text, 4000),
    example: "/etc/remediate/bfd.key",
    help:
      `The shared key: one line of 1 to ${LIMIT.bfd_key_bytes} characters, or \`hex:\` and as many bytes in ` +
      "hexadecimal. Nobody but its owner may have any right to the file.",
  },
  key_id: {
    type: "integer",
    min: 0,
    max: 255,
    default: 1,
    help: "The number of that key; the same at the peer.",
  },
} as const satisfies Keys;

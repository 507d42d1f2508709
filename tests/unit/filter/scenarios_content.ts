/** Stories of flows whose content is copied: turns, encryption, ACKs, pairs, samples. As scenarios.ts, which adds them. */
import { filterRule, type GivenRule } from "../../../filter/rule.ts";
import type { Scenario, Step } from "./scenarios.ts";

const rules = (given: Partial<GivenRule>) => [{ rule: filterRule({ name: "rule", ...given }), program: [] }];
const OPENING: readonly Step[] = [
  [0, ">", "S", { seq: 100, scale: 0 }, "handshake"],
  [10, "<", "SA", { seq: 500, ack: 101, scale: 0 }, "handshake"],
  [20, ">", "A", { seq: 101, ack: 501 }, "handshake"],
];
const up = (seq: number, ack: number, payload: number, head?: readonly number[]) => ({
  ...{ seq, ack, payload },
  ...(head ? { head } : {}),
});
const TLS_HELLO = [0x16, 3, 1, 0, 80, 1];
const TLS_DATA = [0x17, 3, 3, 0, 80];
const SSH_BANNER = [83, 83, 72, 45, 50, 46, 48, 45];
const SSH_KEX = [0, 0, 1, 0, 9, 20];
const SSH_NEWKEYS = [0, 0, 0, 12, 10, 21];

const TURNS: readonly Scenario[] = [
  {
    says: "each time the talking side changes its bytes are copied again",
    rules: rules({ turnBytesUp: 150, turnBytesDown: 10 }),
    steps: [
      [0, ">", "PA", up(1, 1, 100), "turn"],
      [1, ">", "PA", up(101, 1, 100), "turn"],
      [2, ">", "PA", up(201, 1, 100), "none"],
      [3, "<", "PA", up(1, 301, 9), "turn"],
      [4, "<", "PA", up(10, 301, 9), "turn"],
      [5, "<", "PA", up(19, 301, 9), "none"],
      [6, ">", "A", { seq: 301, ack: 28 }, "none"],
      [7, "<", "PA", up(28, 301, 9), "none"],
      [8, ">", "PA", up(301, 37, 100), "turn"],
      [9, "<", "PA", up(37, 401, 9), "turn"],
    ],
  },
  {
    says: "first bytes are counted by themselves, up from the client and down to it",
    rules: rules({ firstBytesUp: 150, firstBytesDown: 5, turnBytesUp: 20 }),
    steps: [
      [0, ">", "PA", up(1, 1, 100), "bytes"],
      [1, ">", "PA", up(101, 1, 100), "bytes"],
      [2, ">", "PA", up(201, 1, 100), "none"],
      [3, "<", "PA", up(1, 301, 9), "bytes"],
      [4, "<", "PA", up(10, 301, 9), "none"],
      [5, ">", "PA", up(301, 19, 100), "turn"],
      [6, ">", "PA", up(401, 19, 100), "none"],
    ],
  },
  {
    says: "turns end at their bound, with the packet that passes it",
    rules: rules({ turnBytesUp: 10, turnBytesDown: 10, turnBytesMax: 25 }),
    steps: [
      [0, ">", "udp", { payload: 10 }, "turn"],
      [1, "<", "udp", { payload: 10 }, "turn"],
      [2, ">", "udp", { payload: 10 }, "turn"],
      [3, "<", "udp", { payload: 10 }, "none"],
    ],
  },
  {
    says: "who answers a SYN that was not seen is the server",
    rules: rules({ firstBytesUp: 1000 }),
    steps: [
      [0, "<", "SA", { seq: 500, ack: 101 }, "none"],
      [1, "<", "PA", up(501, 101, 10), "none"],
      [2, ">", "PA", up(101, 511, 10), "bytes"],
    ],
  },
  {
    says: "what passes the other side of the node takes turns and uses them up",
    rules: rules({ turnBytesUp: 10, turnBytesDown: 10 }),
    steps: [
      [0, ">", "udp", { payload: 10 }, "turn"],
      [1, "<<", "udp", { payload: 10 }, "none"],
      [2, ">", "udp", { payload: 10 }, "turn"],
      [3, ">", "udp", { payload: 10 }, "none"],
    ],
  },
];

const NATURES: readonly Scenario[] = [
  {
    says: "TLS is copied until application data",
    rules: rules({ plaintext: true, firstBytes: 10_000, turnBytesUp: 500, turnBytesDown: 500 }),
    steps: [
      [0, ">", "PA", up(1, 1, 100, TLS_HELLO), "bytes"],
      [1, "<", "PA", up(1, 101, 900, TLS_HELLO), "bytes"],
      [2, ">", "PA", up(101, 901, 100, TLS_DATA), "none"],
      [3, "<", "PA", up(901, 201, 900, TLS_HELLO), "none"],
      [4, ">", "PA", up(201, 1801, 100), "none"],
    ],
  },
  {
    says: "without plaintext encryption ends nothing",
    rules: rules({ firstBytes: 10_000 }),
    steps: [[0, ">", "PA", up(1, 1, 9, TLS_HELLO), "bytes"], [1, ">", "PA", up(10, 1, 9, TLS_DATA), "bytes"]],
  },
  {
    says: "a flow that is joined in the middle of TLS is encrypted; first packets do not ask",
    rules: rules({ plaintext: true, firstBytes: 10_000, firstPackets: 1 }),
    steps: [[0, ">", "PA", up(1, 1, 9, TLS_DATA), "first"], [1, ">", "PA", up(10, 1, 9), "none"]],
  },
  {
    says: "TLS may begin after plain text, as STARTTLS does",
    rules: rules({ plaintext: true, firstBytes: 10_000 }),
    steps: [
      [0, "<", "PA", up(1, 1, 9, [50, 50, 48]), "bytes"],
      [1, ">", "PA", up(1, 10, 9, TLS_HELLO), "bytes"],
      [2, "<", "PA", up(10, 10, 9, TLS_DATA), "none"],
    ],
  },
  {
    says: "SSH is copied until its new keys",
    rules: rules({ plaintext: true, turnBytesUp: 500, turnBytesDown: 500 }),
    steps: [
      [0, "<", "PA", up(1, 1, 20, SSH_BANNER), "turn"],
      [1, ">", "PA", up(1, 21, 20, SSH_BANNER), "turn"],
      [2, ">", "PA", up(21, 21, 200, SSH_KEX), "turn"],
      [3, "<", "PA", up(21, 221, 200, SSH_KEX), "turn"],
      [4, ">", "PA", up(221, 221, 16, SSH_NEWKEYS), "none"],
      [5, "<", "PA", up(221, 237, 16), "none"],
    ],
  },
  {
    says: "QUIC is copied while its header is long",
    rules: rules({ plaintext: true, turnBytesUp: 5000, turnBytesDown: 5000 }),
    steps: [
      [0, ">", "udp", { payload: 1200, head: [0xc0, 0, 0, 0, 1, 8] }, "turn"],
      [1, "<", "udp", { payload: 1200, head: [0xe0, 0, 0, 0, 1, 8] }, "turn"],
      [2, ">", "udp", { payload: 60, head: [0x45] }, "none"],
      [3, "<", "udp", { payload: 60, head: [0xe0, 0, 0, 0, 1, 8] }, "none"],
    ],
  },
];

const PAIRS: readonly Scenario[] = [
  {
    says: "the ACK of a copied segment is copied, once, and earlier ones are not",
    rules: rules({ acks: true, firstBytes: 150 }),
    steps: [
      [0, ">", "PA", up(1, 1, 100), "bytes"],
      [1, ">", "PA", up(101, 1, 100), "bytes"],
      [2, "<", "A", { seq: 1, ack: 101 }, "none"],
      [3, ">", "PA", up(201, 1, 100), "none"],
      [4, "<", "A", { seq: 1, ack: 301 }, "ack"],
      [5, "<", "A", { seq: 1, ack: 301 }, "none"],
    ],
  },
  {
    says: "a copied segment that acknowledges needs no ACK after it",
    rules: rules({ acks: true, firstBytes: 150 }),
    steps: [
      [0, ">", "PA", up(1, 1, 100), "bytes"],
      [1, "<", "PA", up(1, 101, 100), "bytes"],
      [2, "<", "A", { seq: 101, ack: 101 }, "none"],
      [3, ">", "A", { seq: 101, ack: 101 }, "ack"],
    ],
  },
  {
    says: "the ACK is due as well when the segment came out of the box, being copied on the other side",
    rules: rules({ acks: true, firstBytes: 150 }),
    steps: [[0, ">>", "PA", up(1, 1, 100), "none"], [1, "<", "A", { seq: 1, ack: 101 }, "ack"]],
  },
  {
    says: "keep-alives are pairs: a segment and the next ACK that covers it",
    rules: rules({ handshake: true, keepaliveMs: 1000 }),
    steps: [
      ...OPENING,
      [30, ">", "PA", up(101, 501, 100), "none"],
      [1020, ">", "PA", up(201, 501, 100), "keepalive"],
      [1021, "<", "A", { seq: 501, ack: 201 }, "keepalive"],
      [1022, "<", "A", { seq: 501, ack: 301 }, "ack"],
      [1023, "<", "A", { seq: 501, ack: 301 }, "none"],
    ],
  },
  {
    says: "pairs come every half receive window of the other side",
    rules: rules({ handshake: true, keepaliveWindow: true }),
    steps: [
      ...OPENING,
      [30, "<", "A", { seq: 501, ack: 101, window: 400 }, "none"],
      [31, ">", "PA", up(101, 501, 200), "none"],
      [32, ">", "PA", up(301, 501, 1), "keepalive"],
      [33, ">", "PA", up(302, 501, 200), "none"],
      [34, "<", "A", { seq: 501, ack: 302, window: 400 }, "ack"],
      [35, ">", "PA", up(502, 501, 1), "keepalive"],
    ],
  },
  {
    says: "the window is scaled as both SYNs said",
    rules: rules({ handshake: true, keepaliveWindow: true }),
    steps: [
      [0, ">", "S", { seq: 100, scale: 0 }, "handshake"],
      [10, "<", "SA", { seq: 500, ack: 101, scale: 2 }, "handshake"],
      [20, ">", "A", { seq: 101, ack: 501 }, "handshake"],
      [30, "<", "A", { seq: 501, ack: 101, window: 100 }, "none"],
      [31, ">", "PA", up(101, 501, 200), "none"],
      [32, ">", "PA", up(301, 501, 1), "keepalive"],
    ],
  },
  {
    says: "without the SYNs no window is known and none is kept up",
    rules: rules({ handshake: true, keepaliveWindow: true }),
    steps: [
      [0, "<", "A", { seq: 501, ack: 101, window: 1 }, "none"],
      [1, ">", "PA", up(101, 501, 1000), "none"],
    ],
  },
];

const SAMPLES: readonly Scenario[] = [
  {
    says: "one packet in three is copied, of each direction",
    rules: rules({ sample: 3 }),
    steps: [
      [0, ">", "udp", {}, "sample"],
      [1, ">", "udp", {}, "none"],
      [2, ">", "udp", {}, "none"],
      [3, "<", "udp", {}, "sample"],
      [4, ">", "udp", {}, "sample"],
      [5, ">", "udp", {}, "none"],
      [6, "<", "udp", {}, "none"],
      [7, "<", "udp", {}, "none"],
      [8, "<", "udp", {}, "sample"],
    ],
  },
];

export const CONTENT: readonly Scenario[] = [...TURNS, ...NATURES, ...PAIRS, ...SAMPLES];

/**
 * Stories of flows, packet by packet, with the reason for which each is copied. The model and the C core are both held
 * to them.
 *
 * A step reads: at this many milliseconds, this way (">" from the client, "<" from the server; ">>" and "<<" as observed out of
 * the box), this packet, for this reason. A packet is TCP flags as tcpdump prints them, or "udp", or "echo".
 */
import type { Age, Why } from "../../../filter/names.ts";
import type { BpfProgram } from "../../../filter/bpf.ts";
import { CONTENT } from "./scenarios_content.ts";
import { type CompiledRule, filterRule, type GivenRule } from "../../../filter/rule.ts";
import { parsePacket } from "../../../filter/packet.ts";
import { DOWN, icmpFrame, tcpFrame, udpFrame, UP } from "./ends.ts";

export type Direction = ">" | "<" | ">>" | "<<";
export interface Segment {
  readonly seq?: number;
  readonly ack?: number;
  readonly payload?: number;
  /** The first bytes of the payload. */
  readonly head?: readonly number[];
  readonly window?: number;
  /** The window scale option. */
  readonly scale?: number;
}
export type Step =
  | readonly [ms: number, way: Direction, packet: string, segment: Segment, why: Why, age?: Age]
  | { readonly rules: readonly CompiledRule[] };
export interface Scenario {
  readonly says: string;
  readonly rules: readonly CompiledRule[];
  readonly steps: readonly Step[];
}

const rule = (given: Partial<GivenRule>, program: BpfProgram = []): CompiledRule => ({
  rule: filterRule({ name: "rule", ...given }),
  program,
});
/** Accepts untagged IPv4 packets of one protocol: ldb [23]; jeq #proto, 0, 1; ret #1; ret #0. */
export const protocolIs = (proto: number): BpfProgram => [
  { code: 0x30, jt: 0, jf: 0, k: 23 },
  { code: 0x15, jt: 0, jf: 1, k: proto },
  { code: 0x06, jt: 0, jf: 0, k: 1 },
  { code: 0x06, jt: 0, jf: 0, k: 0 },
];

/** The frame of a step. */
export function frameOf(way: Direction, packet: string, segment: Segment): Uint8Array {
  const { payload = 0, head = [], scale, ...fields } = segment;
  const ends = way.startsWith(">") ? UP : DOWN;
  if (packet === "echo") return icmpFrame(ends, [ends === UP ? 8 : 0, 0, 0x0042_0001]);
  const options = scale === undefined ? {} : { tcpOptions: [1, 3, 3, scale] };
  const frame = packet === "udp"
    ? udpFrame(ends, payload)
    : tcpFrame(ends, packet, { ...fields, ...options, payload });
  frame.set(head, parsePacket(frame).flow!.payloadOffset);
  return frame;
}

const OPENING: readonly Step[] = [
  [0, ">", "S", { seq: 100 }, "handshake", "tcp_opening"],
  [10, "<", "SA", { seq: 500, ack: 101 }, "handshake", "tcp_opening"],
  [20, ">", "A", { seq: 101, ack: 501 }, "handshake", "tcp"],
];
/** The same without a rule that copies it. */
const SILENT_OPENING: readonly Step[] = [
  [0, ">", "S", { seq: 100 }, "none"],
  [10, "<", "SA", { seq: 500, ack: 101 }, "none"],
  [20, ">", "A", { seq: 101, ack: 501 }, "none"],
];
const data = { seq: 101, ack: 501, payload: 100 };
const answer = { seq: 501, ack: 201, payload: 1000 };

const TCP: readonly Scenario[] = [
  {
    says: "the handshake is the SYN, the SYN-ACK and the first ACK, and no more",
    rules: [rule({ handshake: true })],
    steps: [...OPENING, [30, ">", "PA", data, "none", "tcp"], [40, "<", "A", answer, "none"]],
  },
  {
    says: "the first ACK may carry data",
    rules: [rule({ handshake: true })],
    steps: [...OPENING.slice(0, 2), [20, ">", "PA", data, "handshake"], [30, ">", "PA", data, "none"]],
  },
  {
    says: "the server's ACKs are no part of the handshake",
    rules: [rule({ handshake: true })],
    steps: [...OPENING.slice(0, 2), [15, "<", "A", { seq: 501, ack: 101 }, "none"]],
  },
  {
    says: "a reset in answer to a SYN is no handshake",
    rules: [rule({ handshake: true })],
    steps: [[0, ">", "S", { seq: 100 }, "handshake"], [5, "<", "RA", { ack: 101 }, "none", "tcp_closing"]],
  },
  {
    says: "without a word about it the handshake is not copied",
    rules: [rule({ teardown: true })],
    steps: SILENT_OPENING,
  },
  {
    says: "the teardown is each FIN and the ACK that follows it",
    rules: [rule({ teardown: true })],
    steps: [
      ...SILENT_OPENING,
      [30, ">", "FA", { seq: 101, ack: 501 }, "teardown", "tcp"],
      [40, "<", "A", { seq: 501, ack: 102 }, "teardown"],
      [45, "<", "PA", { seq: 501, ack: 102, payload: 10 }, "none"],
      [50, "<", "FA", { seq: 511, ack: 102 }, "teardown", "tcp_closing"],
      [60, ">", "A", { seq: 102, ack: 512 }, "teardown"],
      [70, ">", "A", { seq: 102, ack: 512 }, "none", "tcp_closing"],
    ],
  },
  {
    says: "a reset is teardown",
    rules: [rule({ teardown: true })],
    steps: [...SILENT_OPENING, [30, "<", "R", { seq: 501 }, "teardown", "tcp_closing"]],
  },
  {
    says: "a flow that was joined in the middle is followed, its handshake is over",
    rules: [rule({ handshake: true, teardown: true })],
    steps: [
      [0, ">", "A", data, "none", "tcp_opening"],
      [1, "<", "A", answer, "none", "tcp"],
      [2, "<", "FA", answer, "teardown"],
    ],
  },
];

const REUSE: readonly Scenario[] = [
  {
    says: "a repeated SYN does not start the flow anew",
    rules: [rule({ firstPackets: 1 })],
    steps: [[0, ">", "S", { seq: 100 }, "first"], [1000, ">", "S", { seq: 100 }, "none"]],
  },
  {
    says: "a repeated SYN with data (Fast Open) does not either",
    rules: [rule({ firstPackets: 1 })],
    steps: [
      [0, ">", "S", { seq: 100, payload: 9 }, "first"],
      [1000, ">", "S", { seq: 100, payload: 9 }, "none"],
    ],
  },
  {
    says: "a SYN with another number starts the flow anew",
    rules: [rule({ firstPackets: 1 })],
    steps: [[0, ">", "S", { seq: 100 }, "first"], [1000, ">", "S", { seq: 101 }, "first"]],
  },
  {
    says: "a SYN into an established flow starts it anew, even with the old number",
    rules: [rule({ firstPackets: 1 })],
    steps: [
      [0, ">", "S", { seq: 100 }, "first"],
      [10, "<", "SA", { seq: 500, ack: 101 }, "first"],
      [20, ">", "A", { seq: 101, ack: 501 }, "none", "tcp"],
      [30, ">", "S", { seq: 100 }, "first", "tcp_opening"],
      [40, "<", "SA", { seq: 900, ack: 101 }, "first"],
    ],
  },
  {
    says: "a SYN after a reset starts the flow anew",
    rules: [rule({ handshake: true })],
    steps: [
      [0, ">", "S", { seq: 100 }, "handshake"],
      [1, "<", "RA", { ack: 101 }, "none", "tcp_closing"],
      [2, ">", "S", { seq: 100 }, "handshake", "tcp_opening"],
    ],
  },
  {
    says: "a SYN after data of a half seen before starts the flow anew",
    rules: [rule({ firstPackets: 1 })],
    steps: [[0, ">", "A", data, "first"], [1, ">", "S", { seq: 7 }, "first"]],
  },
  {
    says: "an observed SYN starts the flow anew and is not copied",
    rules: [rule({ firstPackets: 2 })],
    steps: [
      [0, ">", "S", { seq: 100 }, "first"],
      [1, ">>", "S", { seq: 200 }, "none"],
      [2, ">", "A", { seq: 201, ack: 1 }, "first"],
      [3, ">", "A", { seq: 201, ack: 1 }, "none"],
    ],
  },
];

const QUANTITY: readonly Scenario[] = [
  {
    says: "first packets are counted per direction, whatever they carry",
    rules: [rule({ firstPackets: 2 })],
    steps: [
      [0, ">", "S", { seq: 100 }, "first"],
      [10, "<", "SA", { seq: 500, ack: 101 }, "first"],
      [20, ">", "A", { seq: 101, ack: 501 }, "first"],
      [30, ">", "PA", data, "none"],
      [40, "<", "A", answer, "first"],
      [50, "<", "A", answer, "none"],
    ],
  },
  {
    says: "packets without payload do not use up the first ones with payload",
    rules: [rule({ firstPayloadPackets: 1 })],
    steps: [
      ...SILENT_OPENING,
      [30, ">", "PA", data, "payload"],
      [40, ">", "PA", { ...data, seq: 201 }, "none"],
      [50, "<", "A", { seq: 501, ack: 201 }, "none"],
      [60, "<", "PA", answer, "payload"],
    ],
  },
  {
    says: "first bytes end with the packet that passes the bound",
    rules: [rule({ firstBytes: 150 })],
    steps: [
      ...SILENT_OPENING,
      [30, ">", "PA", data, "bytes"],
      [40, ">", "PA", { ...data, seq: 201 }, "bytes"],
      [50, ">", "PA", { ...data, seq: 301 }, "none"],
      [60, "<", "PA", answer, "bytes"],
      [70, "<", "PA", answer, "none"],
    ],
  },
  {
    says: "reasons are given in their order: handshake, teardown, first, payload, bytes",
    rules: [
      rule({ handshake: true, teardown: true, firstPackets: 3, firstPayloadPackets: 2, firstBytes: 1000 }),
    ],
    steps: [
      ...OPENING,
      [30, ">", "PA", data, "first"],
      [40, ">", "PA", { ...data, seq: 201 }, "payload"],
      [50, ">", "PA", { ...data, seq: 301 }, "bytes"],
      [60, ">", "FA", { ...data, seq: 401 }, "teardown"],
    ],
  },
  {
    says: "keep-alives come by time since the last copy, in each direction by itself",
    rules: [rule({ handshake: true, keepaliveMs: 1000 })],
    steps: [
      ...OPENING,
      [1009, "<", "A", answer, "none"],
      [1010, "<", "A", answer, "keepalive"],
      [1019, ">", "A", data, "none"],
      [1020, ">", "A", data, "keepalive"],
      [1030, "<", "A", { seq: 1501, ack: 201 }, "ack"],
      [1040, ">", "A", { seq: 201, ack: 1501 }, "ack"],
      [2000, "<", "A", answer, "none"],
      [2029, "<", "A", answer, "none"],
      [2030, "<", "A", answer, "keepalive"],
    ],
  },
  {
    says: "a direction without a copy counts from the flow's start; a clock that goes back is no pause",
    rules: [rule({ keepaliveMs: 1000 })],
    steps: [
      [5000, ">", "A", data, "none"],
      [5999, "<", "A", answer, "none"],
      [4000, "<", "A", answer, "none"],
      [6000, "<", "A", answer, "keepalive"],
      [5500, "<", "A", answer, "none"],
    ],
  },
];

const OTHERS: readonly Scenario[] = [
  {
    says: "the handshake of UDP is the first packet each way",
    rules: [rule({ handshake: true, teardown: true })],
    steps: [
      [0, ">", "udp", { payload: 30 }, "handshake", "udp"],
      [1, ">", "udp", { payload: 30 }, "none"],
      [2, "<", "udp", { payload: 90 }, "handshake"],
      [3, "<", "udp", { payload: 90 }, "none"],
    ],
  },
  {
    says: "an echo and its reply are one flow",
    rules: [rule({ handshake: true })],
    steps: [
      [0, ">", "echo", {}, "handshake", "icmp"],
      [1, "<", "echo", {}, "handshake", "icmp"],
      [2, ">", "echo", {}, "none"],
    ],
  },
  {
    says: "an observed packet is counted and never copied",
    rules: [rule({ all: true })],
    steps: [[0, ">>", "udp", {}, "none"], [1, ">", "udp", {}, "all"], [2, "<<", "udp", {}, "none"]],
  },
  {
    says: "an observed packet uses up the first ones",
    rules: [rule({ handshake: true, firstPackets: 2 })],
    steps: [[0, ">>", "udp", {}, "none"], [1, ">", "udp", {}, "first"], [2, ">", "udp", {}, "none"]],
  },
  {
    says: "none is stronger than all",
    rules: [rule({ all: true, none: true })],
    steps: [[0, ">", "S", {}, "none"], [1, ">", "udp", {}, "none"]],
  },
  {
    says: "UDP ages after its time and starts anew, an established TCP flow does not",
    rules: [rule({ firstPackets: 1 })],
    steps: [
      [0, ">", "A", data, "first"],
      [0, "<", "A", answer, "first", "tcp"],
      [0, ">", "udp", {}, "first"],
      [59_999, ">", "udp", {}, "none"],
      [119_999, ">", "udp", {}, "first"],
      [120_000, ">", "A", data, "none", "tcp"],
    ],
  },
  {
    says: "a closing flow ages sooner",
    rules: [rule({ firstPackets: 1 })],
    steps: [
      [0, ">", "R", {}, "first", "tcp_closing"],
      [9_999, ">", "R", {}, "none", "tcp_closing"],
      [19_999, ">", "A", {}, "first", "tcp_opening"],
    ],
  },
];

const RULES: readonly Scenario[] = [
  {
    says: "the first rule whose program accepts decides",
    rules: [
      rule({ all: true }, protocolIs(17)),
      rule({ none: true }, protocolIs(17)),
      rule({ firstPackets: 1 }),
    ],
    steps: [[0, ">", "udp", {}, "all"], [1, ">", "S", {}, "first"], [2, ">", "S", {}, "none"]],
  },
  {
    says: "a flow that no rule matches is not copied",
    rules: [rule({ all: true }, protocolIs(17))],
    steps: [[0, ">", "S", {}, "none"], [1, "<", "echo", {}, "none"]],
  },
  {
    says: "without rules nothing is copied",
    rules: [],
    steps: [[0, ">", "S", {}, "none"], [1, ">", "udp", {}, "none"]],
  },
  {
    says: "new rules hold from the next packet on; what was counted stays, and quiet packets were not",
    rules: [rule({ firstPackets: 1 })],
    steps: [
      [0, ">", "udp", {}, "first"],
      [1, ">", "udp", {}, "none"],
      { rules: [rule({ firstPackets: 3 })] },
      [2, ">", "udp", {}, "first"],
      [3, ">", "udp", {}, "first"],
      [3, ">", "udp", {}, "none"],
      { rules: [rule({ all: true }, protocolIs(6))] },
      [4, ">", "udp", {}, "none"],
      { rules: [rule({ none: true }, protocolIs(6)), rule({ all: true })] },
      [5, ">", "udp", {}, "all"],
    ],
  },
];

export const SCENARIOS: readonly Scenario[] = [
  ...TCP,
  ...REUSE,
  ...QUANTITY,
  ...OTHERS,
  ...RULES,
  ...CONTENT,
];

/**
 * Filter rules: what is mirrored of the flows an expression matches, the presets per kind of middlebox, and the bytes of
 * struct rm_rule that the plane reads.
 *
 * The first rule that matches a flow's first packet decides for the whole flow; a flow without a rule is not mirrored.
 */
import type { BpfProgram } from "./bpf.ts";
import { LIMIT } from "./names.ts";

export interface FilterRule {
  /** Shown in counters; at most 31 bytes. */
  readonly name: string;
  /** A pcap-filter(7) expression, run on the flow's first frame; "" matches everything. */
  readonly match: string;
  /** TCP: SYN, SYN-ACK and the first ACK. Others: the first packet of each direction. */
  readonly handshake: boolean;
  /** FIN, the ACK that follows it, and RST. */
  readonly teardown: boolean;
  /** Every packet. */
  readonly all: boolean;
  /** No packet; stronger than everything else. */
  readonly none: boolean;
  /** Make the flow known to the standby with a handshake of the node's own when it takes over. */
  readonly seed: boolean;
  /** First packets of each direction; 0 is off, likewise below. */
  readonly firstPackets: number;
  /** First packets with payload of each direction. */
  readonly firstPayloadPackets: number;
  /** Packets until so many payload bytes from the client have passed; the client is who opened. */
  readonly firstBytesUp: number;
  /** The same for payload to the client. */
  readonly firstBytesDown: number;
  /** Packets until so many payload bytes have passed since the client began to talk; again at each turn. */
  readonly turnBytesUp: number;
  /** The same for the other side. */
  readonly turnBytesDown: number;
  /** Payload bytes copied in turns at most, both sides together, per flow; 0: no bound. */
  readonly turnBytesMax: number;
  /** First bytes and turns end where the flow is encrypted: handshakes of TLS, SSH and QUIC are the last to be copied. */
  readonly plaintext: boolean;
  /** TCP: the ACK that covers what was copied, so that the stream is put together without waiting for its end. */
  readonly acks: boolean;
  /** One packet in so many, of each direction. */
  readonly sample: number;
  /** While a direction talks, at most this long without a copy. A TCP segment with payload is followed by its ACK. */
  readonly keepaliveMs: number;
  /** TCP: such a pair at least every half receive window, so that a replica which checks windows goes along. */
  readonly keepaliveWindow: boolean;
}

/** A rule with its expression compiled. */
export interface CompiledRule {
  readonly rule: FilterRule;
  readonly program: BpfProgram;
}

/** Where the fields of struct rm_rule lie, counted from its start; names as on the board ("rule.bpf_count"). */
export interface RuleLayout {
  offset(name: string): number;
  readonly bytes: number;
}

const OFF: FilterRule = {
  name: "off",
  match: "",
  handshake: false,
  teardown: false,
  all: false,
  none: false,
  seed: false,
  firstPackets: 0,
  firstPayloadPackets: 0,
  firstBytesUp: 0,
  firstBytesDown: 0,
  turnBytesUp: 0,
  turnBytesDown: 0,
  turnBytesMax: 0,
  plaintext: false,
  acks: false,
  sample: 0,
  keepaliveMs: 0,
  keepaliveWindow: false,
};

/** What a rule may be made of: `firstBytes` stands for both directions. */
export type GivenRule = Partial<FilterRule> & { readonly name: string; readonly firstBytes?: number };

/** A rule with everything off but what is given. */
export function filterRule({ firstBytes, ...given }: GivenRule): FilterRule {
  const both = firstBytes === undefined ? {} : { firstBytesUp: firstBytes, firstBytesDown: firstBytes };
  return { ...OFF, ...both, ...given };
}

const CONNECTION_STATE = { handshake: true, teardown: true, keepaliveMs: 10_000, seed: true } as const;

/** Rules per kind of middlebox. Shares are of packets, measured on flows with a mean of 79 packets. */
export const PRESETS = {
  /**
   * Address translation. Keeps bindings: both boxes choose from the same first packets in the same order, and three each
   * way make a UDP pseudo-connection count as established. Sequence windows of long flows are left to seeding.
   * Costs about 2.4 %, plus one packet per direction and 10 s.
   */
  nat: [filterRule({ name: "nat", ...CONNECTION_STATE, firstPackets: 3 })],
  /**
   * Load balancing by address and port. Keeps the choice of back end, which falls with the first packet. Costs as `nat`.
   * A balancer that chooses by content needs `firstPayloadPackets` on top.
   */
  lb: [filterRule({ name: "lb", ...CONNECTION_STATE, firstPackets: 3 })],
  /**
   * Stateful packet filter. Keeps the connection table and, with five packets each way, the protocol that a firewall
   * recognises by the opening of the dialogue. Costs about 3.1 %, plus keep-alives.
   */
  firewall: [filterRule({ name: "firewall", ...CONNECTION_STATE, firstPackets: 5 })],
  /**
   * Intrusion detection, balanced. Its state is content, so nothing is seeded: the client's first 4 KB, the first 1 KB of
   * the answer, and the first packet each time the talking side changes, 160 KB of those in all, while the flow is readable;
   * a sign of life before the usual flow timeout of 60 s. What a turn brings acknowledges what was said before, so ACKs
   * alone are left out: what an IDS waits for in a long one-way transfer it sees at its end, or with the next sign of life.
   * Alerts that repeat through a very long dialogue are not all raised. docs/architecture.md says what it costs and keeps.
   */
  ids: [
    filterRule({
      name: "ids",
      handshake: true,
      teardown: true,
      plaintext: true,
      firstBytesUp: 4_096,
      firstBytesDown: 1_024,
      turnBytesUp: 1,
      turnBytesDown: 1,
      turnBytesMax: 163_840,
      keepaliveMs: 30_000,
    }),
  ],
  /**
   * Intrusion detection, all that can be had cheaply: the first 4 KB up and 16 KB down with the ACKs that let a stream be
   * put together at once, and 512 bytes of each turn, 1 MB in all.
   */
  "ids-full": [
    filterRule({
      name: "ids-full",
      handshake: true,
      teardown: true,
      acks: true,
      plaintext: true,
      firstBytesUp: 4_096,
      firstBytesDown: 16_384,
      turnBytesUp: 512,
      turnBytesDown: 512,
      turnBytesMax: 1_048_576,
      keepaliveMs: 30_000,
    }),
  ],
  /** Nothing is mirrored or seeded: a cold spare. Costs nothing and keeps nothing. */
  none: [filterRule({ name: "none", none: true })],
} as const satisfies Record<string, readonly FilterRule[]>;
export type Preset = keyof typeof PRESETS;

/**
 * Whether tunnels are opened with this preset, unless a configuration says otherwise. An IDS looks into them by itself, so
 * its flows are those inside; other boxes mostly see a tunnel as one flow, and flows inside are not seeded.
 */
export function opensTunnels(preset: Preset): boolean {
  return preset === "ids" || preset === "ids-full";
}

const U32_MAX = 0xffffffff;
/** Fields of struct rm_rule and of FilterRule. */
const FLAGS = [
  ["handshake", "handshake"],
  ["teardown", "teardown"],
  ["all", "all"],
  ["none", "none"],
  ["seed", "seed"],
  ["acks", "acks"],
  ["plaintext", "plaintext"],
  ["keepalive_window", "keepaliveWindow"],
] as const;
const NUMBERS = [
  ["first_packets", "firstPackets"],
  ["first_payload_packets", "firstPayloadPackets"],
  ["first_bytes_up", "firstBytesUp"],
  ["first_bytes_down", "firstBytesDown"],
  ["turn_bytes_up", "turnBytesUp"],
  ["turn_bytes_down", "turnBytesDown"],
  ["turn_bytes_max", "turnBytesMax"],
  ["sample", "sample"],
] as const;

/**
 * The bytes of struct rm_rule.
 * @throws RangeError naming rule and field if a value does not fit.
 */
export function encodeRule(
  rule: FilterRule,
  program: BpfProgram,
  layout: RuleLayout,
): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(rule.name);
  if (name.length === 0 || name.length >= LIMIT.name_bytes || name.includes(0)) {
    throw new RangeError(
      `Cannot encode rule "${rule.name}": its name must have 1 to ${LIMIT.name_bytes - 1} bytes`,
    );
  }
  if (program.length > LIMIT.bpf_max) {
    throw new RangeError(
      `Cannot encode rule "${rule.name}": its match has ${program.length} instructions, at most ${LIMIT.bpf_max} fit`,
    );
  }
  const bytes = new Uint8Array(layout.bytes);
  const view = new DataView(bytes.buffer);
  const at = (field: string) => layout.offset(`rule.${field}`);
  bytes.set(name, at("name"));
  view.setUint32(at("bpf_count"), program.length, true);
  for (const [field, flag] of FLAGS) view.setUint32(at(field), rule[flag] ? 1 : 0, true);
  for (const [field, number] of NUMBERS) view.setUint32(at(field), whole(rule, number, U32_MAX), true);
  view.setBigUint64(at("keepalive_ns"), keepaliveNs(rule), true);
  program.forEach((op, i) => {
    const place = at("bpf") + 8 * i;
    view.setUint16(place, op.code, true);
    view.setUint8(place + 2, op.jt);
    view.setUint8(place + 3, op.jf);
    view.setUint32(place + 4, op.k, true);
  });
  return bytes;
}

/** The keep-alive interval in nanoseconds, checked. */
export function keepaliveNs(rule: FilterRule): bigint {
  return BigInt(whole(rule, "keepaliveMs", U32_MAX)) * 1_000_000n;
}

type NumberField = (typeof NUMBERS)[number][1] | "keepaliveMs";

function whole(rule: FilterRule, field: NumberField, max: number): number {
  const value = rule[field];
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new RangeError(
    `Cannot encode rule "${rule.name}": ${field} must be a whole number from 0 to ${max}, not ${value}`,
  );
}

/**
 * The oracle: the decisions of native/decide.c once more, in plain TypeScript.
 *
 * A Map in place of the table, so nothing is ever evicted; everything else is the same, step by step as the comment of
 * rm_decide() in native/filter.h numbers them. Tests hold the two against each other packet by packet.
 */
import { runBpf } from "./bpf.ts";
import type { Age, Parse, Why } from "./names.ts";
import { flowKey, type FlowPart, type Packet, parsePacket, PROTO, TCP, type TcpPart } from "./packet.ts";
import { type CompiledRule, type FilterRule, keepaliveNs } from "./rule.ts";

/** What is known of one direction; the fields of struct rm_half. */
export interface ModelHalf {
  packets: number;
  bytes: bigint;
  payloadPackets: number;
  payloadBytes: bigint;
  mirrored: number;
  mirroredNs: bigint;
  next: number;
  ack: number;
  window: number;
  scale: number | undefined;
  sentSyn: boolean;
  sentFin: boolean;
  sentAck: boolean;
  sackPermitted: boolean;
  ackDue: boolean;
  finAckDue: boolean;
}

export interface ModelFlow {
  readonly outerDir: 0 | 1;
  readonly half: readonly [ModelHalf, ModelHalf];
  readonly firstNs: bigint;
  lastNs: bigint;
  /** Index of the cached rule. */
  rule: number | undefined;
  generation: number;
  reset: boolean;
  age: Age;
}

export interface Decision {
  readonly parse: Parse;
  readonly why: Why;
  /** Index of the flow's rule. */
  readonly rule: number | undefined;
  readonly packet: Packet;
  /** The flow after the packet; absent unless `parse` is "flow". */
  readonly flow?: ModelFlow;
}

/** A flow's life after its last packet, in milliseconds; 0: for ever. */
export type AgesMs = Readonly<Record<Age, number>>;

function newHalf(): ModelHalf {
  const counters = {
    packets: 0,
    bytes: 0n,
    payloadPackets: 0,
    payloadBytes: 0n,
    mirrored: 0,
    mirroredNs: 0n,
  };
  const sequence = { next: 0, ack: 0, window: 0, scale: undefined };
  const flags = { sentSyn: false, sentFin: false, sentAck: false, sackPermitted: false };
  return { ...counters, ...sequence, ...flags, ackDue: false, finAckDue: false };
}

const has = (tcp: TcpPart, flag: number) => (tcp.flags & flag) !== 0;
/** Later in sequence space: ahead by less than half of it (RFC 1982). */
const isLater = (a: number, b: number) => ((a - b) | 0) > 0;
const later = (a: number, b: number) => (isLater(a, b) ? a : b);
const elapsed = (since: bigint, now: bigint) => (now > since ? now - since : 0n);

function segmentEnd(tcp: TcpPart, payloadBytes: number): number {
  return (tcp.seq + payloadBytes + (has(tcp, TCP.syn) ? 1 : 0) + (has(tcp, TCP.fin) ? 1 : 0)) >>> 0;
}

export class FilterModel {
  readonly flows = new Map<string, ModelFlow>();
  #rules: readonly CompiledRule[];
  #generation = 1;
  readonly #agesMs: AgesMs;

  constructor(rules: readonly CompiledRule[], agesMs: AgesMs) {
    this.#rules = rules;
    this.#agesMs = agesMs;
  }

  /** Take over other rules: every flow chooses anew at its next packet. */
  setRules(rules: readonly CompiledRule[]): void {
    this.#rules = rules;
    this.#generation++;
  }

  /** Decide for one frame at `nowNs`; `observed`: it came out of the box and is never copied. */
  decide(frame: Uint8Array, nowNs: bigint, observed: boolean): Decision {
    const packet = parsePacket(frame);
    const part = packet.flow;
    if (!part) return { parse: packet.verdict, why: "none", rule: undefined, packet };
    const flow = this.#flowOf(packet, part, nowNs, observed);
    if (flow.generation !== this.#generation) {
      flow.generation = this.#generation;
      const index = this.#rules.findIndex(({ program }) => runBpf(program, frame) !== 0);
      flow.rule = index < 0 ? undefined : index;
    }
    const rule = flow.rule === undefined ? undefined : this.#rules[flow.rule]!.rule;
    const why = observed || !rule ? "none" : whyCopy(rule, flow, part, nowNs);
    follow(flow, packet, part);
    if (why !== "none") {
      const half = flow.half[part.dir];
      half.mirrored = (half.mirrored + 1) >>> 0;
      half.mirroredNs = nowNs;
    }
    flow.age = ageOf(flow, part.proto);
    flow.lastNs = nowNs;
    return { parse: packet.verdict, why, rule: flow.rule, packet, flow };
  }

  /** Step 1: the flow of a packet, made if need be. */
  #flowOf(packet: Packet, part: FlowPart, nowNs: bigint, observed: boolean): ModelFlow {
    const key = flowKey(packet);
    const known = this.flows.get(key);
    if (known && !this.#isAged(known, nowNs) && !opensAnew(known, part)) return known;
    const half: [ModelHalf, ModelHalf] = [newHalf(), newHalf()];
    const outerDir = observed ? (part.dir === 0 ? 1 : 0) : part.dir;
    const times = { firstNs: nowNs, lastNs: nowNs };
    const fresh: ModelFlow = {
      outerDir,
      half,
      ...times,
      rule: undefined,
      generation: 0,
      reset: false,
      age: "other",
    };
    fresh.age = ageOf(fresh, part.proto);
    this.flows.set(key, fresh);
    return fresh;
  }

  #isAged(flow: ModelFlow, nowNs: bigint): boolean {
    const limit = BigInt(this.#agesMs[flow.age]) * 1_000_000n;
    return limit > 0n && elapsed(flow.lastNs, nowNs) >= limit;
  }
}

/** A SYN that is not the repetition of the one this flow began with. */
function opensAnew(flow: ModelFlow, { tcp, dir, payloadBytes }: FlowPart): boolean {
  if (!tcp || !has(tcp, TCP.syn) || has(tcp, TCP.ack)) return false;
  if (flow.age !== "tcp_opening") return true;
  const sender = flow.half[dir];
  return sender.packets > 0 && segmentEnd(tcp, payloadBytes) !== sender.next;
}

/** Step 3. */
function whyCopy(rule: FilterRule, flow: ModelFlow, part: FlowPart, nowNs: bigint): Why {
  const half = flow.half[part.dir];
  if (rule.none) return "none";
  if (rule.all) return "all";
  const tcp = part.tcp;
  if (rule.handshake) {
    if (!tcp && half.packets === 0) return "handshake";
    if (tcp && has(tcp, TCP.syn)) return "handshake";
    if (tcp && half.ackDue && has(tcp, TCP.ack) && !has(tcp, TCP.rst | TCP.fin)) return "handshake";
  }
  if (rule.teardown && tcp) {
    if (has(tcp, TCP.fin | TCP.rst)) return "teardown";
    if (half.finAckDue && has(tcp, TCP.ack)) return "teardown";
  }
  if (half.packets < rule.firstPackets) return "first";
  if (part.payloadBytes > 0 && half.payloadPackets < rule.firstPayloadPackets) return "payload";
  if (
    part.payloadBytes > 0 &&
    half.payloadBytes < BigInt(part.dir === 0 ? rule.firstBytesUp : rule.firstBytesDown)
  ) return "bytes";
  const interval = keepaliveNs(rule);
  const silentSince = half.mirroredNs === 0n ? flow.firstNs : half.mirroredNs;
  return interval > 0n && elapsed(silentSince, nowNs) >= interval ? "keepalive" : "none";
}

/** Step 4, but for the copies. */
function follow(flow: ModelFlow, packet: Packet, part: FlowPart): void {
  const half = flow.half[part.dir];
  if (part.tcp) followTcp(flow, part, part.tcp);
  half.packets = (half.packets + 1) >>> 0;
  half.bytes += BigInt(packet.frameBytes);
  if (part.payloadBytes > 0) half.payloadPackets = (half.payloadPackets + 1) >>> 0;
  half.payloadBytes += BigInt(part.payloadBytes);
}

function followTcp(flow: ModelFlow, part: FlowPart, tcp: TcpPart): void {
  const half = flow.half[part.dir];
  const other = flow.half[part.dir === 0 ? 1 : 0];
  const end = segmentEnd(tcp, part.payloadBytes);
  half.next = half.packets === 0 ? end : later(end, half.next);
  if (has(tcp, TCP.ack)) {
    half.ack = half.sentAck ? later(tcp.ack, half.ack) : tcp.ack;
    half.sentAck = true;
    half.window = tcp.window;
    if (!has(tcp, TCP.syn)) half.ackDue = half.finAckDue = false;
  }
  if (has(tcp, TCP.syn)) {
    half.sentSyn = true;
    half.scale = tcp.scale;
    half.sackPermitted = tcp.sack;
    if (!has(tcp, TCP.ack)) half.ackDue = true;
  }
  if (has(tcp, TCP.fin)) {
    half.sentFin = true;
    other.finAckDue = true;
  }
  if (has(tcp, TCP.rst)) flow.reset = true;
}

/** Step 5. */
function ageOf({ half: [a, b], reset }: ModelFlow, proto: number): Age {
  switch (proto) {
    case PROTO.tcp:
      if (reset || (a.sentFin && b.sentFin)) return "tcp_closing";
      return a.sentAck && b.sentAck ? "tcp" : "tcp_opening";
    case PROTO.udp:
      return "udp";
    case PROTO.icmp:
    case PROTO.icmpv6:
      return "icmp";
    default:
      return "other";
  }
}

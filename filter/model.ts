/**
 * The oracle: the decisions of native/decide.c once more, in plain TypeScript.
 *
 * A Map in place of the table, so nothing is ever evicted; everything else is the same, step by step as the comment of
 * rm_decide() in native/filter.h numbers them. Tests hold the two against each other packet by packet.
 */
import { runBpf } from "./bpf.ts";
import { Budget, type BudgetLimits } from "./budget.ts";
import { FragmentTable } from "./fragment.ts";
import type { Age, Nature, Parse, Why } from "./names.ts";
import { NATURE_PACKETS, nextNature } from "./nature.ts";
import { flowKey, type FlowPart, type Packet, parsePacket, PROTO, TCP, type TcpPart } from "./packet.ts";
import {
  isPlain,
  isQuiet,
  otherBits,
  PATIENCE_MAX,
  quietBits,
  startOfTick,
  tickOf,
  turnsOver,
} from "./quiet.ts";
import type { CompiledRule, FilterRule } from "./rule.ts";
import { parseInner } from "./tunnel.ts";
import { elapsed, has, isLater, later, segmentEnd, whyCopy } from "./why.ts";

/** What is known of one direction; the fields of struct rm_half. */
export interface ModelHalf {
  packets: number;
  bytes: bigint;
  payloadPackets: number;
  payloadBytes: number;
  mirrored: number;
  mirroredNs: bigint;
  copied: number | undefined;
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
  replyDue: boolean;
}

export interface ModelFlow {
  outerDir: 0 | 1;
  /** Quiet without payload and with, of direction 0, then of 1. */
  quiet: number;
  /** Of the last packet. */
  tick: bigint;
  /** Direction of packets from the end that opened. */
  readonly client: 0 | 1;
  readonly inner: boolean;
  /** Direction of the last payload. */
  talker: 0 | 1 | undefined;
  turnLeft: number;
  turnSpent: number;
  nature: Nature;
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
  /** A copy for this reason was not made, the budget is spent. */
  readonly shed: Why;
  /** Index of the flow's rule. */
  readonly rule: number | undefined;
  /** Nothing was to do. */
  readonly isQuiet?: boolean;
  readonly packet: Packet;
  /** The flow after the packet; absent unless `parse` is "flow". */
  readonly flow?: ModelFlow;
}

export interface FilterOptions {
  /** Look into tunnels. @default false */
  readonly inner?: boolean;
  /** @default no bound */
  readonly budget?: BudgetLimits;
  /** When the budget starts to fill. @default 0 */
  readonly nowNs?: bigint;
}

const UNBOUNDED: BudgetLimits = { bytesPerSecond: 0, packetsPerSecond: 0 };
const U32_MAX = 0xffffffff;
const ROUND_TICKS = 512n;
const NO_TICK = -1n << 40n; // so long ago that nothing is quiet

interface Circumstances {
  readonly nowNs: bigint;
  readonly observed: boolean;
}

/** A flow's life after its last packet, in milliseconds; 0: for ever. */
export type AgesMs = Readonly<Record<Age, number>>;

function newHalf(): ModelHalf {
  const counters = {
    packets: 0,
    bytes: 0n,
    payloadPackets: 0,
    payloadBytes: 0,
    mirrored: 0,
    mirroredNs: 0n,
  };
  const sequence = { copied: undefined, next: 0, ack: 0, window: 0, scale: undefined };
  const flags = { sentSyn: false, sentFin: false, sentAck: false, sackPermitted: false };
  return { ...counters, ...sequence, ...flags, ackDue: false, finAckDue: false, replyDue: false };
}

export class FilterModel {
  readonly flows = new Map<string, ModelFlow>();
  #rules: readonly CompiledRule[];
  #generation = 1;
  readonly #agesMs: AgesMs;
  readonly #inner: boolean;
  readonly #fragments = new FragmentTable();
  readonly budget: Budget;
  #roundTick = 0n;

  constructor(rules: readonly CompiledRule[], agesMs: AgesMs, options: FilterOptions = {}) {
    const { inner = false, budget = UNBOUNDED, nowNs = 0n } = options;
    this.#rules = rules;
    this.#agesMs = agesMs;
    this.#inner = inner;
    this.budget = new Budget(budget, nowNs);
  }

  /** Take over other rules: every flow chooses anew at its next packet. */
  setRules(rules: readonly CompiledRule[]): void {
    this.#rules = rules;
    this.#generation++;
  }

  /** Ticks have few bits: after a long time, or a clock that jumped, old ones are void. */
  #begin(tick: bigint): void {
    const since = tick - this.#roundTick;
    if (since < ROUND_TICKS && -since <= ROUND_TICKS) return;
    this.#roundTick = tick;
    for (const flow of this.flows.values()) if (tick - flow.tick > PATIENCE_MAX) flow.tick = NO_TICK;
  }

  /** Decide for one frame at `nowNs`; `observed`: it came out of the box and is never copied. */
  decide(frame: Uint8Array, nowNs: bigint, observed: boolean): Decision {
    this.#begin(tickOf(nowNs));
    const packet = this.#inner ? parseInner(frame) : parsePacket(frame);
    if (packet.flow) {
      return this.#passQuiet(frame, packet, packet.flow, { nowNs, observed }) ??
        this.#decideFlow(frame, packet, packet.flow, { nowNs, observed });
    }
    if (packet.fragment) return this.#decideFragment(frame, packet, { nowNs, observed });
    return { parse: packet.verdict, why: "none", shed: "none", rule: undefined, packet };
  }

  #decideFragment(frame: Uint8Array, packet: Packet, { nowNs, observed }: Circumstances): Decision {
    const first = packet.fragment!.flow;
    if (first) {
      const decision = this.#decideFlow(frame, packet, first, { nowNs, observed });
      const { why, rule } = decision;
      if (!observed) this.#fragments.keep(packet, { copied: why !== "none", rule, ns: nowNs });
      return decision;
    }
    const none = { parse: packet.verdict, why: "none", shed: "none", rule: undefined, packet } as const;
    if (observed) return none;
    const known = packet.fragment!.kind === "later" ? this.#fragments.find(packet, nowNs) : undefined;
    const rule = known?.rule;
    const wanted = known ? known.copied : this.#rules.some(({ rule }) => !rule.none);
    if (!wanted) return { ...none, rule };
    return this.budget.take("fragment", packet.frameBytes, nowNs)
      ? { ...none, rule, why: "fragment" }
      : { ...none, rule, shed: "fragment" };
  }

  /** Step 0. */
  #passQuiet(frame: Uint8Array, packet: Packet, part: FlowPart, at: Circumstances): Decision | undefined {
    const flow = this.flows.get(flowKey(packet));
    if (!flow || flow.generation !== this.#generation || !isPlain(frame, packet, part, this.#inner)) return;
    const rule = flow.rule === undefined ? undefined : this.#rules[flow.rule]!.rule;
    if (!isQuiet(flow, rule, part, { ...at, ageNs: this.#ageNs(flow) })) return;
    flow.tick = tickOf(at.nowNs);
    if (rule?.seed || rule?.keepaliveWindow) {
      follow(flow, packet, part);
      flow.lastNs = at.nowNs;
    } else if (startOfTick(flow.tick) > flow.lastNs) flow.lastNs = startOfTick(flow.tick);
    return { parse: packet.verdict, rule: flow.rule, isQuiet: true, packet, flow, why: "none", shed: "none" };
  }

  #decideFlow(
    frame: Uint8Array,
    packet: Packet,
    part: FlowPart,
    { nowNs, observed }: Circumstances,
  ): Decision {
    const flow = this.#flowOf(packet, part, nowNs, observed);
    if (flow.generation !== this.#generation) {
      flow.generation = this.#generation;
      flow.quiet = 0;
      const index = this.#rules.findIndex(({ program }) => runBpf(program, frame) !== 0);
      flow.rule = index < 0 ? undefined : index;
    }
    const rule = flow.rule === undefined ? undefined : this.#rules[flow.rule]!.rule;
    const { talker, nature } = flow;
    if (rule && part.payloadBytes > 0) followPayload(rule, flow, part, frame);
    const wanted = rule ? whyCopy(rule, flow, part, nowNs) : "none";
    const isShed = wanted !== "none" && !observed && !this.budget.take(wanted, packet.frameBytes, nowNs);
    const why = isShed ? "none" : wanted;
    const half = flow.half[part.dir];
    if (why !== "none") {
      half.mirroredNs = nowNs;
      if (!observed) half.mirrored = (half.mirrored + 1) >>> 0;
      if (part.tcp) followCopy(rule!, flow, part, why);
    }
    if (rule && !turnsOver(rule, flow)) followTurn(flow, part, why);
    follow(flow, packet, part);
    flow.age = ageOf(flow, part.proto);
    flow.lastNs = nowNs;
    flow.tick = tickOf(nowNs);
    const isReplyDue = why !== "none" && part.tcp !== undefined && part.payloadBytes > 0 &&
      (rule!.acks || why === "keepalive");
    const isOtherTouched = isReplyDue || talker !== flow.talker || nature !== flow.nature ||
      (part.tcp !== undefined && has(part.tcp, TCP.fin));
    const kept = isOtherTouched ? 0 : flow.quiet & otherBits(part.dir);
    flow.quiet = kept | quietBits(rule, flow, part.dir, part.tcp !== undefined);
    const told = { parse: packet.verdict, rule: flow.rule, packet, flow };
    return { ...told, why: observed ? "none" : why, shed: isShed ? wanted : "none" };
  }

  /** Step 1: the flow of a packet, made if need be. */
  #flowOf(packet: Packet, part: FlowPart, nowNs: bigint, observed: boolean): ModelFlow {
    const key = flowKey(packet);
    const known = this.flows.get(key);
    const outerDir = observed ? (part.dir === 0 ? 1 : 0) : part.dir;
    if (known && !this.#isAged(known, nowNs) && !opensAnew(known, part)) {
      known.outerDir = outerDir;
      return known;
    }
    const half: [ModelHalf, ModelHalf] = [newHalf(), newHalf()];
    const times = { firstNs: nowNs, lastNs: nowNs };
    const answers = part.tcp !== undefined && has(part.tcp, TCP.syn) && has(part.tcp, TCP.ack);
    const fresh: ModelFlow = {
      outerDir,
      quiet: 0,
      tick: tickOf(nowNs),
      client: answers ? (part.dir === 0 ? 1 : 0) : part.dir,
      inner: packet.inner > 0,
      talker: undefined,
      turnLeft: 0,
      turnSpent: 0,
      nature: "unknown",
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

  #ageNs(flow: ModelFlow): bigint {
    return BigInt(this.#agesMs[flow.age]) * 1_000_000n;
  }

  #isAged(flow: ModelFlow, nowNs: bigint): boolean {
    const limit = this.#ageNs(flow);
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

/** Step 4, the payload of a turn. */
function followTurn(flow: ModelFlow, { payloadBytes }: FlowPart, why: Why): void {
  flow.turnLeft = Math.max(flow.turnLeft - payloadBytes, 0);
  if (why === "turn") flow.turnSpent = Math.min(flow.turnSpent + payloadBytes, U32_MAX);
}

/** Step 2, what payload shows. */
function followPayload(rule: FilterRule, flow: ModelFlow, part: FlowPart, frame: Uint8Array): void {
  const { dir, proto, payloadOffset, payloadBytes } = part;
  const { payloadPackets } = flow.half[dir];
  const isOpen = flow.nature === "unknown" || flow.nature === "plain";
  if (rule.plaintext && (!isOpen || payloadPackets < NATURE_PACKETS)) {
    const payload = frame.subarray(payloadOffset, payloadOffset + payloadBytes);
    flow.nature = nextNature(flow.nature, { proto, payload, payloadPackets });
  }
  if (turnsOver(rule, flow) || flow.talker === dir) return;
  flow.talker = dir;
  flow.turnLeft = dir === flow.client ? rule.turnBytesUp : rule.turnBytesDown;
}

/** Step 4 for TCP, if the packet was copied. */
function followCopy(rule: FilterRule, flow: ModelFlow, part: FlowPart, why: Why): void {
  const half = flow.half[part.dir];
  const other = flow.half[part.dir === 0 ? 1 : 0];
  const tcp = part.tcp!;
  const end = segmentEnd(tcp, part.payloadBytes);
  half.copied = half.copied === undefined ? end : later(end, half.copied);
  if (has(tcp, TCP.ack) && !isLater(other.copied ?? 0, tcp.ack)) half.replyDue = false;
  if (part.payloadBytes > 0 && (rule.acks || why === "keepalive")) other.replyDue = true;
}

/** Step 4, but for what a copy changes. */
function follow(flow: ModelFlow, packet: Packet, part: FlowPart): void {
  const half = flow.half[part.dir];
  if (part.tcp) followTcp(flow, part, part.tcp);
  half.packets = (half.packets + 1) >>> 0;
  half.bytes += BigInt(packet.frameBytes);
  if (part.payloadBytes > 0) half.payloadPackets = (half.payloadPackets + 1) >>> 0;
  half.payloadBytes = Math.min(half.payloadBytes + part.payloadBytes, U32_MAX);
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
      // One that is seen one way only ends with that way.
      if (reset || (a.sentFin || b.sentFin) && [a, b].every((half) => half.sentFin || half.packets === 0)) {
        return "tcp_closing";
      }
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

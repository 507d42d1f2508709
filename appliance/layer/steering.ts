/**
 * Duty: which box serves which flows, and what the layer asks of whoever carries the frames.
 *
 * A rule leads the flows of a header field list to a box; of several the youngest that holds a flow decides, and where
 * none does, the box that serves by default. While state moves, frames are kept in three ways: _noted_, a reference to
 * each that went into the source, to be seen by the destination too; _held_, not given to any box; and _released_, in
 * the order they came. Nothing held is ever dropped for the move's sake: where a bound is reached, all of it goes to
 * the source, the move is told that its hold broke, and traffic never knew more than a delay.
 */
import { type HeaderFields, holds, parsePrefix, type PortRange } from "../../drivers/fields.ts";

export const GUARANTEES = ["none", "loss-free", "order-preserving"] as const;
/**
 * none: state that changes after it was read is lost. loss-free: the state of every frame arrives. order-preserving: also,
 * no frame leaves before one that came earlier.
 */
export type Guarantee = (typeof GUARANTEES)[number];

export interface SteeringRule {
  /** Unlike any other: the move that made it. */
  readonly id: string;
  readonly fields: HeaderFields;
  readonly box: string;
}

export interface SteeringMove {
  readonly id: string;
  readonly fields: HeaderFields;
  readonly source: string;
  readonly destination: string;
  readonly guarantee: Guarantee;
  /** More held frames than this break the hold. */
  readonly framesMax: number;
  /** A hold that lasts longer breaks. */
  readonly holdMsMax: number;
}

/** What is known of a move by whoever carries the frames; it outlives control. */
export interface SteeringSight {
  readonly routed: boolean;
  readonly hold: "none" | "intact" | "broken";
}

/** Every call may be made twice: what is so already stays so. A call that throws may or may not have had its effect. */
export interface Steering {
  /** Why flows cannot be led to another box now; null, or no such question: they can. */
  fault?(): string | null;
  /** Frames of the flows that go into the source are noted from now on; beyond `framesMax` the oldest are forgotten. */
  begin(move: SteeringMove): Promise<void>;
  /** Holds frames of the flows back. Done when what was in the source came out, or has had the time it may take. */
  hold(id: string): Promise<{ readonly held: number; readonly drained: boolean }>;
  /**
   * The destination gets the last `frames` noted frames of a flow once more, in order; what it sends in answer is held
   * back. Returns how many it got: fewer where some were forgotten.
   */
  reprocess(id: string, fields: HeaderFields, frames: number): Promise<number>;
  /**
   * At once: the rule is added, held frames go to the destination. Order-preserving: new frames wait behind them. Rules
   * that it covers stay until `end`, for `cancel` to uncover. False, and nothing was changed: the hold broke.
   */
  route(id: string): Promise<boolean>;
  /** The flows are the source's, whatever was: the rule goes, held frames are released to the source. */
  cancel(id: string): Promise<void>;
  /** The move is over: what was noted is forgotten; the rule stays, and those that it covers go. */
  end(id: string): Promise<void>;
  /** Null: never heard of it, or started anew since. */
  look(id: string): Promise<SteeringSight | null>;
  /** All rules, the youngest last; after a start they are what it is told. */
  rules(): Promise<readonly SteeringRule[]>;
  add(rule: SteeringRule): Promise<void>;
  remove(id: string): Promise<void>;
}

function prefixesMeet(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const [one, other] = [parsePrefix(a), parsePrefix(b)];
  if (one === null || other === null) return false;
  const length = BigInt(128 - Math.min(one.length, other.length));
  return (one.bits ^ other.bits) >> length === 0n;
}

const ends = (range: PortRange): readonly [number, number] =>
  typeof range === "number" ? [range, range] : range;

function portsMeet(a: PortRange | undefined, b: PortRange | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const [[from, to], [first, last]] = [ends(a), ends(b)];
  return from <= last && first <= to;
}

/** Whether a flow may be of both. */
export function meet(a: HeaderFields, b: HeaderFields): boolean {
  return (a.protocol === undefined || b.protocol === undefined || a.protocol === b.protocol) &&
    prefixesMeet(a.source, b.source) && prefixesMeet(a.destination, b.destination) &&
    portsMeet(a.sourcePort, b.sourcePort) && portsMeet(a.destinationPort, b.destinationPort);
}

/** The box of a flow; null: that which serves by default. */
export function boxOf(rules: readonly SteeringRule[], flow: HeaderFields): string | null {
  return rules.findLast(({ fields }) => holds(fields, flow))?.box ?? null;
}

/** The rules with one more, which is the youngest. Those that it covers wholly decide nothing any more and go. */
export function withRule(rules: readonly SteeringRule[], rule: SteeringRule): SteeringRule[] {
  return [...rules.filter(({ id, fields }) => id !== rule.id && !holds(rule.fields, fields)), rule];
}

/** Without those that lead to the box that serves by default, past no other rule: they would only pin flows to it. */
export function trimmed(rules: readonly SteeringRule[], serving: string | null): SteeringRule[] {
  const kept: SteeringRule[] = [];
  for (const rule of rules) {
    if (rule.box !== serving || kept.some(({ fields }) => meet(fields, rule.fields))) kept.push(rule);
  }
  return kept;
}

/**
 * Which boxes may have flows of these fields, "" for the one that serves by default. Exact where each rule holds all of
 * them or none; else a superset, by which a move is refused rather than done by halves.
 */
export function boxesOf(rules: readonly SteeringRule[], fields: HeaderFields): Set<string> {
  const boxes = new Set<string>();
  for (const rule of rules.toReversed()) {
    if (!meet(rule.fields, fields)) continue;
    boxes.add(rule.box);
    if (holds(rule.fields, fields)) return boxes;
  }
  return boxes.add("");
}

/**
 * Duty: what a roll-out is, what it must know of nodes, and what it hands out: offers, rows to keep, words.
 *
 * A course is one node's way through one roll-out. Rows are all that outlives the controller: they are committed before
 * the offers of the same turn leave, and an offer carries the same id whenever it is made again.
 *
 *   installing -> installed -> restarting -> observing -> good
 *        '------------'------------'------------'------> failed (refused, fell-back, late, worse)
 */
import type { UpdateView } from "../../update/contract.ts";
import type { Changed } from "./changes.ts";

export type Health = "green" | "yellow" | "red" | "unknown";

/** What is known of a node, as it last said. */
export interface FleetNode {
  readonly id: string;
  /** What people call it; a stage may name it so. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The node that carries on when this one restarts; null: it is a single. */
  readonly partner: string | null;
  readonly connected: boolean;
  readonly health: Health;
  /** A box other than the primary serves. */
  readonly onRedundant: boolean;
  /** Null: the node has no updater. */
  readonly update: UpdateView | null;
}

export interface Fleet {
  node(id: string): FleetNode | undefined;
  nodes(): Iterable<FleetNode>;
  /** Which nodes came, changed or went since a mark; absent: nobody can tell. */
  changed?(mark: number): Changed;
}

export interface Bundle {
  /** SHA-256, in hexadecimal. */
  readonly digest: string;
  readonly version: string;
  readonly bytes: number;
}

/** Who comes in a stage: nodes by name, or a share of the scope, or those with all of these labels. */
export type Choice =
  | { readonly nodes: readonly string[] }
  | { readonly percent: number }
  | { readonly labels: Readonly<Record<string, string>> };

export interface Stage {
  readonly name: string;
  readonly choice: Choice;
}

/** Minutes after midnight, UTC; `toMin` is outside. A window may span midnight. */
export interface HourWindow {
  readonly fromMin: number;
  readonly toMin: number;
}

export interface RolloutOrder {
  readonly id: string;
  readonly bundle: Bundle;
  /** Only nodes with all of these labels are of it. */
  readonly scope: Readonly<Record<string, string>>;
  readonly stages: readonly Stage[];
  /** Offers are made within these hours alone; none: at any time. */
  readonly windows: readonly HourWindow[];
  /** Nodes under way at a time. */
  readonly concurrentMax: number;
  /** Failures of a stage, in percent of what has ended, over which everything halts. */
  readonly haltPercent: number;
  /** Of a stage: so many percent must be good before the next begins. */
  readonly quorumPercent: number;
  /** From an offer to its end; of the install and of the restart alike. */
  readonly deadlineMs: number;
  /** For so long after the restart the health may not be worse than before. */
  readonly observeMs: number;
  /** Between one stage that is through and the next. */
  readonly soakMs: number;
}

/** halted: by itself. paused: by a person. aborted, done: for good. */
export type Phase = "draft" | "running" | "paused" | "halted" | "aborted" | "done";

/** again: a person has sent it back to before its beginning. */
export type CourseStep =
  | "installing"
  | "installed"
  | "restarting"
  | "observing"
  | "good"
  | "failed"
  | "again";

export interface Course {
  readonly rollout: string;
  readonly node: string;
  /** From 1; a person who asks for another try makes it grow. */
  readonly attempt: number;
  readonly step: CourseStep;
  readonly stage: number;
  /** Held back as long as this is under way. */
  readonly partner: string | null;
  readonly force: boolean;
  readonly healthBefore: Health;
  /** The youngest report that the node had when the offer was made, by its own clock. */
  readonly reportMs: number;
  /** When the step began. */
  readonly sinceMs: number;
  readonly reason: string;
}

/** A version that fell back on a node; a person's word that it may be tried again. */
export interface Bar {
  readonly node: string;
  readonly version: string;
  readonly atMs: number;
  readonly reason: string;
  readonly pardonedBy: string | null;
}

export interface Rollout {
  readonly order: RolloutOrder;
  readonly phase: Phase;
  readonly stage: number;
  /** Since when enough of the stage is good; null: not yet. */
  readonly throughMs: number | null;
  /** Failures up to then were seen by the person who started it. */
  readonly startedMs: number;
  readonly reason: string;
  readonly madeMs: number;
}

export type Row =
  | { readonly kind: "rollout"; readonly key: string; readonly value: Rollout }
  | { readonly kind: "course"; readonly key: string; readonly value: Course }
  | { readonly kind: "bar"; readonly key: string; readonly value: Bar };

export type OfferKind = "install" | "restart";

/** The same id is the same work: a node that has begun it answers with what came of it and does nothing again. */
export interface Offer {
  readonly id: string;
  readonly node: string;
  readonly kind: OfferKind;
  readonly bundle: Bundle;
  readonly force: boolean;
  /** By the controller's clock: not delivered after it. */
  readonly expiresMs: number;
}

/** What a node said of an offer. */
export interface Answer {
  readonly id: string;
  readonly ok: boolean;
  readonly reason: string;
}

export interface RolloutEvent {
  readonly rollout: string;
  readonly node: string | null;
  readonly level: "info" | "warning";
  readonly text: string;
}

/** Commit rows and drops together, then send the offers. */
export interface Turn {
  readonly rows: readonly Row[];
  /** Roll-outs that are forgotten, with their courses. */
  readonly drops: readonly string[];
  readonly offers: readonly Offer[];
  readonly events: readonly RolloutEvent[];
}

/** Of the nodes of a stage. */
export interface Census {
  readonly size: number;
  readonly good: number;
  readonly failed: number;
  /** Of the failed: since a person last started the roll-out. */
  readonly fresh: number;
  readonly underWay: number;
  /** Nothing will be offered to them: no updater, a newer version, a version that fell back. */
  readonly left: number;
  readonly waiting: number;
}

export const UNDER_WAY: readonly CourseStep[] = ["installing", "installed", "restarting", "observing"];

export function isUnderWay({ step }: Course): boolean {
  return UNDER_WAY.includes(step);
}

export function courseKey(rollout: string, node: string): string {
  return `${rollout}/${node}`;
}

export function barKey(node: string, version: string): string {
  return `${node}/${version}`;
}

/** What a person may do with a roll-out that was made. */
export const VERBS = ["start", "pause", "abort"] as const;
export type Verb = (typeof VERBS)[number];

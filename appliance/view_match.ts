/**
 * What the node tells of matches: counts, history, the proof of a prediction, likely causes. Pure types, a part of view.ts.
 */
import type { MATCH_CLASS } from "../filter/names.ts";
import type { Box, DrillSummary } from "./view.ts";

/** Live connections by what a standby made of their openings. */
export interface MatchCounts {
  /** Opened as the serving box did. */
  readonly equal: number;
  /** It gave them another binding. */
  readonly different: number;
  /** Of the different ones, those that would be translated for it. */
  readonly followed: number;
  /** It got a copy of the opening, or should have, and handed nothing over. */
  readonly dropped: number;
}

export type MatchClass = (typeof MATCH_CLASS)[number];

/** What a standby made of the openings of live connections, held against what the serving box made of them. */
export interface MatchView extends MatchCounts {
  /** Not compared: older than the node, of a protocol of which nothing can be told, or not copied. */
  readonly unknown: number;
  /** Of those compared, what would live on with it, 0..1; null: there are none. */
  readonly share: number | null;
  /** It has been so bad that it was told (`[match]`). */
  readonly alarm: boolean;
  readonly classes: Readonly<Record<MatchClass, MatchCounts>>;
  /** How full its table is; absent where nobody has said how much it holds (`[seed.capacity]`). */
  readonly table?: TableView;
}

/** The table of a standby that holds fewer flows than there may be. */
export interface TableView {
  readonly room: number;
  /** Live flows that it is known to hold. */
  readonly held: number;
  /** Flows that it does not hold and that are worth more than others. */
  readonly missing: number;
}

/** What one standby made of one connection. */
export interface TwinView {
  readonly box: Box;
  readonly verdict: "equal" | "different" | "dropped";
  /** Of a different one, its own: who sends, then who it is for. Empty: not known any more. */
  readonly binding: string;
}

/** What the way back to the primary waits for, besides time. */
export interface FailbackWait {
  readonly sinceMs: number;
  /** When it goes back all the same; null: never. */
  readonly goesAtMs: number | null;
  /** Flows compared, those that would live on, and those not compared. */
  readonly known: number;
  readonly live: number;
  readonly unknown: number;
  /** Percent. */
  readonly wanted: number;
}

export interface FailbackView {
  /** When the primary will have earned its way back. */
  readonly atMs: number;
  /** Null: nothing but the time is waited for. */
  readonly wait: FailbackWait | null;
}

/** A minute of a standby's match: as it was at worst, and at last. */
export interface MatchMinute {
  readonly box: Box;
  readonly startMs: number;
  /** Null: too few flows were compared to say anything. */
  readonly worst: MatchCounts | null;
  readonly last: MatchCounts;
  /** Copies for it that were shed, or found its ports full, in this minute. */
  readonly lostCopies: number;
}

/** What became of flows after a switch: they pass both ways, they do not, or nobody used them. */
export interface Fates {
  readonly carried: number;
  readonly lost: number;
  readonly idle: number;
}

/** What a standby was said to carry on, and what it did when it had to. */
export interface MatchProof {
  readonly box: Box;
  /** Of the switch. */
  readonly atMs: number;
  readonly cause: string;
  /** So long after the switch it was counted. */
  readonly afterMs: number;
  /** Flows compared that were there before the switch, and those of them that were to live on. */
  readonly known: number;
  readonly predicted: number;
  /** What became of them, by what the box had made of each. */
  readonly equal: Fates;
  readonly different: Fates;
  readonly dropped: Fates;
  /** Paired connections that were not compared. */
  readonly unknown: Fates;
}

/** Why flows differ or are dropped, with what speaks for it. */
export interface DriftCause {
  readonly kind:
    | "lost-copies"
    | "rule"
    | "all-dropped"
    | "table-full"
    | "timeout"
    | "allocation"
    | "collisions"
    | "address";
  /** Flows that it explains. */
  readonly flows: number;
  readonly text: string;
}

export interface StandbyMatch {
  readonly box: Box;
  readonly now: MatchView;
  readonly worstHour: MatchMinute | null;
  readonly worstDay: MatchMinute | null;
  readonly causes: readonly DriftCause[];
  /** Oldest first; empty where it was not asked for. */
  readonly history: readonly MatchMinute[];
}

export interface MatchReport {
  readonly standbys: readonly StandbyMatch[];
  /** Percent below which a standby is told. */
  readonly alarmBelow: number;
  /** The last switch of which it was counted what came of it; null: there was none. */
  readonly failover: MatchProof | null;
  readonly drill: DrillSummary | null;
  readonly failback: FailbackView | null;
}

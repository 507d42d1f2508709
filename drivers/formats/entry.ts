/**
 * Duty: what a line of a log tells, in the words of this house, whoever wrote the log.
 *
 * A flow has both its names; a binding is a NAT's promise for a port, before or beside its flows; a choice is what a
 * load balancer decided for a client; a report is what an IDS saw. A flow that closes may be known by its session alone.
 */
import type { MergeKind } from "../record.ts";
import type { FlowState, FlowTuple } from "../flow_value.ts";
import type { Event } from "./format.ts";

export type EntryEvent = Exclude<Event, "ignore">;

export interface FlowEntry {
  readonly what: "flow";
  readonly event: EntryEvent;
  /** What the box calls it; null: nothing. */
  readonly session: string | null;
  /** Null: it is named by its session only. */
  readonly original: FlowTuple | null;
  readonly reply: FlowTuple | null;
  /** Null: the line does not say. */
  readonly state: FlowState | null;
  readonly timeoutMs: number | null;
}

/** Value of codec "binding/1", as JSON. */
export interface Binding {
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly natSource: string;
  readonly natSourcePort: number;
}

export interface BindingEntry {
  readonly what: "binding";
  readonly event: EntryEvent;
  readonly binding: Binding;
  readonly timeoutMs: number | null;
}

/** Value of codec "choice/1", as JSON. */
export interface Choice {
  readonly client: string;
  /** Where the client came in: a frontend. */
  readonly place: string;
  /** "backend/server". */
  readonly chosen: string;
}

export interface ChoiceEntry {
  readonly what: "choice";
  readonly event: EntryEvent;
  readonly choice: Choice;
  readonly timeoutMs: number | null;
}

export interface ReportEntry {
  readonly what: "report";
  readonly event: EntryEvent;
  /** Sets reports of one flow apart. */
  readonly key: string;
  readonly original: FlowTuple;
  /** Value of codec "report/1", as JSON. */
  readonly values: Readonly<Record<string, string | number>>;
  readonly merge: MergeKind;
  readonly timeoutMs: number | null;
}

export type Entry = FlowEntry | BindingEntry | ChoiceEntry | ReportEntry;

export type Reading =
  | { readonly kind: "entry"; readonly rule: string; readonly entry: Entry }
  /** A rule says that such lines tell nothing. */
  | { readonly kind: "ignored"; readonly rule: string }
  /** No rule fits. */
  | { readonly kind: "unknown" }
  /** A rule fits, and a value that it needs is wrong or missing: the end of a sentence. */
  | { readonly kind: "refused"; readonly rule: string; readonly fault: string };

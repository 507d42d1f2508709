/**
 * Duty: the contract between a state driver and those who move state.
 *
 * The verbs are the southbound ones of OpenMB: getSupport, putSupport and delSupport are `get`, `put` and `del` with the
 * role "supporting"; the same for reporting and configuration state. What a driver cannot do it says in `abilities`,
 * and is then never asked. A driver that throws is opened anew by whoever holds it; it takes nothing else down.
 */
import type { HeaderFields } from "./fields.ts";
import type { StateRecord, StateRole } from "./record.ts";

export interface Abilities {
  readonly get: readonly StateRole[];
  readonly put: readonly StateRole[];
  readonly del: readonly StateRole[];
  /** It tells of changes by itself. */
  readonly watch: boolean;
  /** Its watch also tells of frames to be seen again, or of flows of another box. @default records alone */
  readonly hints?: boolean;
  /** Codecs whose records it takes; "*" takes all. */
  readonly codecs: readonly string[];
}

/** A record that was not taken, and why, as the end of a sentence. */
export interface Refusal {
  readonly key: string;
  readonly reason: string;
}

export interface PutResult {
  readonly taken: number;
  /** The same or something newer was there. */
  readonly known: number;
  readonly refused: readonly Refusal[];
}

export type DriverEvent =
  | { readonly kind: "record"; readonly record: StateRecord }
  /** A flow changed after its state was read: its frames since then have to be seen by the new box too. */
  | { readonly kind: "reprocess"; readonly fields: HeaderFields }
  /** Frames of the flow belong to another box now. */
  | { readonly kind: "redirect"; readonly fields: HeaderFields }
  /** Changes were missed; whoever listens has to `get` anew. */
  | { readonly kind: "gap"; readonly reason: string };

export interface StateDriver {
  /** The kind it was opened as. */
  readonly kind: string;
  readonly abilities: Abilities;
  /** What there is now of flows that the fields hold, and shared state that concerns them. */
  get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncIterable<StateRecord>;
  put(records: readonly StateRecord[]): Promise<PutResult>;
  /** Returns how many went. */
  del(role: StateRole, fields: HeaderFields): Promise<number>;
  /** Changes from now on, until the signal; never more than a bound waits, then a gap is told. */
  watch(signal: AbortSignal): AsyncIterable<DriverEvent>;
  /** Counts by name, for people: lines read, entries refused. */
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** A setting of a driver, as the configuration has it: snake_case, unit last. */
export interface Setting {
  readonly type: "integer" | "boolean" | "text" | "choice";
  /** One or more full sentences. */
  readonly help: string;
  readonly required?: true;
  readonly default?: number | boolean | string;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** Of a text: why it is refused, as the end of a sentence; null: it is taken. */
  readonly fault?: (text: string) => string | null;
  /** Its value is the path of a file with a secret; the value itself is shown, the file never. */
  readonly secret?: true;
}

/** As in the file, defaults filled in; what is absent without a default is not there. */
export type Settings = Readonly<Record<string, number | boolean | string>>;

/** What a driver gets from outside, so that it needs no clock and no log of its own. */
export interface DriverContext {
  readonly name: string;
  readonly nowMs: () => number;
  readonly say: (level: "info" | "warn" | "error", text: string) => void;
}

export interface DriverKind {
  /** As in the configuration: "conntrack", "syslog". */
  readonly kind: string;
  /** One line, for the list of drivers. */
  readonly summary: string;
  readonly abilities: Abilities;
  readonly settings: Readonly<Record<string, Setting>>;
  /** What settings lack together, each of them good by itself: the key, and the end of a sentence. Null: nothing. */
  readonly fault?: (settings: Settings) => { readonly key: string; readonly reason: string } | null;
  /** Throws an Error with a sentence where the box, file or socket cannot be reached. */
  open(settings: Settings, context: DriverContext): Promise<StateDriver>;
}

/**
 * State drivers and the repository as people and the API see them, and what they may ask. Pure types.
 */
import type { HeaderFields } from "../drivers/fields.ts";
import type { PutResult } from "../drivers/driver.ts";
import type { StateRecord, StateRole } from "../drivers/record.ts";

export interface DriverKindView {
  readonly kind: string;
  readonly summary: string;
  readonly get: readonly StateRole[];
  readonly put: readonly StateRole[];
  readonly del: readonly StateRole[];
  readonly watch: boolean;
  readonly codecs: readonly string[];
}

/** How far a replica is with one source. */
export interface ReplicaPlace {
  readonly source: string;
  readonly sequence: number;
  /** Entries of the source that it has not put, at the last look. */
  readonly lagRecords: number;
}

export interface DriverView {
  readonly name: string;
  readonly kind: string;
  readonly box: string;
  readonly role: "source" | "replica";
  readonly state: "starting" | "running" | "waiting" | "stopped";
  /** Why it does not run; empty: it does. */
  readonly reason: string;
  readonly sinceMs: number;
  readonly failures: number;
  /** Of a source: the last entry it has appended. */
  readonly sequence: number | null;
  /** Of a replica. */
  readonly places: readonly ReplicaPlace[];
  /** Of the way to or from the repository, and of the driver itself. */
  readonly counters: Readonly<Record<string, number>>;
  readonly driverCounters: Readonly<Record<string, number>>;
}

export interface RepositoryView {
  readonly kind: "embedded" | "redis";
  readonly ok: boolean;
  readonly reason: string;
  readonly spooled: number;
  readonly spoolLastsMs: number | null;
  readonly counters: Readonly<Record<string, number>>;
}

export interface DriversReport {
  readonly kinds: readonly DriverKindView[];
  readonly drivers: readonly DriverView[];
  /** Null: there are no drivers, so none is open. */
  readonly repository: RepositoryView | null;
}

export type StateAnswer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly text: string };

export interface StateQuery {
  readonly driver: string;
  /** Null: all that the driver has. */
  readonly role: StateRole | null;
  readonly fields: HeaderFields;
}

export interface StateControl {
  report(): DriversReport;
  get(query: StateQuery): StateAnswer<AsyncIterable<StateRecord>>;
  put(driver: string, records: readonly StateRecord[]): Promise<StateAnswer<PutResult>>;
  /** How many went. */
  del(query: StateQuery): Promise<StateAnswer<number>>;
}

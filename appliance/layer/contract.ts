/**
 * Duty: what the layer needs of others, and what people see of it. Pure types.
 */
import type { StateDriver } from "../../drivers/driver.ts";
import type { HeaderFields } from "../../drivers/fields.ts";
import type { StateRecord } from "../../drivers/record.ts";
import type { Step } from "./move.ts";
import type { Guarantee } from "./steering.ts";

export interface DriverSet {
  readonly names: readonly string[];
  /** The driver as it is now; null: there is none of this name, or it is being opened anew. */
  get(name: string): StateDriver | null;
  /** The box whose state it reads and writes; null: there is none of this name. */
  boxOf(name: string): string | null;
}

/** Brings records from one driver to the other: sealed on the way, through the repository where that is the way. */
export interface Courier {
  send(id: string, records: readonly StateRecord[]): Promise<readonly StateRecord[]>;
}

export interface Counts {
  /** Read while the source still served. */
  readonly records: number;
  /** Of all that was read, also once more under the hold. */
  readonly bytes: number;
  /** What the destination made of what it was given: it was new or newer, or not. */
  readonly taken: number;
  readonly known: number;
  readonly refused: number;
  readonly held: number;
  readonly reprocessed: number;
  readonly deleted: number;
}

export type MoveEnd = "moved" | "back";

export interface MoveView {
  readonly id: string;
  readonly source: string;
  readonly destination: string;
  /** As `fieldsText()` writes them. */
  readonly fields: string;
  readonly guarantee: Guarantee;
  readonly step: Step;
  readonly course: "on" | "back";
  /** Null: it is under way. */
  readonly end: MoveEnd | null;
  /** Why it goes back or waits, and what it left behind; empty: all is well. */
  readonly reason: string;
  readonly startedMs: number;
  /** Until now, or until its end. */
  readonly ageMs: number;
  readonly counts: Counts;
}

/** What a copy came to. */
export interface TransferView {
  readonly source: string;
  readonly destination: string;
  readonly counts: Counts;
  /** Named, never decided in silence. At most `CONFLICTS_MAX`; the rest are counted. */
  readonly conflicts: readonly { readonly key: string; readonly reason: string }[];
  readonly conflictsMore: number;
}

/** Done, or why not. */
export type LayerAnswer<T> =
  | { readonly ok: true; readonly view: T }
  | { readonly ok: false; readonly text: string };

export interface MoveRequest {
  readonly source: string;
  readonly destination: string;
  readonly fields: HeaderFields;
  readonly guarantee: Guarantee;
}

export type Application = "scale-out" | "scale-in" | "migrate";

/** What an application did, in its order. */
export interface ApplicationView {
  readonly application: Application;
  readonly lines: readonly string[];
}

/** What the API may ask of the layer. */
export interface LayerControl {
  move(request: MoveRequest): Promise<LayerAnswer<MoveView>>;
  clone(source: string, destination: string): Promise<LayerAnswer<TransferView>>;
  merge(source: string, destination: string): Promise<LayerAnswer<TransferView>>;
  apply(application: Application, request: MoveRequest): Promise<LayerAnswer<ApplicationView>>;
  /** Those under way, and the last that ended, oldest first. */
  moves(): readonly MoveView[];
}

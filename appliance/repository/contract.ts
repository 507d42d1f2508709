/**
 * Duty: what keeps sealed records between boxes has to do, whatever it is made of.
 *
 * Of each source there is a log, numbered without a gap, and a snapshot: the last entry of each slot. Who joins late reads
 * the snapshot and then the log behind it; who was too slow for the log is told of a gap and does the same again. So the
 * log may be short, and a reader that is gone costs nothing. No entry can be read here: chunks are sealed.
 */

export interface Entry {
  readonly sequence: number;
  /** Which entries replace each other: a text without NUL, made of role, codec and key of a record. */
  readonly slot: string;
  /** When it is worth nothing any more, milliseconds since the epoch; null: when another replaces it. */
  readonly expiresMs: number | null;
  readonly chunk: Uint8Array;
}

export type Appended =
  | { readonly ok: true; readonly last: number }
  /** The first of the entries is not the next one: what was there is lost, or somebody else appends. */
  | { readonly ok: false; readonly fault: "gap"; readonly last: number }
  /** There is no room; nothing was taken, and the same may be tried again. */
  | { readonly ok: false; readonly fault: "full" };

export interface Snapshot {
  /** All entries up to this one are in it. */
  readonly last: number;
  /** By sequence. */
  readonly entries: readonly Entry[];
}

export type Batch =
  | { readonly kind: "entries"; readonly entries: readonly Entry[] }
  /** The next entry is not there any more: the end of the subscription, read the snapshot. */
  | { readonly kind: "gap"; readonly reason: string };

export interface Acknowledgement {
  readonly replica: string;
  /** All up to this one was put. */
  readonly sequence: number;
}

export interface ReplicaMark extends Acknowledgement {
  readonly heardMs: number;
}

/** Bounds of what is kept; those of the log and the snapshot are for each source. */
export interface Bounds {
  /** Slots of the snapshot; beyond it the one that changed longest ago goes. */
  readonly recordsMax: number;
  /** Entries of the log; beyond it the oldest goes, read or not. */
  readonly logMax: number;
  /** Of all chunks together. */
  readonly bytesMax: number;
  /** A replica not heard of for longer holds nothing back. */
  readonly replicaSilenceMs: number;
}

export interface RepositoryHealth {
  readonly ok: boolean;
  /** One sentence. */
  readonly reason: string;
  /** Entries that wait in the spool of this node; 0 where there is none. */
  readonly spooled: number;
  /** How long the spool would last at the rate it fills; null: it does not fill. */
  readonly spoolLastsMs: number | null;
}

export interface Repository {
  readonly kind: "embedded" | "redis";
  /** The sequence of the last entry of a source; 0: there was none. */
  last(source: string): Promise<number>;
  /** In order, the first one behind the last; those that are there already are left out. All or none. */
  append(source: string, entries: readonly Entry[]): Promise<Appended>;
  /** Forgets what is there of a source, which goes on with this sequence. */
  begin(source: string, sequence: number): Promise<void>;
  snapshot(source: string): Promise<Snapshot>;
  /** Entries behind `after`, as they come, until the signal or a gap. Throws where it cannot be reached. */
  subscribe(source: string, after: number, signal: AbortSignal): AsyncIterable<Batch>;
  acknowledge(source: string, given: Acknowledgement): Promise<void>;
  replicas(source: string): Promise<readonly ReplicaMark[]>;
  /** Takes away what every live replica has put, and what is over. Returns how many entries of the log went. */
  trim(source: string): Promise<number>;
  counters(): Readonly<Record<string, number>>;
  health(): RepositoryHealth;
  close(): Promise<void>;
}

/** Entries of a batch for a subscriber. */
export const BATCH_MAX = 256;

/** The lowest sequence that a live replica has put; null: there is no live one. */
export function slowest(
  replicas: readonly ReplicaMark[],
  { nowMs, silenceMs }: { nowMs: number; silenceMs: number },
): number | null {
  const live = replicas.filter(({ heardMs }) => nowMs - heardMs <= silenceMs);
  return live.length === 0 ? null : Math.min(...live.map(({ sequence }) => sequence));
}

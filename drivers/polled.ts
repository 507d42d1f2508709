/**
 * Duty: the driver of a box that lists all its entries when asked, and tells of no change by itself.
 *
 * What a box is (a Store) lists, writes and removes entries; this asks it in intervals and tells what differs from the last
 * time. Nothing waits between two listings, so nothing is lost but what came and went meanwhile. What the driver itself
 * wrote is listed once more and not told, or two boxes that follow each other would never come to rest.
 */
import type { Abilities, DriverEvent, PutResult, Refusal, StateDriver } from "./driver.ts";
import { type HeaderFields, holds, parsePrefix, type PortRange } from "./fields.ts";
import { type MergeKind, recordFault, type StateRecord, type StateRole } from "./record.ts";
import { digestOf, Versions } from "./versions.ts";

export interface Entry {
  readonly key: string;
  /** What of the traffic it concerns. */
  readonly fields: HeaderFields;
  readonly value: Uint8Array;
  /** All of it that is not just time going by. */
  readonly sameness: string;
  readonly ttlMs: number | null;
}

/** A box, as entries. All of it throws where the box cannot be reached. */
export interface Store {
  list(): Promise<readonly Entry[]>;
  /** Of a value of its codec. @throws RangeError, whose message is the end of a sentence */
  read(value: Uint8Array): Entry;
  /** Makes or changes entries; returns why not, by key, of those that the box refused. */
  write(entries: readonly Entry[]): Promise<ReadonlyMap<string, string>>;
  /** Returns how many were there. */
  remove(keys: readonly string[]): Promise<number>;
  counters(): Readonly<Record<string, number>>;
  close(): void;
}

export interface PolledOptions {
  readonly kind: string;
  readonly codec: string;
  readonly role: StateRole;
  readonly merge: MergeKind | null;
  readonly abilities: Abilities;
  readonly pollMs: number;
  readonly nowMs: () => number;
  /** Resolves after the time, or as soon as the signal is given. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const range = (ports: PortRange) => typeof ports === "number" ? [ports, ports] as const : ports;

function portsMeet(a: PortRange | undefined, b: PortRange | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const [[first, last], [from, to]] = [range(a), range(b)];
  return first <= to && from <= last;
}

function prefixesMeet(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const [one, other] = [parsePrefix(a), parsePrefix(b)];
  if (one === null || other === null) return false;
  return (one.bits ^ other.bits) >> BigInt(128 - Math.min(one.length, other.length)) === 0n;
}

/** Whether there can be a flow that both hold. */
export function meet(a: HeaderFields, b: HeaderFields): boolean {
  return (a.protocol === undefined || b.protocol === undefined || a.protocol === b.protocol) &&
    prefixesMeet(a.source, b.source) && prefixesMeet(a.destination, b.destination) &&
    portsMeet(a.sourcePort, b.sourcePort) && portsMeet(a.destinationPort, b.destinationPort);
}

interface Told {
  readonly digest: number;
  /** When it ends if nothing happens, at the earliest and at the latest; null: never. */
  readonly until: { readonly earliestMs: number; readonly latestMs: number } | null;
}

/** What the box has, at some time between the question and the end of the answer. */
interface Listing {
  readonly entries: readonly Entry[];
  readonly askedMs: number;
  readonly answeredMs: number;
}

/** An entry that lives on although nothing of it changed is told again when it has no longer than this, as it was told. */
const NEARLY_OVER_MS = 10_000;
/** Times are whole seconds in some boxes. */
const ROUNDING_MS = 1000;

const digest = (entry: Entry) => digestOf(new TextEncoder().encode(entry.sameness));

export class PolledDriver implements StateDriver {
  readonly kind: string;
  readonly abilities: Abilities;
  readonly #store: Store;
  readonly #options: PolledOptions;
  readonly #versions: Versions;
  /** Of each watch: entries by key, as they were last told. */
  readonly #told = new Set<Map<string, Told>>();
  readonly #counts: Record<string, number> = {};
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: Store, options: PolledOptions) {
    this.#store = store;
    this.#options = options;
    this.kind = options.kind;
    this.abilities = options.abilities;
    this.#versions = new Versions(options.nowMs);
  }

  /** One after the other: a listing between writing and looking at what became of it would take it for news. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    // Whoever asked hears of it; the next one's turn comes all the same.
    this.#turn = done.catch(() => null);
    return done;
  }

  #count(name: string, by = 1): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + by;
  }

  async #listing(): Promise<Listing> {
    const { nowMs } = this.#options;
    const askedMs = nowMs();
    const entries = await this.#store.list();
    return { entries, askedMs, answeredMs: nowMs() };
  }

  #toldOf(entry: Entry, { askedMs, answeredMs }: Listing): Told {
    const { ttlMs } = entry;
    const until = ttlMs === null
      ? null
      : { earliestMs: askedMs + ttlMs, latestMs: answeredMs + ttlMs + ROUNDING_MS };
    return { digest: digest(entry), until };
  }

  #livesOn(told: Told, now: Told): boolean {
    const { nowMs, pollMs } = this.#options;
    if (told.until === null || told.until.latestMs > nowMs() + NEARLY_OVER_MS + 2 * pollMs) return false;
    return now.until === null || now.until.earliestMs > told.until.latestMs;
  }

  #record(entry: Entry, stamp: number, anew = false): StateRecord {
    const { codec, role, merge } = this.#options;
    const { key, fields, value, ttlMs } = entry;
    const version = this.#versions.of(key, digest(entry), stamp, anew);
    return { role, partition: "shared", key, fields, codec, value, version, ttlMs, merge, ended: false };
  }

  #ended(key: string): StateRecord {
    const { codec, role, merge } = this.#options;
    const version = this.#versions.end(key, this.#versions.next());
    const value = new Uint8Array();
    return {
      role,
      partition: "shared",
      key,
      fields: {},
      codec,
      value,
      version,
      ttlMs: null,
      merge,
      ended: true,
    };
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    if (role !== this.#options.role) return;
    const stamp = this.#versions.next();
    for (const entry of await this.#alone(() => this.#store.list())) {
      if (signal.aborted) return;
      if (!meet(fields, entry.fields)) continue;
      this.#count("entries_read");
      yield this.#record(entry, stamp);
    }
  }

  put(records: readonly StateRecord[]): Promise<PutResult> {
    return this.#alone(() => this.#put(records));
  }

  async #put(records: readonly StateRecord[]): Promise<PutResult> {
    const refused: Refusal[] = [], gone: string[] = [];
    const wanted = new Map<string, { readonly record: StateRecord; readonly entry: Entry }>();
    let taken = 0, known = 0;
    for (const record of records) {
      const { key, version } = record;
      const { codec } = this.#options;
      const fault = recordFault(record) ??
        (codec === record.codec ? null : `its codec is ${record.codec}, not ${codec}`);
      if (fault !== null) refused.push({ key, reason: fault });
      else if (this.#versions.has(key, version) !== null) known++;
      else if (record.ended) {
        gone.push(key);
        this.#versions.put(key, version);
      } else this.#read(record, wanted, refused);
    }
    if (gone.length > 0) taken += await this.#store.remove(gone);
    known += gone.length - taken;
    const reasons = wanted.size === 0
      ? new Map<string, string>()
      : await this.#store.write([...wanted.values()].map(({ entry }) => entry));
    for (const [key, reason] of reasons) refused.push({ key, reason });
    taken += wanted.size - reasons.size;
    const written = [...wanted.values()].filter(({ record }) => !reasons.has(record.key));
    await this.#absorb(written.map(({ record }) => record), gone);
    this.#count("put_taken", taken);
    this.#count("put_refused", refused.length);
    return { taken, known, refused };
  }

  #read(
    record: StateRecord,
    wanted: Map<string, { readonly record: StateRecord; readonly entry: Entry }>,
    refused: Refusal[],
  ): void {
    const { key } = record;
    try {
      const entry = this.#store.read(record.value);
      if (entry.key === key) wanted.set(key, { record, entry });
      else refused.push({ key, reason: `its value is of ${entry.key}` });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refused.push({ key, reason: `its value cannot be read: ${error.message}` });
    }
  }

  /** As the box has it now, what was written is nothing new. */
  async #absorb(written: readonly StateRecord[], gone: readonly string[]): Promise<void> {
    for (const key of gone) for (const told of this.#told) told.delete(key);
    if (written.length === 0) return;
    const listing = await this.#listing();
    const entries = new Map(listing.entries.map((entry) => [entry.key, entry]));
    for (const { key, version } of written) {
      const entry = entries.get(key);
      // It has ended already: the next listing tells.
      if (!entry) continue;
      this.#versions.put(key, version, digest(entry));
      for (const told of this.#told) told.set(key, this.#toldOf(entry, listing));
    }
  }

  del(role: StateRole, fields: HeaderFields): Promise<number> {
    return role === this.#options.role ? this.#alone(() => this.#del(fields)) : Promise.resolve(0);
  }

  async #del(fields: HeaderFields): Promise<number> {
    const keys = (await this.#store.list()).filter((entry) => holds(fields, entry.fields)).map(({ key }) =>
      key
    );
    if (keys.length === 0) return 0;
    const gone = await this.#store.remove(keys);
    await this.#absorb([], keys);
    for (const key of keys) this.#versions.forget(key);
    this.#count("deleted", gone);
    return gone;
  }

  watch(signal: AbortSignal): AsyncGenerator<DriverEvent> {
    // Now, not when somebody reads.
    const first = this.#alone(() => this.#begin());
    // Heard of where it is awaited; until then nobody else may take it for lost.
    first.catch(() => {});
    return this.#events(first, signal);
  }

  async #begin(): Promise<Map<string, Told>> {
    const listing = await this.#listing();
    const told = new Map(listing.entries.map((entry) => [entry.key, this.#toldOf(entry, listing)]));
    this.#told.add(told);
    return told;
  }

  async *#events(first: Promise<Map<string, Told>>, signal: AbortSignal): AsyncGenerator<DriverEvent> {
    const told = await first;
    try {
      for (;;) {
        await this.#options.sleep(this.#options.pollMs, signal);
        if (signal.aborted) return;
        yield* await this.#alone(async () => [...this.#changes(told, await this.#listing())]);
      }
    } finally {
      this.#told.delete(told);
    }
  }

  *#changes(told: Map<string, Told>, listing: Listing): Generator<DriverEvent> {
    const stamp = this.#versions.next();
    const there = new Set<string>();
    for (const entry of listing.entries) {
      there.add(entry.key);
      const before = told.get(entry.key), now = this.#toldOf(entry, listing);
      const isSame = before?.digest === now.digest;
      if (isSame && !this.#livesOn(before, now)) continue;
      told.set(entry.key, now);
      this.#count(isSame ? "refreshed" : "events");
      yield { kind: "record", record: this.#record(entry, stamp, isSame) };
    }
    for (const key of told.keys()) {
      if (there.has(key)) continue;
      told.delete(key);
      this.#count("events");
      yield { kind: "record", record: this.#ended(key) };
    }
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#store.counters(), ...this.#counts };
  }

  close(): Promise<void> {
    this.#store.close();
    return Promise.resolve();
  }
}

/**
 * Duty: the repository inside the node: a file of SQLite for what must outlive the process, memory for who reads along.
 *
 * An append is on disk before it is acknowledged and before any reader sees it. Readers that keep up are served from the
 * last entries in memory, so sixteen of them cost one write.
 */
import {
  type Acknowledgement,
  type Appended,
  type Batch,
  BATCH_MAX,
  type Bounds,
  type Entry,
  type ReplicaMark,
  type Repository,
  type RepositoryHealth,
  slowest,
  type Snapshot,
} from "./contract.ts";
import { type Size, Store } from "./embedded_store.ts";

/** Last entries of a source kept for readers; beyond them they read the file. */
const RECENT_MAX = 1_024;
const RECENT_BYTES_MAX = 4 << 20;
/** Marks of replicas not heard of for so long go. */
const MARK_MS_MAX = 86_400_000;

interface Source {
  last: number;
  log: Size;
  snapshot: Size;
  recent: Entry[];
  recentBytes: number;
  readonly wakers: Set<() => void>;
}

export interface EmbeddedOptions extends Bounds {
  /** A file, or ":memory:". */
  readonly path: string;
  readonly nowMs: () => number;
  /** An append that would drop entries of the log which nobody has taken is refused as full. @default false */
  readonly keepsAll?: boolean;
}

export class EmbeddedRepository implements Repository {
  readonly kind = "embedded";
  readonly #store: Store;
  readonly #options: EmbeddedOptions;
  readonly #sources = new Map<string, Source>();
  readonly #counts = { appended: 0, known: 0, trimmed: 0, log_dropped: 0, evicted: 0, expired: 0, gaps: 0 };

  /** @throws Error with one sentence */
  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#store = new Store(options.path);
    for (const name of this.#store.sources().keys()) this.#source(name);
  }

  #source(name: string): Source {
    const known = this.#sources.get(name);
    if (known !== undefined) return known;
    const source: Source = {
      last: this.#store.sources().get(name) ?? 0,
      log: this.#store.sizeOf("log", name),
      snapshot: this.#store.sizeOf("snapshot", name),
      recent: [],
      recentBytes: 0,
      wakers: new Set(),
    };
    this.#sources.set(name, source);
    return source;
  }

  /** A number above every one that was returned before, also by a process before this one. */
  epoch(): number {
    return this.#store.next("epoch", this.#options.nowMs());
  }

  last(source: string): Promise<number> {
    return Promise.resolve(this.#source(source).last);
  }

  /** Of the log: what a spool still has to send. */
  waiting(source: string): number {
    return this.#source(source).log.entries;
  }

  get bytes(): number {
    return [...this.#sources.values()].reduce(
      (sum, { log, snapshot }) => sum + log.bytes + snapshot.bytes,
      0,
    );
  }

  append(name: string, entries: readonly Entry[]): Promise<Appended> {
    const source = this.#source(name);
    const first = entries[0]?.sequence ?? source.last + 1;
    if (first > source.last + 1) {
      return Promise.resolve({ ok: false, fault: "gap", last: source.last });
    }
    const fresh = entries.filter(({ sequence }) => sequence > source.last);
    this.#counts.known += entries.length - fresh.length;
    if (fresh.length === 0) return Promise.resolve({ ok: true, last: source.last });
    if (this.#isFull(source, fresh)) return Promise.resolve({ ok: false, fault: "full" });
    const last = fresh.at(-1)!.sequence;
    let grown: Size = { entries: 0, bytes: 0 };
    this.#store.together(() => {
      for (const entry of fresh) grown = plus(grown, this.#store.add(name, entry));
      this.#store.setLast(name, last);
    });
    source.last = last;
    source.log = plus(source.log, { entries: fresh.length, bytes: bytesOf(fresh) });
    source.snapshot = plus(source.snapshot, grown);
    this.#counts.appended += fresh.length;
    remember(source, fresh);
    this.#enforce(name, source);
    for (const wake of source.wakers) wake();
    return Promise.resolve({ ok: true, last });
  }

  #isFull(source: Source, fresh: readonly Entry[]): boolean {
    const { keepsAll, logMax, bytesMax } = this.#options;
    if (!keepsAll) return false;
    return source.log.entries + fresh.length > logMax || this.bytes + 2 * bytesOf(fresh) > bytesMax;
  }

  /** What is over the bounds goes: entries of the log first, which a snapshot makes good. */
  #enforce(name: string, source: Source): void {
    const { logMax, recordsMax, bytesMax, nowMs } = this.#options;
    if (source.snapshot.entries > recordsMax || this.bytes > bytesMax) {
      const over = this.#store.dropOver(name, nowMs());
      source.snapshot = minus(source.snapshot, over);
      this.#counts.expired += over.entries;
    }
    const tooMany = source.log.entries - logMax;
    if (tooMany > 0) this.#dropLog(name, source, this.#store.sequenceAt(name, tooMany - 1));
    while (this.bytes > bytesMax && source.log.entries > 0) {
      this.#dropLog(name, source, this.#store.sequenceAt(name, source.log.entries >> 1));
    }
    const slots = source.snapshot.entries - recordsMax;
    if (slots > 0) this.#evict(name, source, slots);
    while (this.bytes > bytesMax && source.snapshot.entries > 0) {
      this.#evict(name, source, Math.max(1, source.snapshot.entries >> 4));
    }
  }

  #dropLog(name: string, source: Source, upTo: number | null): void {
    const gone = this.#store.dropLog(name, upTo ?? source.last);
    source.log = minus(source.log, gone);
    this.#counts.log_dropped += gone.entries;
  }

  #evict(name: string, source: Source, count: number): void {
    const gone = this.#store.dropOldest(name, count);
    source.snapshot = minus(source.snapshot, gone);
    this.#counts.evicted += gone.entries;
  }

  begin(name: string, sequence: number): Promise<void> {
    const source = this.#source(name);
    this.#store.together(() => {
      this.#store.forget(name);
      this.#store.setLast(name, sequence - 1);
    });
    Object.assign(source, {
      last: sequence - 1,
      log: { entries: 0, bytes: 0 },
      snapshot: { entries: 0, bytes: 0 },
      recent: [],
      recentBytes: 0,
    });
    for (const wake of source.wakers) wake();
    return Promise.resolve();
  }

  snapshot(name: string): Promise<Snapshot> {
    const now = this.#options.nowMs();
    const entries = this.#store.snapshot(name).filter(({ expiresMs }) =>
      expiresMs === null || expiresMs > now
    );
    return Promise.resolve({ last: this.#source(name).last, entries });
  }

  /** Entries of the log behind `after`, from memory where they are still there. */
  read(name: string, after: number, limit: number = BATCH_MAX): readonly Entry[] {
    const { recent } = this.#source(name);
    const first = recent[0]?.sequence ?? Infinity;
    if (first > after + 1) return this.#store.read(name, after, limit);
    return recent.slice(after + 1 - first, after + 1 - first + limit);
  }

  async *subscribe(name: string, after: number, signal: AbortSignal): AsyncGenerator<Batch> {
    const source = this.#source(name);
    let wake = () => {};
    const waker = () => wake();
    source.wakers.add(waker);
    signal.addEventListener("abort", waker);
    try {
      for (let cursor = after; !signal.aborted;) {
        const entries = source.last > cursor ? this.read(name, cursor) : [];
        const next = entries[0]?.sequence;
        if (cursor > source.last || (source.last > cursor && next !== cursor + 1)) {
          this.#counts.gaps++;
          yield { kind: "gap", reason: `entry ${cursor + 1} is gone, the last one is ${source.last}` };
          return;
        }
        if (entries.length === 0) await new Promise<void>((resolve) => wake = resolve);
        else {
          cursor = entries.at(-1)!.sequence;
          yield { kind: "entries", entries };
        }
      }
    } finally {
      source.wakers.delete(waker);
      signal.removeEventListener("abort", waker);
    }
  }

  acknowledge(source: string, given: Acknowledgement): Promise<void> {
    this.#store.mark(source, { ...given, heardMs: this.#options.nowMs() });
    return Promise.resolve();
  }

  replicas(source: string): Promise<readonly ReplicaMark[]> {
    return Promise.resolve(this.#store.marks(source));
  }

  trim(name: string): Promise<number> {
    const source = this.#source(name), nowMs = this.#options.nowMs();
    this.#store.dropMarks(name, nowMs - MARK_MS_MAX);
    const over = this.#store.dropOver(name, nowMs);
    source.snapshot = minus(source.snapshot, over);
    this.#counts.expired += over.entries;
    const upTo = slowest(this.#store.marks(name), { nowMs, silenceMs: this.#options.replicaSilenceMs });
    return Promise.resolve(upTo === null ? 0 : this.discard(name, upTo));
  }

  /** Entries of the log up to this one are not needed any more. */
  discard(name: string, upTo: number): number {
    const source = this.#source(name);
    const gone = this.#store.dropLog(name, Math.min(upTo, source.last));
    source.log = minus(source.log, gone);
    this.#counts.trimmed += gone.entries;
    return gone.entries;
  }

  counters(): Readonly<Record<string, number>> {
    const held = [...this.#sources.values()];
    return {
      ...this.#counts,
      records: held.reduce((sum, { snapshot }) => sum + snapshot.entries, 0),
      log: held.reduce((sum, { log }) => sum + log.entries, 0),
      bytes: this.bytes,
    };
  }

  health(): RepositoryHealth {
    return { ok: true, reason: "it is in this node", spooled: 0, spoolLastsMs: null };
  }

  close(): Promise<void> {
    this.#store.close();
    return Promise.resolve();
  }
}

function remember(source: Source, fresh: readonly Entry[]): void {
  source.recent.push(...fresh);
  source.recentBytes += bytesOf(fresh);
  let drop = Math.max(0, source.recent.length - RECENT_MAX);
  let bytes = source.recentBytes - bytesOf(source.recent.slice(0, drop));
  while (bytes > RECENT_BYTES_MAX && drop < source.recent.length) {
    bytes -= source.recent[drop++]!.chunk.length;
  }
  source.recent = source.recent.slice(drop);
  source.recentBytes = bytes;
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { chunk }) => sum + chunk.length, 0);
}

const plus = (a: Size, b: Size): Size => ({ entries: a.entries + b.entries, bytes: a.bytes + b.bytes });
const minus = (a: Size, b: Size): Size => ({ entries: a.entries - b.entries, bytes: a.bytes - b.bytes });

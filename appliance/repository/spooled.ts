/**
 * Duty: a repository elsewhere that may be out of reach for any time, with a spool of this node before it.
 *
 * What cannot be written waits on disk, in order, and is written when the other end is back; nothing overtakes it. A server
 * that came back without its last entries is given them again from memory. When the spool is full the source has to wait:
 * its driver then tells a gap, and the state is read anew.
 */
import type { Acknowledgement, Appended, Entry, Repository, RepositoryHealth } from "./contract.ts";
import type { EmbeddedRepository } from "./embedded.ts";

/** Entries written lately, by source, for a server that forgot them. */
const RECENT_MAX = 2_048;
const RECENT_BYTES_MAX = 4 << 20;
const RETRY_MS = [100, 200, 400, 800, 1_600, 2_000] as const;
/** Shares of the spool at which it is told how long it lasts. */
const TOLD_AT = [0.5, 0.8, 0.95] as const;

export interface RepositoryEvent {
  readonly kind: "down" | "up" | "filling" | "full" | "lost";
  /** Of "lost": whose state has to be read anew. */
  readonly source?: string;
  /** One sentence. */
  readonly text: string;
}

export interface SpooledOptions {
  readonly remote: Repository;
  /** One that keeps all. */
  readonly spool: EmbeddedRepository;
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly nowMs: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly tell: (event: RepositoryEvent) => void;
}

export class SpooledRepository implements Repository {
  readonly kind = "redis";
  readonly #options: SpooledOptions;
  readonly #stop = new AbortController();
  /** Of the spool: what has been written elsewhere, by source. */
  readonly #sent = new Map<string, number>();
  readonly #draining = new Map<string, Promise<void>>();
  readonly #recent = new Map<string, Entry[]>();
  readonly #counts = { spooled: 0, drained: 0, repaired: 0, outages: 0, spool_full: 0 };
  #down: { readonly reason: string; readonly sinceMs: number } | null = null;
  #told = 0;

  constructor(options: SpooledOptions) {
    this.#options = options;
  }

  /** Goes on with what a process before this one has left in the spool. */
  resume(sources: readonly string[]): void {
    for (const source of sources) {
      if (this.#options.spool.waiting(source) > 0) this.#drain(source);
    }
  }

  async last(source: string): Promise<number> {
    const { spool, remote } = this.#options;
    return spool.waiting(source) > 0 ? await spool.last(source) : await remote.last(source);
  }

  async append(source: string, entries: readonly Entry[]): Promise<Appended> {
    const { spool } = this.#options;
    if (spool.waiting(source) === 0 && !this.#draining.has(source)) {
      try {
        const written = await this.#write(source, entries);
        this.#isUp();
        return written;
      } catch (error) {
        this.#isDown(error);
      }
    }
    return await this.#keep(source, entries);
  }

  /** Writes to the other end, and what it forgot before it. */
  async #write(source: string, entries: readonly Entry[]): Promise<Appended> {
    const { remote } = this.#options;
    const written = await remote.append(source, entries);
    if (written.ok) {
      this.#remember(source, entries);
      return written;
    }
    if (written.fault !== "gap") return written;
    const first = entries[0]!.sequence;
    const missing = (this.#recent.get(source) ?? []).filter(({ sequence }) =>
      sequence > written.last && sequence < first
    );
    if (missing.length === 0 || missing.length !== first - written.last - 1) return written;
    const again = await remote.append(source, [...missing, ...entries]);
    if (again.ok) {
      this.#counts.repaired += missing.length;
      this.#remember(source, entries);
    }
    return again;
  }

  #remember(source: string, entries: readonly Entry[]): void {
    const recent = [...this.#recent.get(source) ?? [], ...entries].slice(-RECENT_MAX);
    let bytes = recent.reduce((sum, { chunk }) => sum + chunk.length, 0);
    while (bytes > RECENT_BYTES_MAX) bytes -= recent.shift()!.chunk.length;
    this.#recent.set(source, recent);
  }

  async #keep(source: string, entries: readonly Entry[]): Promise<Appended> {
    const { spool } = this.#options;
    const first = entries[0]?.sequence ?? 1;
    if (spool.waiting(source) === 0 && await spool.last(source) !== first - 1) {
      await spool.begin(source, first);
      this.#sent.set(source, first - 1);
    }
    const kept = await spool.append(source, entries);
    if (kept.ok) this.#counts.spooled += entries.length;
    else if (kept.fault === "full") this.#isFull();
    this.#drain(source);
    this.#tellFilling();
    return kept;
  }

  #drain(source: string): void {
    if (this.#draining.has(source) || this.#stop.signal.aborted) return;
    this.#draining.set(source, this.#empty(source).finally(() => this.#draining.delete(source)));
  }

  async #empty(source: string): Promise<void> {
    const { spool, sleep } = this.#options, { signal } = this.#stop;
    for (let turn = 0; !signal.aborted && spool.waiting(source) > 0;) {
      try {
        await this.#send(source, spool.read(source, this.#sent.get(source) ?? 0));
        turn = 0;
      } catch (error) {
        this.#isDown(error);
        await sleep(RETRY_MS[Math.min(turn++, RETRY_MS.length - 1)]!, signal);
      }
    }
    if (!signal.aborted && this.#waiting() === 0) this.#isUp();
  }

  async #send(source: string, entries: readonly Entry[]): Promise<void> {
    const { remote, spool, tell } = this.#options;
    let written = await this.#write(source, entries);
    if (!written.ok && written.fault === "gap") {
      await remote.begin(source, entries[0]!.sequence);
      written = await this.#write(source, entries);
      tell({ kind: "lost", source, text: `the repository has lost the state of ${source}: it is read anew` });
    }
    if (!written.ok) throw new Error("it has no room");
    const last = entries.at(-1)!.sequence;
    this.#sent.set(source, last);
    this.#counts.drained += spool.discard(source, last);
  }

  #waiting(): number {
    return this.#options.spool.counters().log ?? 0;
  }

  /** How full the spool is, 0 to 1. */
  #used(): number {
    const { spool, entriesMax, bytesMax } = this.#options;
    return Math.max(this.#waiting() / entriesMax, spool.bytes / bytesMax);
  }

  #lastsMs(): number | null {
    const used = this.#used();
    if (this.#down === null || used === 0) return null;
    const sinceMs = Math.max(1, this.#options.nowMs() - this.#down.sinceMs);
    return Math.round(Math.max(0, 1 - used) / used * sinceMs);
  }

  #isDown(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#down !== null || this.#stop.signal.aborted) return;
    this.#counts.outages++;
    this.#told = 0;
    this.#down = { reason, sinceMs: this.#options.nowMs() };
    this.#options.tell({
      kind: "down",
      text: `the repository cannot be reached (${reason}): what changes waits in the spool`,
    });
  }

  #isUp(): void {
    if (this.#down === null) return;
    const seconds = ((this.#options.nowMs() - this.#down.sinceMs) / 1_000).toFixed(1);
    this.#down = null;
    this.#options.tell({
      kind: "up",
      text: `the repository is back after ${seconds} s, with all that had waited`,
    });
  }

  #tellFilling(): void {
    const next = TOLD_AT[this.#told], used = this.#used();
    if (next === undefined || used < next) return;
    this.#told = TOLD_AT.filter((share) => share <= used).length;
    const seconds = Math.round((this.#lastsMs() ?? 0) / 1_000);
    const share = Math.round(used * 100);
    this.#options.tell({
      kind: "filling",
      text: `the spool is ${share} % full, and lasts another ${seconds} s at this rate`,
    });
  }

  #isFull(): void {
    if (this.#counts.spool_full++ > 0 && this.#told > TOLD_AT.length) return;
    this.#told = TOLD_AT.length + 1;
    this.#options.tell({
      kind: "full",
      text: "the spool is full: sources wait, and are read anew when the repository is back",
    });
  }

  async begin(source: string, sequence: number): Promise<void> {
    const { remote, spool } = this.#options;
    await remote.begin(source, sequence);
    this.#recent.delete(source);
    await spool.begin(source, sequence);
    this.#sent.set(source, sequence - 1);
  }

  snapshot(source: string) {
    return this.#options.remote.snapshot(source);
  }

  subscribe(source: string, after: number, signal: AbortSignal) {
    return this.#options.remote.subscribe(source, after, signal);
  }

  acknowledge(source: string, given: Acknowledgement) {
    return this.#options.remote.acknowledge(source, given);
  }

  replicas(source: string) {
    return this.#options.remote.replicas(source);
  }

  trim(source: string) {
    return this.#options.remote.trim(source);
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#options.remote.counters(), ...this.#counts, spool: this.#waiting() };
  }

  health(): RepositoryHealth {
    const health = this.#options.remote.health(), spooled = this.#waiting();
    const reason = this.#down === null ? health.reason : `it cannot be reached: ${this.#down.reason}`;
    return { ok: health.ok && this.#down === null, reason, spooled, spoolLastsMs: this.#lastsMs() };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#options.remote.close();
    await Promise.allSettled(this.#draining.values());
    await this.#options.spool.close();
  }
}

/**
 * Duty: versions of state in a box that counts none itself.
 *
 * A version is the time at which a value was first seen, or the one it was put with; as long as the value is the same,
 * so is the version. So what is read twice is one version, and what comes from another box keeps the version it had there.
 * Times of one driver only grow, also over a restart.
 */

/** Versions within a millisecond. */
const PER_MS = 1000;
/** More than most boxes have entries. What is forgotten is put again, which does no harm. */
export const REMEMBERED_MAX = 1 << 18;
/** In place of a digest: it ended. */
const ENDED = -1;

interface Known {
  readonly version: number;
  readonly digest: number;
  /** It was put once, so its version can be compared with those of other boxes. */
  readonly carried: boolean;
}

/** FNV-1a, 32 bits: tells values of one key apart, and is no defence against anybody. */
export function digestOf(bytes: Uint8Array, from = 0): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash >>> 0;
}

export class Versions {
  readonly #known = new Map<string, Known>();
  readonly #nowMs: () => number;
  #last = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Later than all before. */
  next(): number {
    this.#last = Math.max(this.#last + 1, Math.floor(this.#nowMs() * PER_MS), 1);
    return this.#last;
  }

  /** Of a value that was read; `stamp` if it was not known like this, or is to be told `anew`. */
  of(key: string, digest: number, stamp: number, anew = false): number {
    const known = this.#known.get(key);
    return known?.digest === digest && !anew ? known.version : this.#changed(key, digest, stamp);
  }

  /** Of the end of a value. */
  end(key: string, stamp: number): number {
    return this.#changed(key, ENDED, stamp);
  }

  #changed(key: string, digest: number, stamp: number): number {
    const known = this.#known.get(key);
    const version = Math.max(stamp, (known?.version ?? 0) + 1);
    this.#set(key, { version, digest, carried: known?.carried ?? false });
    return version;
  }

  /**
   * Whether this version or a later one was there; "ended": it was, and that was its end. What a box made by itself does
   * not count: it may have seen the same flow, and no later.
   */
  has(key: string, version: number): "value" | "ended" | null {
    const known = this.#known.get(key);
    if (!known?.carried || known.version < version) return null;
    return known.digest === ENDED ? "ended" : "value";
  }

  /** It was put; without a digest its end was. */
  put(key: string, version: number, digest = ENDED): void {
    this.#set(key, { version, digest, carried: true });
  }

  #set(key: string, known: Known): void {
    this.#known.delete(key);
    this.#known.set(key, known);
    if (this.#known.size <= REMEMBERED_MAX) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest!);
  }

  /** What was taken away by order may come back as it was. */
  forget(key: string): void {
    this.#known.delete(key);
  }
}

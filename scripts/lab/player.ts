/**
 * Duty: a player of segmented video as a model: a buffer that plays away, and a rule that picks the next bit rate. Pure.
 *
 * The rule is the usual one: what the last segments' speed carries with a margin, and the lowest while the buffer is short.
 * Time goes in, events come out; whoever fetches the segments is elsewhere.
 */
/** Bit rates of the ladder, kbit/s: six of them, as the source has. */
export const LADDER_KBIT = [2_500, 3_500, 4_500, 5_500, 6_500, 8_000] as const;
export const SEGMENT_MS = 1_000;
/** Segments repeat after so many; each has a size of its own. */
export const VARIANTS = 8;

/** Bytes of a segment: scenes differ, so sizes do, from a third to nearly one and a half of the mean; 100 KB to 1.4 MB. */
export function segmentBytes(level: number, number: number): number {
  const parts = [0.34, 1.1, 0.8, 1.4, 0.6, 1.25, 0.95, 1.3];
  const mean = LADDER_KBIT[level]! * SEGMENT_MS / 8;
  return Math.round(mean * parts[number % VARIANTS]!);
}

export interface PlayerOptions {
  /** Segments of the whole. */
  readonly segments: number;
  /** Played from so much in the buffer on, at the start and after it ran dry. @default 2000 */
  readonly startMs?: number;
  /** No further segment is fetched above this. @default 6000 */
  readonly bufferMsMax?: number;
}

export interface PlayerReport {
  /** How often playing stopped because the buffer was empty; the start is not counted. */
  readonly bufferEvents: number;
  readonly stalledMs: number;
  readonly resolutionChanges: number;
  /** From the first request until the last segment was played. */
  readonly playMs: number;
  readonly meanKbit: number;
}

/** How much of the speed that was seen is relied upon. */
const MARGIN = 0.8;
/** Share of the newest segment in the smoothed speed. */
const NEWEST = 0.3;
const SHORT_MS = 1_500;

export class Player {
  readonly #segments: number;
  readonly #startMs: number;
  readonly #bufferMsMax: number;
  readonly #begunMs: number;
  #lookMs: number;
  #bufferMs = 0;
  #isPlaying = false;
  #hasPlayed = false;
  #fetched = 0;
  #level = 0;
  #kbit = 0;
  #sumKbit = 0;
  #bufferEvents = 0;
  #stalledMs = 0;
  #changes = 0;

  constructor({ segments, startMs = 2_000, bufferMsMax = 6_000 }: PlayerOptions, nowMs: number) {
    this.#segments = segments;
    this.#startMs = Math.min(startMs, segments * SEGMENT_MS);
    this.#bufferMsMax = bufferMsMax;
    this.#begunMs = this.#lookMs = nowMs;
  }

  /** Plays until `nowMs`. */
  advance(nowMs: number): void {
    const passed = Math.max(0, nowMs - this.#lookMs);
    this.#lookMs = Math.max(nowMs, this.#lookMs);
    if (!this.#isPlaying) {
      if (this.#hasPlayed) this.#stalledMs += passed;
      return;
    }
    const played = Math.min(passed, this.#bufferMs);
    this.#bufferMs -= played;
    if (this.#bufferMs > 0 || this.#fetched === this.#segments) return;
    this.#isPlaying = false;
    this.#bufferEvents++;
    this.#stalledMs += passed - played;
  }

  /** Which segment to fetch, and at which level; null: all are there. */
  get next(): { readonly number: number; readonly level: number } | null {
    return this.#fetched < this.#segments ? { number: this.#fetched, level: this.#level } : null;
  }

  /** How long to wait before the next one is fetched, 0 for not at all. */
  get waitMs(): number {
    return Math.max(0, this.#bufferMs + SEGMENT_MS - this.#bufferMsMax);
  }

  /** The segment that `next` named has come, `bytes` in `tookMs`. */
  arrived(nowMs: number, bytes: number, tookMs: number): void {
    this.advance(nowMs);
    const kbit = bytes * 8 / Math.max(1, tookMs);
    this.#kbit = this.#kbit === 0 ? kbit : this.#kbit * (1 - NEWEST) + kbit * NEWEST;
    this.#sumKbit += LADDER_KBIT[this.#level]!;
    this.#fetched++;
    this.#bufferMs += SEGMENT_MS;
    const isReady = this.#bufferMs >= this.#startMs || this.#fetched === this.#segments;
    if (!this.#isPlaying && isReady) this.#isPlaying = this.#hasPlayed = true;
    const level = this.#choose();
    if (level !== this.#level && this.#fetched < this.#segments) this.#changes++;
    this.#level = level;
  }

  #choose(): number {
    if (this.#hasPlayed && this.#bufferMs < SHORT_MS) return 0;
    const best = LADDER_KBIT.findLastIndex((kbit) => kbit <= this.#kbit * MARGIN);
    return Math.max(0, best);
  }

  /** What happened until the end; to be asked when `next` is null. */
  report(nowMs: number): PlayerReport {
    this.advance(nowMs);
    return {
      bufferEvents: this.#bufferEvents,
      stalledMs: Math.round(this.#stalledMs),
      resolutionChanges: this.#changes,
      playMs: Math.round(this.#lookMs + this.#bufferMs - this.#begunMs),
      meanKbit: Math.round(this.#sumKbit / Math.max(1, this.#fetched)),
    };
  }
}

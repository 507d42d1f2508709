/**
 * The history of matches: for each standby and minute how it was at worst, and at last; a day of it. Pure.
 *
 * Ten looks a second are many; a minute keeps the worst of them, so that a dip at night is still to be seen at noon.
 */
import type { Box, MatchCounts, MatchMinute } from "../view.ts";
import { compared, wouldLive } from "./match.ts";

export const MINUTE_MS = 60_000;
/** A day; with four boxes a megabyte of memory at most. */
export const MINUTES_MAX = 1440;

export interface MatchLook {
  readonly box: Box;
  readonly counts: MatchCounts;
  /** Copies lost since the plane started, as they are counted. */
  readonly lostCopies: number;
}

interface Open {
  readonly startMs: number;
  readonly lostBefore: number;
  lost: number;
  worst: MatchCounts | null;
  last: MatchCounts;
}

/** The worse of two: fewer of a hundred would live. */
function worse(a: MatchCounts | null, b: MatchCounts | null): MatchCounts | null {
  if (a === null || b === null) return a ?? b;
  return wouldLive(b) * compared(a) < wouldLive(a) * compared(b) ? b : a;
}

function plain({ equal, different, followed, dropped }: MatchCounts): MatchCounts {
  return { equal, different, followed, dropped };
}

function minuteOf(box: Box, { startMs, lost, lostBefore, worst, last }: Open): MatchMinute {
  // A plane that was started anew counts from nothing.
  const lostCopies = lost >= lostBefore ? lost - lostBefore : lost;
  return { box, startMs, worst, last, lostCopies };
}

export class MatchHistory {
  readonly #done = new Map<Box, MatchMinute[]>();
  readonly #open = new Map<Box, Open>();

  /** One look; `flowsMin`: fewer compared say nothing. Returns the minute that it ends. */
  note({ box, counts, lostCopies }: MatchLook, flowsMin: number, nowMs: number): MatchMinute | null {
    const startMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS;
    const before = this.#open.get(box);
    const fresh = before === undefined || before.startMs !== startMs;
    const open: Open = fresh
      ? {
        startMs,
        lostBefore: before?.lost ?? lostCopies,
        lost: lostCopies,
        worst: null,
        last: plain(counts),
      }
      : before;
    open.lost = lostCopies;
    open.last = plain(counts);
    open.worst = worse(open.worst, compared(counts) >= flowsMin ? plain(counts) : null);
    this.#open.set(box, open);
    if (!fresh || before === undefined) return null;
    const ended = minuteOf(box, before);
    this.keep(ended);
    return ended;
  }

  /** Take in a minute that was kept on disk. */
  keep(minute: MatchMinute): void {
    const all = this.#done.get(minute.box) ?? [];
    all.push(minute);
    if (all.length > MINUTES_MAX) all.shift();
    this.#done.set(minute.box, all);
  }

  /** Those that began at a moment or later, oldest first; the present one is the last. */
  minutes(box: Box, sinceMs = -Infinity): MatchMinute[] {
    const open = this.#open.get(box);
    const all = [...this.#done.get(box) ?? [], ...(open ? [minuteOf(box, open)] : [])];
    return all.filter(({ startMs }) => startMs >= sinceMs);
  }

  /** The worst since a moment; null: at no time enough was compared. */
  worst(box: Box, sinceMs: number): MatchMinute | null {
    return this.minutes(box, sinceMs).reduce<MatchMinute | null>(
      (found, one) =>
        one.worst !== null && worse(found?.worst ?? null, one.worst) === one.worst ? one : found,
      null,
    );
  }
}

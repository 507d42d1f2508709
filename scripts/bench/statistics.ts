/**
 * Duty: what slices and histograms amount to. Pure.
 *
 * On a shared machine a slice is slowed by neighbours and never sped up, so the best of many is what the program can
 * do, and the median tells how far from it a usual slice was.
 */
import { median } from "../demo.d/statistics.ts";

export interface Slice {
  readonly packets: number;
  readonly cpuNs: number;
}

export interface Speed {
  /** Nanoseconds of the processor for one packet. */
  readonly bestNs: number;
  readonly medianNs: number;
}

/** @throws RangeError without slices, or for one without packets or time */
export function speedOf(slices: readonly Slice[]): Speed {
  if (slices.length === 0) throw new RangeError("Cannot tell a speed: there are no slices");
  const each = slices.map(({ packets, cpuNs }) => {
    if (packets > 0 && cpuNs > 0) return cpuNs / packets;
    throw new RangeError(`Cannot tell a speed: a slice of ${packets} packets took ${cpuNs} ns`);
  });
  return { bestNs: Math.min(...each), medianNs: median(each) };
}

/** Million packets a second on one core. */
export function mppsOf(ns: number): number {
  return 1000 / ns;
}

/**
 * Upper edge of the step in which the given share of a histogram's entries is reached, in units of the step.
 * NaN for an empty histogram; the last step holds everything beyond, so its answer is Infinity.
 */
export function percentile(counts: readonly number[], share: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return NaN;
  let seen = 0;
  for (const [step, count] of counts.entries()) {
    seen += count;
    if (seen >= share * total) return step === counts.length - 1 ? Infinity : step + 1;
  }
  return Infinity;
}

export interface Bar {
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  /** What must be reached; NaN values never are. */
  readonly bar: number;
  readonly goal: number;
  /** @default false: more is better */
  readonly lessIsBetter?: boolean;
}

/** How far above its bar a value is: 1 is just met, below 1 missed. */
export function standing({ value, bar, lessIsBetter = false }: Bar): number {
  // Of what must not happen at all, the first is as bad as missing another bar by half.
  const share = lessIsBetter && bar === 0 ? 1 / (1 + value) : lessIsBetter ? bar / value : value / bar;
  return Number.isNaN(share) ? 0 : share;
}

/** The bar that is missed by most, or met by least. */
export function worstBar(bars: readonly Bar[]): Bar | undefined {
  return bars.toSorted((a, b) => standing(a) - standing(b))[0];
}

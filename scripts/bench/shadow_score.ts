/**
 * Duty: what rounds of a plane with and without shadow and fix-up amount to. Pure.
 */
import { median } from "../demo.d/statistics.ts";
import { percentile } from "./statistics.ts";

/** What the plane does beside carrying frames through the primary and copying some to the standby. */
export const SHADOW_WAYS = {
  neither: { shadow: false, fixup: false },
  shadow: { shadow: true, fixup: false },
  "fix-up": { shadow: false, fixup: true },
  both: { shadow: true, fixup: true },
} as const;
export type ShadowWay = keyof typeof SHADOW_WAYS;

/** Of bench:plane; its source stands at both ends. */
export const SHADOW_CASE = "first 5, 100k flows Zipf";
/** Of the flows, those that are translated. */
export const SHADOW_PERCENT = 10;
/** Of the latency, frames a second, half of them from each end: what the slowest way carries with room. */
export const SHADOW_RATE = 2_000_000;
/** Wide enough for what the plane does once in a millisecond. */
export const SHADOW_HISTOGRAM = { stepNs: 200, steps: 2048 } as const;
const SHARES = [0.5, 0.99, 0.999] as const;

/** One turn of one way: its speed, or its latency as histograms. */
export interface ShadowRound {
  readonly way: ShadowWay;
  /** Of the processor, for a frame through plane, box and plane; NaN where latency was measured. */
  readonly ns: number;
  /** Of all frames, and of the milliseconds in which none took longer than the last step. */
  readonly all: readonly number[];
  readonly calm: readonly number[];
  /** Frames of the standby that were compared, and frames that were translated, over frames from outside. */
  readonly compared: number;
  readonly translated: number;
}

export interface SpeedRow {
  readonly way: ShadowWay;
  /** Of the best turn. */
  readonly ns: number;
  /** Of the speed with neither: median over the rounds. */
  readonly ratio: number;
  /** Over frames from outside: median over the rounds. */
  readonly compared: number;
  readonly translated: number;
}

const of = (rounds: readonly ShadowRound[], way: ShadowWay) => rounds.filter((one) => one.way === way);
const ways = Object.keys(SHADOW_WAYS) as ShadowWay[];

/** Rounds in which every way has its turn. */
export function speedRows(rounds: readonly ShadowRound[]): SpeedRow[] {
  const off = of(rounds, "neither");
  return ways.map((way) => {
    const on = of(rounds, way);
    return {
      way,
      ns: Math.min(...on.map(({ ns }) => ns)),
      ratio: median(on.map(({ ns }, i) => off[i]!.ns / ns)),
      compared: median(on.map(({ compared }) => compared)),
      translated: median(on.map(({ translated }) => translated)),
    };
  });
}

export interface LatencyRow {
  readonly way: ShadowWay;
  /**
   * In nanoseconds: of the best turn, without milliseconds in which the machine stood still, and of all frames of all turns. Null:
   * beyond the histogram, or no frame came.
   */
  readonly shares: readonly {
    readonly share: number;
    readonly bestNs: number | null;
    readonly allNs: number | null;
  }[];
}

const sum = (counts: readonly (readonly number[])[]): number[] =>
  counts.reduce<number[]>((total, one) => one.map((count, step) => count + (total[step] ?? 0)), []);

function nsAt(counts: readonly number[], share: number): number | null {
  const ns = percentile(counts, share) * SHADOW_HISTOGRAM.stepNs;
  return Number.isFinite(ns) ? ns : null;
}

/** As with speed, neighbours on the processor only ever make a turn worse. */
export function latencyRows(rounds: readonly ShadowRound[]): LatencyRow[] {
  return ways.map((way) => {
    const turns = of(rounds, way), all = sum(turns.map((one) => one.all));
    const shares = SHARES.map((share) => {
      const each = turns.map(({ calm }) => nsAt(calm, share)).filter((ns) => ns !== null);
      return { share, bestNs: each.length > 0 ? Math.min(...each) : null, allNs: nsAt(all, share) };
    });
    return { way, shares };
  });
}

export const speedCells = (rows: readonly SpeedRow[]): string[][] => [
  ["with", "ns a frame", "of neither", "compared", "translated"],
  ...rows.map(({ way, ns, ratio, compared, translated }) => [
    way,
    ns.toFixed(1),
    ratio.toFixed(2),
    `${(compared * 100).toFixed(0)} %`,
    `${(translated * 100).toFixed(0)} %`,
  ]),
];

const BEYOND = `> ${SHADOW_HISTOGRAM.stepNs * (SHADOW_HISTOGRAM.steps - 1) / 1000}`;
const us = (ns: number | null) => ns === null ? BEYOND : (ns / 1000).toFixed(1);

/** In each cell first the best turn, then all frames of all turns. */
export const latencyCells = (rows: readonly LatencyRow[]): string[][] => [
  ["with", ...SHARES.map((share) => `p${share * 100}, us (all)`)],
  ...rows.map((
    { way, shares },
  ) => [way, ...shares.map(({ bestNs, allNs }) => `${us(bestNs)} (${us(allNs)})`)]),
];

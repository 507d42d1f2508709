/**
 * Duty: what runs of `deno task bench:match` amount to: what was predicted of a failover beside what came of it. Pure.
 */
import { align } from "../demo.d/table.ts";
import type { Load } from "./load.ts";
import type { Bar } from "./statistics.ts";

export const WAYS = ["mirror", "seed", "both"] as const;
/** How the redundant box comes to know connections. */
export type Way = (typeof WAYS)[number];
export const WAY_TEXT: Readonly<Record<Way, string>> = {
  mirror: "mirroring only",
  seed: "seeding only",
  both: "both",
};

export interface MatchRun {
  /** What the boxes do with ports, as the lab calls it. */
  readonly kind: string;
  readonly way: Way;
  readonly flows: number;
  /** Just before the failure. */
  readonly compared: number;
  readonly equal: number;
  /** Moved in both directions at the end. */
  readonly alive: number;
  readonly load: Load;
}

const share = (part: number, whole: number) => whole === 0 ? NaN : part / whole;
const percent = (value: number) => Number.isNaN(value) ? "-" : `${(100 * value).toFixed(1)} %`;

/** How far the prediction was off, in points of percent; NaN: nothing was predicted. */
export function errorOf({ compared, equal, flows, alive }: MatchRun): number {
  return Math.round(100_000 * Math.abs(share(equal, compared) - share(alive, flows))) / 1000;
}

/** One line for each run. */
export function matchTable(runs: readonly MatchRun[]): string {
  const head = ["boxes", "redundant box gets", "flows", "compared", "predicted", "alive", "off by"];
  const rows = runs.map((run) => {
    const error = errorOf(run);
    return [
      run.kind,
      WAY_TEXT[run.way],
      String(run.flows),
      String(run.compared),
      percent(share(run.equal, run.compared)),
      percent(share(run.alive, run.flows)),
      Number.isNaN(error) ? "-" : `${error.toFixed(1)} points`,
    ];
  });
  return align([head, ...rows], 2);
}

/** What lives with both ways, and how good predictions are where there are any. */
export function matchBars(runs: readonly MatchRun[]): Bar[] {
  return runs.flatMap((run): Bar[] => {
    const what = `${run.kind}, ${WAY_TEXT[run.way]}`;
    const alive = 100 * share(run.alive, run.flows);
    const error = errorOf(run);
    return [
      ...(run.way === "both"
        ? [{ what: `${what}, alive`, unit: "%", value: alive, bar: 99.9, goal: 100 }]
        : []),
      ...(Number.isNaN(error) ? [] : [{
        what: `${what}, prediction off by`,
        unit: "points",
        value: error,
        bar: 1,
        goal: 0,
        lessIsBetter: true,
      }]),
    ];
  });
}

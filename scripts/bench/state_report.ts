/** Duty: what runs of `deno task bench:state` amount to. Pure. */
import { align } from "../demo.d/table.ts";
import { type Load, loadText } from "./load.ts";
import type { Bar } from "./statistics.ts";

export interface StateRun {
  readonly repository: "embedded" | "redis";
  readonly replicas: number;
  /** Records told one after the other, with a pause between them. */
  readonly records: number;
  /** From the source's driver to a replica's, over all replicas. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the slowest replica of each record. */
  readonly lastP50Ms: number;
  /** Records told at once, a second, until the last replica had them. */
  readonly burst: number;
  readonly perSecond: number;
  readonly load: Load;
}

/** Of times that are not empty. */
export function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

export function stateTable(runs: readonly StateRun[]): string {
  const head = ["repository", "replicas", "p50", "p99", "slowest p50", "burst", "load"];
  const rows = runs.map((run) => [
    run.repository,
    String(run.replicas),
    `${run.p50Ms.toFixed(2)} ms`,
    `${run.p99Ms.toFixed(2)} ms`,
    `${run.lastP50Ms.toFixed(2)} ms`,
    `${run.perSecond.toFixed(0)} records/s`,
    loadText(run.load),
  ]);
  return align([head, ...rows], 1);
}

const BARS = { embedded: { p50: 10, p99: 100, goal: 2 }, redis: { p50: 20, p99: 200, goal: 4 } } as const;

/** Half of a turn of a person's patience: state that is a tenth of a second old is of use in any failover. */
export function stateBars(runs: readonly StateRun[]): Bar[] {
  return runs.flatMap(({ repository, replicas, p50Ms, p99Ms }) => {
    const { p50, p99, goal } = BARS[repository];
    const what = `${repository}, ${replicas} replicas`;
    const common = { unit: "ms", lessIsBetter: true } as const;
    return [
      { ...common, what: `p50, ${what}`, value: p50Ms, bar: p50, goal },
      { ...common, what: `p99, ${what}`, value: p99Ms, bar: p99, goal: goal * 10 },
    ];
  });
}

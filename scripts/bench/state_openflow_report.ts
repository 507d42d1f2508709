/**
 * Duty: what runs of `deno task bench:state-openflow` amount to: errors and requests beside Base, and how soon a replica has an entry. Pure.
 */
import { align } from "../demo.d/table.ts";
import type { Load } from "./load.ts";
import { failures, type LoadSeen, type Setup, SETUP_TEXT, SETUPS } from "./setups.ts";
import type { Bar } from "./statistics.ts";

export interface Delay {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function delayOf(delaysMs: readonly number[]): Delay {
  return { count: delaysMs.length, p50Ms: quantile(delaysMs, 0.5), p99Ms: quantile(delaysMs, 0.99) };
}

export interface StateRun extends LoadSeen {
  /** Questions to the controller by the switch that took over. */
  readonly asked: number;
  /**
   * From an entry's message on the primary's channel until the replica has confirmed it, one connection at a time and
   * under the whole load; null: there was no tap.
   */
  readonly delay: { readonly quiet: Delay; readonly loaded: Delay } | null;
  readonly load: Load;
}

/** The least value that so many of them are not above. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

export function stateTable(runs: readonly StateRun[]): string {
  const head = [
    ...["connections", "set-up", "requests", "after", "timeouts", "resets", "ended", "gap", "asked"],
    ...["entry p50", "p99", "under load p50", "p99"],
  ];
  const ms = (value: number | undefined) => value === undefined ? "-" : `${value.toFixed(1)} ms`;
  const rows = runs.map((run) => [
    ...[String(run.connections), SETUP_TEXT[run.setup], String(run.requests), String(run.after)],
    ...[String(run.timeouts), String(run.resets), String(run.ended), `${run.gapMs} ms`, String(run.asked)],
    ...[ms(run.delay?.quiet.p50Ms), ms(run.delay?.quiet.p99Ms)],
    ...[ms(run.delay?.loaded.p50Ms), ms(run.delay?.loaded.p99Ms)],
  ]);
  return align([head, ...rows], 2);
}

/** Of each number of connections for which all three were run. */
export function stateBars(runs: readonly StateRun[]): Bar[] {
  const sizes = [...new Set(runs.map(({ connections }) => connections))];
  return sizes.flatMap((size): Bar[] => {
    const of = (setup: Setup) => runs.find((run) => run.setup === setup && run.connections === size);
    const [base, simple, ours] = SETUPS.map(of);
    if (base === undefined || simple === undefined || ours === undefined) return [];
    const less = 100 * (1 - failures(ours) / failures(simple));
    return [
      // The paper's figures are the bars (5.1.2 and its figure 5): 41 % less, and within 17 %.
      {
        what: `${size} connections, fewer timeouts and broken connections than Simple`,
        unit: "%",
        value: less,
        bar: 41,
        goal: 95,
      },
      {
        ...{ what: `${size} connections, requests after the failure apart from Base`, unit: "%" },
        value: 100 * Math.abs(1 - ours.after / base.after),
        ...{ bar: 17, goal: 2, lessIsBetter: true },
      },
    ];
  });
}

/**
 * Duty: what the trials of a bench of failovers amount to: percentiles, the table, and the bars. Pure.
 *
 * A trial in which nothing took the other path counts as an infinite time. One whose traffic had moved before anything
 * happened says nothing of speed; it is a false switch and counted as that.
 */
import { align } from "../demo.d/table.ts";
import { BARS, type Death, DEATH_TEXT, isOurs, type System, SYSTEM_TEXT } from "./failover_cells.ts";
import type { Trial } from "./failover_trial.ts";
import type { Bar } from "./statistics.ts";

export interface Row {
  readonly system: System;
  readonly death: Death;
  readonly afterMs: number;
  readonly trials: readonly Trial[];
}

/** The smallest value that `share` of the values do not exceed. NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** Trials in which the traffic was where it belonged when the box died. */
export function sound(row: Row): readonly Trial[] {
  return row.trials.filter((trial) => trial.elsewhere === 0);
}

export function switchTimes(row: Row): number[] {
  return sound(row).map((trial) => trial.switchMs ?? Infinity);
}

export interface Summary {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly gapP50Ms: number;
  readonly gapMaxMs: number;
  /** Medians of a trial. */
  readonly lostProbe: number;
  readonly lostFast: number;
  /** Of all trials together. */
  readonly duplicates: number;
  readonly reordered: number;
  readonly falseSwitches: number;
}

export function summary(row: Row): Summary {
  const times = switchTimes(row), trials = sound(row);
  const of = (value: (trial: Trial) => number, share: number) => quantile(trials.map(value), share);
  const sum = (value: (trial: Trial) => number) => trials.reduce((total, trial) => total + value(trial), 0);
  return {
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: quantile(times, 1),
    gapP50Ms: of((trial) => trial.gapMs, 0.5),
    gapMaxMs: of((trial) => trial.gapMs, 1),
    lostProbe: of((trial) => trial.lostProbe, 0.5),
    lostFast: of((trial) => trial.lostFast, 0.5),
    duplicates: sum((trial) => trial.duplicates),
    reordered: sum((trial) => trial.reordered),
    falseSwitches: row.trials.length - trials.length,
  };
}

function time(ms: number, afterMs: number): string {
  if (Number.isNaN(ms)) return "-";
  return ms === Infinity ? `> ${afterMs}` : ms.toFixed(ms < 10 ? 2 : 1);
}

function cellsOf(row: Row): string[] {
  const found = summary(row);
  const whole = (value: number) => Number.isNaN(value) ? "-" : value.toFixed(0);
  return [
    DEATH_TEXT[row.death],
    SYSTEM_TEXT[row.system],
    String(row.trials.length),
    ...[found.p50Ms, found.p99Ms, found.maxMs].map((ms) => time(ms, row.afterMs)),
    ...[found.gapP50Ms, found.gapMaxMs].map((ms) => time(ms, Infinity)),
    ...[found.lostProbe, found.lostFast, found.duplicates, found.reordered].map(whole),
    String(found.falseSwitches),
    [...new Set(row.trials.map((trial) => trial.cause))].filter((cause) => cause !== null).join(", ") || "-",
  ];
}

/** One line for each row, a death after the other. */
export function table(rows: readonly Row[]): string {
  const head = [
    ...["death", "system", "trials", "p50 ms", "p99 ms", "max ms", "gap p50", "gap max"],
    ...["lost 1k/s", "lost 10k/s", "twice", "reordered", "false", "seen by"],
  ];
  const deaths = Object.keys(DEATH_TEXT) as Death[];
  const ordered = deaths.flatMap((death) => rows.filter((row) => row.death === death));
  return align([head, ...ordered.map(cellsOf)], 2);
}

export const LEGEND =
  `ms: from the failing act to the first datagram that arrives by the other box, of 11,000 a second.
Counted: a cut from the moment before the kernel is asked to take both links down; everything else from the first frame
that is dropped, by a rule that was there before and begins at a full second of the clock. With fewer than 100 trials p99
is the worst. gap: longest time without an echo at the client. lost: medians of a trial. twice, reordered: of all trials.
false: trials whose traffic had left the primary before anything happened; they are in no other column. seen by: what this node says it was.
This node had been in service for a minute before its first death, and had learnt how long its box is usually silent.`;

/** The bars on time, for what was measured of ours. */
export function timeBars(rows: readonly Row[]): Bar[] {
  return BARS.flatMap(({ death, share, ms }) => {
    const row = rows.find((one) => one.system === "remediate" && one.death === death);
    if (!row) return [];
    const what = `${DEATH_TEXT[death]}, p${share * 100}`;
    const value = quantile(switchTimes(row), share);
    return [{ what, unit: "ms", value, bar: ms, goal: ms / 2, lessIsBetter: true }];
  });
}

/** Something of which there must be none. */
export function zeroBar(what: string, count: number): Bar {
  return { what, unit: "in all", value: count, bar: 0, goal: 0, lessIsBetter: true };
}

/** Something that could not be measured, and is therefore missed. */
export function missingBar(what: string): Bar {
  return { what: `${what}: not available`, unit: "", value: NaN, bar: 1, goal: 1 };
}

/** The best peer for each death: ours must not be slower. */
export function peerBars(rows: readonly Row[]): Bar[] {
  return (Object.keys(DEATH_TEXT) as Death[]).flatMap((death) => {
    const of = (wanted: (system: System) => boolean) =>
      rows.filter((row) => row.death === death && wanted(row.system)).map((row) => summary(row).p50Ms)
        .filter((ms) => !Number.isNaN(ms));
    const ours = of((system) => system === "remediate"), peers = of((system) => !isOurs(system));
    if (ours.length === 0 || peers.length === 0) return [];
    const best = Math.min(...peers);
    // Where no peer notices at all, any time is better.
    const value = best === Infinity ? (ours[0]! < Infinity ? Infinity : NaN) : best / ours[0]!;
    const what = `${DEATH_TEXT[death]}, the fastest peer's median over ours`;
    return [{ what, unit: "times", value, bar: 1, goal: 10 }];
  });
}

/** Trials of ours that moved before anything happened, and frames sent twice or out of order by a switch. */
export function countBars(rows: readonly Row[], holdRing: boolean): Bar[] {
  const ours = rows.filter((row) => row.system === "remediate");
  if (ours.length === 0) return [];
  const sum = (value: (found: Summary) => number) =>
    ours.map(summary).reduce((total, one) => total + value(one), 0);
  const silent = ours.find((row) => row.death === "silent");
  const lost = silent
    ? sound(silent).reduce((total, trial) => total + trial.lostFast + trial.lostProbe, 0)
    : 0;
  return [
    zeroBar("false switches in trials", sum((found) => found.falseSwitches)),
    zeroBar("datagrams that arrived twice", sum((found) => found.duplicates)),
    ...(silent && holdRing ? [zeroBar("datagrams lost in silent deaths, with the hold ring", lost)] : []),
  ];
}

/**
 * Duty: what viewers saw with a failing balancer, held against what they saw with a sound one. Pure.
 */
import { align } from "../demo.d/table.ts";
import type { Viewing } from "../lab/viewers.ts";
import { type Setup, SETUP_TEXT } from "./setups.ts";
import { zeroBar } from "./failover_report.ts";
import type { Load } from "./load.ts";
import type { Bar } from "./statistics.ts";

export interface DashRun {
  readonly setup: Setup;
  /** How often the primary died. */
  readonly failovers: number;
  readonly viewings: readonly Viewing[];
  readonly load: Load;
}

export interface Seen {
  readonly bufferEvents: number;
  readonly resolutionChanges: number;
  readonly failed: number;
  readonly unfinished: number;
  /** Means of a stream. */
  readonly playS: number;
  readonly meanKbit: number;
}

export function seen({ viewings }: DashRun): Seen {
  const sum = (value: (one: Viewing) => number) => viewings.reduce((total, one) => total + value(one), 0);
  return {
    bufferEvents: sum((one) => one.bufferEvents),
    resolutionChanges: sum((one) => one.resolutionChanges),
    failed: sum((one) => one.failed),
    unfinished: sum((one) => one.isWhole ? 0 : 1),
    playS: sum((one) => one.playMs) / viewings.length / 1_000,
    meanKbit: sum((one) => one.meanKbit) / viewings.length,
  };
}

const NONE_ABOVE = ["bufferEvents", "resolutionChanges", "failed", "unfinished"] as const;
const WORDS: Readonly<Record<(typeof NONE_ABOVE)[number], string>> = {
  bufferEvents: "buffer events",
  resolutionChanges: "changes of resolution",
  failed: "failed connections",
  unfinished: "videos that did not end",
};
/** Play time may differ by so much between two runs without a failure. */
const SAME_PLAY_TIME = 1.01;

/** Ours beside Base: nothing more of anything, and the same play time. */
export function dashBars(runs: readonly DashRun[]): Bar[] {
  const of = (setup: Setup) => runs.find((run) => run.setup === setup);
  const base = of("base"), ours = of("remediate");
  if (!base || !ours) return [];
  const [zero, found] = [seen(base), seen(ours)];
  const bars = NONE_ABOVE.map((key) =>
    zeroBar(`${WORDS[key]} above Base`, Math.max(0, found[key] - zero[key]))
  );
  const value = found.playS / zero.playS;
  const time = { unit: "times Base", bar: SAME_PLAY_TIME, goal: 1, lessIsBetter: true };
  return [...bars, { what: "play time", value, ...time }];
}

/** One line for each run. */
export function dashTable(runs: readonly DashRun[]): string {
  const head = [
    "set-up",
    "failovers",
    "streams",
    "buffer events",
    "resolution",
    "failed",
    "unfinished",
    "play s",
    "kbit/s",
  ];
  const line = (run: DashRun) => {
    const { bufferEvents, resolutionChanges, failed, unfinished, playS, meanKbit } = seen(run);
    return [
      SETUP_TEXT[run.setup],
      ...[run.failovers, run.viewings.length, bufferEvents, resolutionChanges, failed, unfinished].map(
        String,
      ),
      playS.toFixed(1),
      meanKbit.toFixed(0),
    ];
  };
  return align([head, ...runs.map(line)], 1);
}

/**
 * Moments of deaths and returns in ms, alternating: in each of `count` equal parts one death in its first half and one
 * return in its second. `random` gives numbers from 0 to 1.
 */
export function moments(count: number, totalMs: number, random: () => number): number[] {
  const part = totalMs / count;
  return Array.from({ length: count }, (_, index) => [
    Math.round(part * (index + 0.05 + 0.35 * random())),
    Math.round(part * (index + 0.55 + 0.3 * random())),
  ]).flat();
}

/**
 * Duty: what runs of `deno task bench:match` amount to: what was predicted of a failover beside what came of it, and how
 * soon a divergence is told. Pure.
 */
import type { Fates } from "../../appliance/view.ts";
import { median } from "../demo.d/statistics.ts";
import { align } from "../demo.d/table.ts";
import type { Load } from "./load.ts";
import { type Fault, FAULT_TEXT } from "./match_faults.ts";
import { partsOf } from "./match_strains.ts";
import type { Bar } from "./statistics.ts";

export const WAYS = ["mirror", "seed", "both"] as const;
/** How the redundant box comes to know connections. */
export type Way = (typeof WAYS)[number];
export const WAY_TEXT: Readonly<Record<Way, string>> = {
  mirror: "mirroring only",
  seed: "seeding only",
  both: "both",
};

export const PROTOS = ["tcp", "udp"] as const;
export type Proto = (typeof PROTOS)[number];

export interface MatchRun {
  /** What the boxes do with ports, as the lab calls it. */
  readonly kind: string;
  readonly way: Way;
  readonly proto: Proto;
  /** Null: nothing was wrong. */
  readonly fault: { readonly fault: Fault; readonly percent: number } | null;
  readonly flows: number;
  /** Just before the failure. */
  readonly compared: number;
  readonly equal: number;
  /** Connections of which the node says that nothing can be inferred. */
  readonly unsure: number;
  /** Moved in both directions at the end. */
  readonly alive: number;
  /** The longest time for which one of these stood still; of UDP it is not known. */
  readonly standstillMs: number;
  /** Of those compared, what the node itself counted five seconds after; null: it did not. */
  readonly counted: Fates | null;
  /** Payload that had come to the connection that got least before the failure; of UDP nothing is known. */
  readonly moved: number;
  readonly load: Load;
}

export interface AlarmRun {
  readonly fault: Fault;
  /** From the first connection that differs to the event; null: it never came. */
  readonly ms: readonly (number | null)[];
  readonly load: Load;
}

export interface SoakRun {
  readonly seconds: number;
  readonly flows: number;
  readonly alarms: number;
  readonly load: Load;
}

const ALARM_MS_MAX = 2_000;
const share = (part: number, whole: number) => whole === 0 ? NaN : part / whole;
const percent = (value: number) => Number.isNaN(value) ? "-" : `${(100 * value).toFixed(1)} %`;

/** What "+10MB" and "+1GB" are about: a busy machine may not have moved it. */
function bulkBars(run: MatchRun): Bar[] {
  const { bytes } = partsOf(run.kind).strain;
  if (bytes === undefined) return [];
  const megabytes = bytes / 1e6;
  const what = `${runName(run)}, moved by each before the failure`;
  return [{ what, unit: "MB", value: run.moved / 1e6, bar: megabytes, goal: megabytes }];
}

/** How far the prediction was off, in points of percent; NaN: nothing was predicted. */
export function errorOf({ compared, equal, flows, alive }: MatchRun): number {
  return Math.round(100_000 * Math.abs(share(equal, compared) - share(alive, flows))) / 1000;
}

/** "nat, both", "nat, both, UDP", "nat, both, a full table 30 %" */
export function runName(
  { kind, way, proto, fault }: Pick<MatchRun, "kind" | "way" | "proto" | "fault">,
): string {
  const wrong = fault === null ? "" : `, ${FAULT_TEXT[fault.fault]} ${fault.percent} %`;
  return `${kind}, ${WAY_TEXT[way]}${proto === "udp" ? ", UDP" : ""}${wrong}`;
}

/** One line for each run. */
export function matchTable(runs: readonly MatchRun[]): string {
  const head = [
    "boxes",
    "redundant box gets",
    "wrong",
    "flows",
    "compared",
    "predicted",
    "unsure",
    "alive",
    "off by",
    "counted",
  ];
  const rows = runs.map((run) => {
    const error = errorOf(run);
    return [
      `${run.kind}${run.proto === "udp" ? ", UDP" : ""}`,
      WAY_TEXT[run.way],
      run.fault === null ? "-" : `${FAULT_TEXT[run.fault.fault]} ${run.fault.percent} %`,
      String(run.flows),
      String(run.compared),
      percent(share(run.equal, run.compared)),
      String(run.unsure),
      percent(share(run.alive, run.flows)),
      Number.isNaN(error) ? "-" : `${error.toFixed(1)} points`,
      run.counted === null
        ? "-"
        : `${run.counted.carried}, ${run.counted.lost} lost, ${run.counted.idle} idle`,
    ];
  });
  return align([head, ...rows], 3);
}

/** One line for each fault, and one for the soak. */
export function alarmTable(alarms: readonly AlarmRun[], soak: SoakRun | null): string {
  const lines = alarms.map(({ fault, ms }) => {
    const each = ms.map((one) => one === null ? "never" : one.toFixed(0)).join(", ");
    return `alarm after ${FAULT_TEXT[fault]}: median ${medianOf(ms).toFixed(0)} ms of ${each}`;
  });
  if (soak !== null) {
    lines.push(`${soak.seconds} s without a fault, ${soak.flows} connections: ${soak.alarms} alarms`);
  }
  return lines.join("\n");
}

/** One that never came counts as the longest. */
function medianOf(ms: readonly (number | null)[]): number {
  return median(ms.map((one) => one ?? Infinity));
}

/** How soon it is told, and that nothing is told in vain. */
export function alarmBars(alarms: readonly AlarmRun[], soak: SoakRun | null): Bar[] {
  const each = alarms.map(({ fault, ms }): Bar => ({
    what: `alarm after ${FAULT_TEXT[fault]}, median of ${ms.length}`,
    unit: "ms",
    value: medianOf(ms),
    bar: ALARM_MS_MAX,
    goal: 1_000,
    lessIsBetter: true,
  }));
  if (soak === null) return each;
  const { alarms: value } = soak;
  return [...each, { what: "false alarms", unit: "alarms", value, bar: 0, goal: 0, lessIsBetter: true }];
}

/** All failovers with a fault together: how far predictions were off on average, in points of percent. */
export function faultBars(runs: readonly MatchRun[]): Bar[] {
  const errors = runs.filter(({ fault }) => fault !== null).map(errorOf).filter((error) =>
    !Number.isNaN(error)
  );
  if (errors.length === 0) return [];
  return [{
    what: `${errors.length} failovers with faults, predictions off by, on average`,
    unit: "points",
    value: errors.reduce((sum, error) => sum + error, 0) / errors.length,
    bar: 1,
    goal: 0,
    lessIsBetter: true,
  }];
}

/** What lives with both ways, and how good predictions are where there are any. */
export function matchBars(runs: readonly MatchRun[]): Bar[] {
  return runs.flatMap((run): Bar[] => {
    const what = runName(run);
    const alive = 100 * share(run.alive, run.flows);
    const error = errorOf(run);
    // A box that ends connections itself takes them with it, and nothing is said of them.
    if (partsOf(run.kind).strain.balancer === "haproxy") {
      const unsure = 100 * share(run.unsure, run.flows);
      return [{
        what: `${what}, said that nothing can be inferred`,
        unit: "%",
        value: unsure,
        bar: 99,
        goal: 100,
      }];
    }
    return [
      ...bulkBars(run),
      ...((run.way === "both" || run.proto === "udp") && run.fault === null
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

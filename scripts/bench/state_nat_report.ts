/**
 * Duty: what runs of `deno task bench:state-nat` amount to: errors and requests beside Base, failed connections of viewers. Pure.
 */
import { align } from "../demo.d/table.ts";
import type { Viewing } from "../lab/viewers.ts";
import type { Load } from "./load.ts";
import { failures, type LoadSeen, type Setup, SETUP_TEXT } from "./setups.ts";
import type { Bar } from "./statistics.ts";

export interface LogRun extends LoadSeen {
  /** Connections that the redundant box knew when the primary died. */
  readonly known: number;
  readonly load: Load;
}

export interface ViewRun {
  readonly setup: Setup;
  readonly viewers: number;
  readonly viewings: readonly Viewing[];
  readonly known: number;
  readonly load: Load;
}

/** Connections of viewers that broke or fell silent. */
export const failedOf = ({ viewings }: ViewRun) => viewings.reduce((total, { failed }) => total + failed, 0);

const stallsOf = ({ viewings }: ViewRun) =>
  viewings.reduce((total, { bufferEvents }) => total + bufferEvents, 0);

export function logTable(runs: readonly LogRun[], views: readonly ViewRun[]): string {
  const head = [
    ...["connections", "set-up", "requests", "after", "timeouts", "resets", "ended", "gap", "known before"],
  ];
  const rows = runs.map((run) => [
    ...[String(run.connections), SETUP_TEXT[run.setup], String(run.requests), String(run.after)],
    ...[String(run.timeouts), String(run.resets), String(run.ended), `${run.gapMs} ms`, String(run.known)],
  ]);
  const viewHead = ["viewers", "set-up", "failed connections", "buffer events", "known before"];
  const viewRows = views.map((view) => [
    ...[String(view.viewers), SETUP_TEXT[view.setup], String(failedOf(view)), String(stallsOf(view))],
    String(view.known),
  ]);
  const tables = [
    rows.length > 0 ? align([head, ...rows], 2) : "",
    viewRows.length > 0 ? align([viewHead, ...viewRows], 2) : "",
  ];
  return tables.filter((text) => text !== "").join("\n\n");
}

function three<T extends { readonly setup: Setup }>(
  runs: readonly T[],
): readonly [base: T, simple: T, ours: T] | null {
  const of = (setup: Setup) => runs.find((run) => run.setup === setup);
  const [base, simple, ours] = [of("base"), of("simple"), of("remediate")];
  return base && simple && ours ? [base, simple, ours] : null;
}

/** In per cent; Simple without any failure proves nothing. */
const fewer = (ours: number, simple: number) => simple === 0 ? NaN : 100 * (1 - ours / simple);

function requestBars(connections: number, runs: readonly LogRun[]): Bar[] {
  const all = three(runs.filter((run) => run.connections === connections));
  if (all === null) return [];
  const [base, simple, ours] = all;
  return [
    // The paper's figure 6: 56 and 60 % less.
    {
      what: `${connections} connections, fewer timeouts and broken connections than Simple`,
      unit: "%",
      value: fewer(failures(ours), failures(simple)),
      ...{ bar: 56, goal: 95 },
    },
    {
      ...{ what: `${connections} connections, requests after the failure apart from Base`, unit: "%" },
      value: 100 * Math.abs(1 - ours.after / base.after),
      ...{ bar: 17, goal: 2, lessIsBetter: true },
    },
  ];
}

function viewBars(viewers: number, views: readonly ViewRun[]): Bar[] {
  const all = three(views.filter((view) => view.viewers === viewers));
  if (all === null) return [];
  const [, simple, ours] = all;
  // The paper's drivers under DASH: 18 and 16 % less.
  const value = fewer(failedOf(ours), failedOf(simple));
  return [{
    what: `${viewers} viewers, fewer failed connections than Simple`,
    unit: "%",
    value,
    bar: 18,
    goal: 95,
  }];
}

export function logBars(runs: readonly LogRun[], views: readonly ViewRun[]): Bar[] {
  const sizes = [...new Set(runs.map(({ connections }) => connections))];
  const audiences = [...new Set(views.map(({ viewers }) => viewers))];
  return [
    ...sizes.flatMap((size) => requestBars(size, runs)),
    ...audiences.flatMap((count) => viewBars(count, views)),
  ];
}

/** Duty: what runs of `deno task bench:remote` amount to. Pure. */
import { align } from "../demo.d/table.ts";
import type { Load } from "./load.ts";
import type { Bar } from "./statistics.ts";

/** Pings through the box that serves. */
export interface Pings {
  readonly sent: number;
  readonly lost: number;
  /** Mean round trip. */
  readonly meanMs: number;
}

export interface RemoteRun {
  /** Of 10,000 datagrams, both ways. */
  readonly loss: number;
  readonly resends: boolean;
  readonly flows: number;
  /** Connections in the redundant box's table just before the failure. */
  readonly known: number;
  /** Moved in both directions at the end. */
  readonly alive: number;
  /** Units given up by both ends. */
  readonly lost: number;
  /** Before the failure by the primary here, after it by the redundant box there, with the loss. */
  readonly near: Pings;
  readonly away: Pings;
  /** Of a core: the far end over the run, and the plane at its end. */
  readonly farShare: number;
  readonly planeShare: number;
  readonly path: string;
  readonly load: Load;
}

/** The summary of ping(8). @throws Error if it is none */
export function readPings(text: string): Pings {
  const [, sent, came] = /(\d+) packets transmitted, (\d+) received/.exec(text) ?? [];
  if (sent === undefined) throw new Error(`Cannot read what ping said: ${text.trim()}`);
  const mean = / = [\d.]+\/([\d.]+)\//.exec(text)?.[1];
  return { sent: Number(sent), lost: Number(sent) - Number(came), meanMs: Number(mean ?? NaN) };
}

const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(1)} %`;

/** One line for each run. */
export function remoteTable(runs: readonly RemoteRun[]): string {
  const head = [
    "loss",
    "resends",
    "flows",
    "known",
    "alive",
    "lost units",
    "pings lost",
    "round trip",
    "far end",
    "load",
  ];
  const rows = runs.map((run) => [
    `${run.loss / 100} %`,
    run.resends ? "yes" : "no",
    String(run.flows),
    percent(run.known, run.flows),
    percent(run.alive, run.flows),
    String(run.lost),
    percent(run.away.lost, run.away.sent),
    `${run.near.meanMs.toFixed(2)} -> ${run.away.meanMs.toFixed(2)} ms`,
    percent(run.farShare, 1),
    run.load.average.toFixed(1),
  ]);
  return align([head, ...rows], 2);
}

/** With resends nothing may be lost that there was time to send again. */
export function remoteBars(runs: readonly RemoteRun[]): Bar[] {
  return runs.filter(({ resends }) => resends).flatMap((run): Bar[] => [
    {
      what: `loss ${run.loss / 100} %, known to the redundant box`,
      unit: "%",
      value: 100 * run.known / run.flows,
      bar: 99.9,
      goal: 100,
    },
    {
      what: `loss ${run.loss / 100} %, alive`,
      unit: "%",
      value: 100 * run.alive / run.flows,
      bar: 99.5,
      goal: 100,
    },
  ]);
}

/**
 * Duty: the demo's tables as text. Pure.
 */
import { FAILURE_TEXT } from "../lab/failures.ts";
import { type FailureFree, objectText, type Passage, type Row, type Run, type System } from "./rows.ts";
import { median, medianOf, shareOfBase } from "./statistics.ts";

const NAMES: Readonly<Record<System, string>> = { base: "Base", simple: "Simple", remediate: "Remediate" };

/** Lines up columns: the first `left` ones to the left, the others to the right. */
export function align(lines: readonly (readonly string[])[], left: number): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const cell = (text: string, column: number) =>
    column < left ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return lines.map((line) => line.map(cell).join("  ").trimEnd()).join("\n");
}

function percent(share: number, digits = 1): string {
  return Number.isNaN(share) ? "-" : `${(share * 100).toFixed(digits)} %`;
}

function rowCells(rows: readonly Row[], row: Row): string[] {
  const of = (value: (run: Run) => number, digits = 0) => medianOf(row, value).toFixed(digits);
  const first = row.runs[0]!;
  const failed = row.failure !== "none";
  return [
    objectText(row.load),
    FAILURE_TEXT[row.failure],
    NAMES[row.system],
    of((run) => run.requests),
    of((run) => run.requestsAfter),
    percent(shareOfBase(rows, row)),
    of((run) => run.resets),
    of((run) => run.timeouts),
    of((run) => run.hung),
    `${of((run) => run.longLost)} of ${first.longFlows}`,
    failed ? of((run) => run.outageMs, 1) : "-",
    of((run) => run.packetsLost),
    percent(medianOf(row, (run) => run.mirroredShare), 2),
    first.event ? first.event.cause : "-",
  ];
}

/** One line for each row, medians over its runs. */
export function rowTable(rows: readonly Row[]): string {
  const head = [
    ...["load", "failure", "system", "requests", "after", "of Base", "resets", "timeouts", "hung"],
    ...["long lost", "outage ms", "UDP lost", "mirrored", "seen by"],
  ];
  return align([head, ...rows.map((row) => rowCells(rows, row))], 3);
}

/** What the columns of `rowTable` mean, for who sees them first. */
export const LEGEND = `Base: no failure. Simple: the same node with a redundant box that was told nothing.
after: requests done after the failure, of each the part that was, and their share of Base. timeouts: answers that came too late.
hung: connections that neither broke nor ever answered again. long lost: long downloads that did not go on.
outage: longest time without an answer to a 1 kHz UDP probe. mirrored: copies and seeds, of all packets.`;

function passageCells(name: string, passages: readonly Passage[]): string[] {
  const of = (value: (passage: Passage) => number) => median(passages.map(value)).toFixed(0);
  return [
    name,
    of((one) => one.requestsPerSecond),
    of((one) => one.megabitPerSecond),
    of((one) => one.rttP50Us),
    of((one) => one.rttP99Us),
  ];
}

/** Node over bridge: throughput as a ratio, delay as a difference. */
export function comparison(free: FailureFree) {
  const of = (passages: readonly Passage[], value: (passage: Passage) => number) =>
    median(passages.map(value));
  const ratio = (value: (passage: Passage) => number) => of(free.node, value) / of(free.bridge, value);
  const added = (value: (passage: Passage) => number) => of(free.node, value) - of(free.bridge, value);
  return {
    requestRatio: ratio((one) => one.requestsPerSecond),
    megabitRatio: ratio((one) => one.megabitPerSecond),
    addedP50Us: added((one) => one.rttP50Us),
    addedP99Us: added((one) => one.rttP99Us),
  };
}

/** Without a failure: the node against a plain Linux bridge in its place. */
export function freeTable(free: FailureFree): string {
  const head = ["no failure, no rate limit", "5 KB req/s", "617 KB Mbit/s", "RTT p50 us", "RTT p99 us"];
  const { requestRatio, megabitRatio, addedP50Us, addedP99Us } = comparison(free);
  const signed = (value: number) => `${value < 0 ? "" : "+"}${value.toFixed(0)}`;
  const last = [
    "node against bridge",
    percent(requestRatio, 0),
    percent(megabitRatio, 0),
    signed(addedP50Us),
    signed(addedP99Us),
  ];
  return align([head, passageCells("Linux bridge", free.bridge), passageCells("node", free.node), last], 1);
}

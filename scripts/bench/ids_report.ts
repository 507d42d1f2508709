/**
 * The result of `bench:ids` for people: what each policy keeps and costs, what the heavy-tailed mix is made of, and every
 * signature that a preset misses. Pure.
 */
import { table } from "../../ui/paint.ts";
import type { Half, Mix, MixCosts, Reading } from "./ids_mix.ts";
import { READING_NAMES } from "./ids_mix.ts";
import type { BenchPolicy } from "./ids_policies.ts";
import { type Bar, type Cost, CUTS, type Missed, percentText, type Row, type Score } from "./ids_score.ts";

export interface Measured {
  readonly policies: readonly BenchPolicy[];
  readonly rows: readonly Row[];
  /** Only where the captures were held apart. */
  readonly halves: Readonly<Record<Half, readonly Row[]>> | null;
  readonly scores: readonly Score[];
  readonly costs: MixCosts;
  readonly captures: { readonly judged: number; readonly weighed: number; readonly runs: number };
  readonly differences: readonly string[];
  readonly bars: readonly Bar[];
  /** What the rules say of each signature. */
  readonly messages: ReadonlyMap<number, string>;
}

/** What a mix is, in words. */
const READING_TEXT: Readonly<Record<Reading, string>> = {
  published: "heavy: the published policies cost what is published",
  direction: "36 kB a direction",
  connection: "36 kB a connection",
};

export function tableCells(rows: readonly Row[]): string[][] {
  const head = [
    "policy",
    "signatures",
    "alerts",
    ...CUTS.map((cut) => `after ${cut * 100} %`),
    "after a cut",
  ];
  return [
    [...head, "packets real", "bytes real", "packets heavy", "bytes heavy"],
    ...rows.map(({ policy, signatures, alerts, cuts, afterCut, real, heavy }) => [
      policy,
      ...[signatures, alerts, ...cuts, afterCut, real.packets, real.bytes, heavy.packets, heavy.bytes].map(
        percentText,
      ),
    ]),
  ];
}

const byteShare = ({ all, mirrored }: Cost) => percentText(mirrored.bytes / Math.max(1, all.bytes));

/** The shares of bytes under each reading of the heavy-tailed mix, beside what is published. */
export function readingCells(policies: readonly BenchPolicy[], { real, heavy }: MixCosts): string[][] {
  const kilo = (mix: Mix, flows: number) =>
    ((mix.costs[0]?.all.bytes ?? 0) / 1000 / Math.max(1, flows)).toFixed(1);
  const line = (name: string, mix: Mix) => [
    name,
    String(mix.transfers),
    kilo(mix, mix.directions),
    kilo(mix, mix.connections),
    ...mix.costs.map(byteShare),
  ];
  return [
    ["mix", "transfers", "kB/direction", "kB/connection", ...policies.map(({ name }) => name)],
    ["published", "", "", "", ...policies.map(({ published }) => percentText(published ?? NaN))],
    line("real captures alone", real),
    ...READING_NAMES.map((name) => line(READING_TEXT[name], heavy[name])),
  ];
}

function missedLines(score: Score, messages: ReadonlyMap<number, string>): string[] {
  const bySid = Map.groupBy(score.missed, ({ sid }) => sid);
  const where = ({ capture, cut, why }: Missed) =>
    `    ${capture}${cut === null ? "" : `, after ${cut * 100} %`}: ${why}`;
  if (bySid.size === 0) return [`missed by ${score.policy}: none`];
  return [
    `missed by ${score.policy}:`,
    ...[...bySid].flatMap(([sid, all]) => [`  ${sid} ${messages.get(sid) ?? ""}`, ...all.map(where)]),
  ];
}

function barLines(bars: readonly Bar[]): string[] {
  return bars.map(({ policy, what, bar, value, met }) =>
    `${met ? "met   " : "MISSED"}  ${policy}: ${what} ${percentText(value)}, bar ${bar}`
  );
}

const RIGHT = Array.from({ length: 20 }, (_, i) => i + 1);

export function report(measured: Measured): string {
  const { rows, halves, scores, costs, captures, differences, policies } = measured;
  const halfLines = (half: Half) => [
    "",
    `the half to ${half} by:`,
    ...table(tableCells(halves![half].filter(({ policy }) => policy.startsWith("ids"))), RIGHT),
  ];
  const presets = scores.filter(({ policy }) => policy.startsWith("ids"));
  return [
    ...table(tableCells(rows), RIGHT),
    ...(halves === null ? [] : [...halfLines("tune"), ...halfLines("judge")]),
    "",
    "bytes by how heavy the mix is:",
    ...table(readingCells(policies, costs), RIGHT),
    "",
    `${captures.judged} captures with alerts, judged in ${captures.runs} runs of Suricata; ` +
    `${differences.length} differ from alerts.tsv`,
    ...differences.map((line) => `  ${line}`),
    `${captures.weighed} captures weighed: ${costs.real.directions} directions of ` +
    `${costs.real.connections} connections`,
    "",
    ...presets.flatMap((score) => missedLines(score, measured.messages)),
    "",
    ...barLines(measured.bars),
    "",
  ].join("\n");
}

/** "sid" and "msg" of every rule. */
export function readMessages(rules: string): Map<number, string> {
  const found = rules.matchAll(/^[^#\n]*\bmsg:"((?:[^"\\]|\\.)*)".*\bsid:\s*(\d+)/gm);
  return new Map([...found].map(([, message, sid]) => [Number(sid), message!]));
}

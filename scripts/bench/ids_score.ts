/**
 * What a replica keeps, counted: signatures, alerts, and what it still raises after it has taken over.
 *
 * Pure. A pair is a capture and a signature that the whole of it raises. After a cut the replica gets everything; what
 * it got before is the mirror. Only pairs that the whole capture raises after the cut count there.
 */
import { type Alert, keptOf, signatures, signaturesFrom } from "../../appliance/mirror_alerts.ts";
import type { Amount } from "../../appliance/mirror_pass.ts";

/** Parts of a capture, in packets, after which the replica takes over. */
export const CUTS = [0.25, 0.5, 0.75] as const;

export interface CutScore {
  kept: number;
  pairs: number;
}

export interface Missed {
  readonly capture: string;
  readonly sid: number;
  /** After which part of the capture; null: with the mirror alone. */
  readonly cut: number | null;
  readonly why: string;
}

export interface Score {
  readonly policy: string;
  signatures: number;
  signaturesWhole: number;
  alerts: number;
  alertsWhole: number;
  readonly cuts: CutScore[];
  readonly missed: Missed[];
}

export function newScore(policy: string): Score {
  return {
    policy,
    signatures: 0,
    signaturesWhole: 0,
    alerts: 0,
    alertsWhole: 0,
    cuts: CUTS.map(() => ({ kept: 0, pairs: 0 })),
    missed: [],
  };
}

/** What a replica gets: frames chosen (1) or not (0), in the order of the capture. */
export type Selection = Uint8Array;

/** Index of the first frame after the cut. */
export function cutIndex(frames: number, cut: number): number {
  return Math.floor(frames * cut);
}

/** The mirror before the cut, everything from it on. */
export function takenOver(mirror: Selection, cut: number): Selection {
  const selection = mirror.slice();
  selection.fill(1, cutIndex(mirror.length, cut));
  return selection;
}

/** Count of frames chosen, up to (not including) `end`. */
export function chosen(selection: Selection, end = selection.length): number {
  let sum = 0;
  for (let i = 0; i < end; i++) sum += selection[i]!;
  return sum;
}

export interface Judged {
  readonly capture: string;
  readonly frames: number;
  readonly whole: readonly Alert[];
  /** With the mirror alone. */
  readonly mirrored: readonly Alert[];
  /** After each of CUTS: the alerts, and how many frames the replica got before it. */
  readonly after: readonly { readonly alerts: readonly Alert[]; readonly before: number }[];
  /** Why a signature is missed, as far as the mirror tells. */
  readonly why: (sid: number, cut: number | null) => string;
}

function without(all: ReadonlySet<number>, some: ReadonlySet<number>): number[] {
  return [...all.difference(some)].sort((a, b) => a - b);
}

export function addScore(score: Score, judged: Judged): void {
  const { capture, whole, mirrored } = judged;
  const [all, seen] = [signatures(whole), signatures(mirrored)];
  score.signaturesWhole += all.size;
  score.signatures += keptOf(all, seen);
  score.alertsWhole += whole.length;
  // An alert that the whole does not raise is noise of the copy, and must not make up for one that is lost.
  score.alerts += mirrored.filter(({ sid }) => all.has(sid)).length;
  const miss = (sid: number, cut: number | null) =>
    score.missed.push({ capture, sid, cut, why: judged.why(sid, cut) });
  for (const sid of without(all, seen)) miss(sid, null);
  judged.after.forEach(({ alerts, before }, i) => {
    const cut = CUTS[i]!;
    const expected = signaturesFrom(whole, cutIndex(judged.frames, cut) + 1);
    const raised = signaturesFrom(alerts, before + 1);
    score.cuts[i]!.pairs += expected.size;
    score.cuts[i]!.kept += keptOf(expected, raised);
    for (const sid of without(expected, raised)) miss(sid, cut);
  });
}

/** Shares of one policy on one mix. */
export interface Cost {
  readonly all: Amount;
  readonly mirrored: Amount;
}

export interface Row {
  readonly policy: string;
  /** Parts of the whole. */
  readonly signatures: number;
  readonly alerts: number;
  readonly cuts: readonly number[];
  readonly afterCut: number;
  readonly real: { readonly packets: number; readonly bytes: number };
  readonly heavy: { readonly packets: number; readonly bytes: number };
}

const part = (kept: number, of: number) => (of === 0 ? 1 : kept / of);
const cost = ({ all, mirrored }: Cost) => ({
  packets: mirrored.packets / Math.max(1, all.packets),
  bytes: mirrored.bytes / Math.max(1, all.bytes),
});

export function row(score: Score, real: Cost, heavy: Cost): Row {
  const sum = (of: (cut: CutScore) => number) => score.cuts.reduce((total, cut) => total + of(cut), 0);
  return {
    policy: score.policy,
    signatures: part(score.signatures, score.signaturesWhole),
    alerts: part(score.alerts, score.alertsWhole),
    cuts: score.cuts.map(({ kept, pairs }) => part(kept, pairs)),
    afterCut: part(sum(({ kept }) => kept), sum(({ pairs }) => pairs)),
    real: cost(real),
    heavy: cost(heavy),
  };
}

export interface Bar {
  readonly policy: string;
  readonly what: string;
  readonly bar: string;
  readonly value: number;
  readonly met: boolean;
}

/** The bars of the presets, each judged. A preset that was not measured misses them. */
export function judgeBars(rows: readonly Row[]): Bar[] {
  const of = (policy: string) => rows.find((one) => one.policy === policy);
  const bar = (
    policy: string,
    what: string,
    value: number | undefined,
    [min, max]: readonly [number, number],
  ) => {
    const number = value ?? NaN;
    const words = [min > 0 ? `>= ${percentText(min)}` : "", max < Infinity ? `<= ${percentText(max)}` : ""];
    return {
      policy,
      what,
      bar: words.filter((word) => word !== "").join(" and "),
      value: number,
      met: number >= min && number <= max,
    };
  };
  const [ids, full] = [of("ids"), of("ids-full")];
  return [
    bar("ids", "signatures", ids?.signatures, [0.98, Infinity]),
    bar("ids", "bytes of the heavy mix", ids?.heavy.bytes, [0, 0.05]),
    bar("ids", "pairs after a cut", ids?.afterCut, [0.99, Infinity]),
    bar("ids-full", "signatures", full?.signatures, [0.99, Infinity]),
    bar("ids-full", "alerts", full?.alerts, [0.97, 1.03]),
    bar("ids-full", "bytes of the heavy mix", full?.heavy.bytes, [0, 0.085]),
  ];
}

export function percentText(value: number): string {
  return Number.isNaN(value) ? "-" : `${(value * 100).toFixed(1)} %`;
}

/** One line of alerts.tsv, as far as it is used. */
export interface Known {
  readonly capture: string;
  readonly signatures: number;
  readonly alerts: number;
}

/** @throws SyntaxError naming the line */
export function readKnown(text: string): Known[] {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  if (!head.startsWith("capture\tsids\talerts\t")) {
    throw new SyntaxError("Cannot read alerts.tsv: line 1 does not begin with capture, sids, alerts");
  }
  return lines.map((line, i) => {
    const [capture = "", sids, alerts] = line.split("\t");
    const known = { capture, signatures: Number(sids), alerts: Number(alerts) };
    if (capture === "" || !Number.isInteger(known.signatures) || !Number.isInteger(known.alerts)) {
      throw new SyntaxError(`Cannot read alerts.tsv: line ${i + 2} is no capture with two numbers`);
    }
    return known;
  });
}

/**
 * The three offline jobs on a capture: mirror it, explain it, tune a rule for it.
 *
 * They read piece by piece, so a capture may be larger than memory. What is decided is the C core's, what it means is
 * in the pure files beside this one; here they are only put in a row.
 */
import type { AgesMs } from "../filter/model.ts";
import { AGE } from "../filter/names.ts";
import type { FilterRule } from "../filter/rule.ts";
import type { Config } from "./config.ts";
import { AGES } from "./config_keys.ts";
import { type Alert, keptShare } from "./mirror_alerts.ts";
import { type ExplainedFlow, Explainer, type ExplainOptions } from "./mirror_explain.ts";
import { CaptureWriter, openFilter, type Piece, type Policy, readPieces, sameFile } from "./mirror_files.ts";
import { MirrorPass, type Passed, share, type Totals } from "./mirror_pass.ts";
import { type Candidate, TurnJudge } from "./mirror_tune.ts";

export interface Job {
  readonly read: string;
  /** Called after each piece. */
  readonly progress?: (piece: Piece) => void;
}

export interface MirrorReport {
  readonly totals: Totals;
  /** Why the capture was not whole; null if it was. */
  readonly cut: string | null;
  /** Flows that gave their place to new ones while they lived. */
  readonly evicted: number;
  /** Equal for equal selections of frames of one capture. */
  readonly digest: string;
}

export type { Policy };

/** Lifetimes of flows by class, of a configuration or by default. */
export function agesMs(ages?: Config["filter"]["ages"]): AgesMs {
  const seconds = ages
    ? [ages.tcpOpeningS, ages.tcpS, ages.tcpClosingS, ages.udpS, ages.icmpS, ages.otherS]
    : AGE.map((age) => AGES[`${age}_s`].default);
  return Object.fromEntries(AGE.map((age, i) => [age, seconds[i]! * 1000])) as Record<
    typeof AGE[number],
    number
  >;
}

/** Two sums of 32 bits over the numbers of the frames chosen. */
export class SelectionDigest {
  #frame = 0;
  #one = 0x811c9dc5;
  #two = 0x9e3779b9;

  add(chosen: boolean): void {
    this.#frame++;
    if (!chosen) return;
    this.#one = Math.imul(this.#one ^ this.#frame, 0x01000193) >>> 0;
    this.#two = (Math.imul(this.#two, 0x85ebca6b) + this.#frame) >>> 0;
  }

  get text(): string {
    return [this.#one, this.#two].map((sum) => sum.toString(16).padStart(8, "0")).join("");
  }
}

async function pass(
  job: Job,
  policy: Policy,
  each: (passed: Passed[]) => Promise<void> | void,
): Promise<MirrorReport> {
  using core = openFilter(policy);
  const mirror = new MirrorPass(core, policy.rules);
  const digest = new SelectionDigest();
  const reading = { cut: null };
  for await (const piece of readPieces(job.read, reading)) {
    const passed = mirror.add(piece.frames);
    for (const { why } of passed) digest.add(why !== "none");
    await each(passed);
    job.progress?.(piece);
  }
  const { evicted } = core.counts();
  return { totals: mirror.totals, cut: reading.cut, evicted, digest: digest.text };
}

/** Write what the standby would get to another capture. @throws Error with one sentence */
export async function mirrorFile(
  job: Job & { readonly write: string },
  policy: Policy,
): Promise<MirrorReport> {
  if (await sameFile(job.read, job.write)) {
    throw new Error(`Cannot write ${job.write}: it is the capture that is read`);
  }
  await using stack = new AsyncDisposableStack();
  let writer: CaptureWriter | undefined;
  // Not before the first piece is read: a capture that cannot be read must not cost the file that is there.
  const opened = async () => writer ??= stack.use(await CaptureWriter.create(job.write));
  const report = await pass(job, policy, async (passed) => {
    await (await opened()).write(passed.filter(({ why }) => why !== "none").map(({ frame }) => frame));
  });
  await (await opened()).close();
  return report;
}

export interface Explanation extends MirrorReport {
  readonly flows: readonly ExplainedFlow[];
  readonly flowsLeftOut: boolean;
}

/** Why each packet was mirrored or not. @throws Error with one sentence */
export async function explainFile(job: Job, policy: Policy, options: ExplainOptions): Promise<Explanation> {
  const explainer = new Explainer(policy.rules, options);
  const report = await pass(job, policy, (passed) => explainer.add(passed));
  return { ...report, flows: explainer.flows, flowsLeftOut: explainer.flowsLeftOut };
}

/** An IDS, as far as tuning needs it. */
export interface AlertJudge {
  /** A path where a copy may be written; it is given up after judge(). */
  scratch(name: string): string;
  judge(path: string, digest: string): Promise<readonly Alert[]>;
}

export interface TuneOptions {
  readonly rules: readonly FilterRule[];
  readonly ages: AgesMs;
  /** Null: by turns. */
  readonly judge: AlertJudge | null;
  /** That are remembered for each rule at a time, 192 bytes each. @default 32,768 */
  readonly flows?: number;
  /** Called before each candidate is judged. */
  readonly judging?: (done: number, of: number) => void;
}

/** What each rule costs and keeps on this capture. @throws Error with one sentence */
export async function tuneFile(job: Job, options: TuneOptions): Promise<Candidate[]> {
  const { judge, ages } = options;
  const measured = await measure(job, options);
  if (judge === null) return measured.map(({ candidate }) => candidate);
  const whole = await judge.judge(job.read, "whole");
  const judged: Candidate[] = [];
  const known = new Map<string, number>();
  for (const [index, { candidate, digest }] of measured.entries()) {
    options.judging?.(index, measured.length);
    const kept = known.get(digest) ?? await judgeOne(job.read, { candidate, digest, ages, judge, whole });
    known.set(digest, kept);
    judged.push({ ...candidate, kept });
  }
  return judged;
}

interface Measured {
  readonly candidate: Candidate;
  readonly digest: string;
}

/** One reading for all rules: a flow table for each. */
async function measure(job: Job, { rules, ages, flows = TUNE_SLOTS }: TuneOptions): Promise<Measured[]> {
  using stack = new DisposableStack();
  const runs = rules.map((rule) => {
    const mirror = new MirrorPass(stack.use(openFilter({ rules: [rule], ages }, flows)), [rule]);
    return { rule, mirror, turns: new TurnJudge(), digest: new SelectionDigest() };
  });
  for await (const piece of readPieces(job.read, { cut: null })) {
    for (const { mirror, turns, digest } of runs) {
      const passed = mirror.add(piece.frames);
      for (const { why } of passed) digest.add(why !== "none");
      turns.add(passed);
    }
    job.progress?.(piece);
  }
  return runs.map(({ rule, mirror: { totals }, turns, digest }) => ({
    candidate: {
      rule,
      byteShare: share(totals.mirrored.bytes, totals.all.bytes),
      packetShare: share(totals.mirrored.packets, totals.all.packets),
      kept: turns.share,
    },
    digest: digest.text,
  }));
}

/** 32,768 flows for each rule of the grid at a time, 6 MiB each. */
const TUNE_SLOTS = 2 ** 15;

interface ToJudge extends Measured {
  readonly ages: AgesMs;
  readonly judge: AlertJudge;
  readonly whole: readonly Alert[];
}

async function judgeOne(read: string, { candidate, digest, ages, judge, whole }: ToJudge): Promise<number> {
  // One name for all: a copy is done with when it is judged, so that there is room for the next.
  const write = judge.scratch("candidate.pcap");
  await mirrorFile({ read, write }, { rules: [candidate.rule], ages });
  return keptShare(whole, await judge.judge(write, digest));
}

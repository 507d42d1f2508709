/**
 * What each policy costs: shares of packets and bytes on the real captures, and on heavy-tailed mixes of them with
 * generated transfers.
 *
 * Each capture has a flow table of its own, as if it were alone; the transfers share one. All policies see a frame before
 * the next one is read. What "36 kB a flow" means is not beyond doubt, so transfers are added until each of the READINGS
 * is reached, and every reading is told.
 */
import { openFilter, readPieces } from "../../appliance/mirror_files.ts";
import { type Amount, MirrorPass, type Passed } from "../../appliance/mirror_pass.ts";
import { agesMs } from "../../appliance/mirror_run.ts";
import { wireBytes } from "../../appliance/mirror_link.ts";
import type { CapturedFrame } from "../../filter/capture.ts";
import { FLOW_FLAG } from "../../filter/names.ts";
import { bulkFlows } from "./ids_bulk.ts";
import type { BenchPolicy } from "./ids_policies.ts";
import type { Cost } from "./ids_score.ts";

/** Some traffic, and what each policy mirrors of it. */
export interface Mix {
  /** Generated transfers in it. */
  readonly transfers: number;
  /** Flows by each way of counting: a connection has one or two directions. */
  readonly directions: number;
  readonly connections: number;
  readonly costs: readonly Cost[];
}

export interface MixCosts {
  readonly real: Mix;
  /** The real captures of each half, without transfers. */
  readonly halves: Readonly<Record<Half, Mix>>;
  readonly heavy: Readonly<Record<Reading, Mix>>;
}

/** Captures that presets may be chosen by, and those that they are judged by. */
export type Half = "tune" | "judge";

export interface WeighedCapture {
  readonly path: string;
  readonly half: Half;
}

const MEAN_FLOW_BYTES = 36_000;
const CAPTURE_SLOTS = 2 ** 13;
const BULK_SLOTS = 2 ** 16;
/** Frames of a transfer that go through at a time. */
const BULK_FRAMES = 4096;

/** When a mix is heavy enough. */
const READINGS = {
  /** The published policies cost what is published, in the geometric mean of their ratios. */
  published: (tally: Tally) => publishedRatio(tally.policies, tally.costs) <= 1,
  /** A flow is one direction, as in the records of a campus. */
  direction: ({ directions, costs }: Tally) => costs[0]!.all.bytes >= MEAN_FLOW_BYTES * directions,
  /** A flow is both directions, as alerts.tsv counts them. */
  connection: ({ connections, costs }: Tally) => costs[0]!.all.bytes >= MEAN_FLOW_BYTES * connections,
} as const;
export type Reading = keyof typeof READINGS;
export const READING_NAMES = Object.keys(READINGS) as readonly Reading[];

const share = ({ all, mirrored }: Cost) => mirrored.bytes / Math.max(1, all.bytes);

/** Geometric mean of what the policies cost over what is published of them; 1 where nothing is. */
export function publishedRatio(policies: readonly BenchPolicy[], costs: readonly Cost[]): number {
  const logs = policies.flatMap(({ published }, i) =>
    published === undefined ? [] : [Math.log(share(costs[i]!) / published)]
  );
  return logs.length === 0 ? 1 : Math.exp(logs.reduce((sum, one) => sum + one, 0) / logs.length);
}

/** Whether a policy copies the frame. */
export function copies(policy: BenchPolicy, passed: Passed): boolean {
  return passed.why !== "none" && (policy.keeps?.(passed) ?? true);
}

/** What one policy made of some frames. */
export interface Outcome {
  readonly passed: readonly Passed[];
  /** 1 for each frame that is copied. */
  readonly copied: Uint8Array;
}

/** One pass of every policy, with flow tables that are freed at the end. */
export class Passes implements Disposable {
  readonly #stack = new DisposableStack();
  readonly #passes: readonly MirrorPass[];
  readonly #policies: readonly BenchPolicy[];

  constructor(policies: readonly BenchPolicy[], slots: number) {
    this.#policies = policies;
    this.#passes = policies.map(({ rules, inner = false }) => {
      const policy = { rules, ages: agesMs(), options: { inner } };
      return new MirrorPass(this.#stack.use(openFilter(policy, slots)), rules);
    });
  }

  add(frames: readonly CapturedFrame[]): Outcome[] {
    return this.#passes.map((pass, i) => {
      const passed = pass.add(frames);
      return { passed, copied: Uint8Array.from(passed, (one) => (copies(this.#policies[i]!, one) ? 1 : 0)) };
    });
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

function add(amount: Amount, bytes: number): void {
  amount.packets++;
  amount.bytes += bytes;
}

/** A mix that grows. */
class Tally {
  readonly costs: { readonly all: Amount; readonly mirrored: Amount }[];
  transfers = 0;
  directions = 0;
  connections = 0;

  constructor(readonly policies: readonly BenchPolicy[]) {
    const none = () => ({ packets: 0, bytes: 0 });
    this.costs = policies.map(() => ({ all: none(), mirrored: none() }));
  }

  /** The flows are those of the first policy: all see the same. */
  add(frames: readonly CapturedFrame[], outcomes: readonly Outcome[]): void {
    outcomes.forEach(({ copied }, policy) => {
      const cost = this.costs[policy]!;
      frames.forEach((frame, i) => {
        const bytes = wireBytes(frame);
        add(cost.all, bytes);
        if (copied[i]) add(cost.mirrored, bytes);
      });
    });
    for (const { parse, result } of outcomes[0]!.passed) {
      if (parse !== "flow" || result!.field("half.packets") !== 1) continue;
      if (result!.field("result.quiet") !== 0) continue; // its first was counted
      this.directions++;
      const client = (result!.field("result.flow_flags") & FLOW_FLAG.client) === 0 ? 0 : 1;
      if (result!.field("packet.dir") === client) this.connections++;
    }
  }

  mix(): Mix {
    const { transfers, directions, connections, costs } = this;
    return { transfers, directions, connections, costs: structuredClone(costs) };
  }
}

/** Transfers on top of `tally` until every reading is reached. */
function addBulk(tally: Tally, progress: (text: string) => void): Record<Reading, Mix> {
  using passes = new Passes(tally.policies, BULK_SLOTS);
  const found: Partial<Record<Reading, Mix>> = {};
  const look = () => {
    for (const name of READING_NAMES) if (!found[name] && READINGS[name](tally)) found[name] = tally.mix();
    return READING_NAMES.every((name) => found[name] !== undefined);
  };
  const transfers = bulkFlows();
  while (!look()) {
    const frames = transfers.next().value;
    for (let at = 0; at < frames.length; at += BULK_FRAMES) {
      const some = frames.slice(at, at + BULK_FRAMES);
      tally.add(some, passes.add(some));
    }
    tally.transfers++;
    if (tally.transfers % 100 === 0) progress(`bytes of generated transfer ${tally.transfers}`);
  }
  return found as Record<Reading, Mix>;
}

/** @param captures one that cannot be read to its end counts as far as it can */
export async function mixCosts(
  policies: readonly BenchPolicy[],
  captures: readonly WeighedCapture[],
  progress: (text: string) => void,
): Promise<MixCosts> {
  const all = new Tally(policies);
  const halves = { tune: new Tally(policies), judge: new Tally(policies) };
  for (const [n, { path, half }] of captures.entries()) {
    progress(`bytes of capture ${n + 1} of ${captures.length}`);
    using passes = new Passes(policies, CAPTURE_SLOTS);
    try {
      for await (const { frames } of readPieces(path, { cut: null })) {
        const outcomes = passes.add(frames);
        all.add(frames, outcomes);
        halves[half].add(frames, outcomes);
      }
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("Cannot read ")) throw error;
    }
  }
  const real = all.mix();
  return {
    real,
    halves: { tune: halves.tune.mix(), judge: halves.judge.mix() },
    heavy: addBulk(all, progress),
  };
}

/** What policies cost on a part of the real captures, with so many of the transfers of `heavy` as are its share. */
export function heavyPart(part: Mix, real: Mix, heavy: Mix): Cost[] {
  const weight = (part.costs[0]?.all.bytes ?? 0) / Math.max(1, real.costs[0]?.all.bytes ?? 0);
  const amount = (some: Amount, whole: Amount, less: Amount) => ({
    packets: some.packets + weight * (whole.packets - less.packets),
    bytes: some.bytes + weight * (whole.bytes - less.bytes),
  });
  return part.costs.map(({ all, mirrored }, i) => ({
    all: amount(all, heavy.costs[i]!.all, real.costs[i]!.all),
    mirrored: amount(mirrored, heavy.costs[i]!.mirrored, real.costs[i]!.mirrored),
  }));
}

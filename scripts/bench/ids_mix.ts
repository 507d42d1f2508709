/**
 * What each policy costs: shares of packets and bytes on the real captures, and on the heavy mix.
 *
 * Each capture has a flow table of its own, as if it were alone; the generated bulk shares one. All policies see a
 * frame before the next one is read.
 */
import { openFilter, readPieces } from "../../appliance/mirror_files.ts";
import { type Amount, MirrorPass, type Passed } from "../../appliance/mirror_pass.ts";
import { agesMs } from "../../appliance/mirror_run.ts";
import { wireBytes } from "../../appliance/mirror_link.ts";
import type { CapturedFrame } from "../../filter/capture.ts";
import { bulkFlows } from "./ids_bulk.ts";
import type { BenchPolicy } from "./ids_policies.ts";
import type { Cost } from "./ids_score.ts";

export interface MixCosts {
  /** Real ones, by direction. */
  readonly flows: number;
  /** Generated connections. */
  readonly bulkFlows: number;
  readonly real: readonly Cost[];
  readonly heavy: readonly Cost[];
}

const CAPTURE_SLOTS = 2 ** 13;
const BULK_SLOTS = 2 ** 16;
/** Frames of generated flows that go through at a time. */
const BULK_FRAMES = 4096;

type Sum = { readonly all: Amount; readonly mirrored: Amount };

function newSum(): Sum {
  return { all: { packets: 0, bytes: 0 }, mirrored: { packets: 0, bytes: 0 } };
}

function add(amount: Amount, bytes: number): void {
  amount.packets++;
  amount.bytes += bytes;
}

/** Whether a policy copies the frame. */
export function copies(policy: BenchPolicy, passed: Passed): boolean {
  return passed.why !== "none" && (policy.keeps?.(passed) ?? true);
}

/** One pass of every policy, with flow tables that are freed at the end. */
export class Passes implements Disposable {
  readonly #stack = new DisposableStack();
  readonly #passes: readonly MirrorPass[];
  readonly #policies: readonly BenchPolicy[];

  constructor(policies: readonly BenchPolicy[], slots: number) {
    this.#policies = policies;
    this.#passes = policies.map(({ rules }) =>
      new MirrorPass(this.#stack.use(openFilter({ rules, ages: agesMs() }, slots)), rules)
    );
  }

  /** For each policy what became of the frames, and which are copied. */
  add(
    frames: readonly CapturedFrame[],
  ): { readonly passed: readonly Passed[]; readonly copied: Uint8Array }[] {
    return this.#passes.map((pass, i) => {
      const passed = pass.add(frames);
      return { passed, copied: Uint8Array.from(passed, (one) => (copies(this.#policies[i]!, one) ? 1 : 0)) };
    });
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

class Mix {
  readonly sums: Sum[];
  flows = 0;

  constructor(policies: readonly BenchPolicy[]) {
    this.sums = policies.map(newSum);
  }

  /** The flows are those of the first policy: all see the same. */
  add(frames: readonly CapturedFrame[], outcomes: ReturnType<Passes["add"]>): void {
    outcomes.forEach(({ passed, copied }, policy) => {
      const sum = this.sums[policy]!;
      frames.forEach((frame, i) => {
        const bytes = wireBytes(frame);
        add(sum.all, bytes);
        if (copied[i]) add(sum.mirrored, bytes);
      });
      if (policy === 0) this.flows += passed.filter(beginsFlow).length;
    });
  }
}

/** The first packet of a direction. */
function beginsFlow({ parse, result }: Passed): boolean {
  return parse === "flow" && result!.field("half.packets") === 1;
}

/** @param captures paths; one that cannot be read to its end counts as far as it can */
export async function mixCosts(
  policies: readonly BenchPolicy[],
  captures: readonly string[],
  progress: (text: string) => void,
): Promise<MixCosts> {
  const mix = new Mix(policies);
  for (const [n, path] of captures.entries()) {
    progress(`bytes of capture ${n + 1} of ${captures.length}`);
    using passes = new Passes(policies, CAPTURE_SLOTS);
    try {
      for await (const { frames } of readPieces(path, { cut: null })) mix.add(frames, passes.add(frames));
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("Cannot read ")) throw error;
    }
  }
  const real = structuredClone(mix.sums);
  const realFlows = mix.flows;
  const bytes = real[0]!.all.bytes;
  let made = 0;
  using passes = new Passes(policies, BULK_SLOTS);
  let batch: CapturedFrame[] = [];
  const flush = () => {
    mix.add(batch, passes.add(batch));
    batch = [];
  };
  for (const frames of bulkFlows({ flows: realFlows, bytes })) {
    made++;
    for (const frame of frames) {
      batch.push(frame);
      if (batch.length >= BULK_FRAMES) flush();
    }
    if (made % 100 === 0) progress(`bytes of generated flow ${made}`);
  }
  flush();
  return { flows: realFlows, bulkFlows: made, real, heavy: mix.sums };
}

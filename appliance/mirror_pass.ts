/**
 * A capture through the filter: which frames the standby would get, and why.
 *
 * The decisions are those of the C core, handed in as a function; this adds what the plane adds around it (neighbour
 * traffic goes across without a flow) and counts. Both directions come from outside, as on the wire. Pure.
 */
import type { CapturedFrame } from "../filter/capture.ts";
import type { CoreResult, FrameInput } from "../filter/core.ts";
import type { Parse, Why } from "../filter/names.ts";
import type { FilterRule } from "../filter/rule.ts";
import { asEthernet, wireBytes } from "./mirror_link.ts";

export interface Decider {
  decide(frames: readonly FrameInput[]): readonly CoreResult[];
  /** Free what is aged in the next buckets. */
  sweep(nowNs: bigint, buckets: number): void;
}

/** What became of one frame. */
export interface Passed {
  readonly frame: CapturedFrame;
  readonly why: Why;
  /** "unknown_link": it is of a link that carries no Ethernet and no IP that is known here. */
  readonly parse: Parse | "unknown_link";
  readonly rule: number | undefined;
  /** Absent for an unknown link. Only for `parse` "flow" has it a flow. */
  readonly result?: CoreResult;
}

export interface Amount {
  packets: number;
  bytes: number;
}

export interface Totals {
  readonly all: Amount;
  readonly mirrored: Amount;
  /** Mirrored, by reason and by name of the rule. */
  readonly why: Map<Why, Amount>;
  readonly rule: Map<string, Amount>;
  /** Not mirrored because the budget was spent, by what the reason would have been. */
  readonly shed: Map<Why, Amount>;
  /** All, by what the parser made of them. */
  readonly parse: Map<Passed["parse"], Amount>;
}

/** As the plane does between bursts, so that flows that ended do not push out living ones. */
const SWEEP_BUCKETS_PER_FRAME = 2;

export function noTotals(): Totals {
  const none = () => ({ packets: 0, bytes: 0 });
  return {
    all: none(),
    mirrored: none(),
    why: new Map(),
    rule: new Map(),
    shed: new Map(),
    parse: new Map(),
  };
}

function addTo(amount: Amount, bytes: number): void {
  amount.packets++;
  amount.bytes += bytes;
}

function addAt<K>(amounts: Map<K, Amount>, key: K, bytes: number): void {
  const amount = amounts.get(key) ?? { packets: 0, bytes: 0 };
  addTo(amount, bytes);
  amounts.set(key, amount);
}

/** Part of the whole, 0 of nothing. */
export function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** The plane copies neighbour traffic always, whatever the rules. */
function whyOf(result: CoreResult): Why {
  return result.parse === "neighbour" ? "neighbour" : result.why;
}

/** Other frames than these are judged without rules. */
function ruleOf(result: CoreResult): number | undefined {
  return result.parse === "flow" || result.parse === "fragment" ? result.rule : undefined;
}

/** One pass over one capture, with its own flow table. */
export class MirrorPass {
  readonly totals: Totals = noTotals();
  readonly #decider: Decider;
  readonly #rules: readonly FilterRule[];

  constructor(decider: Decider, rules: readonly FilterRule[]) {
    this.#decider = decider;
    this.#rules = rules;
  }

  /** Decide for the next frames, in the order of the capture. */
  add(frames: readonly CapturedFrame[]): Passed[] {
    const seen = frames.map(asEthernet);
    const inputs: FrameInput[] = [];
    frames.forEach(({ timeNs }, i) => {
      const bytes = seen[i];
      if (bytes) inputs.push({ timeNs, bytes, observed: false });
    });
    const results = this.#decider.decide(inputs);
    let next = 0;
    const passed = frames.map((frame, i) => this.#count(frame, seen[i] ? results[next++] : undefined));
    const last = frames.at(-1);
    if (last) this.#decider.sweep(last.timeNs, SWEEP_BUCKETS_PER_FRAME * frames.length);
    return passed;
  }

  #count(frame: CapturedFrame, result: CoreResult | undefined): Passed {
    const passed: Passed = result
      ? { frame, why: whyOf(result), parse: result.parse, rule: ruleOf(result), result }
      : { frame, why: "none", parse: "unknown_link", rule: undefined };
    const bytes = wireBytes(frame);
    addTo(this.totals.all, bytes);
    addAt(this.totals.parse, passed.parse, bytes);
    if (result && result.shed !== "none") addAt(this.totals.shed, result.shed, bytes);
    if (passed.why === "none") return passed;
    addTo(this.totals.mirrored, bytes);
    addAt(this.totals.why, passed.why, bytes);
    const rule = passed.rule === undefined ? undefined : this.#rules[passed.rule];
    if (rule) addAt(this.totals.rule, rule.name, bytes);
    return passed;
  }
}

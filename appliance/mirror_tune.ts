/**
 * Which rule keeps most for its price: a grid of rules, the curve of what each costs and keeps, and its knee.
 *
 * Pure. Cost is the share of bytes mirrored. What is kept is judged by an IDS, or, without one, by turns: each time the
 * talking side changes, something new is said, and its first packet is the most telling one. The share of turns whose
 * first packet was mirrored needs no rules and ranks policies much as an IDS does; it is no forecast of alerts.
 */
import type { FilterRule } from "../filter/rule.ts";
import { filterRule } from "../filter/rule.ts";
import type { Passed } from "./mirror_pass.ts";

/**
 * The grid: every combination of these. All rules copy opening, closing, the ACKs of what they copy and a sign of life
 * every 30 s, and end with the handshake of what is encrypted.
 */
export const GRID = {
  firstPackets: [0, 5, 12],
  firstBytes: [0, 1024, 4096, 16_384],
  /** From the client and to it, each time that side begins to talk. */
  turnBytes: [[0, 0], [512, 512], [4096, 512], [16_384, 512]],
} as const;
const TURN_BYTES_MAX = 1_048_576;

export interface Candidate {
  readonly rule: FilterRule;
  /** Part of bytes and packets mirrored, 0 to 1. */
  readonly byteShare: number;
  readonly packetShare: number;
  /** Part of what the judge counts that the copy still has, 0 to 1. */
  readonly kept: number;
}

/** Rules of the grid, by name what they are: "p5-b4096-t512". */
export function gridRules(): FilterRule[] {
  const always = { handshake: true, teardown: true, keepaliveMs: 30_000 };
  return GRID.firstPackets.flatMap((firstPackets) =>
    GRID.firstBytes.flatMap((firstBytes) =>
      GRID.turnBytes.map(([turnBytesUp, turnBytesDown]) => {
        const name = `p${firstPackets}-b${firstBytes}-t${turnBytesUp}`;
        const turnBytesMax = turnBytesUp === 0 ? 0 : TURN_BYTES_MAX;
        // What copies no bytes has nothing that encryption could end, and nothing to acknowledge.
        const plaintext = firstBytes + turnBytesUp > 0, acks = plaintext || firstPackets > 0;
        return filterRule({
          ...always,
          ...{ name, acks, plaintext },
          firstPackets,
          firstBytes,
          turnBytesUp,
          turnBytesDown,
          turnBytesMax,
        });
      })
    )
  );
}

/** Candidates that nothing else beats in both cost and what is kept, the cheapest first. */
export function front(candidates: readonly Candidate[]): Candidate[] {
  const sorted = candidates.toSorted((a, b) => a.byteShare - b.byteShare || b.kept - a.kept);
  const best: Candidate[] = [];
  for (const candidate of sorted) {
    if (best.length === 0 || candidate.kept > best.at(-1)!.kept) best.push(candidate);
  }
  return best;
}

/**
 * Where the curve bends: the point of the front that lies highest above the straight line between its ends, both axes
 * scaled to 0..1. With two points or less there is no bend, and it is the last one.
 */
export function knee(candidates: readonly Candidate[]): Candidate | undefined {
  const curve = front(candidates);
  const first = curve[0];
  const last = curve.at(-1);
  if (!first || !last) return undefined;
  const width = last.byteShare - first.byteShare || 1;
  const height = last.kept - first.kept || 1;
  const above = (c: Candidate) => (c.kept - first.kept) / height - (c.byteShare - first.byteShare) / width;
  return curve.reduce((best, c) => (above(c) > above(best) ? c : best), last);
}

/** The candidate that keeps most for at most `budget` (part of bytes), the cheapest of equals; undefined: none. */
export function withinBudget(candidates: readonly Candidate[], budget: number): Candidate | undefined {
  return front(candidates.filter(({ byteShare }) => byteShare <= budget)).at(-1);
}

/** "5%", "0.5 %", "12.5": a part of the whole; undefined if it is none. */
export function readShare(text: string): number | undefined {
  const found = /^(\d{1,3}(?:\.\d+)?)\s*%?$/.exec(text.trim());
  const percent = found ? Number(found[1]) : NaN;
  return percent > 0 && percent <= 100 ? percent / 100 : undefined;
}

/** Counts turns: packets with payload of a flow whose predecessor with payload came from the other side. */
export class TurnJudge {
  turns = 0;
  kept = 0;
  /** Side that spoke last, by place in the flow table; a new flow there has first_ns later and starts anew. */
  readonly #last = new Map<number, number>();

  add(passed: readonly Passed[]): void {
    for (const { parse, result, why } of passed) {
      if (parse !== "flow" || !result || result.field("packet.payload_bytes") === 0) continue;
      const dir = result.field("packet.dir");
      // The sender's first payload is a turn in any case, also where the slot held another flow before.
      const opens = result.field("half.payload_packets") === 1 && result.field("result.quiet") === 0;
      if (!opens && this.#last.get(result.slot) === dir) continue;
      this.#last.set(result.slot, dir);
      this.turns++;
      if (why !== "none") this.kept++;
    }
  }

  /** 1 where nothing was said: there was nothing to lose. */
  get share(): number {
    return this.turns === 0 ? 1 : this.kept / this.turns;
  }
}

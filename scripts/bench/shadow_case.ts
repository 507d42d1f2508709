/**
 * Duty: measure what it costs the plane that it compares what a standby hands over, and that it translates, both at once as well; in a
 * process of its own, and print what was found as one line of JSON.
 *
 * Two boxes that change nothing, and the two halves of the same conversations from both ends. The four ways take turns: speed is timed by
 * what the thread was given of the processor, latency on paced frames from their arrival at one end to their leaving at the other.
 */
import type { Board } from "../../filter/board.ts";
import { COUNTER } from "../../filter/names.ts";
import { type Bench, openBench, prepare, slice } from "./plane_case.ts";
import { PLANE_CASES } from "./plane_cases.ts";
import {
  SHADOW_CASE,
  SHADOW_HISTOGRAM,
  SHADOW_PERCENT,
  SHADOW_RATE,
  SHADOW_WAYS,
  type ShadowRound,
  type ShadowWay,
} from "./shadow_score.ts";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const SLICE_PACKETS = 500_000;
const LATENCY_NS = 125_000_000n;
/** Paced frames that came while nobody served: not measured. */
const SETTLE_NS = 10_000_000n;
const UPSTREAM = 0, DOWNSTREAM = 1;
const SYMBOLS = {
  rm_bench_aliases: { parameters: ["u32"], result: "u32" },
  rm_bench_boxes: { parameters: ["u32"], result: "void" },
  rm_bench_match: { parameters: ["buffer", "buffer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

export interface ShadowRequest {
  readonly rounds: number;
  /** Measure latency instead of speed. */
  readonly paced: boolean;
  readonly directory: string;
}

export interface ShadowResult {
  readonly rounds: readonly ShadowRound[];
  /** Flows that the standby is known to have as the primary has them, and otherwise or not at all, before the first turn. */
  readonly equal: number;
  readonly other: number;
}

function open({ directory, paced }: ShadowRequest) {
  const one = PLANE_CASES.find(({ name }) => name === SHADOW_CASE)!;
  // A slow turn of a shared machine must not move the path.
  const filter = [...one.filter, "[failover]", "automatic = false"];
  const prepared = prepare({ case: { ...one, filter }, directory, library: LIBRARY }), { board } = prepared;
  const source = paced ? `${one.source},rate=${SHADOW_RATE / 2}` : one.source;
  for (const role of [UPSTREAM, DOWNSTREAM]) board.setText("setup.spec", source, role);
  const bench = openBench(LIBRARY, prepared), pair = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  pair.rm_bench_boxes(1);
  return { bench, pair, board, warmPackets: one.warmPackets };
}

function speed(bench: Bench) {
  const { packets, cpuNs } = slice(bench, "plane", SLICE_PACKETS);
  return { packets, ns: cpuNs / packets };
}

function latency(bench: Bench, ns: bigint) {
  const { stepNs, steps } = SHADOW_HISTOGRAM;
  const all = new Uint32Array(steps), calm = new Uint32Array(steps);
  bench.rm_bench_latency(ns, stepNs, steps, all, calm);
  const packets = all.reduce((sum, count) => sum + count, 0);
  return { packets, all: [...all], calm: [...calm] };
}

/** Frames that the plane has compared, and those that it has translated. */
const done = (board: Board) =>
  ["shadow", "fixed_up"].map((name) => board.number("counter.packets", COUNTER.indexOf(name as "shadow")));

function turn({ bench, pair, board }: ReturnType<typeof open>, way: ShadowWay, paced: boolean): ShadowRound {
  const { shadow, fixup } = SHADOW_WAYS[way];
  pair.rm_bench_boxes(Number(shadow));
  if (pair.rm_bench_aliases(fixup ? SHADOW_PERCENT : 0) === 0 && fixup) {
    throw new Error("Cannot measure: there are no flows");
  }
  latency(bench, SETTLE_NS);
  const before = done(board);
  const found = {
    ns: NaN,
    all: [],
    calm: [],
    ...(paced ? latency(bench, LATENCY_NS) : speed(bench)),
  };
  const [compared, translated] = done(board).map((count, i) => (count - before[i]!) / found.packets);
  if (compared! > 0 !== shadow || translated! > 0 !== fixup) {
    throw new Error(
      `Cannot measure "${way}": ${compared} of the frames were compared, ${translated} translated`,
    );
  }
  return { ...found, way, compared: compared!, translated: translated! };
}

function measure(request: ShadowRequest): ShadowResult {
  const opened = open(request), { bench, pair, board, warmPackets } = opened;
  if (request.paced) latency(bench, BigInt(Math.ceil(warmPackets / SHADOW_RATE * 1e9)));
  else slice(bench, "plane", warmPackets);
  const match = [new BigUint64Array(1), new BigUint64Array(1)] as const;
  pair.rm_bench_match(...match);
  if (match[0][0] === 0n) throw new Error("Cannot measure: the standby is not compared");
  const path = board.number("live.path");
  const ways = Object.keys(SHADOW_WAYS) as ShadowWay[];
  const rounds = Array.from(
    { length: request.rounds },
    () => ways.map((way) => turn(opened, way, request.paced)),
  );
  if (board.number("live.path") !== path) throw new Error("Cannot measure: the traffic has moved");
  return { rounds: rounds.flat(), equal: Number(match[0][0]), other: Number(match[1][0]) };
}

if (import.meta.main) {
  const found = measure(JSON.parse(Deno.args[0]!));
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(found)}\n`));
  // DPDK's threads would keep the process.
  Deno.exit(0);
}

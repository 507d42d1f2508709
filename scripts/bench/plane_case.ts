/**
 * Duty: measure one case of the plane in a process of its own, and print what was found as one line of JSON.
 *
 * DPDK starts once per process, and everything here runs on its one thread: slices of the bare loop and of the plane take
 * turns, so that a slow spell of the machine meets both.
 */
import { writeReflexes, writeRules, writeSetup } from "../../appliance/board_command.ts";
import { describeProblem, parseConfig } from "../../appliance/config.ts";
import { VERSION } from "../../appliance/version.ts";
import { openNative } from "../../filter/dpdk.ts";
import { compileFilter } from "../../filter/pcap_filter.ts";
import { caseToml, LATENCY, type PlaneCase } from "./plane_cases.ts";
import type { Slice } from "./statistics.ts";

export interface CaseRequest {
  readonly case: Pick<PlaneCase, "name" | "source" | "filter" | "flowsMax" | "warmPackets">;
  readonly slices: number;
  readonly slicePackets: number;
  /** Measure latency instead of speed, for so long. */
  readonly latencySeconds?: number;
  readonly directory: string;
  readonly library: string;
}

export interface CaseResult {
  readonly io: readonly Slice[];
  readonly plane: readonly Slice[];
  /** Of the plane's slices: frames copied to the standby, over frames received. */
  readonly copyShare: number;
  readonly flows: number;
  /** Memory that every packet needs of its flow, with as many flows as were asked for. */
  readonly flowBytes: number;
  readonly calm: readonly number[];
  readonly all: readonly number[];
}

const MODE = { io: 0, plane: 1 } as const;
const SYMBOLS = {
  rm_bench_open: { parameters: ["buffer"], result: "i32" },
  rm_bench_slice: { parameters: ["u32", "u64", "buffer"], result: "i32" },
  rm_bench_latency: { parameters: ["u64", "u32", "u32", "buffer", "buffer"], result: "void" },
  rm_bench_flow_bytes: { parameters: [], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

export type Bench = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** A board set up for a case. `source` is written as it is: the bench may use what a configuration may not. */
export function prepare(request: Pick<CaseRequest, "case" | "directory" | "library">) {
  const { config, problems } = parseConfig(caseToml(request.case, request.directory), "bench");
  if (config === undefined) throw new Error(`Cannot configure the bench: ${problems.map(describeProblem)}`);
  const path = `${request.directory}/board`;
  const map = openNative(request.library).createBoard(path, {
    slots: config.plane.flowSlots,
    version: VERSION,
  });
  const free = Deno.readTextFileSync("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  writeSetup(map.board, config, { huge: Number(free) * 2 >= config.plane.memoryMib, firstBox: "primary" });
  map.board.setText("setup.spec", request.case.source, 0);
  writeReflexes(map.board, config);
  const rules = config.filter.rules.map((rule) => ({ rule, program: compileFilter(rule.match) }));
  writeRules(map.board, map.publish, rules, config.filter);
  return { path, board: map.board };
}

/** The library, with its plane on this board. What a bench needs besides it opens of the same library by itself. */
export function openBench(library: string, { path, board }: ReturnType<typeof prepare>): Bench {
  const bench = Deno.dlopen(library, SYMBOLS).symbols;
  if (bench.rm_bench_open(new TextEncoder().encode(`${path}\0`)) !== 0) {
    throw new Error(board.text("header.error"));
  }
  return bench;
}

/** One slice of the bare loop or of the plane. @throws Error: no frames come */
export function slice(bench: Bench, mode: keyof typeof MODE, packets: number): Slice & { copies: number } {
  const out = new BigUint64Array(4);
  if (bench.rm_bench_slice(MODE[mode], BigInt(packets), out) !== 0) {
    throw new Error("Cannot measure: no frames come from the source");
  }
  return { packets: Number(out[0]), cpuNs: Number(out[1]), copies: Number(out[3]) };
}

/**
 * Each slice is cut into parts that are judged alone: a neighbour on the processor comes every few milliseconds, and the longer
 * of two loops would more often not find a while without it.
 */
const PARTS = 5;

function speeds(bench: Bench, request: CaseRequest) {
  const io: ReturnType<typeof slice>[] = [], plane: ReturnType<typeof slice>[] = [];
  const packets = Math.ceil(request.slicePackets / PARTS);
  for (let i = 0; i < request.slices * PARTS; i++) {
    io.push(slice(bench, "io", packets));
    plane.push(slice(bench, "plane", packets));
  }
  const sum = (of: "copies" | "packets") => plane.reduce((total, one) => total + one[of], 0);
  return { io, plane, copyShare: sum("copies") / sum("packets"), calm: [], all: [] };
}

function latency(bench: Bench, seconds: number) {
  const all = new Uint32Array(LATENCY.steps), calm = new Uint32Array(LATENCY.steps);
  bench.rm_bench_latency(BigInt(seconds * 1e9), LATENCY.stepNs, LATENCY.steps, all, calm);
  return { io: [], plane: [], copyShare: NaN, calm: [...calm], all: [...all] };
}

function measure(request: CaseRequest): CaseResult {
  const prepared = prepare(request), { board } = prepared;
  const bench = openBench(request.library, prepared);
  slice(bench, "plane", request.case.warmPackets);
  const found = request.latencySeconds ? latency(bench, request.latencySeconds) : speeds(bench, request);
  const places = board.number("header.flow_slots") / request.case.flowsMax;
  const flowBytes = bench.rm_bench_flow_bytes() * places;
  return { ...found, flows: board.number("live.flows", 0), flowBytes };
}

if (import.meta.main) {
  const found = measure(JSON.parse(Deno.args[0]!));
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(found)}\n`));
  // DPDK's threads would keep the process.
  Deno.exit(0);
}

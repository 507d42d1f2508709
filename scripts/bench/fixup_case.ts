/**
 * Duty: measure what translating costs one way, into the box that serves or out of it, in a process of its own, and print what was found
 * as one line of JSON.
 *
 * One source; slices with translated flows and without take turns, timed by what the thread was given of the processor. Both boxes know
 * a part of the flows by other numbers: what goes into the serving one is translated, and copies are; so is what comes out.
 */
import { median } from "../demo.d/statistics.ts";
import { openBench, prepare, slice } from "./plane_case.ts";
import { PLANE_CASES } from "./plane_cases.ts";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const SLICE_PACKETS = 1_000_000;
export const FIXUP_CASE = "first 5, 100k flows Zipf";
/** By the first the bars are judged; nobody's standby differs for all. */
export const PERCENT = [10, 100] as const;
const UPSTREAM = 0, PRIMARY_IN = 2;
const SYMBOLS = {
  rm_bench_aliases: { parameters: ["u32"], result: "u32" },
  rm_bench_place_bytes: { parameters: [], result: "u32" },
  rm_bench_alias_bytes: { parameters: [], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

export type Way = "into" | "out of";

export interface FixupRequest {
  readonly way: Way;
  readonly slices: number;
  readonly directory: string;
}

export interface FixupRow {
  readonly way: Way;
  readonly percent: number;
  readonly offNs: number;
  readonly onNs: number;
  /** Median over pairs of neighbouring slices. */
  readonly ratio: number;
}

export interface FixupResult {
  readonly rows: readonly FixupRow[];
  readonly placeBytes: number;
  readonly aliasBytes: number;
}

function open({ way, directory }: FixupRequest) {
  const one = PLANE_CASES.find(({ name }) => name === FIXUP_CASE)!;
  const prepared = prepare({ case: one, directory, library: LIBRARY }), { board } = prepared;
  if (way === "out of") {
    board.setText("setup.spec", "gen:flows=0", UPSTREAM);
    board.setText("setup.spec", one.source, PRIMARY_IN);
  }
  const bench = openBench(LIBRARY, prepared);
  slice(bench, "plane", one.warmPackets);
  return { bench, fixup: Deno.dlopen(LIBRARY, SYMBOLS).symbols };
}

function measure(request: FixupRequest): FixupResult {
  const { bench, fixup } = open(request);
  const packetNs = () => {
    const { cpuNs, packets } = slice(bench, "plane", SLICE_PACKETS);
    return cpuNs / packets;
  };
  const rows = PERCENT.map((percent): FixupRow => {
    const pairs = Array.from({ length: request.slices }, () => {
      fixup.rm_bench_aliases(0);
      const off = packetNs();
      if (fixup.rm_bench_aliases(percent) === 0) throw new Error("Cannot measure: there are no flows");
      return { off, on: packetNs() };
    });
    return {
      way: request.way,
      percent,
      offNs: Math.min(...pairs.map(({ off }) => off)),
      onNs: Math.min(...pairs.map(({ on }) => on)),
      ratio: median(pairs.map(({ off, on }) => off / on)),
    };
  });
  return { rows, placeBytes: fixup.rm_bench_place_bytes(), aliasBytes: fixup.rm_bench_alias_bytes() };
}

if (import.meta.main) {
  const found = measure(JSON.parse(Deno.args[0]!));
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(found)}\n`));
  // DPDK's threads would keep the process.
  Deno.exit(0);
}

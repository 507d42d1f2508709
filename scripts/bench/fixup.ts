/**
 * Duty: `deno task bench:fixup`: what it costs the plane to translate for boxes that know flows otherwise, and the memory of a flow.
 *
 * One process, one source, slices with and without in turns, timed by what the thread was given of the processor. Both boxes
 * know a part of the flows by other numbers: what goes into the serving one is translated, and copies are.
 */
import { median } from "../demo.d/statistics.ts";
import { align } from "../demo.d/table.ts";
import { type Found, runBench, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { prepare } from "./plane_case.ts";
import { PLANE_CASES } from "./plane_cases.ts";
import { parseArgs } from "node:util";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const SLICE_PACKETS = 1_000_000n;
const PLANE_MODE = 1;
const CASE = "first 5, 100k flows Zipf";
/** By the first the bar is judged; nobody's standby differs for all. */
const PERCENT = [10, 100] as const;
const SYMBOLS = {
  rm_bench_open: { parameters: ["buffer"], result: "i32" },
  rm_bench_slice: { parameters: ["u32", "u64", "buffer"], result: "i32" },
  rm_bench_aliases: { parameters: ["u32"], result: "u32" },
  rm_bench_place_bytes: { parameters: [], result: "u32" },
  rm_bench_alias_bytes: { parameters: [], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;
const USAGE = `Usage: deno task bench:fixup [--slices N] [--json] [--check]

The plane with 10 and with 100 % of its flows translated for the serving box and a standby, beside the plane with none.

  --slices N    pairs of slices (1 to 1000); default 12
  --json        one JSON document on standard output
  --check       exit 1 where the bar is missed
`;

interface Row {
  readonly percent: number;
  readonly offNs: number;
  readonly onNs: number;
  /** Median over pairs of neighbouring slices. */
  readonly ratio: number;
}

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      slices: { type: "string", default: "12" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const { json, check } = values;
  return { slices: wholeNumber("slices", values.slices, [1, 1000]), json, check };
}

type Options = ReturnType<typeof parse>;

function measureIn(directory: string, { slices }: Options) {
  const one = PLANE_CASES.find(({ name }) => name === CASE)!;
  const { path, board } = prepare({ case: one, directory, library: LIBRARY });
  const bench = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  if (bench.rm_bench_open(new TextEncoder().encode(`${path}\0`)) !== 0) {
    throw new Error(board.text("header.error"));
  }
  const slice = (packets = SLICE_PACKETS) => {
    const out = new BigUint64Array(4);
    if (bench.rm_bench_slice(PLANE_MODE, packets, out) !== 0) {
      throw new Error("Cannot measure: no frames come");
    }
    return Number(out[1]) / Number(out[0]);
  };
  slice(BigInt(one.warmPackets));
  const rows = PERCENT.map((percent): Row => {
    const pairs = Array.from({ length: slices }, () => {
      bench.rm_bench_aliases(0);
      const off = slice();
      if (bench.rm_bench_aliases(percent) === 0) throw new Error("Cannot measure: there are no flows");
      return { off, on: slice() };
    });
    return {
      percent,
      offNs: Math.min(...pairs.map(({ off }) => off)),
      onNs: Math.min(...pairs.map(({ on }) => on)),
      ratio: median(pairs.map(({ off, on }) => off / on)),
    };
  });
  return { rows, placeBytes: bench.rm_bench_place_bytes(), aliasBytes: bench.rm_bench_alias_bytes() };
}

function found({ rows, placeBytes, aliasBytes }: ReturnType<typeof measureIn>, load: string): Found {
  const table = align([
    ["translated", "off, ns", "on, ns", "off / on"],
    ...rows.map(({ percent, offNs, onNs, ratio }) => [
      `${percent} % of the flows`,
      offNs.toFixed(1),
      onNs.toFixed(1),
      ratio.toFixed(2),
    ]),
  ], 1);
  const memory = `memory: ${placeBytes} bytes for each place and side, ${aliasBytes} more for each alias`;
  const value = rows[0]!.ratio;
  return {
    format: 1,
    results: { case: CASE, rows, placeBytes, aliasBytes },
    table: [`${CASE}; ${load}`, table, memory].join("\n"),
    bars: [{
      what: `fix-up of ${PERCENT[0]} % of the flows`,
      unit: "of the plane without",
      value,
      bar: 0.8,
      goal: 0.9,
    }],
  };
}

if (import.meta.main) {
  await runBench({
    usage: USAGE,
    parse,
    measure: async (options) => {
      const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "rm-bench-" });
      const from = look();
      try {
        const measured = measureIn(directory, options);
        return found(measured, loadText(loadBetween(from, look())));
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

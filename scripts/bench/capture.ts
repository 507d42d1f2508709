/**
 * Duty: `deno task bench:capture`: what it costs the plane that its copies are captured.
 *
 * One process, one source, slices with and without in turns, timed by what the thread was given of the processor. Nobody
 * reads the ring: a reader takes nothing from the plane but the cache lines it looks at.
 */
import { median } from "../demo.d/statistics.ts";
import { prepare } from "./plane_case.ts";
import { PLANE_CASES } from "./plane_cases.ts";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const SLICES = 16;
const SLICE_PACKETS = 2_000_000n;
/** Copies by all six ports. */
const COPIES = 0b111111;
const PLANE_MODE = 1;
const SYMBOLS = {
  rm_bench_open: { parameters: ["buffer"], result: "i32" },
  rm_bench_slice: { parameters: ["u32", "u64", "buffer"], result: "i32" },
  rm_bench_capture: { parameters: ["buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const words = (text: string) => new TextEncoder().encode(`${text}\0`);

/** The case that looks most like a network's traffic. */
function measure(directory: string): string {
  const one = PLANE_CASES.find(({ name }) => name.startsWith("ids"))!;
  const { path, board } = prepare({ case: one, directory, library: LIBRARY });
  const bench = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  if (bench.rm_bench_open(words(path)) !== 0) throw new Error(board.text("header.error"));
  const slice = (wanted: number, packets = SLICE_PACKETS) => {
    const out = new BigUint64Array(4);
    const made = bench.rm_bench_capture(words(`${directory}/capture`), wanted);
    if (made !== 0 || bench.rm_bench_slice(PLANE_MODE, packets, out) !== 0) {
      throw new Error("Cannot measure: no ring, or no frames from the source");
    }
    return { ns: Number(out[1]) / Number(out[0]), copies: Number(out[3]) / Number(out[0]) };
  };
  slice(0, BigInt(one.warmPackets));
  const pairs = Array.from({ length: SLICES }, () => ({ off: slice(0), on: slice(COPIES) }));
  const best = (which: "off" | "on") => Math.min(...pairs.map((pair) => pair[which].ns));
  const { copies } = pairs[0]!.on;
  const share = median(pairs.map(({ off, on }) => on.ns / off.ns)) - 1;
  const perCopyNs = (best("on") - best("off")) / copies;
  return `${one.name}: ${best("off").toFixed(1)} ns a packet, ${best("on").toFixed(1)} with captures; ` +
    `${(100 * copies).toFixed(1)} % are copies, ${perCopyNs.toFixed(0)} ns each; ` +
    `median of pairs ${(100 * share).toFixed(1)} % more`;
}

if (import.meta.main) {
  const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "rm-bench-" });
  try {
    console.log(measure(directory));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  // DPDK's threads would keep the process.
  Deno.exit(0);
}

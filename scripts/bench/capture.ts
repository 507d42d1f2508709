/**
 * Duty: `deno task bench:capture`: what it costs the plane that its copies are captured, and that decisions are recorded.
 *
 * One process, one source, slices with and without in turns, timed by what the thread was given of the processor. Nobody
 * reads the ring: a reader takes nothing from the plane but the cache lines it looks at.
 */
import { median } from "../demo.d/statistics.ts";
import { prepare } from "./plane_case.ts";
import { PLANE_CASES } from "./plane_cases.ts";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const SLICES = Number(Deno.env.get("REMEDIATE_SLICES") ?? 16);
const SLICE_PACKETS = 2_000_000n;
/** Copies by all six ports. */
const COPIES = 0b111111;
const PLANE_MODE = 1;
const SYMBOLS = {
  rm_bench_open: { parameters: ["buffer"], result: "i32" },
  rm_bench_slice: { parameters: ["u32", "u64", "buffer"], result: "i32" },
  rm_bench_capture: { parameters: ["buffer", "u32"], result: "i32" },
  rm_bench_recorder: { parameters: ["buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const words = (text: string) => new TextEncoder().encode(`${text}\0`);

/** Decisions per second that the flight recorder may take: as configured by default, and as many as it ever may. */
const RATES = [1000, 20_000];

interface Bench {
  readonly ways: readonly Way[];
  slice(way: Way | null, packets?: bigint): { readonly ns: number; readonly copies: number };
}
/** What is on during a slice. */
interface Way {
  readonly name: string;
  readonly wanted: number;
  readonly rate: number;
}

function open(directory: string, one: (typeof PLANE_CASES)[number]): Bench {
  const { path, board } = prepare({ case: one, directory, library: LIBRARY });
  board.setNumber("setup.recorder_room", 4 * 2 ** 20);
  board.setNumber("setup.recorder_bytes", 96);
  const bench = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  if (bench.rm_bench_open(words(path)) !== 0) throw new Error(board.text("header.error"));
  const ways = [
    { name: "captures", wanted: COPIES, rate: 0 },
    ...RATES.map((rate) => ({ name: `recorder, ${rate} a second`, wanted: 0, rate })),
  ];
  const slice = (way: Way | null, packets = SLICE_PACKETS) => {
    const out = new BigUint64Array(4);
    const made = bench.rm_bench_capture(words(`${directory}/capture`), way?.wanted ?? 0) |
      bench.rm_bench_recorder(words(`${directory}/recorder`), way?.rate ?? 0);
    if (made !== 0 || bench.rm_bench_slice(PLANE_MODE, packets, out) !== 0) {
      throw new Error("Cannot measure: no ring, or no frames from the source");
    }
    return { ns: Number(out[1]) / Number(out[0]), copies: Number(out[3]) / Number(out[0]) };
  };
  slice(null, BigInt(one.warmPackets));
  return { ways, slice };
}

/** The case that looks most like a network's traffic. */
function measure(directory: string): string[] {
  const one = PLANE_CASES.find(({ name }) => name.startsWith("ids"))!;
  const { ways, slice } = open(directory, one);
  const off: number[] = [];
  const on = new Map(ways.map((way) => [way, { ns: [] as number[], share: [] as number[] }]));
  let copies = 0;
  for (let n = 0; n < SLICES; n++) {
    for (const way of ways) {
      const without = slice(null), with_ = slice(way);
      off.push(without.ns);
      copies = without.copies;
      on.get(way)!.ns.push(with_.ns);
      on.get(way)!.share.push(with_.ns / without.ns);
    }
  }
  const best = Math.min(...off);
  const head = `${one.name}: ${best.toFixed(1)} ns a packet; ${(100 * copies).toFixed(1)} % are copies; ` +
    `load ${
      Deno.loadavg().map((load) => load.toFixed(1)).join(" ")
    } on ${navigator.hardwareConcurrency} processors`;
  return [
    head,
    ...ways.map((way) => {
      const { ns, share } = on.get(way)!;
      return `${way.name}: ${Math.min(...ns).toFixed(1)} ns a packet; median of pairs ${
        (100 * (median(share) - 1)).toFixed(1)
      } % more`;
    }),
  ];
}

if (import.meta.main) {
  const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "rm-bench-" });
  try {
    console.log(measure(directory).join("\n"));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  // DPDK's threads would keep the process.
  Deno.exit(0);
}

/**
 * Duty: `deno task bench:capture`: what it costs the plane that its copies are captured, and that decisions are recorded.
 *
 * One process, one source, slices with and without in turns, timed by what the thread was given of the processor. Nobody
 * reads the ring: a reader takes nothing from the plane but the cache lines it looks at.
 */
import { median } from "../demo.d/statistics.ts";
import { openBench, prepare, slice } from "./plane_case.ts";
import { PLANE_CASES } from "./plane_cases.ts";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const SLICES = Number(Deno.env.get("REMEDIATE_SLICES") ?? 16);
const SLICE_PACKETS = 2_000_000;
/** Copies by all six ports. */
const COPIES = 0b111111;
const SYMBOLS = {
  rm_bench_capture: { parameters: ["buffer", "u32"], result: "i32" },
  rm_bench_recorder: { parameters: ["buffer", "u32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const words = (text: string) => new TextEncoder().encode(`${text}\0`);

/** Decisions per second that the flight recorder may take: as configured by default, and as many as it ever may. */
const RATES = [1000, 20_000];

interface Bench {
  readonly ways: readonly Way[];
  slice(way: Way | null, packets?: number): { readonly ns: number; readonly copies: number };
}
/** What is on during a slice. */
interface Way {
  readonly name: string;
  readonly wanted: number;
  readonly rate: number;
}

function open(directory: string, one: (typeof PLANE_CASES)[number]): Bench {
  const prepared = prepare({ case: one, directory, library: LIBRARY }), { board } = prepared;
  board.setNumber("setup.recorder_room", 4 * 2 ** 20);
  board.setNumber("setup.recorder_bytes", 96);
  const bench = openBench(LIBRARY, prepared), rings = Deno.dlopen(LIBRARY, SYMBOLS).symbols;
  const ways = [
    { name: "captures", wanted: COPIES, rate: 0 },
    ...RATES.map((rate) => ({ name: `recorder, ${rate} a second`, wanted: 0, rate })),
  ];
  const measured = (way: Way | null, packets = SLICE_PACKETS) => {
    const made = rings.rm_bench_capture(words(`${directory}/capture`), way?.wanted ?? 0) |
      rings.rm_bench_recorder(words(`${directory}/recorder`), way?.rate ?? 0);
    if (made !== 0) throw new Error("Cannot measure: no ring");
    const found = slice(bench, "plane", packets);
    return { ns: found.cpuNs / found.packets, copies: found.copies / found.packets };
  };
  measured(null, one.warmPackets);
  return { ways, slice: measured };
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

/**
 * Duty: `deno task bench:plane`: measure every case of the plane beside a bare loop and beside dpdk-testpmd.
 *
 * Each case runs in a process of its own (plane_case.ts). Results go to standard output, progress to standard
 * error. Needs root for hugepages; without them it runs on small pages, which is slower and said.
 */
import { parseArgs } from "node:util";
import { align } from "../demo.d/table.ts";
import { median } from "../demo.d/statistics.ts";
import { benchCapture } from "./plane_capture.ts";
import { CAPTURE, FLOW_BYTES, LATENCY, PLANE_CASES, type PlaneCase } from "./plane_cases.ts";
import type { CaseRequest, CaseResult } from "./plane_case.ts";
import { type Bar, mppsOf, percentile, type Speed, speedOf, standing, worstBar } from "./statistics.ts";
import { TESTPMD_MODES, type TestpmdMode, testpmdSlices } from "./testpmd.ts";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const CASE = new URL("./plane_case.ts", import.meta.url).pathname;
const CAPTURE_FRAMES = 4096;
const USAGE = `Usage: deno task bench:plane [--slices N] [--packets N] [--only TEXT] [--json] [--check]

Measures the plane on one core, in time of the processor per packet, as a ratio to a bare loop on the same source.

  --slices N    slices of each loop, in turns (10 to 1000); default 12
  --packets N   packets of a slice (100000 and more); default 2000000
  --only TEXT   only the cases whose name has TEXT; "testpmd" and "latency" are names too
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

interface Options {
  readonly slices: number;
  readonly packets: number;
  readonly only: string;
  readonly json: boolean;
  readonly check: boolean;
}

interface Row {
  readonly name: string;
  readonly io: Speed;
  readonly plane: Speed;
  /** Of the best slices, and the median over pairs of neighbouring slices. */
  readonly ratio: number;
  readonly ratioMedian: number;
  readonly mpps: number;
  readonly copyShare: number;
  readonly flows: number;
}

const say = (text: string) => console.error(text);

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      slices: { type: "string", default: "12" },
      packets: { type: "string", default: "2000000" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const whole = (name: "slices" | "packets", min: number, max: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new RangeError(`--${name} "${values[name]}" is no whole number from ${min} to ${max}`);
  };
  return { ...values, slices: whole("slices", 10, 1000), packets: whole("packets", 100_000, 1e9) };
}

async function runCase(request: CaseRequest): Promise<CaseResult> {
  const args = [
    "run",
    "--quiet",
    "--no-prompt",
    "--cached-only",
    "--no-check",
    "-A",
    CASE,
    JSON.stringify(request),
  ];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  const text = new TextDecoder().decode(stdout).trim();
  if (code !== 0 || text === "") throw new Error(`Cannot measure "${request.case.name}": exit code ${code}`);
  return JSON.parse(text.split("\n").at(-1)!);
}

function rowOf(name: string, found: CaseResult): Row {
  const io = speedOf(found.io), plane = speedOf(found.plane);
  const pairs = found.io.map((one, i) => {
    const other = found.plane[i]!;
    return (one.cpuNs / one.packets) / (other.cpuNs / other.packets);
  });
  return {
    name,
    io,
    plane,
    ratio: io.bestNs / plane.bestNs,
    ratioMedian: median(pairs),
    mpps: mppsOf(plane.bestNs),
    copyShare: found.copyShare,
    flows: found.flows,
  };
}

/** In a directory on memory: the board lies there, and a table of eight million flows with it. */
async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "rm-bench-" });
  try {
    return await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function measureCase(one: PlaneCase, options: Options): Promise<CaseResult> {
  return inDirectory(async (directory) => {
    const capture = `${directory}/c.pcap`;
    await Deno.writeFile(capture, benchCapture(CAPTURE_FRAMES));
    const { name, filter, flowsMax, warmPackets } = one;
    const source = one.source.replace("CAPTURE", capture);
    const given = { name, source, filter, flowsMax, warmPackets };
    return runCase({
      case: given,
      slices: options.slices,
      slicePackets: options.packets,
      directory,
      library: LIBRARY,
    });
  });
}

interface Latency {
  readonly name: string;
  readonly shares: readonly { share: number; calmNs: number; allNs: number; bar: number; goal: number }[];
}

async function measureLatency(): Promise<Latency> {
  const found = await inDirectory((directory) =>
    runCase({
      case: LATENCY,
      slices: 0,
      slicePackets: 0,
      latencySeconds: LATENCY.seconds,
      directory,
      library: LIBRARY,
    })
  );
  const at = (counts: readonly number[], share: number) => percentile(counts, share) * LATENCY.stepNs;
  const shares = LATENCY.percentiles.map((one) => ({
    ...one,
    calmNs: at(found.calm, one.share),
    allNs: at(found.all, one.share),
  }));
  return { name: LATENCY.name, shares };
}

type Peers = Readonly<Partial<Record<TestpmdMode, Speed>>>;

async function measurePeers(options: Options): Promise<Peers> {
  return await inDirectory(async (directory) => {
    const capture = `${directory}/c.pcap`;
    await Deno.writeFile(capture, benchCapture(CAPTURE_FRAMES));
    const found: Partial<Record<TestpmdMode, Speed>> = {};
    for (const mode of TESTPMD_MODES) {
      say(`dpdk-testpmd ${mode} ...`);
      found[mode] = speedOf(await testpmdSlices(capture, mode, options.slices));
    }
    return found;
  });
}

function barsOf(rows: readonly Row[], peers: Peers, latency: Latency | null, flowBytes: number): Bar[] {
  const bars: Bar[] = [];
  for (const one of PLANE_CASES) {
    const row = rows.find(({ name }) => name === one.name);
    if (!row) continue;
    const isPeer = one.name === CAPTURE;
    if (!isPeer) bars.push({ what: one.name, unit: "of io", value: row.ratio, bar: one.bar, goal: one.goal });
    if (one.mppsBar) {
      bars.push({ what: one.name, unit: "Mpps", value: row.mpps, bar: one.mppsBar, goal: one.mppsGoal! });
    }
    const against = (mode: TestpmdMode, bar: number, goal: number) => {
      const peer = peers[mode];
      if (!isPeer || !peer) return;
      const value = peer.bestNs / row.plane.bestNs;
      bars.push({ what: one.name, unit: `of testpmd ${mode}`, value, bar, goal });
    };
    against("io", one.bar, one.goal);
    against("5tswap", 0.8, 1);
  }
  for (const { share, calmNs, bar, goal } of latency?.shares ?? []) {
    const what = `p${share * 100}, ${latency!.name}`;
    bars.push({ what, unit: "ns", value: calmNs, bar, goal, lessIsBetter: true });
  }
  if (flowBytes > 0) {
    bars.push({
      what: "memory per flow",
      unit: "bytes",
      value: flowBytes,
      ...FLOW_BYTES,
      lessIsBetter: true,
    });
  }
  return bars;
}

const barText = (one: Bar) =>
  `${standing(one) >= 1 ? "ok    " : "missed"}  ${one.what}: ${one.value.toPrecision(3)} ${one.unit} ` +
  `(bar ${one.bar}, goal ${one.goal})`;

function print(rows: readonly Row[], peers: Peers, latency: Latency | null, bars: readonly Bar[]): void {
  const head = ["case", "io ns", "plane ns", "median", "Mpps", "of io", "median", "copied"];
  const lines = rows.map((row) => [
    row.name,
    row.io.bestNs.toFixed(1),
    row.plane.bestNs.toFixed(1),
    row.plane.medianNs.toFixed(1),
    row.mpps.toFixed(1),
    row.ratio.toFixed(2),
    row.ratioMedian.toFixed(2),
    `${(row.copyShare * 100).toFixed(2)} %`,
  ]);
  if (lines.length > 0) console.log(`${align([head, ...lines], 1)}\n`);
  for (const [mode, speed] of Object.entries(peers)) {
    console.log(
      `dpdk-testpmd ${mode}: ${speed.bestNs.toFixed(1)} ns, ${mppsOf(speed.bestNs).toFixed(1)} Mpps`,
    );
  }
  for (const { share, calmNs, allNs } of latency?.shares ?? []) {
    console.log(`${latency!.name}, p${share * 100}: ${calmNs} ns; with the machine's own stalls ${allNs} ns`);
  }
  console.log();
  for (const one of bars) console.log(barText(one));
}

async function main(options: Options): Promise<number> {
  const wanted = (name: string) => name.includes(options.only);
  const rows: Row[] = [];
  let flowBytes = 0;
  for (const one of PLANE_CASES.filter(({ name }) => wanted(name))) {
    say(`${one.name} ...`);
    const found = await measureCase(one, options);
    flowBytes = found.flowBytes;
    rows.push(rowOf(one.name, found));
  }
  const peers = wanted(CAPTURE) || wanted("testpmd") ? await measurePeers(options) : {};
  if (wanted(LATENCY.name)) say(`${LATENCY.name} ...`);
  const latency = wanted(LATENCY.name) ? await measureLatency() : null;
  const bars = barsOf(rows, peers, latency, flowBytes);
  if (bars.length === 0) throw new RangeError(`--only "${options.only}" leaves nothing to measure`);
  const ok = bars.every((one) => standing(one) >= 1);
  if (options.json) {
    console.log(JSON.stringify({ format: 1, options, rows, peers, latency, bars, ok }, null, 1));
  } else print(rows, peers, latency, bars);
  say(`Worst: ${barText(worstBar(bars)!)}`);
  return options.check && !ok ? 1 : 0;
}

if (import.meta.main) {
  if (Deno.args.includes("--help")) {
    console.log(USAGE);
    Deno.exit(0);
  }
  let options: Options;
  try {
    options = parseOptions(Deno.args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    Deno.exit(2);
  }
  Deno.exit(await main(options));
}

/**
 * Duty: `deno task bench:plane`: measure every case of the plane beside a bare loop, and beside what others use.
 *
 * Parts: our own cases (plane_own.ts), dpdk-testpmd (testpmd.ts), Open vSwitch with DPDK (plane_null.ts), and links of
 * the kernel with Open vSwitch, tc and eBPF (links.ts). Results go to standard output, progress to standard error.
 * Needs root for hugepages and namespaces; without it what can be measured is, and the rest is named.
 */
import { align } from "../demo.d/table.ts";
import { Lifetime } from "../lab/lifetime.ts";
import { sweep } from "../lab/registry.ts";
import { linkBars, linkText, measureLinks } from "./links.ts";
import type { LinkRow } from "./links_score.ts";
import { barsOf, barText, type Peers } from "./plane_bars.ts";
import { CAPTURE, LATENCY, PLANE_CASES } from "./plane_cases.ts";
import { measureNull, nullBars, nullCells, type NullRow } from "./plane_null.ts";
import { type Options, parseOptions, USAGE } from "./plane_options.ts";
import {
  type Latency,
  measureCase,
  measureLatency,
  removeDirectories,
  type Row,
  rowOf,
  withCapture,
} from "./plane_own.ts";
import { type Bar, mppsOf, type Speed, speedOf, standing, worstBar } from "./statistics.ts";
import { TESTPMD_MODES, type TestpmdMode, testpmdSlices } from "./testpmd.ts";

interface Found {
  readonly rows: readonly Row[];
  readonly flowBytes: number;
  readonly peers: Peers;
  readonly latency: Latency | null;
  readonly nulls: readonly NullRow[];
  readonly links: readonly LinkRow[];
  /** Parts that were asked for and could not be measured, with the reason. */
  readonly leftOut: readonly string[];
}

const say = (text: string) => console.error(text);

async function measurePeers(options: Options): Promise<Peers> {
  return await withCapture(async (capture) => {
    const found: Partial<Record<TestpmdMode, Speed>> = {};
    for (const mode of TESTPMD_MODES) {
      say(`dpdk-testpmd ${mode} ...`);
      found[mode] = speedOf(await testpmdSlices(capture, mode, options.slices));
    }
    return found;
  });
}

function printOwn({ rows, peers, latency }: Found): void {
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
}

function print(found: Found, bars: readonly Bar[]): void {
  printOwn(found);
  if (found.nulls.length > 0) console.log(`\n${align(nullCells(found.nulls), 1)}`);
  if (found.links.length > 0) console.log(`\n${linkText(found.links)}`);
  console.log();
  for (const one of bars) console.log(barText(one));
  for (const one of found.leftOut) console.log(`left out  ${one}`);
}

async function measure(options: Options, lifetime: Lifetime): Promise<Found> {
  const wanted = (name: string) => name.includes(options.only);
  const rows: Row[] = [];
  let flowBytes = 0;
  for (const one of PLANE_CASES.filter(({ name }) => wanted(name))) {
    say(`${one.name} ...`);
    const found = await measureCase(one, options);
    flowBytes = Math.max(flowBytes, found.flowBytes);
    rows.push(rowOf(one.name, found));
  }
  const peers = wanted(CAPTURE) || wanted("testpmd") ? await measurePeers(options) : {};
  if (wanted(LATENCY.name)) say(`${LATENCY.name} ...`);
  const latency = wanted(LATENCY.name) ? await measureLatency() : null;
  const own = { rows, flowBytes, peers, latency };
  if (Deno.uid() !== 0) {
    const leftOut = ["null ports and links: they need root, for hugepages and namespaces"];
    return { ...own, nulls: [], links: [], leftOut };
  }
  const nulls = await measureNull(options, wanted, lifetime);
  const links = await measureLinks(options, wanted, lifetime);
  return { ...own, nulls, links, leftOut: [] };
}

async function main(options: Options, lifetime: Lifetime): Promise<number> {
  lifetime.add(removeDirectories);
  if (Deno.uid() === 0) await sweep();
  const found = await measure(options, lifetime);
  const { rows, peers, latency, flowBytes, nulls, links, leftOut } = found;
  const bars = [...barsOf(rows, peers, latency, flowBytes), ...nullBars(nulls), ...linkBars(links)];
  const isEmpty = rows.length + nulls.length + links.length + bars.length === 0;
  if (isEmpty) throw new RangeError(`Cannot measure "${options.only}": no name has it`);
  const ok = bars.every((one) => standing(one) >= 1) && leftOut.length === 0;
  if (options.json) console.log(JSON.stringify({ format: 1, options, ...found, bars, ok }, null, 1));
  else print(found, bars);
  const worst = worstBar(bars);
  if (worst) say(`Worst: ${barText(worst)}`);
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
  using lifetime = new Lifetime(say);
  try {
    Deno.exit(await main(options, lifetime));
  } catch (error) {
    // A signal is at work already; what fails now fails because of it.
    if (lifetime.ending) await new Promise(() => {});
    // A sentence is for the person; anything else is a fault of ours and keeps its stack.
    if (!(error instanceof Error) || !error.message.startsWith("Cannot ")) throw error;
    say(error.message);
    Deno.exit(1);
  }
}

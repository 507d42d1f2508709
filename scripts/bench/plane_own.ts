/**
 * Duty: run cases of our own plane, each in a process of its own (plane_case.ts), and say what came out.
 */
import { median } from "../demo.d/statistics.ts";
import { benchCapture } from "./plane_capture.ts";
import type { CaseRequest, CaseResult } from "./plane_case.ts";
import { LATENCY } from "./plane_cases.ts";
import type { Options } from "./plane_options.ts";
import { mppsOf, percentile, type Speed, speedOf } from "./statistics.ts";

const LIBRARY = new URL("../../.cache/native/libremediate-bench.so", import.meta.url).pathname;
const CASE = new URL("./plane_case.ts", import.meta.url).pathname;
const CAPTURE_FRAMES = 4096;

/** What of a case the process that measures it has to know. */
export type OwnCase = CaseRequest["case"];

export interface Row {
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

export function rowOf(name: string, found: CaseResult): Row {
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

const directories = new Set<string>();

/** Removes what an end by a signal would leave in memory. */
export async function removeDirectories(): Promise<void> {
  for (const directory of directories) await Deno.remove(directory, { recursive: true });
}

/** In a directory on memory: the board lies there, and a table of eight million flows with it. */
async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "rm-bench-" });
  directories.add(directory);
  try {
    return await work(directory);
  } finally {
    directories.delete(directory);
    await Deno.remove(directory, { recursive: true });
  }
}

/** With the file of the capture, for as long as `work` takes. */
export function withCapture<T>(work: (capture: string, directory: string) => Promise<T>): Promise<T> {
  return inDirectory(async (directory) => {
    const capture = `${directory}/c.pcap`;
    await Deno.writeFile(capture, benchCapture(CAPTURE_FRAMES));
    return await work(capture, directory);
  });
}

export function measureCase(
  one: OwnCase,
  { slices, packets }: Pick<Options, "slices" | "packets">,
): Promise<CaseResult> {
  return withCapture((capture, directory) => {
    const { name, filter, flowsMax, warmPackets } = one;
    const source = one.source.replace("CAPTURE", capture);
    const given = { name, source, filter, flowsMax, warmPackets };
    return runCase({
      case: given,
      slices,
      slicePackets: packets,
      directory,
      library: LIBRARY,
    });
  });
}

export interface Latency {
  readonly name: string;
  readonly shares: readonly { share: number; calmNs: number; allNs: number; bar: number; goal: number }[];
}

export async function measureLatency(): Promise<Latency> {
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

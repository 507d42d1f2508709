/**
 * Duty: `deno task bench:fixup`: what it costs the plane to translate for boxes that know flows otherwise, and to compare what a standby
 * hands over: speed, latency, and the memory of a flow.
 *
 * Each case is measured in a process of its own (fixup_case.ts, shadow_case.ts), for DPDK starts once in each.
 */
import { align } from "../demo.d/table.ts";
import { FIXUP_CASE, type FixupRequest, type FixupResult, PERCENT, type Way } from "./fixup_case.ts";
import { type Found, runBench, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";
import type { ShadowRequest, ShadowResult } from "./shadow_case.ts";
import {
  latencyCells,
  latencyRows,
  SHADOW_CASE,
  SHADOW_PERCENT,
  SHADOW_RATE,
  speedCells,
  speedRows,
} from "./shadow_score.ts";
import { parseArgs } from "node:util";

const CASE = new URL("./fixup_case.ts", import.meta.url).pathname;
const SHADOW = new URL("./shadow_case.ts", import.meta.url).pathname;
const WAYS = ["into", "out of"] as const satisfies readonly Way[];
const USAGE = `Usage: deno task bench:fixup [--slices N] [--json] [--check]

The plane with 10 and with 100 % of its flows translated for the serving box and a standby, beside the plane with none: what goes into
the serving box, and what comes out of it. Then the whole way, both directions through a box: with neither, with a standby that hands
over what it gets and is compared (shadow), with a tenth of the flows translated (fix-up), with both; speed and latency.

  --slices N    turns of each way (1 to 1000); default 12
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed
`;

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

/** In a process of its own, with a directory on memory. */
async function runCase<Result>(script: string, what: string, request: object): Promise<Result> {
  const directory = await Deno.makeTempDir({ dir: "/dev/shm", prefix: "rm-bench-" });
  try {
    return await runProgram(script, what, { ...request, directory });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function runProgram<Result>(script: string, what: string, request: object): Promise<Result> {
  const args = ["run", "--quiet", "--no-prompt", "--cached-only", "--no-check", "-A", script];
  args.push(JSON.stringify(request));
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  const text = new TextDecoder().decode(stdout).trim();
  if (code !== 0 || text === "") {
    throw new Error(`Cannot measure ${what}: exit code ${code}`);
  }
  return JSON.parse(text.split("\n").at(-1)!);
}

interface Measured {
  readonly fixup: readonly FixupResult[];
  readonly fast: ShadowResult;
  readonly paced: ShadowResult;
}

async function measureAll(slices: number): Promise<Measured> {
  const fixup: FixupResult[] = [];
  for (const way of WAYS) {
    const request: Omit<FixupRequest, "directory"> = { way, slices };
    fixup.push(await runCase(CASE, `frames ${way} the box`, request));
  }
  const shadow = (paced: boolean) => {
    const request: Omit<ShadowRequest, "directory"> = { rounds: paced ? 2 * slices : slices, paced };
    return runCase<ShadowResult>(SHADOW, paced ? "latency" : "the whole way", request);
  };
  return { fixup, fast: await shadow(false), paced: await shadow(true) };
}

function fixupTable(rows: FixupResult["rows"]): string {
  return align([
    ["frames", "translated", "off, ns", "on, ns", "off / on"],
    ...rows.map(({ way, percent, offNs, onNs, ratio }) => [
      `${way} the box`,
      `${percent} % of the flows`,
      offNs.toFixed(1),
      onNs.toFixed(1),
      ratio.toFixed(2),
    ]),
  ], 2);
}

function found({ fixup, fast, paced }: Measured, load: string): Found {
  const rows = fixup.flatMap((one) => one.rows);
  const { placeBytes, aliasBytes } = fixup[0]!;
  const speed = speedRows(fast.rounds), latency = latencyRows(paced.rounds);
  const { equal, other } = fast, both = speed.find(({ way }) => way === "both")!;
  const table = [
    `${FIXUP_CASE}; ${load}`,
    fixupTable(rows),
    `memory: ${placeBytes} bytes for each place and side, ${aliasBytes} more for each alias`,
    "",
    `the whole way, ${SHADOW_CASE} from both ends, ${SHADOW_PERCENT} % translated for fix-up, ${equal} flows compared, ${other} unlike`,
    align(speedCells(speed), 2),
    "",
    `latency of the whole way, ${SHADOW_RATE / 1e6} million frames/s: best turn (all frames)`,
    align(latencyCells(latency), 2),
  ];
  const bar = (what: string, value: number) => ({
    what,
    unit: "of the plane without",
    value,
    bar: 0.8,
    goal: 0.9,
  });
  const tenth = rows.filter(({ percent }) => percent === PERCENT[0]);
  return {
    format: 3,
    results: {
      case: FIXUP_CASE,
      rows,
      placeBytes,
      aliasBytes,
      whole: { case: SHADOW_CASE, equal, other, speed, latency },
    },
    table: table.join("\n"),
    bars: [
      ...tenth.map(({ way, percent, ratio }) =>
        bar(`fix-up of ${percent} % of the flows, ${way} the box`, ratio)
      ),
      bar(`shadow and fix-up of ${SHADOW_PERCENT} % of the flows, the whole way`, both.ratio),
    ],
  };
}

if (import.meta.main) {
  await runBench({
    usage: USAGE,
    parse,
    measure: async ({ slices }) => {
      const from = look(), measured = await measureAll(slices);
      return found(measured, loadText(loadBetween(from, look())));
    },
  });
}

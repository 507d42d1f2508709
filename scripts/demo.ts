/**
 * Duty: the demo: run every row, tell what happens meanwhile, print tables and verdict, and tidy up in any case.
 *
 * Results go to standard output, progress to standard error. Started by scripts/demo, which prepares the machine.
 */
import { dirname } from "node:path";
import { FAILURE_TEXT } from "./lab/failures.ts";
import { Lifetime } from "./lab/lifetime.ts";
import { programs } from "./lab/native.ts";
import { run } from "./lab/process.ts";
import { sweep } from "./lab/registry.ts";
import { type Bench, leaveRunning, measure, measurePassage } from "./demo.d/measure.ts";
import { type DemoOptions, parseOptions, USAGE } from "./demo.d/options.ts";
import {
  type Cell,
  cells,
  type FailureFree,
  objectText,
  type Passage,
  type Row,
  type Run,
} from "./demo.d/rows.ts";
import { comparison, freeTable, LEGEND, rowTable } from "./demo.d/table.ts";
import { type Bar, judge, verdict, worst } from "./demo.d/verdict.ts";

const TOP = dirname(import.meta.dirname!);
const say = (text: string) => console.error(text);

interface Result {
  readonly rows: readonly Row[];
  readonly failureFree: FailureFree;
  readonly bars: readonly Bar[];
  readonly verdict: string;
}

function cellText(cell: Cell): string {
  const system = { base: "Base", simple: "Simple (cold redundant box)", remediate: "Remediate" }[cell.system];
  return `${objectText(cell.load)}, ${FAILURE_TEXT[cell.failure]}, ${system}`;
}

function runText(found: Run): string {
  const seen = found.event ? `; the node: ${found.event.text}` : "";
  return `${
    found.requestsAfter.toFixed(0)
  } requests in the second half, ${found.hung} hung, ${found.resets} reset, ` +
    `${found.longFlows - found.longLost} of ${found.longFlows} long flows alive, ` +
    `outage ${found.outageMs.toFixed(1)} ms, ${found.packetsLost} lost${seen}`;
}

/** Adds a row to `rows` as soon as it is whole. */
async function measureRows(bench: Bench, options: DemoOptions, rows: Row[]): Promise<void> {
  const all = cells(options.full);
  let done = 0;
  for (const cell of all) {
    const runs: Run[] = [];
    for (let index = 0; index < options.runs; index++) {
      const count = `[${++done}/${all.length * options.runs}]`;
      say(`${count} ${cellText(cell)} ...`);
      const found = await measure(bench, cell);
      runs.push(found);
      say(`${" ".repeat(count.length)} ${runText(found)}`);
    }
    rows.push({ ...cell, runs });
  }
}

async function measureFree(bench: Bench, runs: number): Promise<FailureFree> {
  const bridge: Passage[] = [], node: Passage[] = [];
  for (let index = 0; index < runs; index++) {
    say(`Without a failure, through a plain Linux bridge and through the node (${index + 1}/${runs}) ...`);
    bridge.push(await measurePassage(bench, "bridge"));
    node.push(await measurePassage(bench, "node"));
  }
  return { bridge, node };
}

async function machine() {
  const word = async (argv: string[], pattern: RegExp) => {
    const text = await run(["sh", "-c", `${argv.join(" ")} 2>&1 || true`]);
    return pattern.exec(text)?.[0] ?? "unknown";
  };
  return {
    cpus: navigator.hardwareConcurrency,
    kernel: Deno.osRelease(),
    memoryMib: Math.round(Deno.systemMemoryInfo().total / 2 ** 20),
    wrk: await word(["wrk", "-v"], /\d+\.\d+\.\d+\S*/),
    nginx: await word(["nginx", "-v"], /\d+\.\d+\.\d+/),
    nft: await word(["nft", "-v"], /\d+\.\d+\.\d+/),
  };
}

async function print(result: Result, options: DemoOptions): Promise<void> {
  if (options.json) {
    const { rows, failureFree, bars, verdict } = result;
    const compared = { ...failureFree, ...comparison(failureFree) };
    const ok = bars.every((one) => one.ok);
    const document = {
      format: 1,
      options,
      machine: await machine(),
      rows,
      failureFree: compared,
      bars,
      verdict,
      ok,
    };
    console.log(JSON.stringify(document, null, 1));
    return;
  }
  console.log(`\n${rowTable(result.rows)}\n\n${LEGEND}\n\n${freeTable(result.failureFree)}\n`);
  for (const missed of result.bars.filter((one) => !one.ok)) console.log(`missed  ${missed.text}`);
  console.log(result.verdict);
}

async function keepOne(bench: Bench): Promise<void> {
  const { prefix, config } = await leaveRunning(bench);
  const lab = `${TOP}/scripts/deno run -A ${TOP}/scripts/lab.ts`;
  say(`
A lab (${prefix}) and a node are left running.
  look at the node    ${TOP}/scripts/remediate status --config ${config}
  send a request      ${lab} exec ${prefix} c1 curl -so /dev/null -w '%{http_code}\\n' http://10.2.0.11/5k
  kill the primary    ${lab} fail ${prefix} primary link-both
  end all of it       ${lab} down ${prefix}`);
}

async function demo(options: DemoOptions, lifetime: Lifetime): Promise<number> {
  const left = await sweep();
  if (left.length > 0) say(`Removed what an earlier run left behind: ${left.join(", ")}`);
  const bench = { top: TOP, programs: await programs(TOP), lifetime };
  const started = performance.now();
  const rows: Row[] = [];
  let failureFree: FailureFree;
  try {
    await measureRows(bench, options, rows);
    failureFree = await measureFree(bench, options.full ? Math.min(options.runs, 3) : 1);
  } catch (error) {
    // What took minutes to measure is worth seeing, whatever went wrong after it.
    if (rows.length > 0 && !lifetime.ending) say(`\n${rowTable(rows)}\n`);
    throw error;
  }
  const bars = judge(rows);
  await print({ rows, failureFree, bars, verdict: verdict(rows, bars) }, options);
  say(`Took ${Math.round((performance.now() - started) / 1_000)} s.`);
  if (options.keep) await keepOne(bench);
  const missed = worst(bars);
  if (missed && options.check) say(`Worst: ${missed.text}`);
  return missed && options.check ? 1 : 0;
}

/** What went wrong, and what went wrong while tidying up after it. */
function errorText(error: unknown): string {
  if (error instanceof SuppressedError) return `${errorText(error.suppressed)}\n${errorText(error.error)}`;
  return error instanceof Error ? error.message : String(error);
}

/** Bad arguments are 2, anything else that goes wrong is 1. */
async function main(args: string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  let options: DemoOptions;
  try {
    options = parseOptions(args);
  } catch (error) {
    say(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  using lifetime = new Lifetime(say);
  try {
    return await demo(options, lifetime);
  } catch (error) {
    // A signal is at work already; what fails now fails because of it.
    if (lifetime.ending) await new Promise(() => {});
    say(errorText(error));
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));

/**
 * Duty: `deno task bench:conntrack`: what it takes to carry connections from one NAT to another by their conntrack state, beside the
 * `conntrack` tool, which does the same with text.
 *
 * Nothing else runs meanwhile; so the time is that of reading all, putting all, and of the kernel. The kernel looks
 * through its whole table for a dump, however few flows there are: what that takes is a row of its own.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { CONNTRACK } from "../../drivers/conntrack.ts";
import type { StateDriver } from "../../drivers/driver.ts";
import { ALL } from "../../drivers/fields.ts";
import { median } from "../demo.d/statistics.ts";
import { Lab } from "../lab/engine.ts";
import { hotReplica } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { type Load, loadBetween, loadText, look } from "./load.ts";
import type { Bar } from "./statistics.ts";

const USAGE = `Usage: deno task bench:conntrack [--flows LIST] [--rounds N] [--json] [--check]

  --flows LIST  how many connections, with commas between (1 to 20000); default 500,1000,5000
  --rounds N    how often each is carried (1 to 100); default 7
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

/** Published times of a move, milliseconds, by flows: a bar is half of it, the goal a tenth. */
const PUBLISHED_MS: ReadonlyMap<number, number> = new Map([[500, 98], [1000, 230], [5000, 515]]);
/** What a seal adds: a nonce and a tag. */
const SEAL_BYTES = 12 + 16;
const SEALED_BYTES_MAX = 200;
const OUTSIDE_FIRST = 10_000;

export interface Options {
  readonly flows: readonly number[];
  readonly rounds: number;
  readonly json: boolean;
  readonly check: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      flows: { type: "string", default: "500,1000,5000" },
      rounds: { type: "string", default: "7" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const { flows, rounds, json, check } = values;
  return {
    flows: flows.split(",").map((text) => wholeNumber("flows", text, [1, 20_000])),
    rounds: wholeNumber("rounds", rounds, [1, 100]),
    json,
    check,
  };
}

/** Milliseconds; of several rounds the median. */
interface Times {
  readonly getMs: number;
  readonly putMs: number;
}

export interface Row extends Times {
  readonly flows: number;
  /** Both, of the quickest round: what neighbours of a shared machine slow down they never speed up. */
  readonly bestMs: number;
  /** The processor's time for both, all threads of the process. */
  readonly cpuMs: number;
  /** Read and put as the first thing that the process does. */
  readonly coldMs: number;
  /** A dump that the kernel filters down to one flow: looking through its table. */
  readonly lookMs: number;
  /** The `conntrack` tool; with the start of its process. */
  readonly tool: Times;
  /** The longest value of a flow. */
  readonly valueBytes: number;
  /** Entries of the second box that are not as those of the first. */
  readonly wrong: number;
  readonly load: Load;
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const from = performance.now();
  const result = await work();
  return { ms: performance.now() - from, result };
}

/** Entries as the tool takes them: established, with another port outside. */
function entries(count: number): string {
  const line = (i: number) =>
    [
      `-I -p tcp -s 10.1.0.${11 + i % 200} -d 10.2.0.11 --sport ${20_000 + i} --dport 80`,
      `-n 10.2.0.1:${OUTSIDE_FIRST + i} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 600`,
    ].join(" ");
  return Array.from({ length: count }, (_, i) => line(i)).join("\n") + "\n";
}

const read = (driver: StateDriver, fields = ALL) =>
  Array.fromAsync(driver.get("supporting", fields, new AbortController().signal));

interface Carried extends Times {
  readonly cpuMs: number;
  readonly valueBytes: number;
}

async function carry(from: StateDriver, to: StateDriver, count: number): Promise<Carried> {
  const used = process.cpuUsage();
  const { ms: getMs, result: records } = await timed(() => read(from));
  const { ms: putMs, result } = await timed(() => to.put(records));
  if (result.taken !== count) {
    throw new Error(`Cannot carry ${count} flows: ${result.taken} were taken, ${result.refused[0]?.reason}`);
  }
  const { user, system } = process.cpuUsage(used);
  return {
    getMs,
    putMs,
    cpuMs: (user + system) / 1000,
    valueBytes: Math.max(...records.map(({ value }) => value.length)),
  };
}

const listing = async (lab: Lab, box: string) =>
  (await lab.exec(box, ["conntrack", "-L", "-o", "save"])).replace(/-t \d+ /g, "").split("\n").sort();

async function wrongEntries(lab: Lab): Promise<number> {
  const [here, there] = await Promise.all([listing(lab, "primary"), listing(lab, "redundant")]);
  const set = new Set(there);
  return Math.abs(here.length - there.length) + here.filter((line) => !set.has(line)).length;
}

const flush = (lab: Lab) => lab.exec("redundant", ["conntrack", "-F"]);

async function carryByTool(lab: Lab, path: string): Promise<Times> {
  const save = ["sh", "-c", `conntrack -L -o save >"$0"`, path];
  const { ms: getMs } = await timed(() => lab.exec("primary", save));
  const { ms: putMs } = await timed(() => lab.exec("redundant", ["conntrack", "--load-file", path]));
  return { getMs, putMs };
}

const medians = (all: readonly Times[]): Times => ({
  getMs: median(all.map(({ getMs }) => getMs)),
  putMs: median(all.map(({ putMs }) => putMs)),
});

async function measureRow(lab: Lab, flows: number, rounds: number): Promise<Row> {
  const context = { name: "bench", nowMs: () => Date.now(), say: () => {} };
  const path = `${lab.directory}/entries`;
  await Deno.writeTextFile(path, entries(flows));
  await lab.exec("primary", ["conntrack", "-F"]);
  await lab.exec("primary", ["conntrack", "--load-file", path]);
  const open = (box: string) => CONNTRACK.open({ namespace: lab.ns(box) }, context);
  const [from, to] = await Promise.all([open("primary"), open("redundant")]);
  const before = look();
  const times: Carried[] = [], tool: Times[] = [], looks: number[] = [];
  let wrong = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      times.push(await carry(from, to, flows));
      wrong += await wrongEntries(lab);
      await flush(lab);
      tool.push(await carryByTool(lab, path));
      looks.push((await timed(() => read(from, { source: "192.0.2.1" }))).ms);
      await flush(lab);
    }
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
  return {
    flows,
    ...medians(times),
    bestMs: Math.min(...times.map(({ getMs, putMs }) => getMs + putMs)),
    cpuMs: median(times.map(({ cpuMs }) => cpuMs)),
    coldMs: times[0]!.getMs + times[0]!.putMs,
    lookMs: median(looks),
    tool: medians(tool),
    valueBytes: Math.max(...times.map(({ valueBytes }) => valueBytes)),
    wrong,
    load: loadBetween(before, look()),
  };
}

export function barsOf(rows: readonly Row[]): Bar[] {
  return rows.flatMap(({ flows, bestMs, valueBytes, wrong }): Bar[] => {
    const what = `${flows} flows`;
    const published = PUBLISHED_MS.get(flows);
    const sealed = valueBytes + SEAL_BYTES;
    const bars: Bar[] = [
      { what: `${what}, wrong`, unit: "entries", value: wrong, bar: 0, goal: 0, lessIsBetter: true },
      {
        what: `${what}, sealed`,
        unit: "bytes a flow",
        value: sealed,
        bar: SEALED_BYTES_MAX,
        goal: 100,
        lessIsBetter: true,
      },
    ];
    if (published === undefined) return bars;
    return [...bars, {
      what,
      unit: "ms",
      value: bestMs,
      bar: published / 2,
      goal: published / 10,
      lessIsBetter: true,
    }];
  });
}

function tableOf(rows: readonly Row[]): string {
  const head = [
    "flows",
    "get ms",
    "put ms",
    "best",
    "cpu ms",
    "first",
    "look",
    "tool get",
    "tool put",
    "bytes",
  ];
  const lines = rows.map((row) => {
    const { getMs, putMs, bestMs, cpuMs, coldMs, lookMs, tool } = row;
    const times = [getMs, putMs, bestMs, cpuMs, coldMs, lookMs, tool.getMs, tool.putMs].map((ms) =>
      ms.toFixed(1)
    );
    return [row.flows, ...times, row.valueBytes];
  });
  return [head, ...lines].map((cells) => cells.map((cell) => String(cell).padStart(9)).join("")).join("\n");
}

export async function measure(options: Options, kit: Kit): Promise<Found> {
  const lab = await Lab.up(
    hotReplica({ clients: 1, servers: 1 }),
    kit.lifetime,
  );
  try {
    const rows: Row[] = [];
    for (const flows of options.flows) {
      const row = await measureRow(lab, flows, options.rounds);
      rows.push(row);
      say(`${flows} flows: ${(row.getMs + row.putMs).toFixed(1)} ms (${loadText(row.load)})`);
    }
    return { format: 1, results: { rows }, table: tableOf(rows), bars: barsOf(rows) };
  } finally {
    await lab.down();
  }
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

/**
 * Duty: `deno task bench:layer`: what operations of the layer cost live traffic. A running node, two NATs, datagrams all the while.
 *
 * Moves take connections of one box to the other and back, by the whole transaction: read, put, held, read again, routed,
 * deleted. Latency is that of datagrams that do not move, while state is cloned over and over, beside the seconds between.
 */
import { parseArgs } from "node:util";
import type { LayerAnswer, MoveView } from "../../appliance/layer/contract.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { median } from "../demo.d/statistics.ts";
import { Lab } from "../lab/engine.ts";
import { conntrackSource, LabNode } from "../lab/node.ts";
import { run } from "../lab/process.ts";
import { parseProbe, type ProbeReport } from "../lab/reports.ts";
import { waitForPath } from "../lab/scenario.ts";
import { ECHO_PORT, startServers } from "../lab/servers.ts";
import { hotReplica } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { type Load, loadBetween, loadText, look } from "./load.ts";
import type { Bar } from "./statistics.ts";

const USAGE = `Usage: deno task bench:layer [--flows LIST] [--rounds N] [--seconds N] [--json] [--check]

  --flows LIST  how many connections move, with commas between (1 to 20000); default 500,1000,5000
  --rounds N    how often each goes there and back, and pairs of latency (1 to 100); default 5
  --seconds N   of each measurement of latency (1 to 60); default 3
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

/** Published times of a move, milliseconds, by flows: a bar is half of it, the goal a tenth. */
const PUBLISHED_MS: ReadonlyMap<number, number> = new Map([[500, 98], [1000, 230], [5000, 515]]);
const BYTES_MAX = 200, BYTES_GOAL = 100;
/** Latency while state is read against latency before, as published for the quicker of two boxes. */
const LATENCY_MAX = 1.012;
const FIELDS = "* 10.1.0.128/25", OUTSIDE_FIRST = 10_000, PROBE_US = 1_000, SETTLE_MS = 700;

export interface Options {
  readonly flows: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  readonly json: boolean;
  readonly check: boolean;
}

export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      flows: { type: "string", default: "500,1000,5000" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const { flows, rounds, seconds, json, check } = values;
  return {
    flows: flows.split(",").map((text) => wholeNumber("flows", text, [1, 20_000])),
    rounds: wholeNumber("rounds", rounds, [1, 100]),
    seconds: wholeNumber("seconds", seconds, [1, 60]),
    json,
    check,
  };
}

export interface MoveRow {
  readonly flows: number;
  /** Of all moves, there and back, from the order to its end: milliseconds. */
  readonly moveMs: number;
  readonly bestMs: number;
  /** The longest time that a datagram had to wait for its answer while flows moved. */
  readonly waitMsMax: number;
  /** Of state, for each flow and reading. */
  readonly bytes: number;
  /** Flows that were not where they belong after a move. */
  readonly wrong: number;
  readonly lost: number;
  readonly load: Load;
}

export interface LatencyRow {
  readonly flows: number;
  readonly clones: number;
  /** Medians of the round trip, microseconds, and of the ratios of one pair each. */
  readonly beforeUs: number;
  readonly duringUs: number;
  readonly ratio: number;
  readonly lost: number;
  readonly load: Load;
}

interface Scene {
  readonly lab: Lab;
  readonly api: RemoteNode;
  readonly kit: Kit;
}

/** Entries as the conntrack tool takes them: established, with another port outside. */
function entries(count: number): string {
  const line = (i: number) =>
    [
      `-I -p tcp -s 10.1.0.${128 + i % 100} -d 10.2.0.11 --sport ${20_000 + i} --dport 80`,
      `-n 10.2.0.1:${OUTSIDE_FIRST + i} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 600`,
    ].join(" ");
  return Array.from({ length: count }, (_, i) => line(i)).join("\n") + "\n";
}

async function fill({ lab }: Scene, flows: number): Promise<void> {
  const path = `${lab.directory}/entries`;
  await Deno.writeTextFile(path, entries(flows));
  for (const box of ["primary", "redundant"]) {
    await lab.exec(box, ["conntrack", "-D", "-p", "tcp"]).catch(() => {});
  }
  await lab.exec("primary", ["conntrack", "--load-file", path]);
}

async function counted({ lab }: Scene, box: string): Promise<number> {
  const text = await lab.exec(box, ["conntrack", "-L", "-p", "tcp"]);
  return text.split("\n").filter((line) => line.includes("src=10.1.0.1") || line.includes("src=10.1.0.2"))
    .length;
}

async function probe({ lab, kit }: Scene, ms: number): Promise<ProbeReport> {
  const argv = [kit.programs.probe, "send", "10.2.0.11", String(ECHO_PORT), String(PROBE_US), String(ms)];
  return parseProbe(await run(lab.argv("c1", argv), { timeoutMs: ms + 20_000 }));
}

const lostOf = ({ losses }: ProbeReport) => losses.reduce((sum, [, count]) => sum + count, 0);

function viewOf(answer: LayerAnswer<object>): object {
  if (!answer.ok) throw new Error(`Cannot measure: the node refuses: ${answer.text}`);
  return answer.view;
}

async function move({ api }: Scene, source: string, destination: string): Promise<MoveView> {
  return viewOf(await api.layer("state/move", { source, destination, fields: FIELDS })) as MoveView;
}

async function measureMoves(scene: Scene, flows: number, rounds: number): Promise<MoveRow> {
  await fill(scene, flows);
  const before = look(), moves: MoveView[] = [];
  let wrong = 0;
  // Datagrams of a client whose flows stay: what moves of others do to it.
  const seconds = rounds * 2 * (1.5 + flows / 2_000);
  const probing = probe(scene, Math.ceil(seconds * 1_000));
  for (let round = 0; round < rounds * 2; round++) {
    const [source, destination] = round % 2 === 0 ? ["a", "b"] as const : ["b", "a"] as const;
    moves.push(await move(scene, source, destination));
    const there = await counted(scene, destination === "b" ? "redundant" : "primary");
    const here = await counted(scene, destination === "b" ? "primary" : "redundant");
    wrong += Math.abs(there - flows) + here;
  }
  const report = await probing, times = moves.map(({ ageMs }) => ageMs);
  return {
    flows,
    moveMs: median(times),
    bestMs: Math.min(...times),
    waitMsMax: report.rttMaxUs / 1_000,
    bytes: Math.max(...moves.map(({ counts }) => counts.bytes / Math.max(1, counts.records * 2))),
    wrong,
    lost: lostOf(report),
    load: loadBetween(before, look()),
  };
}

/** Clones until the time is over; returns how many. */
async function cloneFor({ api }: Scene, ms: number): Promise<number> {
  let clones = 0;
  for (const end = performance.now() + ms; performance.now() < end; clones++) {
    viewOf(await api.layer("state/clone", { source: "a", destination: "b" }));
  }
  return clones;
}

async function measureLatency(
  scene: Scene,
  flows: number,
  { rounds, seconds }: Options,
): Promise<LatencyRow> {
  await fill(scene, flows);
  const before = look(), pairs: (readonly [before: ProbeReport, during: ProbeReport])[] = [];
  let clones = 0;
  for (let round = 0; round < rounds; round++) {
    const quiet = await probe(scene, seconds * 1_000);
    const cloning = cloneFor(scene, seconds * 1_000);
    const busy = await probe(scene, seconds * 1_000 - SETTLE_MS);
    clones += await cloning;
    pairs.push([quiet, busy]);
  }
  return {
    flows,
    clones,
    beforeUs: median(pairs.map(([quiet]) => quiet.rttP50Us)),
    duringUs: median(pairs.map(([, busy]) => busy.rttP50Us)),
    ratio: median(pairs.map(([quiet, busy]) => busy.rttP50Us / quiet.rttP50Us)),
    lost: pairs.flat().reduce((sum, report) => sum + lostOf(report), 0),
    load: loadBetween(before, look()),
  };
}

type Part = Omit<Bar, "lessIsBetter">;
const least = (parts: readonly Part[]): Bar[] => parts.map((part) => ({ ...part, lessIsBetter: true }));

export function barsOf(moves: readonly MoveRow[], latency: LatencyRow): Bar[] {
  const rows = moves.flatMap(({ flows, moveMs, bytes, wrong, lost }): Part[] => {
    const what = `move of ${flows} flows`, published = PUBLISHED_MS.get(flows);
    return [
      { what: `${what}, wrong`, unit: "flows", value: wrong, bar: 0, goal: 0 },
      { what: `${what}, lost of others`, unit: "datagrams", value: lost, bar: 0, goal: 0 },
      { what: `${what}, state`, unit: "bytes a flow", value: bytes, bar: BYTES_MAX, goal: BYTES_GOAL },
      ...(published === undefined
        ? []
        : [{ what, unit: "ms", value: moveMs, bar: published / 2, goal: published / 10 }]),
    ];
  });
  const { flows, ratio, lost } = latency;
  return least([
    ...rows,
    {
      what: `latency while ${flows} flows are cloned`,
      unit: "of before",
      value: ratio,
      bar: LATENCY_MAX,
      goal: 1,
    },
    { what: `lost while ${flows} flows are cloned`, unit: "datagrams", value: lost, bar: 0, goal: 0 },
  ]);
}

function tableOf(moves: readonly MoveRow[], latency: LatencyRow): string {
  const line = (cells: readonly (string | number)[]) =>
    cells.map((cell) => String(cell).padStart(12)).join("");
  const head = line(["flows", "move ms", "best", "wait max ms", "bytes", "wrong", "lost"]);
  const lines = moves.map((row) => {
    const { flows, moveMs, bestMs, waitMsMax, bytes, wrong, lost } = row;
    const numbers = [moveMs, bestMs, waitMsMax, bytes].map((value) => value.toFixed(1));
    return line([flows, ...numbers, wrong, lost]);
  });
  const { flows, clones, beforeUs, duringUs, ratio } = latency;
  const told = `round trip ${beforeUs.toFixed(1)} us, ${
    duringUs.toFixed(1)
  } us during ${clones} clones of ${flows} flows`;
  return [head, ...lines, `${told}: ${ratio.toFixed(3)} of before`].join("\n");
}

export async function measure(options: Options, kit: Kit): Promise<Found> {
  const lab = await Lab.up(hotReplica({ clients: 1, servers: 1 }), kit.lifetime);
  let api: RemoteNode | null = null;
  try {
    const more = [...conntrackSource(lab, "a", "primary"), ...conntrackSource(lab, "b", "redundant")];
    const node = await LabNode.start(lab, { top: kit.top, preset: "none", more, ...kit.node });
    await startServers(lab, kit.programs);
    await waitForPath(lab, kit.programs, "c1", "s1");
    api = node.connect();
    const scene: Scene = { lab, api, kit }, moves: MoveRow[] = [];
    for (const flows of options.flows) {
      const row = await measureMoves(scene, flows, options.rounds);
      moves.push(row);
      say(`${flows} flows: ${row.moveMs.toFixed(0)} ms (${loadText(row.load)})`);
    }
    const latency = await measureLatency(scene, Math.max(...options.flows), options);
    say(`latency: ${latency.ratio.toFixed(3)} of before (${loadText(latency.load)})`);
    const bars = barsOf(moves, latency);
    return { format: 1, results: { moves, latency }, table: tableOf(moves, latency), bars };
  } finally {
    api?.close();
    await lab.down();
  }
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

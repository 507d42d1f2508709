/**
 * Duty: `deno task bench:failover`: every death on every system, switches under TCP load, and quiet hours.
 *
 * Systems take turns, round after round, each in a fresh lab: what a neighbour does to the machine falls on all of them.
 * Results go to standard output, progress to standard error. Needs root for namespaces.
 */
import { dirname } from "node:path";
import { reasonOf } from "../../drivers/reason.ts";
import {
  featureBars,
  type Planned,
  plannedBars,
  plannedText,
  quietBars,
  quietText,
  serviceBars,
} from "./failover_bars.ts";
import { type Cell, cells, cellText, share, SYSTEM_TEXT, SYSTEMS } from "./failover_cells.ts";
import { type Features, findFeatures } from "./failover_features.ts";
import { type Options, parseOptions, USAGE } from "./failover_options.ts";
import { plannedRun } from "./failover_planned.ts";
import { plotFailover } from "./failover_plot.ts";
import { type Quiet, quietHours } from "./failover_quiet.ts";
import { countBars, LEGEND, missingBar, peerBars, type Row, table, timeBars } from "./failover_report.ts";
import { type Kit, withSystem } from "./failover_systems.ts";
import { type Trial, trial } from "./failover_trial.ts";
import { type Found, runBench, say } from "./frame.ts";
import { type Load, loadBetween, loadText, look } from "./load.ts";
import type { Bar } from "./statistics.ts";

/** Turns of all systems; a lab costs seconds. */
const ROUNDS_MAX = 4;
const ORDERED = { times: 50, everyMs: 1_000 } as const;
/** Longer than `silence_learn_s`: a node in service has learnt what is usual. */
const SERVICE_MS = 62_000;
const DEATHS = { times: 20, everyMs: 2_000 } as const;

interface Results {
  readonly rows: readonly Row[];
  /** Turns that could not be finished, with the reason. */
  readonly leftOut: readonly string[];
  readonly planned: Planned | null;
  readonly quiet: Quiet | null;
  readonly features: Features;
  readonly load: Load;
  /** Of each time of service before a first death: why traffic left the primary; null: it did not. */
  readonly services: readonly (string | null)[];
}

function trialText({ switchMs, gapMs, lostProbe, lostFast, elsewhere }: Trial): string {
  const time = switchMs === null ? "nothing switched" : `${switchMs.toFixed(2)} ms`;
  const early = elsewhere === 0 ? "" : `; ${elsewhere} datagrams went elsewhere before it`;
  return `${time}, gap ${gapMs.toFixed(1)} ms, lost ${lostProbe} and ${lostFast}${early}`;
}

async function runCells(
  mine: readonly Cell[],
  kit: Kit,
  turn: { round: number; rounds: number },
  rows: Map<Cell, Trial[]>,
) {
  const { round, rounds } = turn;
  const due = mine.map((cell) => ({ cell, count: share(cell.trials, round, rounds) })).filter(({ count }) =>
    count > 0
  );
  if (due.length === 0) return;
  await withSystem(mine[0]!.system, kit, async (standing) => {
    for (const { cell, count } of due) {
      for (let index = 0; index < count; index++) {
        const found = await trial(standing, kit, cell);
        rows.get(cell)!.push(found);
        say(`${cellText(cell)}: ${trialText(found)}`);
      }
    }
  });
}

/** All trials, systems in turns. What was measured is kept when a turn fails, and the failure is told as a missed bar. */
async function measureTrials(options: Options, kit: Kit): Promise<Pick<Results, "rows" | "leftOut">> {
  const wanted = cells(options);
  const leftOut: string[] = [];
  const found = new Map(wanted.map((cell) => [cell, [] as Trial[]]));
  const rounds = Math.min(ROUNDS_MAX, options.trials);
  for (let round = 0; round < rounds; round++) {
    for (const system of SYSTEMS) {
      const mine = wanted.filter((cell) => cell.system === system);
      if (mine.length === 0) continue;
      say(`round ${round + 1} of ${rounds}: ${SYSTEM_TEXT[system]} ...`);
      try {
        await runCells(mine, kit, { round, rounds }, found);
      } catch (error) {
        if (kit.lifetime.ending) throw error;
        leftOut.push(`${SYSTEM_TEXT[system]}, round ${round + 1}: ${reasonOf(error)}`);
        say(leftOut.at(-1)!);
      }
    }
  }
  const rows = wanted.map((cell) => ({
    system: cell.system,
    death: cell.death,
    afterMs: cell.afterMs,
    trials: found.get(cell)!,
  }));
  return { rows, leftOut };
}

async function measurePlanned(options: Options, kit: Kit): Promise<Planned | null> {
  const wants = (name: string) => name.includes(options.only);
  const ordered = wants("planned"), deaths = wants("cycles");
  if (!ordered && !deaths) return null;
  say("under TCP load, undisturbed ...");
  const base = await plannedRun(kit, "none", ordered ? ORDERED : DEATHS);
  if (ordered) say(`under TCP load, ${ORDERED.times} ordered switches ...`);
  const withOrders = ordered ? await plannedRun(kit, "ordered", ORDERED) : null;
  if (deaths) say(`under TCP load, ${DEATHS.times} deaths and returns ...`);
  return { base, ordered: withOrders, deaths: deaths ? await plannedRun(kit, "deaths", DEATHS) : null };
}

async function measureAll(options: Options, given: Kit): Promise<Results> {
  const features = await findFeatures(given.top);
  for (const { name } of features.missing) say(`not available: ${name}`);
  const services: (string | null)[] = [];
  const served = (cause: string | null) => {
    services.push(cause);
    if (cause !== null) say(`traffic left the primary in service: ${cause}`);
  };
  const kit: Kit = { ...given, node: features.node, serviceMs: SERVICE_MS, served };
  const from = look();
  const { rows, leftOut } = await measureTrials(options, kit);
  const planned = await measurePlanned(options, kit);
  const isQuiet = "quiet-hours".includes(options.only);
  if (isQuiet) say(`quiet hours, ${options.quietS} s ...`);
  const quiet = isQuiet ? await quietHours(kit, options.quietS) : null;
  return { rows, leftOut, planned, quiet, features, services, load: loadBetween(from, look()) };
}

function barsOf({ rows, leftOut, planned, quiet, features, services }: Results): Bar[] {
  const hasHold = features.there.some(({ name }) => name === "hold ring");
  return [
    ...timeBars(rows),
    ...peerBars(rows),
    ...countBars(rows, hasHold),
    ...serviceBars(services, SERVICE_MS),
    ...(planned ? plannedBars(planned) : []),
    ...(quiet ? quietBars(quiet) : []),
    ...featureBars(features.missing),
    ...leftOut.map(missingBar),
  ];
}

function tableOf({ rows, planned, quiet, load }: Results): string {
  return [
    ...(rows.length > 0 ? [table(rows), "", LEGEND, ""] : []),
    ...(planned ? [plannedText(planned), ""] : []),
    ...(quiet ? [quietText(quiet), ""] : []),
    `${loadText(load)}, on ${navigator.hardwareConcurrency} processors`,
  ].join("\n");
}

async function measure(options: Options, kit: Kit): Promise<Found> {
  const results = await measureAll(options, kit);
  const { rows, planned, quiet } = results;
  if (rows.length === 0 && !planned && !quiet) {
    throw new RangeError(`Cannot measure "${options.only}": no name has it`);
  }
  if (rows.length > 0) {
    await Deno.mkdir(dirname(options.plot), { recursive: true });
    await Deno.writeTextFile(options.plot, plotFailover(rows));
    say(`The picture is in ${options.plot}.`);
  }
  return { format: 1, results: { ...results }, table: tableOf(results), bars: barsOf(results) };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

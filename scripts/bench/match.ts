/**
 * Duty: `deno task bench:match`: what the node predicts of a failover beside what lives after it, with boxes that are alike and
 * with boxes that were made to differ; how soon a divergence is told; that nothing is told in vain.
 */
import { parseArgs } from "node:util";
import { Random } from "../../filter/random.ts";
import { Lifetime } from "../lab/lifetime.ts";
import { programs } from "../lab/native.ts";
import { sweep } from "../lab/registry.ts";
import type { Kit } from "./failover_systems.ts";
import { loadText } from "./load.ts";
import { measureAlarms } from "./match_alarm.ts";
import { FAULT_TEXT, FAULTS } from "./match_faults.ts";
import { type MatchPlan, matchRun } from "./match_predict.ts";
import {
  alarmBars,
  alarmTable,
  matchBars,
  type MatchRun,
  matchTable,
  type Proto,
  PROTOS,
  runName,
  type Way,
  WAYS,
} from "./match_report.ts";
import { barText } from "./plane_bars.ts";
import { standing, worstBar } from "./statistics.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
const KINDS = ["nat", "nat-collide", "nat-random", "nat-fully-random", "firewall"] as const;
const USAGE =
  `Usage: deno task bench:match [--flows N] [--seconds N] [--faults N] [--alarms N] [--soak S] [--seed N]
                             [--only TEXT] [--json] [--check]

Long connections and UDP sessions through pairs of strict nftables boxes: ports kept, colliding, random, fully random, and a firewall. The node
predicts how many the redundant box would carry on, the primary loses its links, and what lives is counted. The
redundant box gets copies, seeds, or both. Then the same with redundant boxes that were made to differ for some of the
connections, and the time from a divergence to its alarm.

  --flows N     connections of a run (1 to 1000); default 300
  --seconds N   length of a run, the failure in the middle (4 to 600); default 12
  --faults N    runs with a fault of the redundant box (0 to 1000); default 5, and 50 for figures to rely on
  --alarms N    trials of each fault until the alarm (0 to 1000); default 3
  --soak S      seconds without a fault in which nothing may be told (0 to 86400); default 10
  --seed N      what is chosen by chance; default 1
  --only TEXT   only rows with TEXT in their name
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

const say = (text: string) => console.error(text);

interface Row {
  readonly kind: string;
  readonly way: Way;
  readonly proto: Proto;
  readonly fault: MatchRun["fault"];
}

/** Faults in turn, each time for another share of the connections. */
function faultyRows(count: number, seed: number): Row[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const fault = FAULTS[i % FAULTS.length]!;
    // A rule for a client hits all of one of the two.
    const percent = fault === "client" ? 50 : 5 + random.below(41);
    return {
      kind: "nat",
      proto: "tcp",
      way: fault === "lost" ? "mirror" : "both",
      fault: { fault, percent },
    };
  });
}

/** A number of the command line. @throws RangeError */
function wholeNumber(name: string, text: string, [min, max]: readonly [number, number]): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new RangeError(`Cannot use --${name} "${text}": a whole number from ${min} to ${max}`);
}

const NUMBERS = {
  flows: { default: "300", bounds: [1, 1000] },
  seconds: { default: "12", bounds: [4, 600] },
  faults: { default: "5", bounds: [0, 1000] },
  alarms: { default: "3", bounds: [0, 1000] },
  soak: { default: "10", bounds: [0, 86_400] },
  seed: { default: "1", bounds: [0, 2 ** 32 - 1] },
} as const;
type NumberName = keyof typeof NUMBERS;

function parseOptions(args: readonly string[]) {
  const names = Object.keys(NUMBERS) as NumberName[];
  const texts = Object.fromEntries(
    names.map((name) => [name, { type: "string", default: NUMBERS[name].default }] as const),
  ) as Record<NumberName, { type: "string"; default: string }>;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...texts,
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const numbers = Object.fromEntries(
    names.map((name) => [name, wholeNumber(name, values[name] as string, NUMBERS[name].bounds)]),
  ) as Record<NumberName, number>;
  const { only, json, check } = values as { only: string; json: boolean; check: boolean };
  return { ...numbers, only, json, check };
}

type Options = ReturnType<typeof parseOptions>;

async function predict(kit: Kit, rows: readonly Row[], options: Options): Promise<MatchRun[]> {
  const runs: MatchRun[] = [];
  for (const { kind, way, proto, fault } of rows) {
    const { flows, seconds } = options;
    const plan: MatchPlan = { flows, seconds, proto, ...(fault && { fault }) };
    const found = await matchRun(kit, kind, way, plan);
    runs.push(found);
    const { compared, equal, alive, load } = found;
    say(
      `${runName(found)}: ${equal} of ${compared} to live on, ${alive} of ${flows} alive (${loadText(load)})`,
    );
  }
  return runs;
}

async function main(options: Options, lifetime: Lifetime): Promise<number> {
  if (Deno.uid() !== 0) throw new Error("Cannot build a lab of network namespaces: it needs root");
  await sweep();
  const kit: Kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
  const clean = PROTOS.flatMap((proto) =>
    KINDS.flatMap((kind) => WAYS.map((way): Row => ({ kind, way, proto, fault: null })))
  );
  const rows = [...clean, ...faultyRows(options.faults, options.seed)]
    .filter((row) => runName(row).includes(options.only));
  const faults = (["lost", "rule", "full", "random"] as const)
    .filter((fault) => `alarm after ${FAULT_TEXT[fault]}`.includes(options.only));
  const soaks = "soak".includes(options.only) && options.soak > 0;
  const alarmed = faults.length > 0 && options.alarms > 0;
  if (rows.length === 0 && !alarmed && !soaks) {
    throw new RangeError(`Cannot measure "${options.only}": no row has it`);
  }
  const runs = await predict(kit, rows, options);
  const given = { trials: options.alarms, faults: alarmed ? faults : [], seconds: soaks ? options.soak : 0 };
  const { alarms, soak } = alarmed || soaks
    ? await measureAlarms(kit, given, say)
    : { alarms: [], soak: null };
  const bars = [...matchBars(runs), ...alarmBars(alarms, soak)];
  const ok = bars.every((one) => standing(one) >= 1);
  if (options.json) {
    console.log(JSON.stringify({ format: 2, options, runs, alarms, soak, bars, ok }, null, 1));
  } else console.log([matchTable(runs), alarmTable(alarms, soak), "", ...bars.map(barText)].join("\n"));
  const worst = worstBar(bars);
  if (worst) say(`Worst: ${barText(worst)}`);
  return options.check && !ok ? 1 : 0;
}

if (import.meta.main) {
  if (Deno.args.includes("--help")) {
    console.log(USAGE);
    Deno.exit(0);
  }
  using lifetime = new Lifetime(say);
  try {
    Deno.exit(await main(parseOptions(Deno.args), lifetime));
  } catch (error) {
    // A signal is at work already; what fails now fails because of it.
    if (lifetime.ending) await new Promise(() => {});
    if (!(error instanceof Error)) throw error;
    say(error.message);
    Deno.exit(error instanceof RangeError || error instanceof TypeError ? 2 : 1);
  }
}

/**
 * Duty: `deno task bench:match`: what the node predicts of a failover beside what lives after it, with boxes that are alike and
 * with boxes that were made to differ; how soon a divergence is told; that nothing is told in vain.
 */
import { parseArgs } from "node:util";
import { Random } from "../../filter/random.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { loadText } from "./load.ts";
import { ALARM_FAULTS, measureAlarms } from "./match_alarm.ts";
import { type Fault, FAULT_TEXT, FAULTS } from "./match_faults.ts";
import { type MatchPlan, matchRun } from "./match_predict.ts";
import {
  alarmBars,
  alarmTable,
  faultBars,
  matchBars,
  type MatchRun,
  matchTable,
  type Proto,
  PROTOS,
  runName,
  type Way,
  WAYS,
} from "./match_report.ts";
import { partsOf } from "./match_strains.ts";

const KINDS = ["nat", "nat-collide", "nat-random", "nat-fully-random", "firewall"] as const;
/** TCP with copies and seeds: what is more than other ports, and what is less than that. */
const MORE_KINDS = [
  "firewall-renumber",
  "nat-renumber",
  "synproxy",
  "nat64",
  "nat64-pool",
  "nat-pressure",
  "nat-persistent",
  "firewall+liberal",
  "nat+idle",
  "firewall+1s",
  "firewall+10min",
  "firewall+10min+liberal",
  "firewall+deaf",
  "firewall+numgen-random",
  "firewall+jhash",
  "nat+haproxy",
] as const;
/** With copies and seeds, and a mirror that loses copies. */
const LOSSY_KINDS = ["nat+0.1%", "nat+1%", "nat+5%", "nat-fully-random+5%"] as const;
/** TCP with each of the ways, by what windows make a difference. */
const BULK_KINDS = ["nat+10MB", "firewall+10MB", "firewall+10MB+liberal"] as const;
/** Each of them moves 10 MB. */
const BULK_FLOWS = 10;
/** With --gigabyte: each of two connections moves 1 GB before the failure, which takes its time. */
const GIGABYTE_KINDS = ["nat+1GB", "firewall+1GB", "firewall+1GB+liberal"] as const;
const GIGABYTE = 1e9, GIGABYTE_FLOWS = 2, GIGABYTE_SECONDS = 20;
/** For which those talk before and after that are silent when the primary fails. */
const TALK_SECONDS = 4;
const USAGE =
  `Usage: deno task bench:match [--flows N] [--seconds N] [--faults N] [--alarms N] [--soak S] [--seed N]
                             [--gigabyte] [--only TEXT] [--json] [--check]

Long connections and UDP sessions through pairs of strict nftables boxes: ports kept, colliding, random, fully random, and a firewall. The node
predicts how many the redundant box would carry on, the primary loses its links, and what lives is counted. The
redundant box gets copies, seeds, or both. Then the same with redundant boxes that were made to differ for some of the
connections, boxes that renumber, NATs between IPv6 and IPv4, a NAT that has hardly a port to spare, a redundant box that has forgotten,
firewalls that do not mind windows, connections that have been silent for a second or, sixtyfold, ten minutes, or have moved 10 MB, a
mirror that loses copies, load balancers, and the time from a divergence to its alarm. --faults 50 --only " %" is fifty failovers with faults alone, and
--only soak --soak 1800 half an hour without.

  --flows N     connections of a run (1 to 1000); default 300
  --seconds N   length of a run, the failure in the middle (4 to 600); default 12
  --faults N    runs with a fault of the redundant box (0 to 1000); default 5, and 50 for figures to rely on
  --alarms N    trials of each fault until the alarm (0 to 1000); default 3
  --soak S      seconds without a fault in which nothing may be told (0 to 86400); default 10
  --seed N      what is chosen by chance; default 1
  --gigabyte    more rows: connections that have moved 1 GB; up to five minutes each
  --only TEXT   only rows with TEXT in their name
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

interface Row {
  readonly kind: string;
  readonly way: Way;
  readonly proto: Proto;
  readonly fault: MatchRun["fault"];
}

/** A rule for a client hits all of one of the two, and a timeout everybody; ports are hit by sixteenths. */
function percentOf(fault: Fault, random: Random): number {
  if (fault === "client" || fault === "answers") return 50;
  if (fault === "timeout") return 100;
  const percent = 5 + random.below(41);
  return fault === "rule" || fault === "random" ? 2 * percent : percent;
}

/** Faults in turn, each time for another share of the connections. */
function faultyRows(count: number, seed: number): Row[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const fault = FAULTS[i % FAULTS.length]!;
    const percent = percentOf(fault, random);
    return {
      kind: "nat",
      proto: "tcp",
      way: fault === "lost" ? "mirror" : "both",
      fault: { fault, percent },
    };
  });
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
      gigabyte: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const numbers = Object.fromEntries(
    names.map((name) => [name, wholeNumber(name, values[name] as string, NUMBERS[name].bounds)]),
  ) as Record<NumberName, number>;
  const { only, json, check, gigabyte } = values as {
    only: string;
    json: boolean;
    check: boolean;
    gigabyte: boolean;
  };
  return { ...numbers, only, json, check, gigabyte };
}

type Options = ReturnType<typeof parseOptions>;

/** What a run is asked for, as far as its row allows. */
function sizeOf(kind: string, { flows, seconds }: Options): { flows: number; seconds: number } {
  const { bytes = 0, silentMs = 0 } = partsOf(kind).strain;
  if (bytes >= GIGABYTE) {
    return { flows: Math.min(GIGABYTE_FLOWS, flows), seconds: Math.max(GIGABYTE_SECONDS, seconds) };
  }
  if (bytes > 0) return { flows: Math.min(BULK_FLOWS, flows), seconds };
  return { flows, seconds: Math.max(seconds, 2 * (silentMs / 1_000 + TALK_SECONDS)) };
}

async function predict(kit: Kit, rows: readonly Row[], options: Options): Promise<MatchRun[]> {
  const runs: MatchRun[] = [];
  for (const { kind, way, proto, fault } of rows) {
    const { flows, seconds } = sizeOf(kind, options);
    const plan: MatchPlan = { flows, seconds, proto, ...(fault && { fault }) };
    const found = await matchRun(kit, kind, way, plan);
    runs.push(found);
    const { compared, equal, alive, moved, standstillMs, load } = found;
    const before = moved < 1e6 ? "" : ` after ${(moved / 1e6).toFixed(0)} MB each`;
    const still = standstillMs === 0 ? "" : `, none stood still for more than ${standstillMs.toFixed(0)} ms`;
    const lives = `${equal} of ${compared} to live on, ${alive} of ${flows} alive${before}${still}`;
    say(`${runName(found)}: ${lives} (${loadText(load)})`);
  }
  return runs;
}

async function measure(options: Options, kit: Kit): Promise<Found> {
  const clean = PROTOS.flatMap((proto) =>
    KINDS.flatMap((kind) => WAYS.map((way): Row => ({ kind, way, proto, fault: null })))
  );
  const more = MORE_KINDS.map((kind): Row => ({ kind, way: "both", proto: "tcp", fault: null }));
  const lossy = PROTOS.flatMap((proto) =>
    LOSSY_KINDS.map((kind): Row => ({ kind, way: "both", proto, fault: null }))
  );
  const bulk = [...BULK_KINDS, ...(options.gigabyte ? GIGABYTE_KINDS : [])].flatMap((kind) =>
    WAYS.map((way): Row => ({ kind, way, proto: "tcp", fault: null }))
  );
  const rows = [...clean, ...more, ...lossy, ...bulk, ...faultyRows(options.faults, options.seed)]
    .filter((row) => runName(row).includes(options.only));
  const faults = ALARM_FAULTS.filter((fault) => `alarm after ${FAULT_TEXT[fault]}`.includes(options.only));
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
  const bars = [...matchBars(runs), ...faultBars(runs), ...alarmBars(alarms, soak)];
  return {
    format: 2,
    results: { runs, alarms, soak },
    table: [matchTable(runs), alarmTable(alarms, soak)].join("\n"),
    bars,
  };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

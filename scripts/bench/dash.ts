/**
 * Duty: `deno task bench:dash`: five viewers behind a load balancer that dies again and again.
 *
 * Base has no failure, Simple a redundant box that was told nothing. The moments of the failures come from a seed and are
 * the same for both.
 */
import { parseArgs } from "node:util";
import { Random } from "../../filter/random.ts";
import { SERVICE } from "../lab/balancers.ts";
import type { Lab } from "../lab/engine.ts";
import { LADDER_KBIT, SEGMENT_MS, segmentBytes, VARIANTS } from "../lab/player.ts";
import { run } from "../lab/process.ts";
import { parseReport } from "../lab/reports.ts";
import type { Viewing } from "../lab/viewers.ts";
import { flip, withBalancers } from "./balanced.ts";
import { type Setup, SETUP_TEXT, SETUPS } from "./setups.ts";
import { dashBars, type DashRun, dashTable, moments, seen } from "./dash_report.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";

const SERVERS = ["s1", "s2", "s3"];
const MBIT = 60;
/** What a viewer that stalls at every failure may need beyond the video's length. */
const LATE_FACTOR = 6;
const USAGE =
  `Usage: deno task bench:dash [--full] [--streams N] [--segments N] [--failovers N] [--seed N] [--json] [--check]

Viewers (segments of a second, 2.5 to 8 Mbit/s, a buffer and a rule that picks the bit rate) behind a load balancer.

  --full          ten minutes of video and 20 failovers; default a minute and 6
  --streams N     viewers (1 to 50); default 5
  --segments N    seconds of video (5 to 3600)
  --failovers N   deaths of the primary (1 to 200)
  --seed N        of the failures' moments; default 1
  --json          one JSON document on standard output
  --check         exit 1 where it is worse than Base; the worst row is named last
`;

export interface DashPlan {
  readonly streams: number;
  readonly segments: number;
  readonly failovers: number;
  readonly seed: number;
}

/** The video, once for all servers: bytes that stand for it. */
export async function placeVideo(lab: Lab, servers: readonly string[]): Promise<void> {
  for (const level of LADDER_KBIT.keys()) {
    await Deno.mkdir(`${lab.directory}/video/${level}`, { recursive: true });
    for (let number = 0; number < VARIANTS; number++) {
      const bytes = new Uint8Array(segmentBytes(level, number)).fill(48 + number);
      await Deno.writeFile(`${lab.directory}/video/${level}/${number}`, bytes);
    }
  }
  for (const server of servers) {
    await Deno.mkdir(`${lab.directory}/${server}/objects`, { recursive: true });
    await Deno.symlink(`${lab.directory}/video`, `${lab.directory}/${server}/objects/video`);
  }
}

/** One run in a lab of its own. */
export async function dashRun(kit: Kit, setup: Setup, plan: DashPlan): Promise<DashRun> {
  const { streams, segments, failovers, seed } = plan;
  const balanced = {
    balancer: "nft-turns",
    setup,
    mbit: MBIT,
    prepare: (lab: Lab) => placeVideo(lab, SERVERS),
  } as const;
  return await withBalancers(kit, balanced, async (stand) => {
    const from = look();
    const viewers = [Deno.execPath(), "run", "-A", "--no-check", `${kit.top}/scripts/lab/viewers.ts`];
    const argv = stand.lab.argv("c1", [...viewers, SERVICE, String(streams), String(segments)]);
    const viewing = run(argv, { timeoutMs: LATE_FACTOR * segments * SEGMENT_MS + 30_000 });
    viewing.catch(() => {}); // Awaited below; viewers may fail while the path still flips.
    const chance = new Random(seed);
    const due = moments(failovers, segments * SEGMENT_MS, () => chance.u32() / 2 ** 32);
    const flips = setup === "base" ? 0 : await flip(stand, due);
    const { viewings } = parseReport<{ viewings: Viewing[] }>(await viewing, "viewers", ["viewings"]);
    return { setup, failovers: flips / 2, viewings, load: loadBetween(from, look()) };
  });
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      full: { type: "boolean", default: false },
      streams: { type: "string" },
      segments: { type: "string" },
      failovers: { type: "string" },
      seed: { type: "string" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const usual = { streams: 5, segments: values.full ? 600 : 60, failovers: values.full ? 20 : 6, seed: 1 };
  const whole = (name: keyof typeof usual, min: number, max: number) =>
    wholeNumber(name, values[name] ?? String(usual[name]), [min, max]);
  return {
    json: values.json,
    check: values.check,
    streams: whole("streams", 1, 50),
    segments: whole("segments", 5, 3600),
    failovers: whole("failovers", 1, 200),
    seed: whole("seed", 0, 2 ** 31),
  };
}

async function measure(options: ReturnType<typeof parseOptions>, kit: Kit): Promise<Found> {
  const runs: DashRun[] = [];
  for (const setup of SETUPS) {
    say(`${options.streams} streams of ${options.segments} s, ${SETUP_TEXT[setup]} ...`);
    const found = await dashRun(kit, setup, options);
    runs.push(found);
    say(`  ${JSON.stringify(seen(found))} (${loadText(found.load)})`);
  }
  const bars = dashBars(runs);
  return { format: 1, results: { runs }, table: dashTable(runs), bars };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

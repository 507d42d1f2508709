/**
 * Duty: `deno task bench:lb`: load balancers whose primary loses its links and finds them again every ten seconds.
 *
 * wrk fetches large objects and long flows run through the service; resets, late answers and flows that did not live are
 * held against Base. wrk never counts an answer that does not come at all, long flows do.
 */
import { parseArgs } from "node:util";
import { type Balancer, BALANCER_TEXT, BALANCERS, SERVICE } from "../lab/balancers.ts";
import { run } from "../lab/process.ts";
import { judgeLong, parseLong } from "../lab/reports.ts";
import { LONG_PORT } from "../lab/servers.ts";
import { parseWrk } from "../lab/wrk.ts";
import { type Balanced, flip, withBalancers } from "./balanced.ts";
import { type Setup, SETUP_TEXT, SETUPS } from "./setups.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { lbBars, type LbRun, lbTable, resetsOf } from "./lb_report.ts";
import { loadBetween, loadText, look } from "./load.ts";

const MBIT = 60;
const LONG_FLOWS = 30;
const LONG_BYTES_PER_S = 20_480;
const USAGE = `Usage: deno task bench:lb [--seconds N] [--every N] [--only TEXT] [--json] [--check]

Load balancers as boxes (nftables, Open vSwitch with a weighted select group, HAProxy), each with Base (no failure), Simple
(a redundant box that was told nothing) and this node. The primary's links go down and come back in turns.

  --seconds N   length of a run (3 to 3600); default 35
  --every N     seconds between flips (1 to 600); default 10
  --only TEXT   only balancers with TEXT in their name
  --json        one JSON document on standard output
  --check       exit 1 where there is more trouble than in Base; the worst row is named last
`;

export interface LbPlan {
  readonly seconds: number;
  readonly everyMs: number;
  readonly connections: number;
}

async function loaded(stand: Balanced, setup: Setup, plan: LbPlan) {
  const { lab, kit } = stand;
  const { seconds, everyMs, connections } = plan;
  const words = ["--threads", "2", "--connections", String(connections), "--duration", `${seconds}s`];
  const wrk = ["wrk", ...words, "--timeout", "5s", "--latency", `http://${SERVICE}/617k`];
  const flows = [SERVICE, LONG_PORT, LONG_FLOWS, LONG_BYTES_PER_S, seconds * 1_000].map(String);
  const running = Promise.all([
    run(lab.argv("c1", wrk), { timeoutMs: (seconds + 15) * 1_000 }),
    run(lab.argv("c2", [kit.programs.longflows, "fetch", ...flows]), { timeoutMs: (seconds + 15) * 1_000 }),
  ]);
  running.catch(() => {}); // Awaited below; a load may fail while the path still flips.
  // The last flip leaves two seconds in which a flow can show that it lives.
  const count = Math.max(0, Math.floor((seconds * 1_000 - 2_000) / everyMs));
  const moments = Array.from({ length: count }, (_, index) => (index + 1) * everyMs);
  const flips = setup === "base" ? 0 : await flip(stand, moments);
  const [wrkText, longText] = await running;
  return { flips, wrk: parseWrk(wrkText), long: judgeLong(parseLong(longText)) };
}

/** One run of one balancer in one set-up. */
export async function lbRun(kit: Kit, balancer: Balancer, setup: Setup, plan: LbPlan): Promise<LbRun> {
  return await withBalancers(kit, { balancer, setup, mbit: MBIT }, async (stand) => {
    const from = look();
    const { flips, wrk, long } = await loaded(stand, setup, plan);
    const { flows: longFlows, broken, corrupt, stuck: longStuck } = long;
    const load = loadBetween(from, look());
    return { balancer, setup, flips, wrk, longFlows, longBroken: broken + corrupt, longStuck, load };
  });
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "35" },
      every: { type: "string", default: "10" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    seconds: wholeNumber("seconds", values.seconds, [3, 3600]),
    every: wholeNumber("every", values.every, [1, 600]),
  };
}

async function measure(options: ReturnType<typeof parseOptions>, kit: Kit): Promise<Found> {
  const plan = { seconds: options.seconds, everyMs: options.every * 1_000, connections: 20 };
  const wanted = BALANCERS.filter((one) => `${one} ${BALANCER_TEXT[one]}`.includes(options.only));
  if (wanted.length === 0) throw new RangeError(`Cannot measure "${options.only}": no balancer has it`);
  const runs: LbRun[] = [];
  for (const balancer of wanted) {
    for (const setup of SETUPS) {
      say(`${BALANCER_TEXT[balancer]}, ${SETUP_TEXT[setup]} ...`);
      const found = await lbRun(kit, balancer, setup, plan);
      runs.push(found);
      const lost = found.longBroken + found.longStuck;
      say(
        `  ${found.flips} flips, ${
          resetsOf(found)
        } resets, ${found.wrk.timeouts} timeouts, ${lost} long flows lost ` +
          `(${loadText(found.load)})`,
      );
    }
  }
  const bars = lbBars(runs);
  return { format: 1, results: { runs }, table: lbTable(runs), bars };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

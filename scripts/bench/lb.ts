/**
 * Duty: `deno task bench:lb`: load balancers whose primary loses its links and finds them again every ten seconds.
 *
 * wrk fetches large objects and long flows run through the service; resets, late answers and flows that did not live are
 * held against Base. wrk never counts an answer that does not come at all, long flows do.
 */
import { parseArgs } from "node:util";
import { type Balancer, BALANCER_TEXT, BALANCERS, SERVICE } from "../lab/balancers.ts";
import { Lifetime } from "../lab/lifetime.ts";
import { programs } from "../lab/native.ts";
import { run } from "../lab/process.ts";
import { sweep } from "../lab/registry.ts";
import { judgeLong, parseLong } from "../lab/reports.ts";
import { LONG_PORT } from "../lab/servers.ts";
import { parseWrk } from "../lab/wrk.ts";
import { type Balanced, flip, type Setup, SETUP_TEXT, SETUPS, withBalancers } from "./balanced.ts";
import type { Kit } from "./failover_systems.ts";
import { lbBars, type LbRun, lbTable, resetsOf } from "./lb_report.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { barText } from "./plane_bars.ts";
import { standing, worstBar } from "./statistics.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
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

const say = (text: string) => console.error(text);

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
  const whole = (name: "seconds" | "every", min: number, max: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new RangeError(`Cannot use --${name} "${values[name]}": a whole number from ${min} to ${max}`);
  };
  return { ...values, seconds: whole("seconds", 3, 3600), every: whole("every", 1, 600) };
}

async function main(options: ReturnType<typeof parseOptions>, lifetime: Lifetime): Promise<number> {
  if (Deno.uid() !== 0) throw new Error("Cannot build a lab of network namespaces: it needs root");
  await sweep();
  const kit: Kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
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
  const ok = bars.every((one) => standing(one) >= 1);
  if (options.json) console.log(JSON.stringify({ format: 1, options, runs, bars, ok }, null, 1));
  else console.log([lbTable(runs), "", ...bars.map(barText)].join("\n"));
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

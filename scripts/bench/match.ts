/**
 * Duty: `deno task bench:match`: live connections through pairs of real NATs and firewalls, of which the node says how many
 * would live on; then the primary loses its links, and those that do are counted.
 */
import { parseArgs } from "node:util";
import { carried, compared } from "../../appliance/match_view.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { Lab } from "../lab/engine.ts";
import { Lifetime } from "../lab/lifetime.ts";
import { LabNode } from "../lab/node.ts";
import { programs } from "../lab/native.ts";
import { run, sleep } from "../lab/process.ts";
import { sweep } from "../lab/registry.ts";
import { judgeLong, parseLong } from "../lab/reports.ts";
import { fail, waitForPath } from "../lab/scenario.ts";
import { LONG_PORT, startServers } from "../lab/servers.ts";
import { TOPOLOGIES } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { matchBars, type MatchRun, matchTable, type Way, WAY_TEXT, WAYS } from "./match_report.ts";
import { barText } from "./plane_bars.ts";
import { standing, worstBar } from "./statistics.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");
const KINDS = ["nat", "nat-collide", "nat-random", "nat-fully-random", "firewall"] as const;
const BYTES_PER_S = 4_096;
const SERVER = "10.2.0.11";
const USAGE = `Usage: deno task bench:match [--flows N] [--seconds N] [--only TEXT] [--json] [--check]

Long connections through pairs of strict nftables boxes: ports kept, colliding, random, fully random, and a firewall. The node
predicts how many the redundant box would carry on, the primary loses its links, and what lives is counted. The
redundant box gets copies, seeds, or both.

  --flows N     connections of a run (1 to 1000); default 300
  --seconds N   length of a run, the failure in the middle (4 to 600); default 12
  --only TEXT   only rows with TEXT in their name
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

export interface MatchPlan {
  readonly flows: number;
  readonly seconds: number;
}

const say = (text: string) => console.error(text);

/** Mirroring without seeds is the preset without them; seeds without mirroring are a rule that asks for nothing else. */
const RULES: Readonly<Record<Way, readonly string[]>> = {
  mirror: ["handshake = true", "teardown = true", "keepalive_s = 10", "first_packets = 5"],
  seed: ["seed = true"],
  both: ["handshake = true", "teardown = true", "keepalive_s = 10", "first_packets = 5", "seed = true"],
};

/** Opens the connections, asks the node, lets the primary lose its links half way, and counts what lives. */
async function failOver(lab: Lab, kit: Kit, api: RemoteNode, { flows, seconds }: MatchPlan) {
  const counts = [Math.ceil(flows / 2), Math.floor(flows / 2)];
  const running = Promise.all(["c1", "c2"].map((client, i) => {
    const words = [SERVER, LONG_PORT, counts[i]!, BYTES_PER_S, seconds * 1_000].map(String);
    const argv = lab.argv(client, [kit.programs.longflows, "fetch", ...words]);
    return counts[i]! > 0 ? run(argv, { timeoutMs: (seconds + 15) * 1_000 }) : null;
  }));
  running.catch(() => {}); // Awaited below.
  await sleep(seconds * 500);
  const match = (await api.status()).boxes.find(({ box }) => box === "redundant")?.match;
  await fail(lab, kit.programs, "primary", "link-both");
  const texts = (await running).filter((text) => text !== null);
  const alive = texts.reduce((sum, text) => sum + judgeLong(parseLong(text)).ok, 0);
  return { compared: match ? compared(match) : 0, equal: match ? carried(match) : 0, alive };
}

/** One run. */
export async function matchRun(kit: Kit, kind: string, way: Way, plan: MatchPlan): Promise<MatchRun> {
  const from = look();
  let forget = () => {};
  try {
    const topology = TOPOLOGIES[kind]!({ clients: 2, servers: 1, serverMbit: null });
    await using lab = await Lab.up(topology, (early) => forget = kit.lifetime.add(() => early.down()));
    const rules = ["[[filter.rules]]", 'name = "bench"', ...RULES[way]];
    const node = await LabNode.start(lab, { top: kit.top, preset: "none", rules });
    const api = node.connect();
    try {
      await startServers(lab, kit.programs);
      for (const client of ["c1", "c2"]) await waitForPath(lab, kit.programs, client, "s1");
      const found = await failOver(lab, kit, api, plan);
      return { kind, way, flows: plan.flows, ...found, load: loadBetween(from, look()) };
    } finally {
      api.close();
      await node.stop();
    }
  } finally {
    forget();
  }
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      flows: { type: "string", default: "300" },
      seconds: { type: "string", default: "12" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const whole = (name: "flows" | "seconds", min: number, max: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new RangeError(`Cannot use --${name} "${values[name]}": a whole number from ${min} to ${max}`);
  };
  return { ...values, flows: whole("flows", 1, 1000), seconds: whole("seconds", 4, 600) };
}

async function main(options: ReturnType<typeof parseOptions>, lifetime: Lifetime): Promise<number> {
  if (Deno.uid() !== 0) throw new Error("Cannot build a lab of network namespaces: it needs root");
  await sweep();
  const kit: Kit = { top: TOP, programs: await programs(TOP), lifetime, node: {} };
  const wanted = KINDS.flatMap((kind) => WAYS.map((way) => ({ kind, way })))
    .filter(({ kind, way }) => `${kind}, ${WAY_TEXT[way]}`.includes(options.only));
  if (wanted.length === 0) throw new RangeError(`Cannot measure "${options.only}": no row has it`);
  const runs: MatchRun[] = [];
  for (const { kind, way } of wanted) {
    const found = await matchRun(kit, kind, way, options);
    runs.push(found);
    const { compared, equal, alive, flows, load } = found;
    say(
      `${kind}, ${WAY_TEXT[way]}: ${equal} of ${compared} the same, ${alive} of ${flows} alive (${
        loadText(load)
      })`,
    );
  }
  const bars = matchBars(runs);
  const ok = bars.every((one) => standing(one) >= 1);
  if (options.json) console.log(JSON.stringify({ format: 1, options, runs, bars, ok }, null, 1));
  else console.log([matchTable(runs), "", ...bars.map(barText)].join("\n"));
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

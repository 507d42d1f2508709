/**
 * Duty: `deno task bench:state-nat`: a NAT that chooses ports at random dies, and its replica knows its connections from its log.
 *
 * ulogd2 and rsyslog log at the box; the node reads the log, keeps the records in Redis and puts them into the replica's
 * connection tracking. Nothing is mirrored and nothing is seeded: what the replica knows it knows from the log.
 */
import { parseArgs } from "node:util";
import { placeVideo } from "./dash.ts";
import { aroundFailure, parseAccess, type Window } from "../lab/access.ts";
import { Lab } from "../lab/engine.ts";
import { NatLog } from "../lab/nat_log.ts";
import { LabNode } from "../lab/node.ts";
import { inNamespace, run, sleep } from "../lab/process.ts";
import { RedisServer } from "../lab/redis_server.ts";
import { parseReport } from "../lab/reports.ts";
import { deadMs, fail, waitForPath } from "../lab/scenario.ts";
import { accessLog, startServers } from "../lab/servers.ts";
import { hotReplica, NODE_NS, type Topology } from "../lab/topology.ts";
import type { Viewing } from "../lab/viewers.ts";
import { parseWrk } from "../lab/wrk.ts";
import { type Setup, SETUP_TEXT, SETUPS } from "./setups.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { type Load, loadBetween, loadText, look } from "./load.ts";
import { failedOf, logBars, type LogRun, logTable, type ViewRun } from "./state_nat_report.ts";

/** The box's management link: the node's end, and the box's. */
const MANAGEMENT = ["10.9.1.1", "10.9.1.2"] as const;
const LOG_PORT = 5514;
const SERVER = "10.2.0.11";
const SERVER_MBIT = 200;
const TIMEOUT_S = 5;
/** What a viewer that stalls may need beyond the video's length. */
const LATE_MS = 60_000;
const KNOWN_MS_MAX = 15_000;
const USAGE =
  `Usage: deno task bench:state-nat [--connections LIST] [--viewers LIST] [--seconds N] [--json] [--check]

A NAT with random ports, strict about sequence numbers, logs its connections through ulogd2 and rsyslog. wrk keeps connections
open that fetch 617 KB, or viewers play video; half way the NAT loses its links and a second one takes over. Base: no failure.
Simple: the second NAT was told nothing. Remediate: it has the connections, from the log by way of Redis.

  --connections LIST  numbers of wrk's connections (1 to 500), with commas; default 25,50; 0: none
  --viewers LIST      numbers of viewers (1 to 50), with commas; default 10,20; 0: none
  --seconds N         length of each run (6 to 300); default 20
  --json              one JSON document on standard output
  --check             exit 1 where a bar is missed; the worst row is named last
`;

function topology(): Topology {
  const base = hotReplica({
    clients: 1,
    servers: 1,
    kind: "nat",
    ports: "fully-random",
    serverMbit: SERVER_MBIT,
  });
  const link = {
    ends: [
      { ns: NODE_NS, name: "log", addresses: [`${MANAGEMENT[0]}/24`] },
      { ns: "primary", name: "mgmt", addresses: [`${MANAGEMENT[1]}/24`] },
    ] as const,
  };
  return { ...base, name: "nat-log", links: [...base.links, link] };
}

/** Drivers of the node: from the primary's log into the replica, by way of Redis. */
function drivers(lab: Lab, redis: RedisServer, keyFile: string): string[] {
  return [
    ...["[driver.nat-log]", 'kind = "syslog"', 'box = "primary"', 'role = "source"', 'format = "ulogd-flow"'],
    ...[`listen = "${MANAGEMENT[0]}:${LOG_PORT}"`, 'transport = "tcp"', `senders = "${MANAGEMENT[1]}"`],
    ...["[driver.spare]", 'kind = "conntrack"', 'box = "redundant"', 'role = "replica"'],
    ...[`namespace = "${lab.ns("redundant")}"`],
    ...["[repository]", 'kind = "redis"', `url = "${redis.url}"`, `key_file = "${keyFile}"`],
  ];
}

export interface LogPlan {
  readonly setup: Setup;
  readonly load: "requests" | "video";
  /** Connections, or viewers. */
  readonly count: number;
  readonly seconds: number;
}

interface Stand {
  readonly lab: Lab;
  readonly kit: Kit;
  readonly plan: LogPlan;
}

/** TCP connections to the service that a box has. */
async function known(lab: Lab, box: string): Promise<number> {
  const words = ["conntrack", "-L", "-p", "tcp", "--orig-port-dst", "80", "--state", "ESTABLISHED"];
  return (await lab.exec(box, words)).split("\n").filter((line) => line.startsWith("tcp")).length;
}

/** Waits until the replica knows as many connections as there are. Returns how many it knows. */
async function untilKnown({ lab, plan }: Stand): Promise<number> {
  if (plan.setup !== "remediate") return await known(lab, "redundant");
  for (const deadline = Date.now() + KNOWN_MS_MAX;; await sleep(200)) {
    const count = await known(lab, "redundant");
    if (count >= plan.count || Date.now() > deadline) return count;
  }
}

type FailedAt = Omit<Window, "endMs">;

/** Half way the primary dies, but in Base. Returns when, and how many connections the replica knew then. */
async function halfWay(stand: Stand): Promise<{ readonly failed: FailedAt; readonly count: number }> {
  const { lab, kit, plan } = stand;
  await sleep(plan.seconds * 500);
  const count = await untilKnown(stand);
  if (plan.setup === "base") return { failed: { failedMs: Date.now() }, count };
  const stamp = await fail(lab, kit.programs, "primary", "link-both");
  return { failed: { failedMs: stamp.wallMs, deadMs: deadMs(stamp) }, count };
}

async function requests(stand: Stand): Promise<Omit<LogRun, "load">> {
  const { lab, plan: { setup, count, seconds } } = stand;
  const argv = ["wrk", "--threads", "1", "--connections", String(count), "--duration", `${seconds}s`];
  const words = ["--timeout", `${TIMEOUT_S}s`, "--latency", `http://${SERVER}/617k`];
  const started = Date.now();
  const running = run(lab.argv("c1", [...argv, ...words]), { timeoutMs: (seconds + 15) * 1000 });
  running.catch(() => {}); // told below
  const { failed, count: knew } = await halfWay(stand);
  const wrk = parseWrk(await running);
  await sleep(150); // nginx writes its log every 100 ms
  const answers = parseAccess(await Deno.readTextFile(accessLog(lab, "s1"))).filter(({ wallMs }) =>
    wallMs >= started
  );
  const http = aroundFailure(answers, { ...failed, endMs: started + seconds * 1000 });
  return {
    ...{ setup, connections: count, requests: wrk.requests, timeouts: wrk.timeouts },
    resets: wrk.readErrors + wrk.writeErrors + wrk.connectErrors,
    ...{ after: http.after, ended: setup === "base" ? 0 : http.ended, gapMs: http.gapMs, known: knew },
  };
}

async function video(stand: Stand): Promise<Omit<ViewRun, "load">> {
  const { lab, kit, plan: { setup, count, seconds } } = stand;
  const viewers = [Deno.execPath(), "run", "-A", "--no-check", `${kit.top}/scripts/lab/viewers.ts`];
  const argv = lab.argv("c1", [...viewers, SERVER, String(count), String(seconds)]);
  const viewing = run(argv, { timeoutMs: seconds * 1000 + LATE_MS });
  viewing.catch(() => {}); // told below
  const { count: knew } = await halfWay(stand);
  const { viewings } = parseReport<{ viewings: Viewing[] }>(await viewing, "viewers", ["viewings"]);
  return { setup, viewers: count, viewings, known: knew };
}

async function measureIn<T>(
  stand: Stand,
  redis: RedisServer,
  work: (stand: Stand) => Promise<T>,
): Promise<T & { load: Load }> {
  const { lab, kit, plan } = stand;
  const keyFile = `${lab.directory}/records.key`;
  await Deno.writeTextFile(keyFile, "5a".repeat(32), { mode: 0o600 });
  const more = plan.setup === "remediate" ? drivers(lab, redis, keyFile) : [];
  // A NAT that lost its connections is silent about them, and there is no third box.
  const node = await LabNode.start(lab, { top: kit.top, preset: "none", silenceMs: 0, more, ...kit.node });
  try {
    await using _log = await NatLog.start(lab, { host: MANAGEMENT[0], port: LOG_PORT }, "flows");
    if (plan.load === "video") await placeVideo(lab, ["s1"]);
    await startServers(lab, kit.programs);
    await waitForPath(lab, kit.programs, "c1", "s1");
    const from = look();
    const found = await work(stand);
    const { path } = await node.status();
    if (path !== (plan.setup === "base" ? "primary" : "redundant")) {
      throw new Error(`Cannot compare: traffic goes by ${path}`);
    }
    return { ...found, load: loadBetween(from, look()) };
  } finally {
    await node.stop();
  }
}

async function inLab<T>(
  kit: Kit,
  plan: LogPlan,
  work: (stand: Stand) => Promise<T>,
): Promise<T & { load: Load }> {
  await using lab = await Lab.up(topology(), kit.lifetime);
  await using redis = await RedisServer.start({ within: (argv) => inNamespace(lab.ns(NODE_NS), argv) });
  return await measureIn({ lab, kit, plan }, redis, work);
}

/** One run with wrk. */
export function requestRun(kit: Kit, plan: Omit<LogPlan, "load">): Promise<LogRun> {
  return inLab(kit, { ...plan, load: "requests" }, requests);
}

/** One run with viewers. */
export function viewRun(kit: Kit, plan: Omit<LogPlan, "load">): Promise<ViewRun> {
  return inLab(kit, { ...plan, load: "video" }, video);
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      connections: { type: "string", default: "25,50" },
      viewers: { type: "string", default: "10,20" },
      seconds: { type: "string", default: "20" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const list = (name: "connections" | "viewers", max: number) =>
    values[name] === "0" ? [] : values[name].split(",").map((one) => wholeNumber(name, one, [1, max]));
  return {
    ...{
      json: values.json,
      check: values.check,
      connections: list("connections", 500),
      viewers: list("viewers", 50),
    },
    seconds: wholeNumber("seconds", values.seconds, [6, 300]),
  };
}

async function measure(options: ReturnType<typeof parseOptions>, kit: Kit): Promise<Found> {
  const runs: LogRun[] = [], views: ViewRun[] = [];
  for (const count of options.connections) {
    for (const setup of SETUPS) {
      const found = await requestRun(kit, { setup, count, seconds: options.seconds });
      runs.push(found);
      const { timeouts, resets, ended, after, known: knew, load } = found;
      say(
        `${count} connections, ${
          SETUP_TEXT[setup]
        }: ${timeouts} timeouts, ${resets} resets, ${ended} ended, ` +
          `${after} requests after, ${knew} known before (${loadText(load)})`,
      );
    }
  }
  for (const count of options.viewers) {
    for (const setup of SETUPS) {
      const found = await viewRun(kit, { setup, count, seconds: options.seconds });
      views.push(found);
      say(
        `${count} viewers, ${SETUP_TEXT[setup]}: ${failedOf(found)} failed connections (${
          loadText(found.load)
        })`,
      );
    }
  }
  return { format: 1, results: { runs, views }, table: logTable(runs, views), bars: logBars(runs, views) };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

/**
 * Duty: switches under TCP load: fifty that are ordered, and twenty boxes that die and come back, beside no switch at all.
 *
 * wrk with small answers, wrk with large ones as bulk, and the streams, each between hosts of their own. TCP is judged by
 * what the hosts' kernels count as well: a segment that was lost was sent again, one out of order was queued.
 */
import { aroundFailure, parseAccess } from "../lab/access.ts";
import { Lab } from "../lab/engine.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { recoveryAction } from "../lab/failures.ts";
import { LabNode } from "../lab/node.ts";
import { run, sleep } from "../lab/process.ts";
import { addressOf, fail } from "../lab/scenario.ts";
import { accessLog, startServers } from "../lab/servers.ts";
import { runStreams, type StreamReport } from "../lab/streams.ts";
import { hotReplica } from "../lab/topology.ts";
import { parseWrk, type WrkReport } from "../lab/wrk.ts";
import { type Load, loadBetween, look } from "./load.ts";
import type { Kit } from "./failover_systems.ts";

/** What two hosts' kernels counted. */
export interface TcpCount {
  readonly resent: number;
  readonly outOfOrder: number;
}

export interface PlannedRun {
  readonly switches: number;
  /** Of what was to be done, what there was no time for. */
  readonly leftOut: number;
  readonly seconds: number;
  readonly small: WrkReport;
  readonly bulk: WrkReport;
  readonly streams: readonly [probe: StreamReport, fast: StreamReport];
  readonly tcp: TcpCount;
  /** Connections that had answers before the last switch and none after it. */
  readonly hung: number;
  readonly load: Load;
}

/** How a run is disturbed. */
export type Disturbance = "none" | "ordered" | "deaths";

export interface PlannedPlan {
  readonly times: number;
  readonly everyMs: number;
}

const MBIT = 40;
const WARM_MS = 1_000;
/** After the last switch: a connection that lives has answered again. Where processors are short an order takes seconds. */
const TAIL_MS = 8_000;
/** With less than this nobody can tell who hangs. */
const TAIL_MS_MIN = 2_000;
/** A slow machine may take so many times as long as planned. */
const ROOM = 1.25;
const FAILURE_MS = 250;

async function tcpCount(lab: Lab, hosts: readonly string[]): Promise<TcpCount> {
  const texts = await Promise.all(hosts.map((ns) => lab.exec(ns, ["nstat", "-asz"])));
  const sum = (name: string) =>
    texts.reduce(
      (total, text) => total + Number(new RegExp(`^${name}\\s+(\\d+)`, "m").exec(text)?.[1] ?? NaN),
      0,
    );
  return { resent: sum("TcpRetransSegs"), outOfOrder: sum("TcpExtTCPOFOQueue") };
}

interface Stand {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly kit: Kit;
}

/** A death of the primary and its return, with the path back on it. */
async function dieAndReturn({ lab, kit }: Stand, api: RemoteNode, time: number): Promise<void> {
  const box = lab.topology.boxes.find((one) => one.name === "primary")!;
  const failure = time % 2 === 0 ? "link-both" : "silent";
  await fail(lab, kit.programs, box.name, failure);
  await sleep(FAILURE_MS);
  await lab.exec(box.name, recoveryAction(failure, box).argv);
  if ((await api.status()).path !== "primary") await order(api, "failback");
}

async function order(api: RemoteNode, name: "switchover" | "failback"): Promise<void> {
  const { ok, text } = await api.order(name, { force: true });
  if (!ok) throw new Error(`Cannot order a ${name}: ${text}`);
}

/** Carries the disturbance out, on time whatever each takes. Ends when the load is about to. */
async function disturb(stand: Stand, how: Disturbance, { times, everyMs }: PlannedPlan) {
  const api = stand.node.connect();
  const start = Date.now();
  let lastMs = start, done = 0;
  try {
    for (let time = 0; time < times && Date.now() < start + ROOM * times * everyMs; time++) {
      if (how === "ordered") await order(api, time % 2 === 0 ? "switchover" : "failback");
      if (how === "deaths") await dieAndReturn(stand, api, time);
      lastMs = Date.now();
      done = time + 1;
      await sleep(Math.max(0, start + (time + 1) * everyMs - lastMs));
    }
    return { lastMs, done };
  } finally {
    api.close();
  }
}

async function loaded(stand: Stand, how: Disturbance, plan: PlannedPlan): Promise<PlannedRun> {
  const { lab, node, kit } = stand;
  const seconds = Math.ceil((ROOM * plan.times * plan.everyMs + WARM_MS + TAIL_MS) / 1_000);
  const web = (from: string, to: string, connections: number, object: string) => {
    const url = `http://${addressOf(lab, to)}/${object}`;
    const words = ["--threads", "1", "--connections", String(connections), "--duration", `${seconds}s`];
    const argv = ["wrk", ...words, "--timeout", "3s", "--latency", url];
    return run(lab.argv(from, argv), { timeoutMs: (seconds + 15) * 1_000 }).then(parseWrk);
  };
  const before = await tcpCount(lab, ["c1", "s1", "c2", "s2"]);
  const from = look();
  const running = Promise.all([
    web("c1", "s1", 50, "5k"),
    web("c2", "s2", 4, "617k"),
    runStreams(lab, kit.programs, {
      from: "c3",
      to: "s3",
      address: addressOf(lab, "s3"),
      ms: seconds * 1_000,
    }),
  ]);
  running.catch(() => {}); // Awaited below; a load may fail while switches are still ordered.
  await sleep(WARM_MS);
  const startedMs = Date.now() - WARM_MS;
  const { lastMs, done } = await disturb(stand, how, plan);
  const [small, bulk, { streams }] = await running;
  const after = await tcpCount(lab, ["c1", "s1", "c2", "s2"]);
  const endMs = startedMs + seconds * 1_000;
  if (endMs - lastMs < TAIL_MS_MIN) {
    throw new Error(
      `Cannot tell what hangs: the last order was done ${endMs - lastMs} ms before the load ended`,
    );
  }
  await sleep(150); // nginx writes its log every 100 ms
  const answers = parseAccess(await Deno.readTextFile(accessLog(lab, "s1")));
  const { switches } = await node.status();
  return {
    switches,
    leftOut: plan.times - done,
    seconds,
    small,
    bulk,
    streams,
    tcp: { resent: after.resent - before.resent, outOfOrder: after.outOfOrder - before.outOfOrder },
    hung: aroundFailure(answers, { failedMs: lastMs, endMs }).ended,
    load: loadBetween(from, look()),
  };
}

/** One run in a lab of its own. */
export async function plannedRun(kit: Kit, how: Disturbance, plan: PlannedPlan): Promise<PlannedRun> {
  const topology = hotReplica({ clients: 3, servers: 3, serverMbit: MBIT });
  await using lab = await Lab.up(topology, kit.lifetime);
  const node = await LabNode.start(lab, { top: kit.top, preset: "nat", ...kit.node });
  try {
    await startServers(lab, kit.programs);
    return await loaded({ lab, node, kit }, how, plan);
  } finally {
    await node.stop();
  }
}

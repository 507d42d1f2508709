/**
 * Duty: carry out one run: a fresh lab, a fresh node, the load, the failure, and the questions afterwards.
 *
 * Nothing survives from one run to the next. A lab costs half a second, and a connection that hung in the last run
 * and still retransmits would be noise in this one.
 */
import { Lab } from "../lab/engine.ts";
import type { Lifetime } from "../lab/lifetime.ts";
import type { Programs } from "../lab/native.ts";
import { LabNode, startBridge } from "../lab/node.ts";
import { type Outcome, runScenario, type Workload } from "../lab/scenario.ts";
import { startServers } from "../lab/servers.ts";
import { hotReplica } from "../lab/topology.ts";
import type { Cell, Load, Passage, Run } from "./rows.ts";

export interface Bench {
  readonly top: string;
  readonly programs: Programs;
  readonly lifetime: Lifetime;
}

const LONG: Workload = { kind: "long", from: "c2", to: "s2", flows: 40, bytesPerSecond: 51_200 };
const PROBE: Workload = { kind: "probe", from: "c3", to: "s3", intervalUs: 1_000 };

function web(load: Pick<Load, "object" | "connections" | "timeoutSeconds">): Workload {
  const { object, connections, timeoutSeconds } = load;
  return { kind: "wrk", from: "c1", to: "s1", object, connections, timeoutSeconds };
}

/** A lab with its servers, and what `inPlace` puts in the node's place. Goes down at the end of the scope. */
async function prepare<T>(bench: Bench, mbit: number | null, inPlace: (lab: Lab) => Promise<T>) {
  const lab = await Lab.up(hotReplica({ serverMbit: mbit }), bench.lifetime);
  try {
    const [made] = await Promise.all([inPlace(lab), startServers(lab, bench.programs)]);
    return { lab, made };
  } catch (error) {
    await lab.down();
    throw error;
  }
}

function summary(outcome: Outcome): Omit<Run, "mirroredShare" | "mirroredShareBytes" | "switches" | "event"> {
  const { wrk, http, long, probe } = outcome;
  if (!wrk || !http || !long || !probe) throw new Error("Cannot judge the run: a workload has no report");
  const resets = wrk.readErrors + wrk.writeErrors + wrk.connectErrors;
  return {
    requests: wrk.requests,
    requestsAfter: http.afterWorth,
    resets,
    timeouts: wrk.timeouts,
    hung: Math.max(0, http.ended - resets),
    longFlows: long.flows,
    longLost: long.flows - long.ok,
    longGapMs: long.gapMsMax,
    outageMs: probe.outageMs,
    packetsLost: probe.lost,
    replyGapMs: probe.gapMs,
    rttP50Us: probe.rttP50Us,
    rttP99Us: probe.rttP99Us,
  };
}

/** One run of one cell. */
export async function measure(bench: Bench, cell: Cell): Promise<Run> {
  const preset = cell.system === "simple" ? "none" : "nat";
  const start = (lab: Lab) => LabNode.start(lab, { top: bench.top, preset });
  const { lab, made: node } = await prepare(bench, cell.load.mbit, start);
  try {
    const outcome = await runScenario(lab, bench.programs, {
      workloads: [web(cell.load), LONG, PROBE],
      box: "primary",
      failure: cell.failure,
      seconds: cell.load.seconds,
    });
    const [status, events] = await Promise.all([node.status(), node.events()]);
    const switches = events.filter((event) => event.kind === "switch" && event.cause !== "start");
    const first = switches[0];
    return {
      ...summary(outcome),
      mirroredShare: status.mirror.share,
      mirroredShareBytes: status.mirror.shareBytes,
      switches: switches.length,
      event: first
        ? { cause: first.cause, silentUs: first.silentUs, lostPackets: first.lostPackets, text: first.text }
        : null,
    };
  } finally {
    await node.stop();
    await lab.down();
  }
}

/** What passes without a failure and without rate limits: the machine is the limit. */
export async function measurePassage(bench: Bench, through: "bridge" | "node"): Promise<Passage> {
  const start = (lab: Lab) =>
    through === "bridge" ? startBridge(lab) : LabNode.start(lab, { top: bench.top, preset: "nat" });
  const { lab, made } = await prepare<void | LabNode>(bench, null, start);
  const alone = (work: Workload, seconds: number) =>
    runScenario(lab, bench.programs, { workloads: [work], box: "primary", failure: "none", seconds });
  try {
    const quiet = await alone(PROBE, 3);
    const small = await alone(web({ object: "5k", connections: 100, timeoutSeconds: 5 }), 4);
    const large = await alone(web({ object: "617k", connections: 50, timeoutSeconds: 5 }), 4);
    return {
      requestsPerSecond: small.wrk!.requestsPerSecond,
      megabitPerSecond: large.wrk!.requestsPerSecond * 617_000 * 8 / 1e6,
      rttP50Us: quiet.probe!.rttP50Us,
      rttP99Us: quiet.probe!.rttP99Us,
    };
  } finally {
    if (made instanceof LabNode) await made.stop();
    await lab.down();
  }
}

/** A lab and a node that stay. Returns what to call them by. */
export async function leaveRunning(bench: Bench): Promise<{ prefix: string; config: string }> {
  const start = (lab: Lab) => LabNode.start(lab, { top: bench.top, preset: "nat" });
  const { lab, made: node } = await prepare(bench, 100, start);
  lab.keep();
  return { prefix: lab.prefix, config: node.config };
}

/**
 * Duty: nothing happens, and nothing may be switched: both processors are kept busy by others, the traffic comes in bursts
 * with gaps between them, and control is ended and started again every ten seconds.
 *
 * Every second control is killed instead of asked. The burners are at ordinary priority and end by themselves.
 */
import { Lab } from "../lab/engine.ts";
import { LabNode } from "../lab/node.ts";
import { run, sleep } from "../lab/process.ts";
import { runStreams } from "../lab/streams.ts";
import { hotReplica } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { type Load, loadBetween, look } from "./load.ts";

export interface Quiet {
  readonly seconds: number;
  readonly switches: number;
  /** What the node said of switches, in its words. */
  readonly events: readonly string[];
  readonly stalls: number;
  readonly restarts: number;
  readonly bursts: number;
  readonly sent: number;
  readonly lost: number;
  readonly load: Load;
}

const RESTART_MS = 10_000;
const BURSTS = [
  { perSecond: 10_000, ms: 1_500, gapMs: 50 },
  { perSecond: 30_000, ms: 200, gapMs: 700 },
  { perSecond: 500, ms: 800, gapMs: 10 },
  { perSecond: 20_000, ms: 30, gapMs: 300 },
] as const;

/** A busy loop on each processor; they end after `seconds`, whatever becomes of this program. */
function burners(seconds: number): Promise<unknown> {
  const count = navigator.hardwareConcurrency;
  return Promise.all(Array.from({ length: count }, (_, processor) => {
    const argv = [
      "taskset",
      "-c",
      String(processor),
      "timeout",
      String(seconds),
      "sh",
      "-c",
      "while :; do :; done",
    ];
    return run(["sh", "-c", '"$@" || true', "sh", ...argv], { timeoutMs: (seconds + 10) * 1_000 });
  }));
}

async function traffic(lab: Lab, kit: Kit, untilMs: number) {
  let bursts = 0, sent = 0, lost = 0;
  while (Date.now() < untilMs) {
    const { perSecond, ms, gapMs } = BURSTS[bursts++ % BURSTS.length]!;
    const options = { from: "c1", to: "s1", address: "10.2.0.11", perSecond, ms };
    for (const stream of (await runStreams(lab, kit.programs, options)).streams) {
      sent += stream.sent;
      lost += stream.lost;
    }
    await sleep(gapMs);
  }
  return { bursts, sent, lost };
}

/** Ends control and starts it again, over and over. Returns the last one. */
async function restarts(
  lab: Lab,
  first: LabNode,
  untilMs: number,
): Promise<{ node: LabNode; restarts: number }> {
  let node = first, count = 0;
  for (;;) {
    await sleep(Math.min(RESTART_MS, Math.max(0, untilMs - Date.now())));
    if (Date.now() >= untilMs) return { node, restarts: count };
    await node.stop(count % 2 === 0 ? "SIGTERM" : "SIGKILL");
    node = await LabNode.start(lab, first.options);
    count++;
  }
}

/** So many seconds of it, in a lab of its own. */
export async function quietHours(kit: Kit, seconds: number): Promise<Quiet> {
  const topology = {
    ...hotReplica({ clients: 1, servers: 1, kind: "firewall", serverMbit: null }),
    servers: [],
  };
  await using lab = await Lab.up(topology, kit.lifetime);
  const first = await LabNode.start(lab, { top: kit.top, preset: "firewall", ...kit.node });
  const from = look();
  const untilMs = Date.now() + seconds * 1_000;
  const busy = burners(seconds);
  const [{ node, restarts: count }, passed] = await Promise.all([
    restarts(lab, first, untilMs),
    traffic(lab, kit, untilMs),
  ]);
  await busy;
  const load = loadBetween(from, look());
  const [status, events] = [await node.status(), await node.events()];
  await node.stop();
  const switched = events.filter((event) => event.kind === "switch" && event.cause !== "start");
  const stalls = status.counters.find((one) => one.name === "stalls")?.packets ?? NaN;
  return {
    seconds,
    switches: status.switches,
    events: switched.map((event) => event.text),
    stalls,
    restarts: count,
    ...passed,
    load,
  };
}

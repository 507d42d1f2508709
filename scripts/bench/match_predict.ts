/**
 * Duty: one prediction held against what came of it: long connections through a pair of boxes, the node says how many would
 * live on, the primary loses its links, and those that do are counted at their ends.
 */
import { compared, wouldLive } from "../../appliance/failover/match.ts";
import { fatesOf } from "../../appliance/match_proofs.ts";
import type { MatchReport } from "../../appliance/view.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { Lab } from "../lab/engine.ts";
import { LabNode } from "../lab/node.ts";
import { run, sleep } from "../lab/process.ts";
import { judgeLong, parseLong, parseSessions } from "../lab/reports.ts";
import { fail, waitForPath } from "../lab/scenario.ts";
import { LONG_PORT, SESSION_PORT, startServers } from "../lab/servers.ts";
import { TOPOLOGIES } from "../lab/topology.ts";
import type { Kit } from "./failover_systems.ts";
import { loadBetween, look } from "./load.ts";
import { type Fault, makeFault } from "./match_faults.ts";
import type { MatchRun, Proto, Way } from "./match_report.ts";

const BYTES_PER_S = 4_096;
const EVERY_MS = 200;
const SERVER = "10.2.0.11";

export interface MatchPlan {
  readonly flows: number;
  readonly seconds: number;
  /** @default "tcp" */
  readonly proto?: Proto;
  /** What is wrong with the redundant box, and for about how many connections of a hundred. @default nothing */
  readonly fault?: { readonly fault: Fault; readonly percent: number };
}

/** Mirroring without seeds is the preset without them; seeds without mirroring are a rule that asks for nothing else. */
const RULES: Readonly<Record<Way, readonly string[]>> = {
  mirror: ["handshake = true", "teardown = true", "keepalive_s = 10", "first_packets = 5"],
  seed: ["seed = true"],
  both: ["handshake = true", "teardown = true", "keepalive_s = 10", "first_packets = 5", "seed = true"],
};

/** What the node itself has counted; null: nothing, in time. */
async function proof(api: RemoteNode): Promise<MatchReport["failover"]> {
  for (let i = 0; i < 30; i++) {
    const { failover } = await api.match({ history: false });
    if (failover !== null) return failover;
    await sleep(100);
  }
  return null;
}

/** What a client runs, and how many of its connections lived, by what it says at the end. */
const TRAFFIC: Readonly<
  Record<Proto, {
    readonly argv: (kit: Kit, flows: number, ms: number) => readonly (string | number)[];
    readonly alive: (text: string) => number;
  }>
> = {
  tcp: {
    argv: (kit, flows, ms) => [kit.programs.longflows, "fetch", SERVER, LONG_PORT, flows, BYTES_PER_S, ms],
    alive: (text) => judgeLong(parseLong(text)).ok,
  },
  udp: {
    argv: (kit, flows, ms) => [kit.programs.datagrams, "talk", SERVER, SESSION_PORT, flows, EVERY_MS, ms],
    alive: (text) => parseSessions(text).alive,
  },
};

/** Opens the connections, asks the node, lets the primary lose its links half way, and counts what lives. */
async function failOver(lab: Lab, kit: Kit, api: RemoteNode, { flows, seconds, proto = "tcp" }: MatchPlan) {
  const traffic = TRAFFIC[proto];
  const counts = [Math.ceil(flows / 2), Math.floor(flows / 2)];
  const running = Promise.all(["c1", "c2"].map((client, i) => {
    const argv = lab.argv(client, traffic.argv(kit, counts[i]!, seconds * 1_000).map(String));
    return counts[i]! > 0 ? run(argv, { timeoutMs: (seconds + 15) * 1_000 }) : null;
  }));
  running.catch(() => {}); // Awaited below.
  await sleep(seconds * 500);
  const match = (await api.status()).boxes.find(({ box }) => box === "redundant")?.match;
  await fail(lab, kit.programs, "primary", "link-both");
  const texts = (await running).filter((text) => text !== null);
  const alive = texts.reduce((sum, text) => sum + traffic.alive(text), 0);
  const failover = await proof(api);
  const counted = failover && fatesOf(failover);
  return { compared: match ? compared(match) : 0, equal: match ? wouldLive(match) : 0, alive, counted };
}

async function makeDiffer(lab: Lab, { fault, flows }: MatchPlan): Promise<void> {
  if (fault === undefined) return;
  // A client's port range stands for half of the connections.
  const share = Math.min(
    1,
    (fault.fault === "rule" || fault.fault === "random" ? 2 : 1) * fault.percent / 100,
  );
  for (const argv of makeFault(fault.fault, { share, flows })) {
    await lab.exec("redundant", [...argv]);
  }
  // Copies alone keep a connection only in a box that does not mind windows; a seed would heal a lost copy.
  if (fault.fault !== "lost") return;
  await lab.exec("redundant", ["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1"]);
}

function startSessions(lab: Lab, kit: Kit): void {
  lab.start("s1", [kit.programs.datagrams, "serve", String(SESSION_PORT)]).unref();
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
      if (plan.proto === "udp") startSessions(lab, kit);
      await makeDiffer(lab, plan);
      const found = await failOver(lab, kit, api, plan);
      const { flows, fault = null, proto = "tcp" } = plan;
      return { kind, way, proto, fault, flows, ...found, load: loadBetween(from, look()) };
    } finally {
      api.close();
      await node.stop();
    }
  } finally {
    forget();
  }
}

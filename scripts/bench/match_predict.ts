/**
 * Duty: one prediction held against what came of it: long connections through a pair of boxes, the node says how many would
 * live on, the primary loses its links, and those that do are counted at their ends.
 */
import { compared, wouldLive } from "../../appliance/failover/match.ts";
import { fatesOf } from "../../appliance/match_proofs.ts";
import type { MatchReport } from "../../appliance/view.ts";
import type { RemoteNode } from "../../ui/client.ts";
import { isNat64 } from "../lab/boxes.ts";
import { Lab } from "../lab/engine.ts";
import { LabNode } from "../lab/node.ts";
import { sleep } from "../lab/process.ts";
import { fail, waitForPath } from "../lab/scenario.ts";
import { SESSION_PORT, startServers } from "../lab/servers.ts";
import { TOPOLOGIES } from "../lab/topology.ts";
import { becomeBalancer } from "./balanced.ts";
import type { Kit } from "./failover_systems.ts";
import { loadBetween, look } from "./load.ts";
import { type Fault, makeFault } from "./match_faults.ts";
import type { MatchRun, Proto, Way } from "./match_report.ts";
import { partsOf, type Strain, strainBox, turnBox } from "./match_strains.ts";
import { startTraffic } from "./match_traffic.ts";

const PATIENT_MS = 1_000;
/** Of a run, that has to be left when the primary has failed: connections need it to go on, and tell nothing before. */
const LEFT_SHARE = 0.3, LEFT_MS_MAX = 2_500;
const TRIES = 3;

export interface MatchPlan {
  readonly flows: number;
  readonly seconds: number;
  /** @default "tcp" */
  readonly proto?: Proto;
  /** Workers of the plane. @default 1 */
  readonly cores?: number;
  /** What is wrong with the redundant box, and for about how many connections of a hundred. @default nothing */
  readonly fault?: { readonly fault: Fault; readonly percent: number };
}

/** Mirroring without seeds is the preset without them; seeds without mirroring are a rule that asks for nothing else. */
const RULES: Readonly<Record<Way, readonly string[]>> = {
  mirror: ["handshake = true", "teardown = true", "keepalive_s = 10", "first_packets = 5"],
  seed: ["seed = true"],
  both: ["handshake = true", "teardown = true", "keepalive_s = 10", "first_packets = 5", "seed = true"],
};

/** It is counted some seconds after the switch, and a busy machine takes its time. */
const PROOF_MS_MAX = 15_000;

/** What the node itself has counted; null: nothing, in time. */
async function proof(api: RemoteNode): Promise<MatchReport["failover"]> {
  const deadline = performance.now() + PROOF_MS_MAX;
  while (performance.now() < deadline) {
    const { failover } = await api.match({ history: false });
    if (failover !== null) return failover;
    await sleep(100);
  }
  return null;
}

/** Connections of which nothing can be inferred. */
async function unsureOf(api: RemoteNode): Promise<number> {
  const flows = await api.flows({ limit: 4_000, side: "upstream" });
  return flows.filter(({ unsure, protocol }) => unsure !== "" && protocol === "tcp").length;
}

/** Opens the connections, asks the node, lets the primary lose its links, and counts what lives; null: it came too late. */
async function failOver(lab: Lab, kit: Kit, api: RemoteNode, plan: MatchPlan & { readonly strain: Strain }) {
  const { flows, seconds, proto = "tcp", strain } = plan, halfMs = seconds * 500;
  const endMs = performance.now() + 2 * halfMs;
  const running = startTraffic(lab, kit, { flows, beforeMs: halfMs, afterMs: halfMs, proto, strain });
  await running.ready();
  // What looked for the way, a datagram, is among those compared as well.
  const match = (await api.status()).boxes.find(({ box }) => box === "redundant")?.match?.classes[proto];
  const unsure = await unsureOf(api), moved = proto === "tcp" ? await running.moved() : 0;
  await changeBoxes(lab, (box) => turnBox(strain, box));
  await fail(lab, kit.programs, "primary", "link-both");
  const leftMs = endMs - performance.now();
  // Without anything compared there is no proof to wait for.
  const proved = () => match && compared(match) > 0 ? proof(api) : Promise.resolve(null);
  const lived = await running.lived(proved);
  const isLate = leftMs < Math.min(LEFT_MS_MAX, LEFT_SHARE * seconds * 1_000);
  if (strain.bytes === undefined && isLate) return null;
  const failover = await proved();
  const counted = failover && fatesOf(failover);
  return {
    compared: match ? compared(match) : 0,
    equal: match ? wouldLive(match) : 0,
    unsure,
    counted,
    moved,
    ...lived,
  };
}

async function changeBoxes(
  lab: Lab,
  commands: (box: string) => readonly (readonly string[])[],
): Promise<void> {
  for (const { name } of lab.topology.boxes) {
    for (const argv of commands(name)) await lab.exec(name, argv);
  }
}

/** What the boxes are made to be before any connection. */
async function strainBoxes(lab: Lab, strain: Strain): Promise<void> {
  await changeBoxes(lab, (box) => strainBox(strain, box));
  const { balancer } = strain;
  if (balancer === undefined) return;
  for (const { name } of lab.topology.boxes) await becomeBalancer(lab, name, balancer);
}

async function makeDiffer(lab: Lab, { fault, flows }: MatchPlan): Promise<void> {
  if (fault === undefined) return;
  for (const argv of makeFault(fault.fault, { share: fault.percent / 100, flows })) {
    await lab.exec("redundant", [...argv]);
  }
  // Copies alone keep a connection only in a box that does not mind windows; a seed would heal a lost copy.
  if (fault.fault !== "lost") return;
  await lab.exec("redundant", ["sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1"]);
}

function startSessions(lab: Lab, kit: Kit): void {
  lab.start("s1", [kit.programs.datagrams, "serve", String(SESSION_PORT)]).unref();
}

/** One run. A busy machine may let the failure come too late to tell anything; then there is another. @throws Error after three of them */
export async function matchRun(kit: Kit, kind: string, way: Way, plan: MatchPlan): Promise<MatchRun> {
  for (let i = 0; i < TRIES; i++) {
    const found = await tryMatch(kit, kind, way, plan);
    if (found !== null) return found;
  }
  throw new Error(`Cannot let the primary fail in the middle of ${plan.seconds} s: the machine is too busy`);
}

async function tryMatch(kit: Kit, kind: string, way: Way, plan: MatchPlan): Promise<MatchRun | null> {
  const from = look();
  const { topology: name, strain } = partsOf(kind);
  const topology = TOPOLOGIES[name]!({
    clients: 2,
    servers: strain.balancer === undefined ? 1 : 3,
    serverMbit: null,
  });
  await using lab = await Lab.up(topology, kit.lifetime);
  const rules = ["[[filter.rules]]", 'name = "bench"', ...RULES[way]];
  // What renumbers, or a NAT64, is a process beside others: when it waits for a processor its box is silent, and not dead.
  const patient = topology.boxes.some((box) => box.renumbers || isNat64(box))
    ? { silenceMs: PATIENT_MS }
    : {};
  const node = await LabNode.start(lab, {
    top: kit.top,
    preset: "none",
    rules,
    cores: plan.cores ?? 1,
    ...patient,
  });
  const api = node.connect();
  try {
    await startServers(lab, kit.programs);
    for (const client of ["c1", "c2"]) await waitForPath(lab, kit.programs, client, "s1");
    if (plan.proto === "udp") startSessions(lab, kit);
    await strainBoxes(lab, strain);
    await makeDiffer(lab, plan);
    const found = await failOver(lab, kit, api, { ...plan, strain });
    if (found === null) return null;
    const { flows, fault = null, proto = "tcp" } = plan;
    return { kind, way, proto, fault, flows, ...found, load: loadBetween(from, look()) };
  } finally {
    api.close();
    await node.stop();
  }
}

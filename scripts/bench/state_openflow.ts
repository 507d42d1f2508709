/**
 * Duty: `deno task bench:state-openflow`: connections through a switch whose controller makes entries for each, the switch dies, and
 * its replica knows the entries or does not.
 *
 * Open vSwitch in user space is the box, both of them; the node moves the path. Nothing is mirrored: what the replica
 * knows it knows from the tap on the primary's control channel.
 */
import { parseArgs } from "node:util";
import { LineChild } from "../../tests/support/child.ts";
import { aroundFailure, parseAccess } from "../lab/access.ts";
import { BARE_SCRIPT, SERVICE } from "../lab/balancers.ts";
import { Lab } from "../lab/engine.ts";
import { LabNode } from "../lab/node.ts";
import type { BalancerCounts, BalancerSetup } from "../lab/openflow_balancer.ts";
import type { PairStatus } from "../lab/openflow_pair.ts";
import { run, sleep } from "../lab/process.ts";
import { deadMs, fail } from "../lab/scenario.ts";
import { accessLog, startServers } from "../lab/servers.ts";
import { hotReplica, type Topology } from "../lab/topology.ts";
import { parseWrk } from "../lab/wrk.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { BRIDGE, OpenVSwitch } from "./ovs.ts";
import { type Setup, SETUP_TEXT, SETUPS } from "./setups.ts";
import { delayOf, stateBars, type StateRun, stateTable } from "./state_openflow_report.ts";

/** Where the controllers live: a namespace of its own, with a link to each box. */
const CONTROL_NS = "ctl";
const BOXES = ["primary", "redundant"] as const;
/** The end of a box's management link at the controllers, and at the box. */
const MANAGEMENT = { primary: ["10.9.1.1", "10.9.1.2"], redundant: ["10.9.2.1", "10.9.2.2"] } as const;
const CONTROLLER_PORT = 6653, TAP_PORT = 6654, SWITCH_PORT = 6655;
const MACS = ["02:00:00:00:01:01", "02:00:00:00:02:01"] as const;
const SERVERS = ["s1", "s2"] as const;
const IDLE_S = 30;
const ANSWER_TRIES = 100;
const TIMEOUT_S = 2;
/** Less than the machine carries, or Base has timeouts of its own. */
const SERVER_MBIT = 16;
/** Connections one after the other, before the load. */
const SINGLE = 40;
const USAGE = `Usage: deno task bench:state-openflow [--connections LIST] [--seconds N] [--json] [--check]

A load balancer of OpenFlow: Open vSwitch in user space, and a controller that gives each connection a server with two entries when
its first packet comes. wrk keeps connections open; half way the switch loses its links and a second one takes over. Base: no
failure. Simple: the second switch was told nothing, and asks the controller for what comes. Remediate: it has the entries, from
the tap on the first one's control channel.

  --connections LIST  numbers of connections (1 to 2000), with commas; default 100,200
  --seconds N         length of each run (4 to 300); default 20
  --json              one JSON document on standard output
  --check             exit 1 where a bar is missed; the worst row is named last
`;

function topology(): Topology {
  const base = hotReplica({ clients: 1, servers: SERVERS.length, kind: "firewall", serverMbit: SERVER_MBIT });
  const links = BOXES.map((box) => ({
    ends: [
      { ns: CONTROL_NS, name: `to-${box.slice(0, 3)}`, addresses: [`${MANAGEMENT[box][0]}/24`] },
      { ns: box, name: "mgmt", addresses: [`${MANAGEMENT[box][1]}/24`] },
    ] as const,
  }));
  return {
    ...base,
    ...{ name: "openflow-balancer", namespaces: [...base.namespaces, { name: CONTROL_NS }] },
    links: [...base.links, ...links],
  };
}

/** Ends know their gateway: a switch of entries answers no ARP. */
async function introduce(lab: Lab): Promise<void> {
  await lab.script("c1", `ip neigh replace ${SERVICE} lladdr ${MACS[0]} dev eth0 nud permanent`);
  for (const ns of SERVERS) {
    await lab.script(ns, `ip neigh replace 10.2.0.1 lladdr ${MACS[1]} dev eth0 nud permanent`);
  }
}

async function startSwitch(lab: Lab, box: typeof BOXES[number]): Promise<OpenVSwitch> {
  await lab.script(box, BARE_SCRIPT);
  const ports = ["in", "out"].map((name, index) => ({ name, number: index + 1 }));
  const ovs = await OpenVSwitch.start(lab, {
    kind: "sockets",
    core: lab.processors?.world[0] ?? 0,
    ports,
    ns: box,
  });
  const datapath = `00000000000000${box === "primary" ? "0a" : "0b"}`;
  await ovs.configure([
    "set",
    "Bridge",
    BRIDGE,
    `other-config:datapath-id=${datapath}`,
    "protocols=OpenFlow13",
  ]);
  return ovs;
}

/** The controller and, for ours, tap and replica; what is started comes to `started`, for its end. */
async function startControl(
  lab: Lab,
  top: string,
  { setup, started }: { setup: Setup; started: LineChild[] },
): Promise<{ balancer: LineChild; pair: LineChild | null }> {
  const child = async (program: string, ...words: string[]) => {
    const argv = [
      `${top}/scripts/deno`,
      "run",
      "-A",
      "--no-check",
      `${top}/scripts/lab/${program}.ts`,
      ...words,
    ];
    const one = new LineChild(lab.argv(CONTROL_NS, argv));
    started.push(one);
    await one.line();
    return one;
  };
  const balancer: BalancerSetup = {
    ...{
      listen: BOXES.map((box) => ({ host: MANAGEMENT[box][0], port: CONTROLLER_PORT })),
      service: SERVICE,
    },
    ...{ macs: MACS, idleS: IDLE_S },
    servers: SERVERS.map((_, at) => ({ address: `10.2.0.${11 + at}`, mac: `02:00:00:02:00:${11 + at}` })),
  };
  const controller = await child("openflow_balancer", JSON.stringify(balancer));
  if (setup !== "remediate") return { balancer: controller, pair: null };
  const tap = {
    listen: `tcp:${MANAGEMENT.primary[0]}:${TAP_PORT}`,
    controller: `tcp:${MANAGEMENT.primary[0]}:${CONTROLLER_PORT}`,
    clients: "10.1.0.0/16",
  };
  const replica = { address: `tcp:${MANAGEMENT.redundant[1]}:${SWITCH_PORT}` };
  const pair = await child("openflow_pair", JSON.stringify(tap), JSON.stringify(replica));
  return { balancer: controller, pair };
}

async function fetched(lab: Lab): Promise<boolean> {
  const argv = ["curl", "-sS", "-m", "1", "-o", "/dev/null", `http://${SERVICE}/5k`];
  return (await lab.tryExec("c1", argv)).code === 0;
}

async function untilServed(lab: Lab): Promise<void> {
  for (let tries = 0; tries < ANSWER_TRIES; tries++) {
    if (await fetched(lab)) return;
    await sleep(100);
  }
  throw new Error("Cannot get an answer through Open vSwitch and its controller");
}

export interface StatePlan {
  readonly setup: Setup;
  readonly connections: number;
  readonly seconds: number;
}

const ask = async <T>(child: LineChild) => JSON.parse(await child.ask("s")) as T;

/** How long entries take when one connection opens after the other. */
async function singles(lab: Lab, pair: LineChild): Promise<readonly number[]> {
  for (let count = 0; count < SINGLE; count++) await fetched(lab);
  await sleep(500); // for the last one
  return (await ask<PairStatus>(pair)).moved?.delaysMs ?? [];
}

async function load(lab: Lab, kit: Kit, { setup, connections, seconds }: StatePlan) {
  const argv = ["wrk", "--threads", "1", "--connections", String(connections), "--duration", `${seconds}s`];
  const words = ["--timeout", `${TIMEOUT_S}s`, "--latency", `http://${SERVICE}/5k`];
  const started = Date.now();
  const running = run(lab.argv("c1", [...argv, ...words]), { timeoutMs: (seconds + 15) * 1000 });
  running.catch(() => {}); // told below
  await sleep(seconds * 500);
  const stamp = setup === "base" ? null : await fail(lab, kit.programs, "primary", "link-both");
  const failed = stamp === null
    ? { failedMs: Date.now() }
    : { failedMs: stamp.wallMs, deadMs: deadMs(stamp) };
  const wrk = parseWrk(await running);
  await sleep(150); // nginx writes its log every 100 ms
  // Connections of two servers have numbers of their own.
  const answers =
    (await Promise.all(SERVERS.map(async (ns, at) =>
      parseAccess(await Deno.readTextFile(accessLog(lab, ns)))
        .map((answer) => ({ ...answer, connection: answer.connection * SERVERS.length + at }))
    ))).flat().filter(({ wallMs }) => wallMs >= started).toSorted((a, b) => a.wallMs - b.wallMs);
  return { wrk, http: aroundFailure(answers, { ...failed, endMs: started + seconds * 1000 }) };
}

async function measureIn(lab: Lab, kit: Kit, plan: StatePlan, started: LineChild[]): Promise<StateRun> {
  const [primary, redundant] = [await startSwitch(lab, "primary"), await startSwitch(lab, "redundant")];
  await introduce(lab);
  const controller = `tcp:${MANAGEMENT.redundant[0]}:${CONTROLLER_PORT}`;
  await redundant.configure([
    "set-controller",
    BRIDGE,
    controller,
    `ptcp:${SWITCH_PORT}:${MANAGEMENT.redundant[1]}`,
  ]);
  const { balancer, pair } = await startControl(lab, kit.top, { setup: plan.setup, started });
  const port = plan.setup === "remediate" ? TAP_PORT : CONTROLLER_PORT;
  await primary.configure(["set-controller", BRIDGE, `tcp:${MANAGEMENT.primary[0]}:${port}`]);
  const node = await LabNode.start(lab, {
    ...{ top: kit.top, preset: "none" },
    // A switch that asks its controller is silent for as long as that takes; its death here is a loss of link.
    ...{ silenceMs: 0, ...kit.node },
  });
  try {
    await startServers(lab, kit.programs);
    await untilServed(lab);
    const quiet = pair === null ? [] : await singles(lab, pair);
    const from = look();
    const { wrk, http } = await load(lab, kit, plan);
    const { path } = await node.status();
    if (path !== (plan.setup === "base" ? "primary" : "redundant")) {
      throw new Error(`Cannot compare: traffic goes by ${path}`);
    }
    const { asked } = await ask<BalancerCounts>(balancer);
    const moved = pair === null ? null : (await ask<PairStatus>(pair)).moved;
    if (moved !== null && moved.refused > 0) {
      throw new Error(`Cannot put entries: ${moved.reasons.join("; ")}`);
    }
    return {
      ...{ setup: plan.setup, connections: plan.connections, requests: wrk.requests },
      ...{ timeouts: wrk.timeouts, resets: wrk.readErrors + wrk.writeErrors + wrk.connectErrors },
      ...{
        after: http.after,
        ended: plan.setup === "base" ? 0 : http.ended,
        gapMs: http.gapMs,
        asked: asked[1] ?? 0,
      },
      delay: moved && { quiet: delayOf(quiet), loaded: delayOf(moved.delaysMs.slice(quiet.length)) },
      load: loadBetween(from, look()),
    };
  } finally {
    await node.stop();
  }
}

/** One run. */
export async function stateRun(kit: Kit, plan: StatePlan): Promise<StateRun> {
  const started: LineChild[] = [];
  await using lab = await Lab.up(topology(), kit.lifetime);
  try {
    return await measureIn(lab, kit, plan, started);
  } finally {
    for (const child of started.toReversed()) await child.end().catch(() => {}); // the lab ends what is left
  }
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      connections: { type: "string", default: "100,200" },
      seconds: { type: "string", default: "20" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    connections: values.connections.split(",").map((one) => wholeNumber("connections", one, [1, 2000])),
    seconds: wholeNumber("seconds", values.seconds, [4, 300]),
  };
}

async function measure(options: ReturnType<typeof parseOptions>, kit: Kit): Promise<Found> {
  const runs: StateRun[] = [];
  for (const connections of options.connections) {
    for (const setup of SETUPS) {
      const found = await stateRun(kit, { setup, connections, seconds: options.seconds });
      runs.push(found);
      const { timeouts, resets, ended, after, load: busy } = found;
      say(
        `${connections} connections, ${
          SETUP_TEXT[setup]
        }: ${timeouts} timeouts, ${resets} resets, ${ended} ended, ` +
          `${after} requests after (${loadText(busy)})`,
      );
    }
  }
  return { format: 1, results: { runs }, table: stateTable(runs), bars: stateBars(runs) };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

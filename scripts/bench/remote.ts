/**
 * Duty: `deno task bench:remote`: failovers to a redundant box at another site while the way there loses datagrams, with
 * resends and without: what the box knows of connections, what lives, and what the way costs while it serves.
 */
import { parseArgs } from "node:util";
import { Lab } from "../lab/engine.ts";
import { LabNode } from "../lab/node.ts";
import { run, sleep } from "../lab/process.ts";
import { forgetFar, loseOnTheWay, remoteReplica, startFar, waitForFar } from "../lab/remote.ts";
import { judgeLong, parseLong } from "../lab/reports.ts";
import { fail, waitForPath } from "../lab/scenario.ts";
import { LONG_PORT, startServers } from "../lab/servers.ts";
import type { Kit } from "./failover_systems.ts";
import { type Found, runBench, say, wholeNumber } from "./frame.ts";
import { loadBetween, loadText, look } from "./load.ts";
import { type Pings, readPings, remoteBars, type RemoteRun, remoteTable } from "./remote_report.ts";

/** Of 10,000 datagrams, both ways. */
const LOSSES = [0, 10, 100, 500] as const;
const BYTES_PER_S = 4_096;
const SERVER = "10.2.0.11";
const PINGS = 100;
const USAGE = `Usage: deno task bench:remote [--flows N] [--seconds N] [--json] [--check]

Long connections through a pair of strict nftables NATs, of which the redundant one stands behind a router that loses 0,
0.1, 1 and 5 % of datagrams. The primary loses its links half way. With resends of the channel, and without.

  --flows N     connections of a run (1 to 1000); default 200
  --seconds N   length of a run, the failure in the middle (4 to 600); default 8
  --json        one JSON document on standard output
  --check       exit 1 where a bar is missed; the worst row is named last
`;

export interface RemotePlan {
  readonly flows: number;
  readonly seconds: number;
  readonly loss: number;
  readonly resends: boolean;
}

/** Connections that are open in the redundant box's own table. */
async function entries(lab: Lab): Promise<number> {
  const table = await lab.exec("redundant", ["conntrack", "-L", "-p", "tcp"], {});
  return new Set(
    [...table.matchAll(/ ESTABLISHED src=(10\.1\S+) \S+ sport=(\d+) dport=7000 /g)].map(([, ip, port]) =>
      `${ip} ${port}`
    ),
  )
    .size;
}

async function ping(lab: Lab): Promise<Pings> {
  const { stdout } = await lab.tryExec("c1", [
    "ping",
    "-q",
    "-i",
    "0.01",
    "-c",
    String(PINGS),
    "-W",
    "1",
    SERVER,
  ], {
    timeoutMs: 20_000,
  });
  return readPings(stdout);
}

/** Processor time of a process so far, in seconds. */
function cpuSeconds(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function failOver(lab: Lab, kit: Kit, { flows, seconds }: RemotePlan) {
  const words = [SERVER, LONG_PORT, flows, BYTES_PER_S, seconds * 1_000].map(String);
  const argv = lab.argv("c1", [kit.programs.longflows, "fetch", ...words]);
  const running = run(argv, { timeoutMs: (seconds + 20) * 1_000 });
  running.catch(() => {}); // Awaited below.
  await sleep(seconds * 500);
  const known = await entries(lab);
  await fail(lab, kit.programs, "primary", "link-both");
  return { known, alive: judgeLong(parseLong(await running)).ok };
}

/** One run. */
export async function remoteRun(kit: Kit, plan: RemotePlan): Promise<RemoteRun> {
  const from = look();
  const topology = remoteReplica({ kind: "nat", clients: 1, servers: 1, serverMbit: null });
  await using lab = await Lab.up(topology, kit.lifetime);
  const far = await startFar(lab, { top: kit.top, settings: plan.resends ? {} : { wait_ms: 0 } });
  const node = await LabNode.start(lab, { top: kit.top, preset: "nat", ports: far.ports });
  const api = node.connect();
  try {
    await waitForFar(lab);
    await startServers(lab, kit.programs);
    await waitForPath(lab, kit.programs, "c1", "s1");
    const near = await ping(lab);
    await loseOnTheWay(lab, plan.loss);
    const cpu = cpuSeconds(far.child.pid), began = performance.now();
    const found = await failOver(lab, kit, plan);
    const farShare = (cpuSeconds(far.child.pid) - cpu) / ((performance.now() - began) / 1_000);
    const { path, ports, plane } = await api.status();
    const away = await ping(lab);
    const lost = ports.reduce(
      (sum, { channel }) => sum + (channel ? channel.lost + channel.farLost : 0),
      0,
    );
    const load = loadBetween(from, look());
    return { ...plan, ...found, path, near, away, lost, farShare, planeShare: plane.cpu, load };
  } finally {
    await forgetFar(lab);
    api.close();
    await node.stop();
  }
}

function parseOptions(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      flows: { type: "string", default: "200" },
      seconds: { type: "string", default: "8" },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    flows: wholeNumber("flows", values.flows, [1, 1000]),
    seconds: wholeNumber("seconds", values.seconds, [4, 600]),
  };
}

async function measure(options: ReturnType<typeof parseOptions>, kit: Kit): Promise<Found> {
  const runs: RemoteRun[] = [];
  for (const loss of LOSSES) {
    for (const resends of [true, false]) {
      const found = await remoteRun(kit, { ...options, loss, resends });
      runs.push(found);
      const how = resends ? "with resends" : "without";
      say(
        `loss ${loss / 100} %, ${how}: ${found.known} known, ${found.alive} alive, by ${found.path} (${
          loadText(found.load)
        })`,
      );
    }
  }
  const bars = remoteBars(runs);
  return { format: 1, results: { runs }, table: remoteTable(runs), bars };
}

if (import.meta.main) await runBench({ usage: USAGE, parse: parseOptions, measure });

/**
 * Duty: `deno task bench:fleet`: a controller and many agents on loopback: connect storm, memory, status in, commands out, a
 * killed controller in the middle of a roll-out; and the size of a delta.
 *
 * Agents are the product's protocol code over TLS, many to a process; all share the cores with the controller, so times are those
 * of both ends together, and the load of the machine stands beside them.
 */
import { parseArgs } from "node:util";
import { quantile } from "./state_report.ts";
import { Asked } from "./lines.ts";
import { type DeltaRow, measureDelta } from "./fleet_delta.ts";
import { measureRedis, type RedisRow } from "./fleet_redis.ts";

const HERE = new URL("./", import.meta.url).pathname;
const USAGE =
  `Usage: ./scripts/deno task bench:fleet [--agents N] [--processes N] [--old FILE --new FILE] [--json] [--check]

  --agents N     so many agents; 10000 without it
  --processes N  in so many processes; 4 without it
  --redis N      so many nodes in the registry of a Redis; 2000 without it, 0: leave it out
  --old, --new   two bundles, for the size of the delta; without them two made ones
  --json         JSON instead of a table
  --check        ends with 1 where a node was lost or an update was started twice
`;
const LIMIT_MS = 900_000;

export interface FleetRow {
  readonly agents: number;
  readonly connectS: number;
  /** Of the controller, for one connection. */
  readonly connectionKiB: number;
  /** Of the agents' processes, for one agent. */
  readonly agentKiB: number;
  /** Of a core, for one connection, TLS and all: at the controller, and at its agent. */
  readonly connectionMs: number;
  readonly agentMs: number;
  readonly reportsPerSecond: number;
  readonly commandP50Ms: number;
  readonly commandP99Ms: number;
  readonly commandsPerSecond: number;
  readonly reconnectS: number;
  readonly lost: number;
  readonly startedTwice: number;
  readonly updated: number;
  readonly rolloutS: number;
  readonly load: number;
}

interface Setting {
  readonly agents: number;
  readonly processes: number;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<number> {
  const startMs = performance.now();
  while (!await holds()) {
    if (performance.now() - startMs > LIMIT_MS) throw new Error(`not within ${LIMIT_MS / 1000} s: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return (performance.now() - startMs) / 1000;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

class Bench implements AsyncDisposable {
  controller!: Asked;
  readonly crowds: Asked[] = [];
  nodes: string[][] = [];
  readonly port = freePort();
  #emptyRss = 0;

  /** `agents`: their journals, which in life are not all on one disk, lie in memory. */
  private constructor(readonly directory: string, readonly agents: string, readonly setting: Setting) {}

  static async open(setting: Setting): Promise<Bench> {
    const directory = await Deno.makeTempDir({ prefix: "bench-fleet-" });
    const agents = await Deno.makeTempDir({ prefix: "bench-fleet-", dir: "/dev/shm" }).catch(() => directory);
    const bench = new Bench(directory, agents, setting);
    try {
      await bench.#begin();
      return bench;
    } catch (error) {
      await bench[Symbol.asyncDispose]();
      throw error;
    }
  }

  async up() {
    const { agents } = this.setting;
    this.controller = new Asked(`${HERE}fleet_controller.ts`, [
      `${this.directory}/controller`,
      `${this.port}`,
      `${agents}`,
    ]);
    const first = await this.controller.first as { port: number; fingerprint: string; fleet: string };
    return first;
  }

  async #begin(): Promise<void> {
    const { agents, processes } = this.setting;
    for (let n = 0; n < processes; n++) {
      const count = Math.floor(agents / processes) + (n < agents % processes ? 1 : 0);
      this.crowds.push(new Asked(`${HERE}fleet_agents.ts`, [`${this.agents}/crowd-${n}`, `${count}`]));
    }
    const place = await this.up();
    for (const crowd of this.crowds) {
      const { keys } = await crowd.first as { keys: string[] }, own: string[] = [];
      for (let at = 0; at < keys.length; at += 500) {
        own.push(
          ...(await this.controller.ask<{ nodes: string[] }>("enrol", { keys: keys.slice(at, at + 500) }))
            .nodes,
        );
      }
      this.nodes.push(own);
    }
    this.#emptyRss = (await this.stats()).rss;
    this.place = place;
  }
  place!: object;

  stats(): Promise<{ connections: number; rss: number; cpuS: number }> {
    return this.controller.ask("stats");
  }

  allConnected(): Promise<number> {
    return until("all are connected", async () => (await this.stats()).connections === this.setting.agents);
  }

  async connect() {
    const startMs = performance.now(), [before, idle] = [await this.stats(), await this.counts()];
    const cpuS = (counts: readonly { cpuS: number }[]) => counts.reduce((sum, one) => sum + one.cpuS, 0);
    await Promise.all(
      this.crowds.map((crowd, n) => crowd.ask("connect", { ...this.place, nodes: this.nodes[n] })),
    );
    await this.allConnected();
    const connectS = (performance.now() - startMs) / 1000, after = await this.stats(), { rss } = after;
    const counts = await this.counts(), { agents } = this.setting;
    return {
      connectionMs: (after.cpuS - before.cpuS) * 1000 / agents,
      agentMs: (cpuS(counts) - cpuS(idle)) * 1000 / agents,
      connectS,
      connectionKiB: (rss - this.#emptyRss) / this.setting.agents / 1024,
      agentKiB: counts.reduce((sum, one) => sum + one.rss, 0) / this.setting.agents / 1024,
    };
  }

  counts() {
    return Promise.all(
      this.crowds.map((crowd) =>
        crowd.ask<{ installs: number[]; restarts: number[]; rss: number; cpuS: number }>("counts")
      ),
    );
  }

  async fanIn() {
    const heard = this.controller.ask<{ ms: number }>("fanIn", { count: this.setting.agents });
    await Promise.all(this.crowds.map((crowd) => crowd.ask("change")));
    return { reportsPerSecond: this.setting.agents / ((await heard).ms / 1000) };
  }

  async fanOut() {
    const startMs = performance.now();
    const { times } = await this.controller.ask<{ times: number[] }>("fanOut", { nodes: this.nodes.flat() });
    return {
      commandP50Ms: quantile(times, 0.5),
      commandP99Ms: quantile(times, 0.99),
      commandsPerSecond: times.length / ((performance.now() - startMs) / 1000),
    };
  }

  #api(path: string, body?: object): Promise<Record<string, unknown>> {
    const client = Deno.createHttpClient({
      proxy: { transport: "unix", path: `${this.directory}/controller/control.sock` },
    });
    return fetch(`http://controller/api/v1/fleet/rollouts${path}`, {
      client,
      ...(body && { method: "POST", body: JSON.stringify(body) }),
      headers: { "content-type": "application/json" },
    }).then((response) => response.json()).finally(() => client.close());
  }

  /** All nodes are updated, and the controller is killed when a fifth of them is. */
  async rollOut() {
    const { agents } = this.setting, startMs = performance.now();
    await this.#api("", {
      id: "bench",
      bundle: { digest: "a".repeat(64), version: "1.1.0", bytes: 1 },
      stages: [{ name: "canary", nodes: this.nodes[0]!.slice(0, 1) }, { name: "all", percent: 100 }],
      ...{ concurrentMax: Math.max(20, Math.ceil(agents / 4)), deadlineS: 3600, observeS: 0, soakS: 0 },
    });
    await this.#api("/bench/start", {});
    const installs = async () => (await this.counts()).flatMap(({ installs }) => installs);
    await until(
      "a fifth is installed",
      async () => (await installs()).filter((n) => n > 0).length * 5 >= agents,
    );
    await this.controller.kill();
    await this.up();
    const reconnectS = await this.allConnected();
    await until("the roll-out is done", async () => {
      const { rollout } = await this.#api("/bench") as { rollout?: { phase: string; reason: string } };
      if (rollout?.phase === "halted") throw new Error(`The roll-out halted: ${rollout.reason}`);
      return rollout?.phase === "done";
    });
    const counts = await this.counts(), { connections } = await this.stats();
    const twice =
      counts.flatMap(({ installs, restarts }) => [...installs, ...restarts]).filter((n) => n > 1).length;
    return {
      ...{ reconnectS, lost: agents - connections, startedTwice: twice },
      updated: counts.flatMap(({ restarts }) => restarts).filter((n) => n === 1).length,
      rolloutS: (performance.now() - startMs) / 1000,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.crowds.map((crowd) => crowd.end()));
    await this.controller?.end();
    for (const directory of new Set([this.directory, this.agents])) {
      await Deno.remove(directory, { recursive: true });
    }
  }
}

export async function fleetRun(setting: Setting): Promise<FleetRow> {
  await using bench = await Bench.open(setting);
  const connect = await bench.connect(), fanIn = await bench.fanIn(), fanOut = await bench.fanOut();
  const rollOut = await bench.rollOut();
  return { agents: setting.agents, ...connect, ...fanIn, ...fanOut, ...rollOut, load: Deno.loadavg()[0]! };
}

export function redisText(row: RedisRow): string {
  const whole = (value: number) => value.toFixed(0);
  return `Redis, ${row.nodes} nodes  ${whole(row.reportsPerSecond)} reports/s, ${
    whole(row.commandsPerSecond)
  } ` +
    `commands/s, ${whole(row.bytesPerNode)} bytes a node, ${whole(row.rowsPerSecond)} rows/s kept, ` +
    `${whole(row.loadRowsPerSecond)}/s read, load ${row.load.toFixed(1)}`;
}

export function fleetText(row: FleetRow, delta: DeltaRow): string {
  const s = (value: number) => `${value.toFixed(1)} s`,
    mib = (bytes: number) => `${(bytes / 1048576).toFixed(2)} MiB`;
  return [
    `${row.agents} agents, load ${row.load.toFixed(1)}`,
    `connect storm       ${s(row.connectS)}, ${
      row.connectionKiB.toFixed(0)
    } KiB a connection at the controller, ${row.connectionMs.toFixed(1)} ms of a core there, ` +
    `${row.agentMs.toFixed(1)} ms at the agent`,
    `status in           ${row.reportsPerSecond.toFixed(0)} reports/s`,
    `commands out        p50 ${row.commandP50Ms.toFixed(0)} ms, p99 ${row.commandP99Ms.toFixed(0)} ms of ` +
    `${row.agents} at once, ${row.commandsPerSecond.toFixed(0)}/s`,
    `controller killed   all back after ${
      s(row.reconnectS)
    }, ${row.lost} lost, ${row.startedTwice} started twice`,
    `roll-out            ${row.updated} updated in ${s(row.rolloutS)}, the kill included`,
    `delta, ${delta.what}: ${mib(delta.fetched)} of ${mib(delta.bytes)}; by blocks of 64 KiB ${
      mib(delta.byBlocks)
    }`,
  ].join("\n");
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: {
      agents: { type: "string", default: "10000" },
      processes: { type: "string", default: "4" },
      redis: { type: "string", default: "2000" },
      old: { type: "string" },
      new: { type: "string" },
      json: { type: "boolean" },
      check: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  const [agents, processes, nodes] = [values.agents, values.processes, values.redis].map(Number) as [
    number,
    number,
    number,
  ];
  if (
    values.help || !(agents >= 1) || !(processes >= 1) || !(nodes >= 0) ||
    (values.old === undefined) !== (values.new === undefined)
  ) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const delta = await measureDelta(values.old, values.new), row = await fleetRun({ agents, processes });
  const redis = nodes === 0 ? null : await measureRedis(nodes);
  const text = () => [fleetText(row, delta), ...(redis === null ? [] : [redisText(redis)])].join("\n");
  console.log(values.json ? JSON.stringify({ fleet: row, delta, redis }, null, 2) : text());
  const isGood = row.lost === 0 && row.startedTwice === 0 && row.updated === agents &&
    delta.fetched < delta.bytes / 2;
  return values.check && !isGood ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));

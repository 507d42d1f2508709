/**
 * Duty: what one Redis takes of a fleet's registry: reports, commands from their order to their result, rows of roll-outs, and
 * the memory of a node. For the plan of a million nodes in docs/fleet.md.
 */
import type { Report } from "../../appliance/fleet/messages.ts";
import { openRedisRegistry } from "../../appliance/fleet/registry_redis.ts";
import type { Course, Turn } from "../../appliance/fleet/rollout/contract.ts";
import { parseRedis } from "../../appliance/repository/redis_address.ts";
import { openRedis, type RedisClient } from "../../appliance/repository/redis_client.ts";
import { hasServer, RedisServer } from "../lab/redis_server.ts";

export interface RedisRow {
  readonly nodes: number;
  readonly reportsPerSecond: number;
  /** Ordered, sent and ended. */
  readonly commandsPerSecond: number;
  /** With its last report and one command. */
  readonly bytesPerNode: number;
  /** Of a roll-out, in commits of a thousand. */
  readonly rowsPerSecond: number;
  /** All rows, as a controller that takes the lead reads them. */
  readonly loadRowsPerSecond: number;
  readonly load: number;
}

const AT_ONCE = 200;

/** Of a node with two slots and a short history. */
function reportOf(name: string): Report {
  const slot = { state: "good", version: "1.0.0", digest: "0".repeat(64), triesLeft: 0 } as const;
  return {
    node: { name, version: "1.0.0", labels: { site: "north", pair: name }, start: name, machine: "bench" },
    health: {
      ...{
        light: "green",
        reason: "all boxes answer",
        path: "primary",
        pathSinceMs: 1,
        unready: null,
        ill: null,
      },
      planeRestarts: 0,
      boxes: ["primary", "redundant"].map((box) => ({
        ...{ box, name: box, light: "green" as const, reason: "answers", serving: true, member: true },
      })),
    },
    match: { share: 0.99, reason: "" },
    update: {
      ...{ without: null, installing: null, badVersions: [] },
      slots: [{ ...slot, name: "A", booted: true }, { ...slot, name: "B", booted: false }],
      reports: [{
        atMs: 1,
        version: "1.0.0",
        digest: "0".repeat(64),
        outcome: "good",
        reason: "it proved itself",
      }],
    },
    doctor: { findings: [{ topic: "clock", grade: "good", text: "it is kept by three servers" }], atMs: 1 },
  };
}

/** So many at a time. Returns how many a second. */
async function rate(count: number, work: (n: number) => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  let next = 0;
  const one = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return count / ((performance.now() - startMs) / 1000);
}

async function memory(client: RedisClient): Promise<number> {
  const text = new TextDecoder().decode(await client.call("INFO", "memory") as Uint8Array);
  return Number(/used_memory:(\d+)/.exec(text)![1]);
}

function rows(count: number, from: number): Turn {
  const course = (n: number): Course => ({
    ...{
      rollout: "r",
      node: `${n}`.padStart(16, "0"),
      attempt: 1,
      step: "installing",
      stage: 1,
      partner: null,
    },
    ...{
      force: false,
      healthBefore: "green",
      reportMs: 1,
      sinceMs: 1,
      reason: "fetches and installs the bundle",
    },
  });
  return {
    rows: Array.from({ length: count }, (_, i) => course(from + i)).map((value) => ({
      ...{ kind: "course", key: `r/${value.node}`, value },
    })),
    ...{ drops: [], offers: [], events: [] },
  };
}

/** Null: there is no Redis on this machine. */
export async function measureRedis(nodes: number): Promise<RedisRow | null> {
  if (!hasServer()) return null;
  await using server = await RedisServer.start();
  const none = { user: null, password: null, ca: null, certificate: null, key: null, commandMs: 60_000 };
  const client = openRedis({ address: parseRedis(server.url)!, ...none }, () => {});
  while (!client.ready) await new Promise((done) => setTimeout(done, 20));
  const registry = await openRedisRegistry(client, "bench"), ids: string[] = [], connections: number[] = [];
  const { rollouts } = registry.shared!, empty = await memory(client), nowMs = Date.now();
  const text = { note: "", labels: {}, nowMs, expiresMs: nowMs + 3600_000 };
  for (let n = 0; n < nodes; n++) {
    const { token } = await registry.tokens.add(text);
    const node = await registry.enrol({ key: `k${n}`, name: `node-${n}`, token, nowMs });
    if (typeof node === "string") throw new Error(node);
    ids.push(node.id);
    connections.push(await registry.connected(node.id, "bench", nowMs));
  }
  const reportsPerSecond = await rate(2 * nodes, (n) => {
    const at = n % nodes, sequence = 1 + Math.floor(n / nodes);
    return registry.keepReport(ids[at]!, connections[at]!, {
      sequence,
      report: reportOf(`node-${at}`),
      nowMs,
    });
  });
  const commandsPerSecond = await rate(nodes, async (n) => {
    const id = ids[n]!, given = { kind: "support", arguments: {}, by: "bench", nowMs } as const;
    const number = await registry.commands.add(id, { ...given, expiresMs: nowMs + 1000 });
    await registry.commands.sent(id, [number]);
    await registry.commands.end(id, number, {
      outcome: "done",
      text: "",
      data: {},
      bytes: null,
      atMs: nowMs,
    });
  });
  const bytesPerNode = (await memory(client) - empty) / nodes;
  await rollouts.seat!.lead();
  await rollouts.commit({
    rows: [{ kind: "rollout", key: "r", value: { order: { id: "r" } } as never }],
    ...{ drops: [], offers: [], events: [] },
  });
  const writeMs = performance.now();
  for (let from = 0; from < 20_000; from += 1000) await rollouts.commit(rows(1000, from));
  const readMs = performance.now(), read = (await rollouts.load()).length;
  const row: RedisRow = {
    ...{ nodes, reportsPerSecond, commandsPerSecond, bytesPerNode },
    rowsPerSecond: 20_000 / ((readMs - writeMs) / 1000),
    loadRowsPerSecond: read / ((performance.now() - readMs) / 1000),
    load: Deno.loadavg()[0]!,
  };
  await rollouts.close();
  await registry.close();
  return row;
}

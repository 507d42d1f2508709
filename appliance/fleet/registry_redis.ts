/**
 * Duty: the registry in Redis or Valkey, for several controllers that share the load. An edge, for timers and chance.
 *
 * Any of them serves any node. Whose it is says its hash, with a number that each connection counts up: who has an older
 * one has lost it, and nothing of it is kept. A controller that stops refreshing its lease has no nodes any more.
 */
import type {
  Change,
  CommandQueue,
  CommandRecord,
  EventLog,
  FleetLogEntry,
  NodeQuery,
  NodeRecord,
  Registry,
  TokenStore,
} from "./contract.ts";
import type { RedisClient } from "../repository/redis_client.ts";
import { makeId, makeToken, tokenDigest, tokenId } from "./keys.ts";
import { argumentsFault } from "./kinds.ts";
import * as scripts from "./redis_scripts.ts";
import { type Fields, RedisStore as Store, type Word } from "./redis_store.ts";
import { type Entry, RedisTail } from "./redis_tail.ts";
import { NO_TOKEN, TOKENS_MAX } from "./registry.ts";
import { ENDED_KEPT, OPEN_MAX } from "./registry_commands.ts";
import { EVENTS_KEPT } from "./registry_events.ts";
import { SharedRollouts } from "./rollout/shared.ts";

const LEASE_MS = 15_000;
const EVENTS_KEPT_BY_NODE = 1000;
const WAKES_KEPT = 10_000;
const PAGE = 500;

/**
 * `controller`: the name of this one, which no other has. `leaseMs`: after so long without a word it is taken for dead, and
 * another one leads roll-outs.
 * @throws Error: Redis does not answer
 */
export async function openRedisRegistry(
  client: RedisClient,
  controller: string,
  leaseMs: number = LEASE_MS,
): Promise<Registry> {
  const store = new Store(client, "{remediate-fleet}");
  await store.call("SETNX", store.key("fleet"), makeId(16));
  const fleet = String(await store.call("GET", store.key("fleet")));
  const lease = () => store.call("SET", store.key("alive", controller), 1, "PX", leaseMs);
  await store.call("SADD", store.key("controllers"), controller);
  await store.call("DEL", store.key("at", controller)); // of a life before this one
  await lease();
  // One that fails is made up for by the next; a node that is lost meanwhile comes back by itself.
  const wakes = await RedisTail.open(store, "wake"), changed = await RedisTail.open(store, "changes");
  const timer = setInterval(() => void lease().catch(() => {}), leaseMs / 3);
  return {
    fleet,
    ...nodes(store),
    ...changes(store, controller),
    tokens: tokens(store),
    events: eventLog(store),
    commands: commands(store),
    wake: async (node) => {
      await store.call("XADD", store.key("wake"), "MAXLEN", "~", WAKES_KEPT, "*", "n", node);
    },
    // One that was missed is made up for by the next, or by the node when it connects anew.
    awake: (hear) => wakes.add((entry) => entry === null || hear(entry[1]!)),
    shared: {
      changes: (hear) => changed.add((entry) => hear(entry && changeOf(entry))),
      controllers: () => living(store),
      rollouts: new SharedRollouts(store, controller, leaseMs),
    },
    close: async () => {
      clearInterval(timer);
      await wakes.close();
      await changed.close();
      await store.call("DEL", store.key("alive", controller)).catch(() => {}); // the lease ends by itself
      await client.close();
    },
  };
}

function changeOf([, node = "", , command]: Entry): Change {
  return { node, command: command === undefined ? null : Number(command) };
}

/** Names of controllers whose lease holds. */
async function living(store: Store): Promise<ReadonlySet<string>> {
  const names = await store.texts("SMEMBERS", store.key("controllers"));
  const there = await Promise.all(names.map((name) => store.call("EXISTS", store.key("alive", name))));
  return new Set(names.filter((_, i) => there[i] === 1));
}

function nodes(store: Store): Pick<Registry, "node" | "byKey" | "nodesOf" | "nodes" | "size"> {
  const alive = () => living(store);
  const node = async (id: string, there?: ReadonlySet<string>) =>
    nodeOf(await store.hash("node", id), there ?? await alive());
  return {
    node,
    nodesOf: async (ids) => {
      const there = await alive();
      return (await Promise.all(ids.map((id) => node(id, there)))).flatMap((one) => one ?? []);
    },
    byKey: async (key) => {
      const id = await store.call("HGET", store.key("keys"), key);
      return id === null ? null : await node(String(id));
    },
    nodes: async ({ after = "", limit = 100, search, connected }: NodeQuery) => {
      const living = await alive(), found: NodeRecord[] = [], word = search?.toLowerCase() ?? "";
      let from = after === "" ? "-" : `(${after}`;
      for (;;) {
        const ids = await store.texts("ZRANGEBYLEX", store.key("nodes"), from, "+", "LIMIT", 0, PAGE);
        for (const one of await Promise.all(ids.map((id) => node(id, living)))) {
          const fits = one !== null && (one.name.toLowerCase().includes(word) || one.id.includes(word));
          if (!fits || (connected !== undefined && connected !== (one.controller !== null))) continue;
          found.push(one);
          if (found.length >= limit) return found;
        }
        if (ids.length < PAGE) return found;
        from = `(${ids.at(-1)}`;
      }
    },
    size: async () => {
      const living = [...await alive()];
      const counts = await Promise.all(living.map((name) => store.call("SCARD", store.key("at", name))));
      return {
        nodes: Number(await store.call("ZCARD", store.key("nodes"))),
        connected: counts.reduce<number>((sum, count) => sum + Number(count), 0),
      };
    },
  };
}

function nodeOf(fields: Fields | null, living: ReadonlySet<string>): NodeRecord | null {
  if (fields === null || !fields.has("id")) return null;
  const number = (name: string) => fields.has(name) ? Number(fields.get(name)) : null;
  const controller = fields.get("controller") ?? null, report = fields.get("report");
  return {
    id: fields.get("id")!,
    name: fields.get("name") ?? "",
    key: fields.get("key") ?? "",
    labels: JSON.parse(fields.get("labels") ?? "{}"),
    enrolledMs: number("enrolled") ?? 0,
    revokedMs: number("revoked"),
    seenMs: number("seen"),
    controller: controller !== null && living.has(controller) ? controller : null,
    connection: number("connection") ?? 0,
    reportSequence: number("sequence") ?? 0,
    reportMs: number("reported"),
    report: report === undefined ? null : JSON.parse(report),
  };
}

type Changes = Pick<
  Registry,
  "enrol" | "revoke" | "setKey" | "setLabels" | "connected" | "disconnected" | "keepReport"
>;

function changes(store: Store, controller: string): Changes {
  const { node } = nodes(store);
  return {
    enrol: async ({ key, name, token, nowMs }) => {
      const id = makeId(16);
      const answer = await store.run(scripts.ENROL, id, key, name, tokenId(token), tokenDigest(token), nowMs);
      return answer === "ok" ? (await node(id))! : NO_TOKEN;
    },
    revoke: async (id, nowMs) => await store.run(scripts.SET_FIELD, id, "revoked", nowMs) === 1,
    setKey: async (id, key) => void await store.run(scripts.SET_KEY, id, key),
    setLabels: async (id, labels) =>
      await store.run(scripts.SET_FIELD, id, "labels", JSON.stringify(labels)) === 1,
    connected: async (id, name, nowMs) => Number(await store.run(scripts.CONNECTED, id, name, nowMs)),
    disconnected: async (id, connection, nowMs) =>
      void await store.run(scripts.DISCONNECTED, id, connection, nowMs, controller),
    keepReport: async (id, connection, { sequence, report, nowMs }) => {
      const words = [id, connection, sequence, JSON.stringify(report), nowMs, report.node.name];
      return await store.run(scripts.REPORT, ...words) === 1;
    },
  };
}

function tokens(store: Store): TokenStore {
  const all = () => store.texts("SMEMBERS", store.key("tokens"));
  // By their end, because those that were used are many in time.
  const waiting = store.key("tokens_waiting");
  const list: TokenStore["list"] = async () => {
    const kept = await Promise.all(
      (await all()).map(async (id) => [id, await store.hash("token", id)] as const),
    );
    return kept.flatMap(([id, fields]) => fields === null ? [] : [tokenOf(id, fields)])
      .sort((a, b) => a.createdMs - b.createdMs);
  };
  const remove = async (id: string) => {
    await store.call("SREM", store.key("tokens"), id);
    await store.call("ZREM", waiting, id);
    return await store.call("DEL", store.key("token", id)) === 1;
  };
  return {
    list,
    add: async ({ note, labels, nowMs, expiresMs }) => {
      for (const id of await store.texts("ZRANGEBYSCORE", waiting, "-inf", `(${nowMs}`)) await remove(id);
      if (Number(await store.call("ZCARD", waiting)) >= TOKENS_MAX) {
        throw new Error(`Cannot make a token: ${TOKENS_MAX} wait to be used already`);
      }
      const { id, token } = makeToken(), fields = ["digest", tokenDigest(token), "note", note];
      const more = ["labels", JSON.stringify(labels), "created", nowMs, "expires", expiresMs, "used_by", ""];
      await store.call("HSET", store.key("token", id), ...fields, ...more);
      await store.call("SADD", store.key("tokens"), id);
      await store.call("ZADD", waiting, expiresMs, id);
      return { id, token };
    },
    revoke: async (id) => (await store.hash("token", id))?.get("used_by") === "" && await remove(id),
  };
}

function tokenOf(id: string, fields: Fields) {
  return {
    id,
    note: fields.get("note") ?? "",
    labels: JSON.parse(fields.get("labels") ?? "{}"),
    createdMs: Number(fields.get("created")),
    expiresMs: Number(fields.get("expires")),
    usedBy: fields.get("used_by") || null,
  };
}

function eventLog(store: Store): EventLog {
  const bounds = [EVENTS_KEPT, EVENTS_KEPT_BY_NODE];
  return {
    append: async (entry) =>
      void await store.run(scripts.APPEND, entry.node ?? "", ...bounds, JSON.stringify(entry)),
    appendOf: async (node, events) => {
      const words = events.flatMap(({ sequence, wallMs, kind, cause, subject, text }): Word[] => {
        const entry = { atMs: wallMs, node, source: "node", kind, subject: subject || cause, text };
        return [sequence, JSON.stringify(entry)];
      });
      return Number(await store.run(scripts.APPEND_OF, node, ...bounds, ...words));
    },
    last: async (node) => Number(await store.call("HGET", store.key("node", node), "last_event") ?? 0),
    read: async ({ after, limit, node }) => {
      const key = node === undefined ? store.key("events") : store.key("events", node);
      const rows = after === undefined
        ? await store.call("XREVRANGE", key, "+", "-", "COUNT", limit)
        : await store.call("XRANGE", key, `(${after}-0`, "+", "COUNT", limit);
      const entries = (rows as readonly [string, [string, string]][]).map((
        [id, [, text]],
      ): FleetLogEntry => ({
        sequence: Number(id.split("-")[0]),
        ...JSON.parse(text),
      }));
      return after === undefined ? entries.reverse() : entries;
    },
  };
}

function commands(store: Store): CommandQueue {
  const get = async (node: string, number: number | string): Promise<CommandRecord | null> => {
    const fields = await store.hash("command", node, number), result = fields?.get("result");
    return fields === null ? null : {
      ...JSON.parse(fields.get("c") ?? "{}"),
      node,
      number: Number(number),
      state: fields.get("state") ?? "queued",
      result: result === undefined ? null : JSON.parse(result),
    };
  };
  const all = async (node: string, numbers: readonly string[]) => {
    const found = await Promise.all(numbers.map((number) => get(node, number)));
    return found.flatMap((one) => one ?? []);
  };
  return {
    get,
    add: async (node, { kind, arguments: given, by, nowMs, expiresMs, once = "" }) => {
      const fault = argumentsFault(kind, given);
      if (fault !== null) throw new Error(`Cannot give "${kind}": ${fault}`);
      const kept = JSON.stringify({ kind, arguments: given, by, givenMs: nowMs, expiresMs });
      const number = await store.run(scripts.ADD, node, once, OPEN_MAX, kept);
      if (typeof number === "string") throw new Error(`Cannot give a command: ${number}`);
      return Number(number);
    },
    open: async (node) => await all(node, await store.texts("ZRANGE", store.key("open", node), 0, -1)),
    list: async (node, limit) =>
      await all(node, await store.texts("ZREVRANGE", store.key("commands", node), 0, limit - 1)),
    sent: async (node, numbers) => void await store.run(scripts.SENT, node, ...numbers),
    end: async (node, number, result) =>
      await store.run(scripts.END, node, number, JSON.stringify(result), ENDED_KEPT) === 1,
  };
}

/**
 * Duty: the registry of a controller of its own, over the tables of store.ts.
 *
 * Pure but for chance, which makes ids and tokens. Whoever is connected when the controller starts is not: a
 * start lets go of all.
 */
import type {
  CommandQueue,
  EnrolToken,
  EventLog,
  NodeQuery,
  NodeRecord,
  Registry,
  TokenStore,
} from "./contract.ts";
import { makeId, makeToken, tokenDigest, tokenId } from "./keys.ts";
import { commandQueue } from "./registry_commands.ts";
import type { Report } from "./messages.ts";
import { eventLog } from "./registry_events.ts";
import type { FleetStore, Row } from "./store.ts";

export const TOKENS_MAX = 1000;

/** What an enrolment is told whatever was wrong with its token: who guesses learns nothing. */
export const NO_TOKEN = "the token is none, was used, or is over";

export function openRegistry(store: FleetStore): Registry {
  const hearers = new Set<(node: string) => void>();
  const fleet = fleetOf(store);
  store.run("UPDATE node SET controller = NULL");
  return {
    fleet,
    node: (id) => Promise.resolve(nodeOf(store.get("SELECT * FROM node WHERE id = ?", id))),
    byKey: (key) => Promise.resolve(nodeOf(store.get("SELECT * FROM node WHERE key = ?", key))),
    nodesOf: (ids) => {
      const sql = "SELECT * FROM node WHERE id IN (SELECT value FROM json_each(?))";
      return Promise.resolve(store.all(sql, JSON.stringify(ids)).flatMap((row) => nodeOf(row) ?? []));
    },
    nodes: (query) => Promise.resolve(search(store, query)),
    size: () => {
      const row = store.get("SELECT count(*) AS nodes, count(controller) AS connected FROM node");
      return Promise.resolve({ nodes: Number(row?.nodes), connected: Number(row?.connected) });
    },
    ...changes(store),
    tokens: tokens(store),
    events: eventLog(store) satisfies EventLog,
    commands: commandQueue(store) satisfies CommandQueue,
    wake: (node) => {
      for (const hear of [...hearers]) hear(node);
      return Promise.resolve();
    },
    awake: (hear) => {
      hearers.add(hear);
      return () => void hearers.delete(hear);
    },
    close: () => Promise.resolve(store.close()),
  };
}

function fleetOf(store: FleetStore): string {
  store.run("INSERT OR IGNORE INTO meta VALUES ('fleet', ?)", makeId(16));
  return String(store.get("SELECT value FROM meta WHERE name = 'fleet'")?.value);
}

function search(store: FleetStore, { after = "", limit = 100, search, connected }: NodeQuery): NodeRecord[] {
  const conditions = [
    ...(search === undefined ? [] : ["(instr(lower(name), ?) > 0 OR instr(id, ?) > 0)"]),
    ...(connected === undefined ? [] : [`controller IS ${connected ? "NOT" : ""} NULL`]),
  ];
  const word = search?.toLowerCase() ?? "";
  const sql = `SELECT * FROM node WHERE ${["id > ?", ...conditions].join(" AND ")} ORDER BY id LIMIT ?`;
  const rows = store.all(sql, after, ...(search === undefined ? [] : [word, word]), limit);
  return rows.flatMap((row) => nodeOf(row) ?? []);
}

type Changes = Pick<
  Registry,
  "enrol" | "revoke" | "setKey" | "setLabels" | "connected" | "disconnected" | "keepReport"
>;

function changes(store: FleetStore): Changes {
  return {
    enrol: (fresh) =>
      store.write(() => {
        const id = makeId(16), { key, name, token, nowMs } = fresh;
        const row = store.get("SELECT * FROM token WHERE id = ?", tokenId(token));
        const good = row !== null && row.digest === tokenDigest(token) && row.used_by === null &&
          Number(row.expires) > nowMs;
        if (!good) return NO_TOKEN;
        store.run("UPDATE token SET used_by = ? WHERE id = ?", id, String(row.id));
        const sql = "INSERT INTO node (id, name, key, labels, enrolled) VALUES (?, ?, ?, ?, ?)";
        store.run(sql, id, name, key, String(row.labels), nowMs);
        return nodeOf(store.get("SELECT * FROM node WHERE id = ?", id))!;
      }),
    revoke: (id, nowMs) =>
      store.write(() =>
        store.run("UPDATE node SET revoked = coalesce(revoked, ?) WHERE id = ?", nowMs, id) > 0
      ),
    setKey: (id, key) => store.write(() => void store.run("UPDATE node SET key = ? WHERE id = ?", key, id)),
    setLabels: (id, labels) =>
      store.write(() => store.run("UPDATE node SET labels = ? WHERE id = ?", JSON.stringify(labels), id) > 0),
    connected: (id, controller, nowMs) =>
      store.write(() => {
        const sql = "UPDATE node SET controller = ?, seen = ?, connection = connection + 1 WHERE id = ?";
        store.run(sql, controller, nowMs, id);
        return Number(store.get("SELECT connection FROM node WHERE id = ?", id)?.connection ?? 0);
      }),
    disconnected: (id, connection, nowMs) =>
      store.write(() => {
        const sql = "UPDATE node SET controller = NULL, seen = ? WHERE id = ? AND connection = ?";
        store.run(sql, nowMs, id, connection);
      }),
    keepReport: (id, connection, { sequence, report, nowMs }) =>
      store.write(() => {
        const sql =
          "UPDATE node SET sequence = ?, report = ?, reported = ?, name = ? WHERE id = ? AND connection = ?";
        return store.run(sql, sequence, JSON.stringify(report), nowMs, report.node.name, id, connection) > 0;
      }),
  };
}

function tokens(store: FleetStore): TokenStore {
  return {
    add: ({ note, labels, nowMs, expiresMs }) =>
      store.write(() => {
        store.run("DELETE FROM token WHERE expires < ? AND used_by IS NULL", nowMs);
        const count = Number(store.get("SELECT count(*) AS n FROM token WHERE used_by IS NULL")?.n);
        if (count >= TOKENS_MAX) {
          throw new Error(`Cannot make a token: ${TOKENS_MAX} wait to be used already`);
        }
        const { id, token } = makeToken();
        const sql = "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, NULL)";
        store.run(sql, id, tokenDigest(token), note, JSON.stringify(labels), nowMs, expiresMs);
        return { id, token };
      }),
    list: () => Promise.resolve(store.all("SELECT * FROM token ORDER BY created").map(tokenOf)),
    revoke: (id) =>
      store.write(() => store.run("DELETE FROM token WHERE id = ? AND used_by IS NULL", id) > 0),
  };
}

function tokenOf(row: Row): EnrolToken {
  return {
    id: String(row.id),
    note: String(row.note),
    labels: JSON.parse(String(row.labels)),
    createdMs: Number(row.created),
    expiresMs: Number(row.expires),
    usedBy: row.used_by === null ? null : String(row.used_by),
  };
}

const numberOrNull = (value: unknown) => value === null ? null : Number(value);

function nodeOf(row: Row | null): NodeRecord | null {
  return row && {
    id: String(row.id),
    name: String(row.name),
    key: String(row.key),
    labels: JSON.parse(String(row.labels)),
    enrolledMs: Number(row.enrolled),
    revokedMs: numberOrNull(row.revoked),
    seenMs: numberOrNull(row.seen),
    controller: row.controller === null ? null : String(row.controller),
    connection: Number(row.connection),
    reportSequence: Number(row.sequence),
    reportMs: numberOrNull(row.reported),
    report: row.report === null ? null : JSON.parse(String(row.report)) as Report,
  };
}

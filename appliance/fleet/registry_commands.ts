/** Duty: the queue of commands of a controller of its own: numbers ascend by node, and the first result holds. Bounded. */
import type { CommandQueue, CommandRecord, CommandState } from "./contract.ts";
import { argumentsFault, type CommandKind } from "./kinds.ts";
import type { FleetStore, Row } from "./store.ts";

/** By node: those without a result, and those with one that are kept. */
export const OPEN_MAX = 100;
export const ENDED_KEPT = 100;

export function commandQueue(store: FleetStore): CommandQueue {
  const get = (node: string, number: number) =>
    recordOf(store.get("SELECT * FROM command WHERE node = ? AND number = ?", node, number));
  return {
    add: (node, fresh) =>
      store.write(() => {
        const { kind, arguments: given, by, nowMs, expiresMs, once = null } = fresh;
        const fault = argumentsFault(kind, given);
        if (fault !== null) throw new Error(`Cannot give "${kind}": ${fault}`);
        const before = once === null
          ? null
          : store.get("SELECT number FROM command WHERE node = ? AND once = ?", node, once);
        if (before !== null) return Number(before.number);
        const number = nextNumber(store, node);
        const sql = "INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', NULL)";
        store.run(sql, node, number, kind, JSON.stringify(given), by, nowMs, expiresMs, once);
        return number;
      }),
    get: (node, number) => Promise.resolve(get(node, number)),
    open: (node) => {
      const sql = "SELECT * FROM command WHERE node = ? AND result IS NULL ORDER BY number";
      return Promise.resolve(store.all(sql, node).flatMap((row) => recordOf(row) ?? []));
    },
    list: (node, limit) => {
      const sql = "SELECT * FROM command WHERE node = ? ORDER BY number DESC LIMIT ?";
      return Promise.resolve(store.all(sql, node, limit).flatMap((row) => recordOf(row) ?? []));
    },
    sent: (node, numbers) =>
      store.write(() => {
        const sql = "UPDATE command SET state = 'sent' WHERE node = ? AND number = ? AND state = 'queued'";
        for (const number of numbers) store.run(sql, node, number);
      }),
    end: (node, number, result) =>
      store.write(() => {
        const sql =
          "UPDATE command SET state = 'ended', result = ? WHERE node = ? AND number = ? AND result IS NULL";
        const first = store.run(sql, JSON.stringify(result), node, number) > 0;
        if (first) forget(store, node);
        return first;
      }),
  };
}

/** @throws Error with one sentence */
function nextNumber(store: FleetStore, node: string): number {
  const known = store.get("SELECT revoked, last_command FROM node WHERE id = ?", node);
  if (known === null) throw new Error(`Cannot give a command: there is no node ${node}`);
  if (known.revoked !== null) throw new Error(`Cannot give a command: ${node} was revoked`);
  const open = Number(
    store.get("SELECT count(*) AS n FROM command WHERE node = ? AND result IS NULL", node)?.n,
  );
  if (open >= OPEN_MAX) throw new Error(`Cannot give a command: ${open} wait for ${node} already`);
  const number = Number(known.last_command) + 1;
  store.run("UPDATE node SET last_command = ? WHERE id = ?", number, node);
  return number;
}

function forget(store: FleetStore, node: string): void {
  const sql = `DELETE FROM command WHERE node = ? AND result IS NOT NULL AND number <=
    (SELECT number FROM command WHERE node = ? AND result IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?)`;
  store.run(sql, node, node, ENDED_KEPT);
}

function recordOf(row: Row | null): CommandRecord | null {
  return row && {
    node: String(row.node),
    number: Number(row.number),
    kind: String(row.kind) as CommandKind,
    arguments: JSON.parse(String(row.arguments)),
    by: String(row.given_by),
    givenMs: Number(row.given),
    expiresMs: Number(row.expires),
    state: String(row.state) as CommandState,
    result: row.result === null ? null : JSON.parse(String(row.result)),
  };
}

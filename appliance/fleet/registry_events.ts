/** Duty: the log of events of a controller of its own: what nodes tell, and what the controller does. Bounded. */
import type { EventLog, FleetLogEntry } from "./contract.ts";
import type { FleetStore, Row } from "./store.ts";

export const EVENTS_KEPT = 100_000;
/** So seldom is looked for those beyond the bound. */
const TRIM_EVERY = 1000;

const INSERT = "INSERT INTO event (at, node, source, kind, subject, text) VALUES (?, ?, ?, ?, ?, ?)";

export function eventLog(store: FleetStore, kept = EVENTS_KEPT): EventLog {
  let added = 0;
  const trim = () => {
    if (++added % TRIM_EVERY === 0) {
      store.run("DELETE FROM event WHERE sequence <= (SELECT max(sequence) FROM event) - ?", kept);
    }
  };
  const last = (node: string) =>
    Number(store.get("SELECT last_event AS n FROM node WHERE id = ?", node)?.n ?? 0);
  return {
    append: ({ atMs, node, source, kind, subject, text }) =>
      store.write(() => {
        store.run(INSERT, atMs, node, source, kind, subject, text);
        trim();
      }),
    appendOf: (node, events) =>
      store.write(() => {
        let known = last(node);
        for (const { sequence, wallMs, kind, cause, subject, text } of events) {
          if (sequence <= known) continue;
          store.run(INSERT, wallMs, node, "node", kind, subject === "" ? cause : subject, text);
          known = sequence;
          trim();
        }
        store.run("UPDATE node SET last_event = ? WHERE id = ?", known, node);
        return known;
      }),
    last: (node) => Promise.resolve(last(node)),
    read: ({ after, limit, node }) => {
      const where = node === undefined ? "" : "AND node = ?";
      const values = node === undefined ? [] : [node];
      const order = after === undefined ? "DESC" : "ASC";
      const sql = `SELECT * FROM event WHERE sequence > ? ${where} ORDER BY sequence ${order} LIMIT ?`;
      const rows = store.all(sql, after ?? 0, ...values, limit).map(entryOf);
      return Promise.resolve(after === undefined ? rows.reverse() : rows);
    },
  };
}

function entryOf(row: Row): FleetLogEntry {
  return {
    sequence: Number(row.sequence),
    atMs: Number(row.at),
    node: row.node === null ? null : String(row.node),
    source: String(row.source),
    kind: String(row.kind),
    subject: String(row.subject),
    text: String(row.text),
  };
}

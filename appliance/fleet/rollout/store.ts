/**
 * Duty: what outlives a controller of its own of its roll-outs, in SQLite. An edge.
 *
 * Rows of a turn are committed together and are on disk when `commit` returns: an offer that a node may act on is never
 * younger than what is known of it here.
 */
import { DatabaseSync } from "node:sqlite";
import type { Row } from "./contract.ts";
import type { RolloutStore } from "./keeping.ts";

const SCHEMA = `
  PRAGMA journal_mode = wal;
  PRAGMA synchronous = full;
  CREATE TABLE IF NOT EXISTS row (
    kind TEXT, key TEXT, rollout TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, key)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS row_rollout ON row (rollout) WHERE rollout IS NOT NULL;
`;

/** Of a bar there is no roll-out: it is remembered beyond all of them. */
function rolloutOf(row: Row): string | null {
  return row.kind === "rollout" ? row.key : row.kind === "course" ? row.value.rollout : null;
}

/** @throws Error with one sentence */
export function openRolloutStore(path: string): RolloutStore {
  let database: DatabaseSync;
  try {
    if (path !== ":memory:") Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
    database = new DatabaseSync(path);
    database.exec(SCHEMA);
  } catch (cause) {
    throw new Error(`Cannot open the roll-outs ${path}: ${(cause as Error).message}`, { cause });
  }
  const put = database.prepare(
    "INSERT INTO row VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
  );
  const drop = database.prepare("DELETE FROM row WHERE rollout = ?");
  const all = database.prepare("SELECT kind, key, value FROM row");
  return {
    seat: null,
    load: () => {
      const rows = all.all().map(({ kind, key, value }) => ({ kind, key, value: JSON.parse(String(value)) }));
      return Promise.resolve(rows as unknown as Row[]);
    },
    // deno-lint-ignore require-await -- what it throws is a rejection
    commit: async ({ rows, drops }) => {
      database.exec("BEGIN IMMEDIATE");
      try {
        for (const id of drops) drop.run(id);
        for (const row of rows) put.run(row.kind, row.key, rolloutOf(row), JSON.stringify(row.value));
        database.exec("COMMIT");
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
    },
    close: () => Promise.resolve(database.close()),
  };
}

/**
 * Duty: the tables of a controller of its own, in SQLite with a write-ahead log. An edge, for the file and a timer.
 *
 * Writes of a few milliseconds are committed together; each is kept when its promise is fulfilled. A controller that is
 * killed at any moment has all that it answered for.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";

const SCHEMA = `
  PRAGMA journal_mode = wal;
  PRAGMA synchronous = normal;
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS node (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE, labels TEXT NOT NULL, enrolled INTEGER NOT NULL,
    revoked INTEGER, seen INTEGER, controller TEXT, connection INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER NOT NULL DEFAULT 0, reported INTEGER, report TEXT, last_event INTEGER NOT NULL DEFAULT 0,
    last_command INTEGER NOT NULL DEFAULT 0
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS node_connected ON node (controller) WHERE controller IS NOT NULL;
  CREATE TABLE IF NOT EXISTS token (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL, note TEXT NOT NULL, labels TEXT NOT NULL, created INTEGER NOT NULL,
    expires INTEGER NOT NULL, used_by TEXT
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS token_waiting ON token (expires) WHERE used_by IS NULL;
  CREATE TABLE IF NOT EXISTS event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, node TEXT, source TEXT NOT NULL,
    kind TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS event_node ON event (node, sequence);
  CREATE TABLE IF NOT EXISTS command (
    node TEXT, number INTEGER, kind TEXT NOT NULL, arguments TEXT NOT NULL, given_by TEXT NOT NULL,
    given INTEGER NOT NULL, expires INTEGER NOT NULL, once TEXT, state TEXT NOT NULL, result TEXT,
    PRIMARY KEY (node, number)
  ) WITHOUT ROWID;
  CREATE UNIQUE INDEX IF NOT EXISTS command_once ON command (node, once) WHERE once IS NOT NULL;
  CREATE INDEX IF NOT EXISTS command_open ON command (node, number) WHERE result IS NULL;
`;

export type Row = Record<string, unknown>;
export type Value = string | number | null;

const COMMIT_MS = 5;
const TOGETHER_MAX = 1000;

interface Waiting {
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export class FleetStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #waiting: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @throws Error with one sentence */
  constructor(path: string) {
    try {
      if (path !== ":memory:") Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
      this.#database = new DatabaseSync(path);
      this.#database.exec(SCHEMA);
    } catch (cause) {
      throw new Error(`Cannot open the registry ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    return this.#prepared(sql).all(...values) as Row[];
  }

  get(sql: string, ...values: readonly Value[]): Row | null {
    return this.#prepared(sql).get(...values) as Row | undefined ?? null;
  }

  /** Only within `write`. Returns how many rows changed. */
  run(sql: string, ...values: readonly Value[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  /** All of `work` or nothing of it; kept when the promise is fulfilled. What it throws is a rejection. */
  async write<T>(work: () => T): Promise<T> {
    if (this.#waiting.length === 0) this.#database.exec("BEGIN IMMEDIATE");
    const kept = new Promise<void>((done, failed) => this.#waiting.push({ done, failed }));
    this.#timer ??= setTimeout(() => this.commit(), COMMIT_MS);
    this.#database.exec("SAVEPOINT one");
    let result: T;
    try {
      result = work();
      this.#database.exec("RELEASE one");
    } catch (error) {
      this.#database.exec("ROLLBACK TO one; RELEASE one");
      void kept.catch(() => {}); // the error itself is told
      throw error;
    } finally {
      if (this.#waiting.length >= TOGETHER_MAX) this.commit();
    }
    await kept;
    return result;
  }

  commit(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    try {
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      for (const { failed } of waiting) failed(error);
      return;
    }
    for (const { done } of waiting) done();
  }

  close(): void {
    this.commit();
    this.#database.close();
  }

  #prepared(sql: string): StatementSync {
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

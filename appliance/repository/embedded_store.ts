/**
 * Duty: the tables of the embedded repository, in SQLite with a write-ahead log.
 *
 * An edge. A transaction that was committed is in the kernel's hands: it outlives the process, killed at any moment. With
 * `synchronous = normal` the last ones may be lost when the machine loses its power, never the rest.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Entry, ReplicaMark } from "./contract.ts";

const SCHEMA = `
  PRAGMA journal_mode = wal;
  PRAGMA synchronous = normal;
  PRAGMA wal_autocheckpoint = 2000;
  CREATE TABLE IF NOT EXISTS source (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS log (
    source TEXT, sequence INTEGER, slot TEXT, expires INTEGER, chunk BLOB, PRIMARY KEY (source, sequence)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS snapshot (
    source TEXT, slot TEXT, sequence INTEGER, expires INTEGER, chunk BLOB, PRIMARY KEY (source, slot)
  );
  CREATE INDEX IF NOT EXISTS snapshot_age ON snapshot (source, sequence);
  CREATE INDEX IF NOT EXISTS snapshot_end ON snapshot (source, expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS replica (
    source TEXT, name TEXT, sequence INTEGER, heard INTEGER, PRIMARY KEY (source, name)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
`;

const STATEMENTS = {
  last: "SELECT last FROM source WHERE name = ?",
  sources: "SELECT name, last FROM source",
  setLast: "INSERT INTO source VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last = excluded.last",
  addLog: "INSERT INTO log VALUES (?, ?, ?, ?, ?)",
  addSnapshot: `INSERT INTO snapshot VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, slot)
    DO UPDATE SET sequence = excluded.sequence, expires = excluded.expires, chunk = excluded.chunk`,
  read: "SELECT * FROM log WHERE source = ? AND sequence > ? ORDER BY sequence LIMIT ?",
  snapshot: "SELECT * FROM snapshot WHERE source = ? ORDER BY sequence",
  logSize: "SELECT count(*) AS n, coalesce(sum(length(chunk)), 0) AS bytes FROM log WHERE source = ?",
  snapshotSize:
    "SELECT count(*) AS n, coalesce(sum(length(chunk)), 0) AS bytes FROM snapshot WHERE source = ?",
  slot: "SELECT length(chunk) AS bytes FROM snapshot WHERE source = ? AND slot = ?",
  dropLog: "DELETE FROM log WHERE source = ? AND sequence <= ? RETURNING length(chunk) AS bytes",
  oldest: "SELECT sequence FROM log WHERE source = ? ORDER BY sequence LIMIT 1 OFFSET ?",
  dropOldest: `DELETE FROM snapshot WHERE source = ? AND sequence IN
    (SELECT sequence FROM snapshot WHERE source = ? ORDER BY sequence LIMIT ?) RETURNING length(chunk) AS bytes`,
  dropOver: "DELETE FROM snapshot WHERE source = ? AND expires <= ? RETURNING length(chunk) AS bytes",
  forgetLog: "DELETE FROM log WHERE source = ?",
  forgetSnapshot: "DELETE FROM snapshot WHERE source = ?",
  mark: `INSERT INTO replica VALUES (?, ?, ?, ?) ON CONFLICT (source, name)
    DO UPDATE SET sequence = excluded.sequence, heard = excluded.heard`,
  marks: "SELECT name, sequence, heard FROM replica WHERE source = ?",
  dropMarks: "DELETE FROM replica WHERE source = ? AND heard < ?",
  meta: "SELECT value FROM meta WHERE name = ?",
  setMeta: "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
} as const;

/** How much there is. */
export interface Size {
  readonly entries: number;
  readonly bytes: number;
}

const NONE: Size = { entries: 0, bytes: 0 };

export class Store {
  readonly #database: DatabaseSync;
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>;

  /** @throws Error with one sentence */
  constructor(path: string) {
    try {
      this.#database = new DatabaseSync(path);
      this.#database.exec(SCHEMA);
    } catch (cause) {
      throw new Error(`Cannot open the state repository ${path}: ${(cause as Error).message}`, { cause });
    }
    const prepared = Object.entries(STATEMENTS).map(([name, text]) => [name, this.#database.prepare(text)]);
    this.#statements = Object.fromEntries(prepared);
  }

  /** All of `work` or nothing of it is kept. */
  together<T>(work: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  sources(): Map<string, number> {
    return new Map(this.#statements.sources.all().map((row) => [String(row.name), Number(row.last)]));
  }

  setLast(source: string, last: number): void {
    this.#statements.setLast.run(source, last);
  }

  /** Returns by how much the snapshot grew. */
  add(source: string, { sequence, slot, expiresMs, chunk }: Entry): Size {
    const before = this.#statements.slot.get(source, slot);
    this.#statements.addLog.run(source, sequence, slot, expiresMs, chunk);
    this.#statements.addSnapshot.run(source, slot, sequence, expiresMs, chunk);
    const bytes = chunk.length - Number(before?.bytes ?? 0);
    return { entries: before === undefined ? 1 : 0, bytes };
  }

  read(source: string, after: number, limit: number): Entry[] {
    return this.#statements.read.all(source, after, limit).map(entryOf);
  }

  snapshot(source: string): Entry[] {
    return this.#statements.snapshot.all(source).map(entryOf);
  }

  sizeOf(table: "log" | "snapshot", source: string): Size {
    const row = this.#statements[table === "log" ? "logSize" : "snapshotSize"].get(source);
    return { entries: Number(row?.n ?? 0), bytes: Number(row?.bytes ?? 0) };
  }

  /** Entries of the log up to and with this one. */
  dropLog(source: string, upTo: number): Size {
    return sizeOf(this.#statements.dropLog.all(source, upTo));
  }

  /** The sequence of the entry at this place of the log, 0 being the oldest; null: it is shorter. */
  sequenceAt(source: string, place: number): number | null {
    const row = this.#statements.oldest.get(source, place);
    return row === undefined ? null : Number(row.sequence);
  }

  /** The slots of the snapshot that changed longest ago. */
  dropOldest(source: string, count: number): Size {
    return count <= 0 ? NONE : sizeOf(this.#statements.dropOldest.all(source, source, count));
  }

  dropOver(source: string, nowMs: number): Size {
    return sizeOf(this.#statements.dropOver.all(source, nowMs));
  }

  forget(source: string): void {
    this.#statements.forgetLog.run(source);
    this.#statements.forgetSnapshot.run(source);
  }

  mark(source: string, { replica, sequence, heardMs }: ReplicaMark): void {
    this.#statements.mark.run(source, replica, sequence, heardMs);
  }

  marks(source: string): ReplicaMark[] {
    return this.#statements.marks.all(source).map(({ name, sequence, heard }) => ({
      replica: String(name),
      sequence: Number(sequence),
      heardMs: Number(heard),
    }));
  }

  dropMarks(source: string, beforeMs: number): void {
    this.#statements.dropMarks.run(source, beforeMs);
  }

  /** A number that only grows, at least `least`: it is returned and kept. */
  next(name: string, least: number): number {
    const value = Math.max(least, Number(this.#statements.meta.get(name)?.value ?? 0) + 1);
    this.#statements.setMeta.run(name, value);
    return value;
  }

  close(): void {
    this.#database.close();
  }
}

function entryOf(row: Record<string, unknown>): Entry {
  return {
    sequence: Number(row.sequence),
    slot: String(row.slot),
    expiresMs: row.expires === null ? null : Number(row.expires),
    chunk: row.chunk as Uint8Array,
  };
}

function sizeOf(rows: readonly Record<string, unknown>[]): Size {
  return { entries: rows.length, bytes: rows.reduce((sum, { bytes }) => sum + Number(bytes), 0) };
}

/**
 * The configuration file and the texts that were in force, on disk. An edge.
 *
 * Each file is replaced as a whole or not at all. `ledger.json` says which text is which; a text is there before the
 * ledger tells of it.
 */
import { createHash } from "node:crypto";
import { type Ledger, NO_LEDGER, readLedger } from "./config_ledger.ts";
import { reasonOf } from "../drivers/reason.ts";

export class ConfigStore {
  /** `file`: the configuration; `directory`: for the history. */
  constructor(readonly file: string, readonly directory: string) {}

  /** @throws Error with one sentence */
  readFile(): string {
    return attempt("read", this.file, () => Deno.readTextFileSync(this.file));
  }

  /** @throws Error with one sentence; the old file is kept */
  writeFile(text: string): void {
    attempt("write", this.file, () => {
      // A link stays one: what it leads to is replaced.
      const path = Deno.realPathSync(this.file);
      replace(path, text, (Deno.statSync(path).mode ?? 0o640) & 0o777);
    });
  }

  /** @throws Error with one sentence */
  ledger(): Ledger {
    const path = this.#path("ledger.json");
    try {
      return readLedger(Deno.readTextFileSync(path));
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return NO_LEDGER;
      throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
    }
  }

  /** Texts that the ledger does not tell of any more go. @throws Error with one sentence */
  save(ledger: Ledger): void {
    const path = this.#path("ledger.json");
    attempt("write", path, () => replace(path, `${JSON.stringify(ledger, null, 1)}\n`, 0o600));
    const kept = new Set(ledger.versions.map(({ id }) => `${id}.toml`));
    for (const { name } of Deno.readDirSync(this.directory)) {
      if (/^\d+\.toml$/.test(name) && !kept.has(name)) Deno.removeSync(this.#path(name));
    }
  }

  /** Null: it is not there. */
  text(id: number): string | null {
    try {
      return Deno.readTextFileSync(this.#path(`${id}.toml`));
    } catch {
      return null; // the caller tells that it cannot go there
    }
  }

  /** @throws Error with one sentence */
  keep(id: number, text: string): void {
    const path = this.#path(`${id}.toml`);
    attempt("write", path, () => {
      Deno.mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      replace(path, text, 0o600);
    });
  }

  #path(name: string): string {
    return `${this.directory}/${name}`;
  }
}

/** What a text is known by: enough of its SHA-256 that nobody meets another one. */
export function etagOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function replace(path: string, text: string, mode: number): void {
  const fresh = `${path}.new`;
  const file = Deno.openSync(fresh, { write: true, create: true, truncate: true, mode });
  try {
    Deno.chmodSync(fresh, mode);
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    file.syncSync(); // a power failure must not leave an empty file under the name
  } finally {
    file.close();
  }
  Deno.renameSync(fresh, path);
}

function attempt<T>(what: string, path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new Error(`Cannot ${what} ${path}: ${reasonOf(cause)}`, { cause });
  }
}

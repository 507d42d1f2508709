/**
 * Duty: keeps the journal of intents on disk. An edge: one file, appended to and synced before anything it announces.
 *
 * It is written anew at the start, when it is read. A disk that does not take a line fails the step that the line was to
 * announce, which is then not begun.
 */
import { makeDirectory } from "../directories.ts";
import { reasonOf } from "../reason.ts";
import { compactIntents, entryLine, type Intents, readIntents } from "./intents.ts";
import type { Entry } from "./move.ts";
import type { IntentStore } from "./mover.ts";

export class IntentFile implements IntentStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws Error with one sentence */
  load(): Intents {
    try {
      const intents = readIntents(this.#text());
      const fresh = `${this.#path}.new`;
      makeDirectory(this.#path.replace(/\/[^/]*$/, ""));
      using file = Deno.openSync(fresh, { write: true, create: true, truncate: true, mode: 0o640 });
      writeAll(file, compactIntents(intents));
      file.syncDataSync();
      Deno.renameSync(fresh, this.#path);
      return intents;
    } catch (cause) {
      throw new Error(`Cannot use the journal of moves ${this.#path}: ${reasonOf(cause)}`, { cause });
    }
  }

  #text(): string {
    try {
      return Deno.readTextFileSync(this.#path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /** On disk when it returns. @throws Error with one sentence */
  append(entry: Entry): Promise<void> {
    try {
      using file = Deno.openSync(this.#path, { append: true, create: true, mode: 0o640 });
      const before = file.statSync().size;
      try {
        writeAll(file, entryLine(entry));
        file.syncDataSync();
      } catch (error) {
        file.truncateSync(before); // half a line must not become the head of the next
        throw error;
      }
      return Promise.resolve();
    } catch (cause) {
      const reason = reasonOf(cause);
      return Promise.reject(new Error(`the journal ${this.#path} takes nothing: ${reason}`, { cause }));
    }
  }
}

function writeAll(file: Deno.FsFile, text: string): void {
  let left = new TextEncoder().encode(text);
  while (left.length > 0) left = left.subarray(file.writeSync(left));
}

/**
 * Duty: a file of lines, each on disk before what it announces is begun. An edge.
 *
 * The file is written anew, with what is still needed of it, when it is read at the start and whenever it has grown to
 * twice of that and a mebibyte.
 */
import { reasonOf } from "../drivers/reason.ts";
import { makeDirectory } from "./directories.ts";

const BYTES_MIN = 1 << 20;

export class SyncedLines {
  #bytesMax = 0;

  constructor(private readonly path: string, private readonly compact: (text: string) => string) {}

  /** The whole file, of which afterwards is left what is still needed. @throws Error with one sentence */
  load(): string {
    try {
      const text = this.#text(), fresh = `${this.path}.new`, kept = this.compact(text);
      this.#bytesMax = 2 * kept.length + BYTES_MIN;
      makeDirectory(this.path.replace(/\/[^/]*$/, ""));
      using file = Deno.openSync(fresh, { write: true, create: true, truncate: true, mode: 0o640 });
      writeAll(file, kept);
      file.syncDataSync();
      Deno.renameSync(fresh, this.path);
      return text;
    } catch (cause) {
      throw new Error(`Cannot use the journal ${this.path}: ${reasonOf(cause)}`, { cause });
    }
  }

  #text(): string {
    try {
      return Deno.readTextFileSync(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /** On disk when it returns. @throws Error with the end of a sentence */
  append(line: string): void {
    try {
      using file = this.#open();
      this.#write(file, line, () => file.syncDataSync());
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Written when it returns, on disk when that is fulfilled; others have their turn until then. @throws as `append()` */
  write(line: string): Promise<void> {
    let file: Deno.FsFile | null = null;
    try {
      file = this.#open();
      return this.#sync(file, this.#write(file, line));
    } catch (error) {
      file?.close();
      this.#fail(error);
    }
  }

  async #sync(file: Deno.FsFile, { before, after }: { before: number; after: number }): Promise<void> {
    try {
      await file.syncData();
    } catch (error) {
      // Where others wrote behind it, it stays: it announces what is not begun.
      if (file.statSync().size === after) file.truncateSync(before);
      this.#fail(error);
    } finally {
      file.close();
    }
  }

  #open(): Deno.FsFile {
    if (sizeOf(this.path) > this.#bytesMax) this.load();
    return Deno.openSync(this.path, { append: true, create: true, mode: 0o640 });
  }

  /** Returns how long the file was and is. */
  #write(file: Deno.FsFile, line: string, sync = () => {}): { before: number; after: number } {
    const before = file.statSync().size;
    try {
      writeAll(file, line);
      sync();
    } catch (error) {
      file.truncateSync(before); // half a line must not become the head of the next
      throw error;
    }
    return { before, after: file.statSync().size };
  }

  #fail(cause: unknown): never {
    throw new Error(`the journal ${this.path} takes nothing: ${reasonOf(cause)}`, { cause });
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0; // not there yet
  }
}

function writeAll(file: Deno.FsFile, text: string): void {
  let left = new TextEncoder().encode(text);
  while (left.length > 0) left = left.subarray(file.writeSync(left));
}

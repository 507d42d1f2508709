/**
 * A file of one JSON object a line, bounded by two files of some size: appended to for good, read once at the start.
 *
 * A disk that does not take it is told once and costs nothing else. A line that was cut by a power failure is skipped.
 */
import { reasonOf } from "../drivers/reason.ts";

export interface LineFileOptions {
  readonly path: string;
  /** Of one file; the one before is kept as well. */
  readonly bytesMax: number;
  /** Of a fresh file. @default 0o640 */
  readonly mode?: number;
  /** Called with one reason when the file cannot be read or written, once per run of failures. */
  readonly complain: (reason: string) => void;
}

export class LineFile {
  readonly #options: LineFileOptions;
  #failing = false;
  /** The file ends in the middle of a line: the next one must not become part of it. */
  #cut = false;
  /** Something was appended since it was last brought to the disk. */
  #fresh = false;
  #syncing = false;

  constructor(options: LineFileOptions) {
    this.#options = options;
  }

  /** All lines that are objects, oldest first. */
  load(): object[] {
    const older = this.#read(`${this.#options.path}.1`), text = this.#read(this.#options.path);
    this.#cut = text !== "" && !text.endsWith("\n");
    return `${older}\n${text}`.split("\n").flatMap(parseLine);
  }

  #read(path: string): string {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) this.#complain(error);
      return "";
    }
  }

  #complain(error: unknown): void {
    if (!this.#failing) this.#options.complain(reasonOf(error));
    this.#failing = true;
  }

  append(value: object): void {
    const { path, bytesMax, mode = 0o640 } = this.#options, line = `${JSON.stringify(value)}\n`;
    try {
      const size = sizeOf(path);
      if (size + line.length > bytesMax) Deno.renameSync(path, `${path}.1`);
      Deno.writeTextFileSync(path, this.#cut ? `\n${line}` : line, { append: true, mode });
      this.#failing = this.#cut = false;
      this.#fresh = true;
    } catch (error) {
      this.#cut = true; // of a full disk, some of it may have got there
      this.#complain(error);
    }
  }

  /** Brings what was appended to the disk itself, that a power failure does not take it. One at a time; never rejects. */
  async sync(): Promise<void> {
    if (!this.#fresh || this.#syncing) return;
    this.#fresh = false;
    this.#syncing = true;
    try {
      using file = await Deno.open(this.#options.path, { append: true });
      await file.syncData();
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#syncing = false;
    }
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0; // not there yet
  }
}

function parseLine(line: string): object[] {
  if (line === "") return [];
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? [value] : [];
  } catch {
    return []; // cut
  }
}

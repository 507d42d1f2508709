/**
 * The journal: what happened, kept in memory for the API and on disk for the day after.
 *
 * One JSON object a line, bounded by two files of a megabyte. A disk that does not take it is told once and costs
 * nothing else: events stay in memory and forwarding does not know about it.
 */
import { reasonOf } from "./reason.ts";
import type { EventView } from "./view.ts";

const KEEP = 2000;
const FILE_BYTES_MAX = 1 << 20;

export interface JournalOptions {
  readonly path: string;
  /** Called for each event, once, after it was kept. */
  readonly tell: (event: EventView) => void;
  /** Called with one sentence when the file cannot be written, once per run of failures. */
  readonly complain: (text: string) => void;
}

export class Journal {
  readonly #options: JournalOptions;
  #events: EventView[] = [];
  #sequence = 0;
  #failing = false;
  /** The file ends in the middle of a line: the next one must not become part of it. */
  #cut = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#load();
  }

  #load(): void {
    const older = this.#read(`${this.#options.path}.1`), text = this.#read(this.#options.path);
    for (const line of `${older}\n${text}`.split("\n")) {
      const event = parseLine(line);
      if (event !== null) this.#events.push(event);
    }
    this.#events = this.#events.slice(-KEEP);
    this.#sequence = this.#events.at(-1)?.sequence ?? 0;
    this.#cut = text !== "" && !text.endsWith("\n");
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
    if (!this.#failing) {
      this.#options.complain(`Cannot write the journal ${this.#options.path}: ${reasonOf(error)}`);
    }
    this.#failing = true;
  }

  /** Keep an event under the journal's own sequence, which goes on over restarts. */
  add(event: EventView): void {
    const kept = { ...event, sequence: ++this.#sequence };
    this.#events.push(kept);
    if (this.#events.length > KEEP) this.#events.shift();
    this.#write(`${JSON.stringify(kept)}\n`);
    this.#options.tell(kept);
  }

  #write(line: string): void {
    const { path } = this.#options;
    try {
      const size = sizeOf(path);
      if (size + line.length > FILE_BYTES_MAX) Deno.renameSync(path, `${path}.1`);
      Deno.writeTextFileSync(path, this.#cut ? `\n${line}` : line, { append: true, mode: 0o640 });
      this.#failing = this.#cut = false;
    } catch (error) {
      this.#cut = true; // of a full disk, some of it may have got there
      this.#complain(error);
    }
  }

  /** Events above a sequence, oldest first. */
  since(after: number, limit: number): readonly EventView[] {
    return this.#events.filter((event) => event.sequence > after).slice(0, limit);
  }

  lastSwitch(): EventView | null {
    return this.#events.findLast((event) => event.kind === "switch") ?? null;
  }

  /** When the traffic was moved, oldest first, as far as is known. */
  switchTimesMs(): readonly number[] {
    return this.#events.filter((event) => event.kind === "switch").map((event) => event.wallMs);
  }

  /** Was this event of a plane kept already, by a control that died before it could tell the plane? */
  has(event: EventView): boolean {
    return this.#events.some((kept) =>
      kept.boot === event.boot && kept.monoUs === event.monoUs && kept.kind === event.kind &&
      kept.subject === event.subject && kept.after === event.after
    );
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0; // not there yet
  }
}

/** A line that was cut by a power failure is skipped: it is the last one, and its event is on the board too. */
function parseLine(line: string): EventView | null {
  if (line === "") return null;
  try {
    const value: unknown = JSON.parse(line);
    const fits = typeof value === "object" && value !== null && "sequence" in value && "kind" in value;
    return fits ? value as EventView : null;
  } catch {
    return null;
  }
}

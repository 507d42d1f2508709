/**
 * The journal: what happened, kept in memory for the API and on disk for the day after.
 *
 * A disk that does not take it is told once and costs nothing else: events stay in memory and forwarding does not know
 * about it.
 */
import { LineFile } from "./line_file.ts";
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
  readonly #file: LineFile;
  #events: EventView[];
  #sequence: number;
  /** Events above this one are of this process. */
  readonly #loaded: number;

  constructor(options: JournalOptions) {
    this.#options = options;
    const { path, complain } = options;
    this.#file = new LineFile({
      path,
      bytesMax: FILE_BYTES_MAX,
      complain: (reason) => complain(`Cannot write the journal ${path}: ${reason}`),
    });
    // A line that was cut is the last one, and its event is on the board too.
    this.#events = this.#file.load().filter(isEvent).slice(-KEEP);
    this.#sequence = this.#loaded = this.#events.at(-1)?.sequence ?? 0;
  }

  /** Brings it to the disk itself; never rejects. */
  sync(): Promise<void> {
    return this.#file.sync();
  }

  /**
   * Somebody was told of events up to `known`. If this journal has lost some of them with its file, those of this process
   * are numbered above, or they would never be told.
   * @returns whether it had
   */
  goOnAfter(known: number): boolean {
    if (known <= this.#sequence) return false;
    const by = known - this.#loaded;
    this.#events = this.#events.map((event) =>
      event.sequence > this.#loaded ? { ...event, sequence: event.sequence + by } : event
    );
    this.#sequence += by;
    return true;
  }

  /** Keep an event under the journal's own sequence, which goes on over restarts. */
  add(event: EventView): void {
    const kept = { ...event, sequence: ++this.#sequence };
    this.#events.push(kept);
    if (this.#events.length > KEEP) this.#events.shift();
    this.#file.append(kept);
    this.#options.tell(kept);
  }

  /** Unless it is kept already. */
  addOnce(event: EventView): void {
    if (!this.has(event)) this.add(event);
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

function isEvent(value: object): value is EventView {
  return "sequence" in value && "kind" in value;
}

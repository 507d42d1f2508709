/**
 * Streams of events and of the status, as server-sent events (HTML, 9.2).
 *
 * One timer for all readers, and none without readers: it asks the node once for what is due and hands the same bytes to
 * everybody. A reader that does not keep up is told so and ended, for nobody may hold more than its bound; it comes back
 * with `Last-Event-ID` and misses nothing. No reader stays for ever: who was logged out meanwhile does not come back.
 */
import type { EventView, NodeStatus } from "../appliance/view.ts";

export const READERS_MAX = 128;
const QUEUE_BYTES_MAX = 256 * 1024;
const TICK_MS = 100;
const BEAT_MS = 15_000;
const LIFE_MS = 15 * 60_000;
const EVENTS_MAX = 500;

export interface Streams {
  /** Events above a sequence, then those that come; null: only those that come. Null: there are too many readers. */
  events(after: number | null): ReadableStream<Uint8Array> | null;
  /** The status, so many times a second: whole at first, then the members that changed. */
  live(perSecond: number): ReadableStream<Uint8Array> | null;
}

export interface Source {
  status(): NodeStatus;
  events(options: { after: number; limit: number }): readonly EventView[];
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

interface Reader {
  readonly controller: Controller;
  /** Of the tick that it began with. */
  readonly since: number;
  /** Events: the last sequence it has. Live: every so many ticks. */
  after: number | null;
  readonly every: number;
  beat: number;
  fresh: boolean;
}

export function openStreams(source: Source): StreamHub {
  return new StreamHub(source);
}

export class StreamHub implements Streams {
  readonly #source: Source;
  readonly #readers = new Set<Reader>();
  /** By how often: the members of the status as they were last told. */
  readonly #told = new Map<number, Map<string, string>>();
  readonly #encoder = new TextEncoder();
  #timer: ReturnType<typeof setInterval> | null = null;
  #tick = 0;
  /** Readers that did not keep up. */
  slow = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  get readers(): number {
    return this.#readers.size;
  }

  events(after: number | null): ReadableStream<Uint8Array> | null {
    const newest = this.#newest();
    // Above all there are: the journal is another one than the reader knew.
    return this.#open({ after: after === null ? newest : after > newest ? 0 : after, every: 0 });
  }

  live(perSecond: number): ReadableStream<Uint8Array> | null {
    return this.#open({ after: null, every: Math.max(1, Math.round(1000 / TICK_MS / perSecond)) });
  }

  #newest(): number {
    return this.#source.events({ after: 0, limit: Number.MAX_SAFE_INTEGER }).at(-1)?.sequence ?? 0;
  }

  #open(how: { after: number | null; every: number }): ReadableStream<Uint8Array> | null {
    if (this.#readers.size >= READERS_MAX) return null;
    let reader: Reader | null = null;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        reader = { controller, since: this.#tick, beat: this.#tick, fresh: true, ...how };
        this.#readers.add(reader);
        controller.enqueue(this.#encoder.encode("retry: 1000\n\n"));
        this.#timer ??= setInterval(() => this.turn(), TICK_MS);
      },
      cancel: () => {
        if (reader !== null) this.#forget(reader);
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES_MAX }));
  }

  /** What is due is told. Called by the timer. */
  turn(): void {
    this.#tick++;
    const events = this.#eventsDue(), changes = this.#changesDue();
    for (const reader of this.#readers) {
      if (reader.every === 0) this.#tellEvents(reader, events);
      else if (this.#tick % reader.every === 0) this.#tellStatus(reader, changes.get(reader.every)!);
      if ((this.#tick - reader.beat) * TICK_MS >= BEAT_MS) this.#send(reader, ": beat\n\n");
      if ((this.#tick - reader.since) * TICK_MS >= LIFE_MS) this.#end(reader, "time");
    }
  }

  /** Asked for once, from where the reader that is behind most stands. */
  #eventsDue(): readonly EventView[] {
    const behind = [...this.#readers].filter(({ every }) => every === 0).map(({ after }) => after ?? 0);
    if (behind.length === 0) return [];
    return this.#source.events({ after: Math.min(...behind), limit: EVENTS_MAX });
  }

  #tellEvents(reader: Reader, events: readonly EventView[]): void {
    for (const event of events) {
      const after = reader.after ?? 0;
      if (event.sequence <= after) continue;
      reader.after = event.sequence;
      const lost = event.sequence > after + 1 ? gapText(after + 1, event.sequence - 1) : "";
      const said = lost + `id: ${event.sequence}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`;
      if (!this.#send(reader, said)) return;
    }
  }

  #changesDue(): ReadonlyMap<number, { whole: string; changed: string }> {
    const due = new Set(
      [...this.#readers].filter(({ every }) => every > 0 && this.#tick % every === 0).map(({ every }) =>
        every
      ),
    );
    const wanted = new Set([...this.#readers].map(({ every }) => every));
    for (const every of this.#told.keys()) if (!wanted.has(every)) this.#told.delete(every);
    if (due.size === 0) return new Map();
    const status = Object.entries(this.#source.status()).map(([name, value]) =>
      [name, JSON.stringify(value)] as const
    );
    return new Map([...due].map((every) => {
      const before = this.#told.get(every) ?? new Map<string, string>();
      const changed = status.filter(([name, text]) => before.get(name) !== text);
      this.#told.set(every, new Map(status));
      return [every, { whole: objectText(status), changed: objectText(changed) }];
    }));
  }

  #tellStatus(reader: Reader, { whole, changed }: { whole: string; changed: string }): void {
    const said = reader.fresh ? `event: status\ndata: ${whole}\n\n` : `event: change\ndata: ${changed}\n\n`;
    reader.fresh = false;
    this.#send(reader, said);
  }

  /** False: the reader did not keep up, and is ended. */
  #send(reader: Reader, text: string): boolean {
    if ((reader.controller.desiredSize ?? 0) <= 0) {
      this.slow++;
      this.#end(reader, "slow");
      return false;
    }
    reader.beat = this.#tick;
    reader.controller.enqueue(this.#encoder.encode(text));
    return true;
  }

  #end(reader: Reader, why: "slow" | "time" | "closing"): void {
    if (!this.#readers.has(reader)) return;
    this.#forget(reader);
    reader.controller.enqueue(this.#encoder.encode(`event: end\ndata: ${JSON.stringify({ why })}\n\n`));
    reader.controller.close();
  }

  #forget(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#told.clear();
  }

  close(): void {
    for (const reader of this.#readers) this.#end(reader, "closing");
  }
}

/** The journal does not reach so far back. */
function gapText(from: number, to: number): string {
  return `event: gap\ndata: ${JSON.stringify({ from, to })}\n\n`;
}

function objectText(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}

/**
 * Duty: one reading of the node for all who look, and a stream of what has changed since.
 *
 * The node is read by one timer while anybody looks, however many they are. Each viewer gets the whole map first and then
 * what differs; one who does not keep up misses readings, not the newest values: he gets the whole map again. Viewers,
 * what waits for each of them, and the samples kept are bounded.
 */
import type { NodeControl, NodeStatus } from "../../appliance/view.ts";
import { ratesBetween } from "../text.ts";
import { type LiveValues, liveValues, type PortRates, shapeOf } from "./live.ts";

/** Seconds since the epoch; bits per second from clients, from servers, and to standbys as copies. */
export type Sample = readonly [atS: number, up: number, down: number, copies: number];

export interface Reading {
  readonly status: NodeStatus;
  readonly values: LiveValues;
  readonly shape: string;
  readonly atMs: number;
}

export const VIEWERS_MAX = 128;
/** Readings that wait for a viewer; with five a second he is a second behind then. */
const QUEUE_MAX = 5;
const SAMPLES_MAX = 300;
/** Rates are of about so long. */
const RATE_MS = 1000;
/** A stream ends then and the browser opens another one, which is asked again who it is. */
const STREAM_MS_MAX = 300_000;

interface Viewer {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly sinceMs: number;
  /** He has missed a reading. */
  behind: boolean;
}

export class LiveHub {
  readonly #control: Pick<NodeControl, "status">;
  readonly #now: () => number;
  readonly #intervalMs: number;
  readonly #viewers = new Set<Viewer>();
  readonly #encoder = new TextEncoder();
  readonly #samples: Sample[] = [];
  #timer: ReturnType<typeof setInterval> | null = null;
  /** Of the last second or so, oldest first, for rates. */
  #recent: { status: NodeStatus; atMs: number }[] = [];
  #last: Reading | null = null;

  constructor(control: Pick<NodeControl, "status">, options: { now: () => number; intervalMs: number }) {
    this.#control = control;
    this.#now = options.now;
    this.#intervalMs = options.intervalMs;
  }

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** The newest reading. However many ask, the node is not read more often than for viewers. */
  read(): Reading {
    const last = this.#last;
    return last !== null && this.#now() - last.atMs < this.#intervalMs ? last : this.#take();
  }

  /** Server-sent events; null: there are as many viewers as there may be. */
  stream(): ReadableStream<Uint8Array> | null {
    if (this.#viewers.size >= VIEWERS_MAX) return null;
    let viewer: Viewer;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        viewer = { controller, sinceMs: this.#now(), behind: false };
        this.#viewers.add(viewer);
        const { values, shape, atMs } = this.read();
        this.#send(viewer, this.#text({ values, shape, atMs, samples: this.#samples }));
        this.#timer ??= setInterval(() => this.#tick(), this.#intervalMs);
      },
      cancel: () => this.#leave(viewer),
    }, new CountQueuingStrategy({ highWaterMark: QUEUE_MAX }));
  }

  /** Ends all streams and the timer. */
  close(): void {
    for (const viewer of this.#viewers) this.#end(viewer);
  }

  #tick(): void {
    const before = this.#last;
    const kept = this.#samples.at(-1);
    const { values, shape, atMs } = this.#take();
    const changed = before === null ? values : differing(before.values, values);
    const sample = this.#samples.at(-1) === kept ? {} : { sample: this.#samples.at(-1) };
    // Nearly all are told the same, so it is written once.
    const news = this.#text({ values: changed, shape, atMs, ...sample });
    let whole: Uint8Array | null = null;
    for (const viewer of this.#viewers) {
      if (atMs - viewer.sinceMs > STREAM_MS_MAX) this.#end(viewer);
      else if ((viewer.controller.desiredSize ?? 0) <= 0) viewer.behind = true;
      else {
        this.#send(viewer, viewer.behind ? whole ??= this.#text({ values, shape, atMs, ...sample }) : news);
        viewer.behind = false;
      }
    }
  }

  #take(): Reading {
    const atMs = this.#now(), status = this.#control.status();
    const older = this.#recent.filter((one) => atMs - one.atMs >= RATE_MS * 0.8);
    const base = older.at(-1) ?? this.#recent[0];
    const rates = base === undefined || atMs - base.atMs > 5 * RATE_MS
      ? null
      : ratesBetween(base.status, status, atMs - base.atMs);
    this.#recent = [
      ...(older.length > 0 ? [older.at(-1)!] : []),
      ...this.#recent.filter((one) => !older.includes(one)),
    ];
    this.#recent.push({ status, atMs });
    if (this.#timer !== null && rates !== null) {
      this.#sample(rates, base!.status, { status, atMs, sinceMs: base!.atMs });
    }
    return this.#last = { status, values: liveValues(status, rates, atMs), shape: shapeOf(status), atMs };
  }

  #sample(
    rates: PortRates,
    before: NodeStatus,
    after: { status: NodeStatus; atMs: number; sinceMs: number },
  ): void {
    const atS = Math.floor(after.atMs / 1000);
    if (this.#samples.at(-1)?.[0] === atS) return;
    const copied = ({ ports }: NodeStatus) => ports.reduce((sum, port) => sum + port.mirroredBytes, 0);
    const bits = Math.max(0, copied(after.status) - copied(before)) * 8000 / (after.atMs - after.sinceMs);
    const rate = (role: "upstream" | "downstream") => Math.round(rates?.get(role)?.rxBits ?? 0);
    this.#samples.push([atS, rate("upstream"), rate("downstream"), Math.round(bits)]);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  #text(message: object): Uint8Array {
    return this.#encoder.encode(`data: ${JSON.stringify(message)}\n\n`);
  }

  #send(viewer: Viewer, text: Uint8Array): void {
    viewer.controller.enqueue(text);
  }

  #end(viewer: Viewer): void {
    viewer.controller.close();
    this.#leave(viewer);
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** Entries of `after` that are not the same in `before`. */
export function differing(before: LiveValues, after: LiveValues): LiveValues {
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => before[name] !== value));
}

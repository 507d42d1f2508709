/**
 * Duty: from messages that arrive to changes of state: a bounded queue, read in slices. Pure: clock and turns are given.
 *
 * Whoever receives only queues, so that the kernel's buffer is emptied fast and the process can do its other work between
 * two slices. A message that finds the queue full is dropped and counted; a sender over TCP is held back before that.
 */
import type { LineReader } from "../formats/engine.ts";
import { type Tracker, TRACKER_COUNTERS } from "../formats/tracker.ts";
import type { StateRecord } from "../record.ts";
import { parseSyslog, SYSLOG_FAULTS, type SyslogFault } from "./message.ts";

export const INTAKE_COUNTERS = [
  "messages",
  "entries",
  /** No rule of the format is for them. */
  "not_understood",
  /** A rule of the format says that they tell nothing. */
  "passed_over",
  /** A rule fits, and a value is wrong or missing. */
  "refused",
  "queue_dropped",
] as const;
type Counter = (typeof INTAKE_COUNTERS)[number] | SyslogFault;

export interface IntakeMeans {
  readonly reader: LineReader;
  readonly tracker: Tracker;
  readonly queueMax: number;
  readonly nowMs: () => number;
  /** Calls back soon, after other work of the process had its turn. */
  readonly soon: (turn: () => void) => void;
  readonly changed: (record: StateRecord) => void;
  /** The queue is short again. */
  readonly drained: () => void;
  /** The first line that was refused or not understood, and then one in a while, for a person. */
  readonly odd: (what: "refused" | "not_understood" | "queue_dropped", text: string) => void;
}

/** So much is read before other work has a turn: a millisecond or less. */
const SLICE_MESSAGES = 128;
/** What senders over TCP may have under way when they are held back: a read of 64 KiB for each of many. */
const HELD_BACK_MESSAGES = 65_536;

export class Intake {
  readonly #counters = Object.fromEntries(
    [...INTAKE_COUNTERS, ...SYSLOG_FAULTS].map((name) => [name, 0]),
  ) as Record<Counter, number>;
  #queue: string[] = [];
  #read = 0;
  #turning = false;

  constructor(readonly means: IntakeMeans) {}

  get waiting(): number {
    return this.#queue.length - this.#read;
  }

  /** Whether a sender that can wait should. */
  get busy(): boolean {
    return this.waiting >= this.means.queueMax / 2;
  }

  /** `heldBack`: its sender waits from now on, so that what it had sent already is let in above the bound. */
  put(message: string, heldBack = false): void {
    if (this.waiting >= this.means.queueMax + (heldBack ? HELD_BACK_MESSAGES : 0)) {
      this.#counters.queue_dropped++;
      this.means.odd("queue_dropped", "the queue of messages is full");
      return;
    }
    this.#queue.push(message);
    if (this.#turning) return;
    this.#turning = true;
    this.means.soon(() => this.#turn());
  }

  #turn(): void {
    const end = Math.min(this.#queue.length, this.#read + SLICE_MESSAGES);
    const nowMs = this.means.nowMs();
    while (this.#read < end) this.#take(this.#queue[this.#read++]!, nowMs);
    if (this.#read === this.#queue.length) {
      this.#queue = [];
      this.#read = 0;
      this.#turning = false;
      this.means.drained();
      return;
    }
    // What was read is let go of, but not for every slice.
    if (this.#read > this.means.queueMax / 4) {
      this.#queue = this.#queue.slice(this.#read);
      this.#read = 0;
    }
    if (!this.busy) this.means.drained();
    this.means.soon(() => this.#turn());
  }

  #take(line: string, nowMs: number): void {
    const { reader, tracker, changed, odd } = this.means;
    this.#counters.messages++;
    const message = parseSyslog(line);
    if (typeof message === "string") {
      this.#counters[message]++;
      return;
    }
    const reading = reader.read(message.text);
    switch (reading.kind) {
      case "entry": {
        this.#counters.entries++;
        const record = tracker.take(reading.entry, nowMs);
        if (record !== null) changed(record);
        return;
      }
      case "ignored":
        this.#counters.passed_over++;
        return;
      case "unknown":
        this.#counters.not_understood++;
        return odd("not_understood", message.text);
      case "refused":
        this.#counters.refused++;
        return odd("refused", `rule "${reading.rule}" fits, but ${reading.fault}`);
    }
  }

  counters(): Readonly<Record<string, number>> {
    const kept = this.means.tracker.counters();
    const tracked = Object.fromEntries(TRACKER_COUNTERS.map((name) => [name, kept[name]]));
    return { ...this.#counters, ...tracked, waiting: this.waiting, alive: this.means.tracker.size };
  }
}

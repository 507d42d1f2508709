/**
 * Duty: follow connection tracking: what the kernel tells of flows, and what it does not.
 *
 * The kernel says nothing when a packet gives a flow more time, nor when a flow ends that began before anybody listened. So all
 * flows are read again now and then: one whose time has nearly run out where it was told is told again, one that was not
 * told is told, and one that is not there any more ended.
 */
import type { DriverEvent } from "./driver.ts";
import { type HeaderFields, parseFields } from "./fields.ts";
import { TYPE } from "./netlink/conntrack.ts";
import { type Flow, keyOf } from "./netlink/flow.ts";
import { type Message, readMessages } from "./netlink/messages.ts";
import type { NetlinkSocket } from "./netlink/socket.ts";
import type { StateRecord } from "./record.ts";

/** How long a watch may need to see that it was ended. */
const WAIT_MS = 100;
/** Times are whole seconds. */
const ROUNDING_MS = 1000;

/** The fields that a key was made of: what follows them is left out. */
export const fieldsOfKey = (key: string): HeaderFields => parseFields(key.replace(/ (type|zone) \d.*$/, ""));

class Told {
  /** When what was told runs out, by key. */
  readonly #until = new Map<string, number>();
  readonly #refreshMs: number;

  constructor(refreshMs: number) {
    this.#refreshMs = refreshMs;
  }

  note(key: string, untilMs: number): void {
    this.#until.set(key, untilMs);
  }

  forget(key: string): void {
    this.#until.delete(key);
  }

  /** Whether a flow that was read has to be told: it is new, or its time runs out before there were two more readings. */
  isDue(key: string, untilMs: number, nowMs: number): boolean {
    const until = this.#until.get(key);
    return until === undefined || until < nowMs + 2 * this.#refreshMs && until + ROUNDING_MS < untilMs;
  }

  /** Takes away those that were not read, and returns them. */
  missing(read: ReadonlySet<string>): string[] {
    const gone = [...this.#until.keys()].filter((key) => !read.has(key));
    for (const key of gone) this.#until.delete(key);
    return gone;
  }
}

/** What a watch needs of its driver. */
export interface Watched {
  /** Gets events from now on. */
  readonly socket: NetlinkSocket;
  /** Of the driver's own requests: what they lead to is not told. */
  readonly ownPort: number;
  readonly refreshMs: number;
  readonly nowMs: () => number;
  /** All there are. */
  readonly flows: () => AsyncIterable<readonly Flow[]>;
  /** Null: it cannot be carried. */
  readonly read: (message: Message) => Flow | null;
  /** `anew`: with a new version in any case. */
  readonly record: (flow: Flow, anew: boolean) => StateRecord;
  readonly ended: (key: string) => StateRecord;
  readonly count: (name: string) => void;
}

const untilMs = ({ nowMs }: Watched, flow: Flow) => nowMs() + flow.timeoutS * 1000;

function* tell(watched: Watched, messages: readonly Message[], told: Told): Generator<DriverEvent> {
  for (const message of messages) {
    const gone = message.type === TYPE.delete;
    if (!gone && message.type !== TYPE.new) continue;
    const isOwn = message.port === watched.ownPort;
    watched.count(isOwn ? "events_own" : "events");
    const flow = watched.read(message);
    if (flow === null) continue;
    const key = keyOf(flow);
    if (gone) told.forget(key);
    else told.note(key, untilMs(watched, flow));
    if (!isOwn) yield { kind: "record", record: gone ? watched.ended(key) : watched.record(flow, false) };
  }
}

/** Tells what the kernel has not told. */
async function* refresh(watched: Watched, told: Told, signal: AbortSignal): AsyncGenerator<DriverEvent> {
  const read = new Set<string>();
  for await (const flows of watched.flows()) {
    for (const flow of flows) {
      const key = keyOf(flow), until = untilMs(watched, flow);
      read.add(key);
      if (!told.isDue(key, until, watched.nowMs())) continue;
      told.note(key, until);
      watched.count("refreshed");
      // It has more time than whoever listens knows: that is a change, too.
      yield { kind: "record", record: watched.record(flow, true) };
    }
  }
  // Half of a reading says nothing of the rest.
  if (signal.aborted) return;
  for (const key of told.missing(read)) {
    watched.count("ends_missed");
    yield { kind: "record", record: watched.ended(key) };
  }
}

export async function* watchFlows(watched: Watched, signal: AbortSignal): AsyncGenerator<DriverEvent> {
  const { socket, refreshMs, nowMs } = watched;
  const told = new Told(refreshMs);
  try {
    // Whoever listens reads by itself what is there already.
    for await (const flows of watched.flows()) {
      for (const flow of flows) told.note(keyOf(flow), untilMs(watched, flow));
    }
    let dueMs = nowMs() + refreshMs, lost = false;
    while (!signal.aborted) {
      if (nowMs() >= dueMs) {
        yield* refresh(watched, told, signal);
        dueMs = nowMs() + refreshMs;
      }
      const got = socket.receive();
      if (got === "lost") lost = true;
      else if (got !== null) yield* tell(watched, [...readMessages(got)], told);
      else if (!lost) await socket.wait(WAIT_MS);
      else {
        // Until all that waited is read, the kernel throws away what comes and does not say so again.
        lost = false;
        watched.count("gaps");
        yield { kind: "gap", reason: "more events waited than buffer_bytes has room for" };
      }
    }
  } finally {
    socket.close();
  }
}

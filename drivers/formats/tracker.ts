/**
 * Duty: what of a box's state is alive, as its log tells it line by line: entries in, state records out.
 *
 * Opening and closing are separate lines, and the second may name a flow by its session alone: a bounded table holds what
 * is open. It is kept in the order of last mention, so that what was silent longest gives way to what is new, and what
 * outlived its time goes first. Surprise: versions follow the clock, so that they grow over a restart, which forgets all.
 */
import { fieldsText, type HeaderFields, holds } from "../fields.ts";
import {
  encodeFlow,
  FLOW_CODEC,
  flowFields,
  type FlowTuple,
  type FlowValue,
  mirrored,
} from "../flow_value.ts";
import type { StateRecord } from "../record.ts";
import { timeoutMsOf } from "./engine.ts";
import type { BindingEntry, ChoiceEntry, Entry, FlowEntry, ReportEntry } from "./entry.ts";

export const BINDING_CODEC = "binding/1";
export const CHOICE_CODEC = "choice/1";
export const REPORT_CODEC = "report/1";
export const LOG_CODECS = [FLOW_CODEC, BINDING_CODEC, CHOICE_CODEC, REPORT_CODEC] as const;

export const TRACKER_COUNTERS = [
  "opened",
  "updated",
  "closed",
  /** Closed, and named by a session of which the opening was not seen or not kept. */
  "closed_unknown",
  /** Goes on, and its beginning was not seen: which end is the client is not known. */
  "refreshed_unknown",
  "evicted",
  "expired",
] as const;
export type TrackerCounter = (typeof TRACKER_COUNTERS)[number];

const STATE_TTL_MS = 1_800_000;

/** In a list by last mention: a Map whose first entries go again and again would be slow to begin at. */
interface Held {
  readonly key: string;
  record: StateRecord;
  session: string | null;
  value: FlowValue | null;
  dueMs: number;
  older: Held | null;
  newer: Held | null;
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify({ v: 1, ...value as object }));

/** Of a flow that ends by itself, a moment; else until the box would forget it. */
const lifetimeMs = (timeoutMs: number | null, protocol: number) => timeoutMs ?? timeoutMsOf(protocol);

export class Tracker {
  readonly #held = new Map<string, Held>();
  readonly #sessions = new Map<string, string>();
  readonly #counters = Object.fromEntries(TRACKER_COUNTERS.map((name) => [name, 0])) as Record<
    TrackerCounter,
    number
  >;
  #version = 0;
  #oldest: Held | null = null;
  #newest: Held | null = null;

  /** `entriesMax` bounds what is held. */
  constructor(readonly entriesMax: number) {}

  get size(): number {
    return this.#held.size;
  }

  counters(): Readonly<Record<TrackerCounter, number>> {
    return { ...this.#counters };
  }

  /** The record that the entry makes; null: it closes what nobody knows. */
  take(entry: Entry, nowMs: number): StateRecord | null {
    this.#version = Math.max(this.#version + 1, Math.floor(nowMs) * 1000);
    switch (entry.what) {
      case "flow":
        return this.#flow(entry, nowMs);
      case "binding":
        return this.#store(bindingOf(entry), entry.event, { nowMs, session: null, value: null });
      case "choice":
        return this.#store(choiceOf(entry), entry.event, { nowMs, session: null, value: null });
      case "report":
        return this.#store(reportOf(entry), entry.event, { nowMs, session: null, value: null });
    }
  }

  /** What is alive of flows that the fields hold, and shared entries that they hold; the longest silent first. */
  *records(fields: HeaderFields, nowMs: number): Iterable<StateRecord> {
    const all: Held[] = [];
    for (let one = this.#oldest; one !== null; one = one.newer) all.push(one);
    for (const { record, dueMs } of all) {
      if (dueMs > nowMs && holds(fields, record.fields)) yield { ...record, ttlMs: dueMs - nowMs };
    }
  }

  #flow(entry: FlowEntry, nowMs: number): StateRecord | null {
    const known = this.#find(entry);
    if (known === undefined && entry.event === "refresh") {
      this.#counters.refreshed_unknown++;
      return null;
    }
    const original = known?.value?.original ?? entry.original;
    if (original === null) {
      this.#counters.closed_unknown++;
      return null;
    }
    const turned = entry.original !== null && !sameEnds(entry.original, original);
    const before = known?.value ?? null;
    // An answer's packet says nothing of the translation.
    const reply = turned || entry.reply === null ? before?.reply ?? mirrored(original) : entry.reply;
    const sameState = entry.state === null || entry.state === before?.state;
    const timeoutMs = entry.timeoutMs ?? (sameState ? before?.timeoutMs ?? null : null);
    const fresh = before === null || entry.event === "open";
    const value: FlowValue = {
      original,
      reply,
      state: entry.state ?? before?.state ?? "none",
      timeoutMs,
      openedMs: fresh ? nowMs : before.openedMs,
      changedMs: nowMs,
    };
    const fields = flowFields(original);
    const ended = entry.event === "close";
    const record = {
      role: "supporting",
      partition: "flow",
      key: fieldsText(fields),
      fields,
      codec: FLOW_CODEC,
      value: ended ? NOTHING : encodeFlow(value),
      ttlMs: lifetimeMs(timeoutMs, original.protocol),
      merge: null,
    } as const;
    const session = entry.session ?? known?.session ?? null;
    return this.#store(record, entry.event, { nowMs, session, value });
  }

  /** By its session, by its name, or by the name its answers have. */
  #find({ event, session, original }: FlowEntry): Held | undefined {
    const bySession = session === null ? undefined : this.#held.get(this.#sessions.get(session) ?? "");
    if (original === null) return bySession;
    if (
      bySession?.value !== null && bySession !== undefined && sameEnds(bySession.value.original, original)
    ) {
      return bySession;
    }
    const named = this.#held.get(fieldsText(flowFields(original)));
    if (named !== undefined || event === "open") return named;
    return this.#held.get(fieldsText(flowFields(mirrored(original))));
  }

  #store(
    made: Omit<StateRecord, "version" | "ended">,
    event: Entry["event"],
    { nowMs, session, value }: { nowMs: number; session: string | null; value: FlowValue | null },
  ): StateRecord {
    const { key } = made;
    const id = `${made.codec} ${key}`;
    const held = made.codec === FLOW_CODEC ? key : id;
    const before = this.#held.get(held);
    if (event === "close") {
      if (before !== undefined) this.#forget(before);
      this.#counters.closed++;
      return { ...made, value: NOTHING, version: this.#version, ended: true };
    }
    this.#counters[before === undefined ? "opened" : "updated"]++;
    const record: StateRecord = { ...made, version: this.#version, ended: false };
    const dueMs = nowMs + (made.ttlMs ?? STATE_TTL_MS);
    if (before === undefined) this.#makeRoom(nowMs);
    else this.#unlink(before);
    const one = before ?? { key: held, record, session, value, dueMs, older: null, newer: null };
    if (one.session !== session) this.#forgetSession(one);
    Object.assign(one, { record, session, value, dueMs });
    this.#link(one);
    this.#held.set(held, one);
    if (session !== null) this.#sessions.set(session, held);
    return record;
  }

  /** What is due goes, oldest first; where that is not enough, the one silent longest. */
  #makeRoom(nowMs: number): void {
    for (let one = this.#oldest; one !== null; one = this.#oldest) {
      const due = one.dueMs <= nowMs;
      if (!due && this.#held.size < this.entriesMax) return;
      this.#forget(one);
      this.#counters[due ? "expired" : "evicted"]++;
    }
  }

  #forget(one: Held): void {
    this.#unlink(one);
    this.#held.delete(one.key);
    this.#forgetSession(one);
  }

  #forgetSession({ key, session }: Held): void {
    if (session !== null && this.#sessions.get(session) === key) this.#sessions.delete(session);
  }

  #link(one: Held): void {
    one.older = this.#newest;
    one.newer = null;
    if (this.#newest === null) this.#oldest = one;
    else this.#newest.newer = one;
    this.#newest = one;
  }

  #unlink(one: Held): void {
    if (one.older === null) this.#oldest = one.newer;
    else one.older.newer = one.newer;
    if (one.newer === null) this.#newest = one.older;
    else one.newer.older = one.older;
  }
}

const NOTHING = new Uint8Array(0);

function sameEnds(a: FlowTuple, b: FlowTuple): boolean {
  return a.source === b.source && a.sourcePort === b.sourcePort && a.destination === b.destination &&
    a.destinationPort === b.destinationPort && a.protocol === b.protocol;
}

type Made = Omit<StateRecord, "version" | "ended">;

function bindingOf({ binding, timeoutMs }: BindingEntry): Made {
  const { protocol, source, sourcePort } = binding;
  const fields = { protocol, source, sourcePort };
  return {
    role: "supporting",
    partition: "shared",
    key: fieldsText(fields),
    fields,
    codec: BINDING_CODEC,
    value: json(binding),
    ttlMs: lifetimeMs(timeoutMs, protocol),
    merge: null,
  };
}

function choiceOf({ choice, timeoutMs }: ChoiceEntry): Made {
  return {
    role: "supporting",
    partition: "shared",
    key: `${choice.place} ${choice.client}`.slice(0, 500),
    fields: { source: choice.client },
    codec: CHOICE_CODEC,
    value: json(choice),
    ttlMs: timeoutMs ?? STATE_TTL_MS,
    merge: null,
  };
}

function reportOf({ original, key, values, merge, timeoutMs }: ReportEntry): Made {
  const fields = flowFields(original);
  return {
    role: "reporting",
    partition: "flow",
    key: `${fieldsText(fields)} ${key}`,
    fields,
    codec: REPORT_CODEC,
    value: json({ values }),
    ttlMs: timeoutMs ?? STATE_TTL_MS,
    merge,
  };
}

/**
 * Duty: carries out what the machine of a move says, one thing after the other, and tells it what came of it.
 *
 * Knows no clock of its own and no file. A party that fails is a
 * fact for the machine; nothing is decided here.
 */
import type { StateDriver } from "../../drivers/driver.ts";
import type { HeaderFields } from "../../drivers/fields.ts";
import type { StateRecord, StateRole } from "../../drivers/record.ts";
import { reasonOf } from "../../drivers/reason.ts";
import { Changes } from "./changes.ts";
import type { Counts, Courier, DriverSet } from "./contract.ts";
import type { Intents } from "./intents.ts";
import { advance, type Entry, markKey, type MoveEvent, type MoveState, type Phase, todo } from "./move.ts";
import { Readings } from "./readings.ts";
import type { Steering } from "./steering.ts";

/** Records in hand at a time: what a move or a clone needs of memory, however many flows there are. */
export const BATCH = 256;

/** Phases that begin with looking, or are looking alone: their line may get to the disk meanwhile. */
const LOOKS_FIRST: ReadonlySet<Phase> = new Set(["begin", "read"]);

export interface IntentStore {
  load(): Intents;
  /** On disk when it returns; "soon": written, for whom only this process may die, and on disk with the next line or by itself. */
  append(entry: Entry, how?: "now" | "soon"): Promise<void>;
}

export interface Parties {
  readonly drivers: DriverSet;
  readonly steering: Steering;
  readonly courier: Courier;
  readonly intents: IntentStore;
  readonly nowMs: () => number;
  /** Ends early when the signal says so. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Lets others have their turn, if they had none for some milliseconds. */
  readonly breathe: () => Promise<void>;
  /** A step began, or the move ended. */
  readonly tell: (state: MoveState) => void;
  readonly framesMax: number;
  readonly holdMsMax: number;
  /** A party that has not answered by then counts as failed. */
  readonly askMsMax: number;
  /** How long the source's driver may take to tell the last changes after its box came to rest. */
  readonly settleMs: number;
}

/** Per flow: shared state is not a flow's to take along. */
export const isFlowState = ({ partition }: StateRecord) => partition === "flow";

export class Mover {
  readonly #parties: Parties;
  readonly #stop: AbortSignal;
  #state: MoveState;
  #written: Set<string>;
  #heard: MoveEvent[] = [];
  /** Null: the source's driver tells of nothing that reading does not show. */
  #changes: Changes | null = null;
  readonly #readings = new Readings();
  /** Since it began here, and not in an earlier life of control. */
  #reads = false;
  #stream: AsyncIterator<StateRecord> | null = null;
  #cut = new AbortController();
  #batch: readonly StateRecord[] = [];

  constructor(
    parties: Parties,
    { state, entries = [], stop }: { state: MoveState; entries?: readonly Entry[]; stop: AbortSignal },
  ) {
    this.#parties = parties;
    this.#state = state;
    this.#stop = stop;
    this.#written = new Set(entries.map(markKey));
  }

  get state(): MoveState {
    return this.#state;
  }

  /** What happened outside: a box died, a person revoked. Taken in before the next thing is done. */
  hear(event: Extract<MoveEvent, { kind: "died" | "revoked" }>): void {
    this.#heard.push(event);
  }

  /** Until the move ends, or control does. Never throws for what a party does. */
  async run(): Promise<MoveState> {
    try {
      while (!this.#stop.aborted && await this.#one());
    } finally {
      await this.#closeStreams();
    }
    return this.#state;
  }

  async #one(): Promise<boolean> {
    const { nowMs, wait, tell } = this.#parties;
    const next = todo(this.#state, this.#written, nowMs());
    if (next === null) return false;
    if (next.notBeforeMs !== null) await wait(Math.max(0, next.notBeforeMs - nowMs()), this.#stop);
    if (this.#stop.aborted) return false;
    const before = this.#state;
    let event: MoveEvent;
    try {
      await this.#parties.breathe();
      // Both, or the phase has failed: what is done before the line is on disk is looking alone.
      const written = next.write === null ? Promise.resolve() : this.#write(next.write);
      if (!LOOKS_FIRST.has(next.phase)) await written;
      const [done] = await Promise.all([this.#inTime(this.#carryOut(next.phase, written)), written]);
      event = done;
    } catch (error) {
      event = { kind: "failed", reason: reasonOf(error) };
    }
    this.#state = advance(this.#state, event, nowMs());
    for (const heard of this.#heard.splice(0)) this.#state = advance(this.#state, heard, nowMs());
    if (this.#state.end !== null || this.#state.phase !== before.phase) tell(this.#state);
    return true;
  }

  /** What comes later than that is not waited for: it may still have its effect, which is why every step may be repeated. */
  async #inTime(work: Promise<MoveEvent>): Promise<MoveEvent> {
    const { wait, askMsMax } = this.#parties, bell = new AbortController();
    const late = wait(askMsMax, AbortSignal.any([this.#stop, bell.signal])).then((): MoveEvent => {
      if (!bell.signal.aborted) this.#cut.abort();
      return { kind: "failed", reason: `no answer within ${askMsMax} ms` };
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      bell.abort();
    }
  }

  async #write(entry: Entry): Promise<void> {
    await this.#parties.intents.append(entry);
    this.#written.add(markKey(entry));
  }

  #driver(which: "source" | "destination"): StateDriver {
    const name = this.#state.order[which], driver = this.#parties.drivers.get(name);
    if (driver === null) throw new Error(`the driver ${name} is not there`);
    return driver;
  }

  /** `written`: its line is on disk. */
  async #carryOut(phase: Phase, written: Promise<void>): Promise<MoveEvent> {
    const { steering } = this.#parties, { order } = this.#state;
    switch (phase) {
      case "begin":
        return await this.#begin(written);
      case "read":
        return await this.#read();
      case "send":
        this.#batch = await this.#parties.courier.send(order.id, this.#batch);
        return { kind: "done" };
      case "insert":
        return await this.#insert();
      case "hold":
        return await this.#hold();
      case "catch-up":
        return await this.#catchUp();
      case "route":
        return await this.#route();
      case "look":
        return { kind: "seen", sight: await steering.look(order.id) };
      case "delete":
        await this.#closeStreams();
        return { kind: "done", counts: { deleted: await this.#delete("source") } };
      case "cancel":
        await this.#closeStreams();
        await steering.cancel(order.id);
        return { kind: "done" };
      case "undo":
        await this.#delete("destination");
        return { kind: "done" };
      case "finish":
        return await this.#finish();
    }
  }

  async #begin(written: Promise<void>): Promise<MoveEvent> {
    const { drivers, steering, framesMax, holdMsMax } = this.#parties;
    const { id, fields, guarantee, source, destination, roles } = this.#state.order;
    await this.#closeStreams();
    const driver = this.#driver("source"), target = this.#driver("destination");
    const [clean] = await Promise.all([this.#isClean(target), written]);
    await steering.begin({
      ...{ id, fields, guarantee, framesMax, holdMsMax },
      source: drivers.boxOf(source) ?? source,
      destination: drivers.boxOf(destination) ?? destination,
    });
    this.#reads = true;
    if (driver.abilities.watch && driver.abilities.hints === true) {
      this.#changes = new Changes(driver, fields);
    }
    this.#open(driver, roles, fields);
    return { kind: "begun", clean };
  }

  /** Whether the destination has nothing of these flows, and what comes there can be taken away again. */
  async #isClean(target: StateDriver): Promise<boolean> {
    const { roles, fields } = this.#state.order;
    if (!roles.every((role) => target.abilities.get.includes(role) && target.abilities.del.includes(role))) {
      return false;
    }
    const cut = new AbortController();
    try {
      for (const role of roles) {
        for await (const record of target.get(role, fields, cut.signal)) {
          if (isFlowState(record)) return false;
        }
      }
      return true;
    } finally {
      cut.abort();
    }
  }

  #open(driver: StateDriver, roles: readonly StateRole[], fields: HeaderFields): void {
    this.#cut = new AbortController();
    this.#stream = flowRecords(driver, { roles, fields, signal: this.#cut.signal });
  }

  async #read(): Promise<MoveEvent> {
    const records: StateRecord[] = [], nowMs = this.#parties.nowMs();
    let last = false, bytes = 0;
    for (let read = 0; read < BATCH && !last; read++) {
      const next = await this.#stream?.next() ?? { done: true };
      if (next.done) last = true;
      else {
        const record: StateRecord = next.value;
        bytes += record.value.length;
        // Where flows move whole, so does their reporting state: it is not added to anything.
        if (this.#isWanted(record, nowMs)) records.push({ ...record, merge: null });
      }
    }
    this.#batch = records;
    return { kind: "read", last, counts: { records: records.length, bytes } };
  }

  /** Under the hold: what changed since it was carried. */
  #isWanted(record: StateRecord, nowMs: number): boolean {
    if (this.#state.pass === 1) {
      this.#changes?.read(record.key);
      return true;
    }
    // Of flows whose frames were played in, the destination has what came after the first reading.
    return this.#changes?.replays.has(record.key) !== true && !this.#readings.has(record, nowMs);
  }

  async #insert(): Promise<MoveEvent> {
    const batch = this.#batch;
    const { taken, known, refused } = await this.#driver("destination").put(batch);
    this.#batch = [];
    if (refused.length > 0) {
      const { key, reason } = refused[0]!;
      const more = refused.length === 1 ? "" : `, and ${refused.length - 1} more`;
      throw new Error(`${this.#state.order.destination} refused ${key}: ${reason}${more}`);
    }
    this.#readings.given(batch, this.#parties.nowMs());
    return { kind: "done", counts: { taken, known } };
  }

  async #hold(): Promise<MoveEvent> {
    const { held, drained } = await this.#parties.steering.hold(this.#state.order.id);
    if (!drained) throw new Error(`frames stayed in ${this.#state.order.source} for too long`);
    return { kind: "done", counts: { held } } satisfies { kind: "done"; counts: Partial<Counts> };
  }

  async #catchUp(): Promise<MoveEvent> {
    const { steering, settleMs, wait } = this.#parties, { id, roles, fields } = this.#state.order;
    const driver = this.#driver("source"), changes = this.#changes;
    if (changes !== null) await wait(settleMs, this.#stop);
    if (changes !== null && changes.fault !== null) throw new Error(changes.fault);
    let replayed = 0;
    for (const { fields: flow, frames } of changes?.replays.values() ?? []) {
      const seen = await steering.reprocess(id, flow, frames);
      if (seen < frames) throw new Error(`${frames - seen} frames to be processed again were forgotten`);
      replayed += seen;
    }
    this.#open(driver, roles, fields);
    return { kind: "caught", replayed };
  }

  async #route(): Promise<MoveEvent> {
    const { steering, drivers } = this.#parties, { id, fields, destination, guarantee } = this.#state.order;
    if (await steering.look(id) !== null) return { kind: "routed", ok: await steering.route(id) };
    // A plane that began anew in the middle has let frames into the source that nobody read.
    if (this.#reads && guarantee !== "none") return { kind: "routed", ok: false };
    await steering.add({ id, fields, box: drivers.boxOf(destination) ?? destination });
    return { kind: "routed", ok: true };
  }

  async #delete(which: "source" | "destination"): Promise<number> {
    const { roles, fields } = this.#state.order, driver = this.#driver(which);
    let deleted = 0;
    for (const role of roles) {
      if (driver.abilities.del.includes(role)) deleted += await driver.del(role, onlyFlows(fields));
    }
    return deleted;
  }

  async #finish(): Promise<MoveEvent> {
    const { intents, steering, nowMs } = this.#parties, { order, course, reason } = this.#state;
    await steering.end(order.id);
    const end = course === "on" ? "moved" : "back";
    // Should the machine lose it, the next control deletes once more what is not there.
    await intents.append({ id: order.id, round: 0, mark: "end", atMs: nowMs(), end, reason }, "soon");
    return { kind: "done" };
  }

  async #closeStreams(): Promise<void> {
    this.#cut.abort();
    const [stream, changes] = [this.#stream, this.#changes];
    this.#stream = null;
    this.#changes = null;
    this.#reads = false;
    this.#readings.forget();
    this.#batch = [];
    // A driver that does not hear the signal is left to itself.
    await Promise.race([
      Promise.allSettled([stream?.return?.(), changes?.close()]),
      this.#parties.wait(this.#parties.settleMs, this.#stop),
    ]);
  }
}

const ANY_PORT = [0, 65_535] as const;

/** The same flows, and no shared state even where `fields` are all: only flows have both ports. */
function onlyFlows(fields: HeaderFields): HeaderFields {
  return { sourcePort: ANY_PORT, destinationPort: ANY_PORT, ...fields };
}

async function* flowRecords(
  driver: StateDriver,
  { roles, fields, signal }: { roles: readonly StateRole[]; fields: HeaderFields; signal: AbortSignal },
): AsyncGenerator<StateRecord> {
  for (const role of roles) {
    for await (const record of driver.get(role, fields, signal)) {
      if (isFlowState(record)) yield record;
    }
  }
}

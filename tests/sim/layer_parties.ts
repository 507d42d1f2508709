/**
 * Drivers, courier, steering and journal of a simulated world, each call of which takes time and may go wrong.
 *
 * A call passes `World.call`: turns of traffic go by, and at the moment that a plan names a party fails, or control dies
 * before the call had its effect, in the middle of it, or after. What control that died asks later is never answered.
 */
import type { DriverEvent, PutResult, StateDriver } from "../../drivers/driver.ts";
import type { HeaderFields } from "../../drivers/fields.ts";
import type { StateRecord, StateRole } from "../../drivers/record.ts";
import type { Courier, DriverSet } from "../../appliance/layer/contract.ts";
import { compactIntents, entryLine, type Intents, readIntents } from "../../appliance/layer/intents.ts";
import type { Entry } from "../../appliance/layer/move.ts";
import type { IntentStore } from "../../appliance/layer/mover.ts";
import type { Steering } from "../../appliance/layer/steering.ts";
import { type BoxName, type FlowState, holds, type LayerWorld, type SimBox } from "./layer_world.ts";

export type Party = "driver a" | "driver b" | "courier" | "steering" | "journal";
export type Mode = "read" | "records" | "reprocess";

/** In a wait: traffic beyond that shows nothing new. */
const TURNS_MAX = 60;

/** Control is no more. */
export class ControlDead extends Error {}

/** Decides for each call whether it goes wrong: before its effect, after it, or not. */
export interface Fate {
  before(party: Party): void;
  after(party: Party): void;
  /** Share of a line that gets to the disk when control dies while it writes; 1 is all. */
  torn(): number;
}

export class Calls {
  constructor(readonly world: LayerWorld, readonly fate: Fate, private readonly dead: () => boolean) {}

  async call<T>(party: Party, effect: () => T): Promise<T> {
    await Promise.resolve();
    if (this.dead()) throw new ControlDead("control is dead");
    for (let n = this.world.random.below(4); n > 0; n--) this.world.turn();
    this.fate.before(party);
    const result = effect();
    this.fate.after(party);
    return result;
  }

  /** Time goes by. */
  async wait(ms: number): Promise<void> {
    const until = this.world.nowMs + ms, turns = Math.min(ms, TURNS_MAX);
    for (let n = 0; n < turns; n++) this.world.turn();
    this.world.nowMs = until;
    // Whoever listens to a driver gets to hear what it has told.
    for (let n = 0; n < 200; n++) await Promise.resolve();
  }
}

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const decode = (value: Uint8Array) => JSON.parse(new TextDecoder().decode(value));

function recordOf(key: string, state: FlowState & { fields: HeaderFields }): StateRecord {
  const { count, last, version, fields } = state;
  return {
    ...{ role: "supporting", partition: "flow", key, fields, codec: "sim/1", version } as const,
    ...{ value: encode({ count, last }), ttlMs: null, merge: null, ended: false },
  };
}

const SHARED = {
  total: { merge: "sum" },
  longest: { merge: "max" },
  seen: { merge: "union" },
} as const;

export class SimDriver implements StateDriver {
  readonly kind = "sim";
  readonly abilities;
  /** Flows read since somebody asked, and those that were there when he did. */
  #read = new Set<string>();
  #listed: ReadonlySet<string> | null = null;
  #told: DriverEvent[] = [];
  #wake: (() => void) | null = null;

  constructor(private readonly calls: Calls, private readonly box: SimBox, private readonly mode: Mode) {
    const roles: StateRole[] = ["supporting", "reporting"];
    const able = { get: roles, put: roles, del: roles, codecs: ["sim/1"] };
    this.abilities = { ...able, watch: mode !== "read", hints: mode === "reprocess" };
  }

  #ask<T>(effect: () => T): Promise<T> {
    return this.calls.call(`driver ${this.box.name}`, () => {
      if (!this.box.alive) throw new Error(`box ${this.box.name} does not answer`);
      return effect();
    });
  }

  async *get(role: StateRole, fields: HeaderFields, signal: AbortSignal): AsyncGenerator<StateRecord> {
    if (role === "reporting") return yield* this.#shared();
    const keys = await this.#ask(() => {
      this.#read = new Set();
      const found = [...this.box.flows].filter(([, flow]) => holds(fields, flow.fields)).map(([key]) => key);
      this.#listed = new Set(found);
      return found;
    });
    for (const key of keys) {
      if (signal.aborted) return;
      const record = await this.#ask(() => {
        const state = this.box.flows.get(key);
        this.#read.add(key);
        return state === undefined ? null : recordOf(key, state);
      });
      if (record !== null) yield record;
    }
  }

  async *#shared(): AsyncGenerator<StateRecord> {
    const records = await this.#ask(() =>
      (Object.keys(SHARED) as (keyof typeof SHARED)[]).flatMap((key): StateRecord[] => {
        const { value, version } = this.box[key];
        if (version === 0) return [];
        const plain = value instanceof Set ? [...value] : value;
        return [{
          ...{ role: "reporting", partition: "shared", key, fields: {}, codec: "sim/1", version } as const,
          ...{ value: encode(plain), ttlMs: null, merge: SHARED[key].merge, ended: false },
        }];
      })
    );
    yield* records;
  }

  put(records: readonly StateRecord[]): Promise<PutResult> {
    return this.#ask(() => {
      const taken = records.filter((record) => this.#take(record)).length;
      return { taken, known: records.length - taken, refused: [] };
    });
  }

  #take(record: StateRecord): boolean {
    const { key, version, fields } = record, value = decode(record.value);
    if (record.partition === "flow") {
      if ((this.box.flows.get(key)?.version ?? 0) >= version) return false;
      this.box.flows.set(key, { ...value, version, fields });
      return true;
    }
    const { total, longest, seen } = this.box;
    if (this.box[key as keyof typeof SHARED].version >= version) return false;
    if (key === "total") this.box.total = { value: total.value + value, version };
    if (key === "longest") this.box.longest = { value: Math.max(longest.value, value), version };
    if (key === "seen") this.box.seen = { value: new Set([...seen.value, ...value]), version };
    return true;
  }

  del(role: StateRole, fields: HeaderFields): Promise<number> {
    return this.#ask(() => {
      if (role === "reporting") return holds(fields, {}) ? this.box.forget() : 0;
      const keys = [...this.box.flows].filter(([, flow]) => holds(fields, flow.fields)).map(([key]) => key);
      for (const key of keys) this.box.flows.delete(key);
      return keys.length;
    });
  }

  async *watch(signal: AbortSignal): AsyncGenerator<DriverEvent> {
    this.#told = [];
    this.#listed = null;
    this.box.changed = ({ key, fields }) => {
      if (this.#listed === null || this.#listed.has(key) && !this.#read.has(key)) return;
      const record = this.box.flows.get(key);
      if (this.mode === "reprocess") this.#told.push({ kind: "reprocess", fields });
      else if (record) this.#told.push({ kind: "record", record: recordOf(key, record) });
      this.#wake?.();
    };
    signal.addEventListener("abort", () => this.#wake?.());
    while (!signal.aborted) {
      for (const told of this.#told.splice(0)) yield told;
      if (this.#told.length === 0 && !signal.aborted) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    }
  }

  counters = () => ({});
  close = () => Promise.resolve();
}

export class SimSteering implements Steering {
  constructor(private readonly calls: Calls) {}

  #ask<T>(effect: (world: LayerWorld) => T): Promise<T> {
    return this.calls.call("steering", () => effect(this.calls.world));
  }

  begin: Steering["begin"] = (move) => this.#ask((world) => world.begin(move));
  async hold(id: string) {
    await this.#ask((world) => world.hold(id));
    for (let turns = 0; turns < 60 && this.calls.world.inside(id) > 0; turns++) this.calls.world.turn();
    return await this.#ask((world) => ({ held: world.heldBy(id), drained: world.inside(id) === 0 }));
  }
  reprocess: Steering["reprocess"] = (id, fields, frames) =>
    this.#ask((world) => world.reprocess(id, fields, frames));
  route: Steering["route"] = (id) => this.#ask((world) => world.route(id));
  cancel: Steering["cancel"] = (id) => this.#ask((world) => world.cancel(id));
  end: Steering["end"] = (id) => this.#ask((world) => world.end(id));
  look: Steering["look"] = (id) =>
    this.#ask(({ moving }) => {
      const seen = moving.get(id);
      return seen === undefined ? null : { routed: seen.routed, hold: seen.hold };
    });
  rules: Steering["rules"] = () => this.#ask(({ rules }) => rules);
  add: Steering["add"] = (rule) =>
    this.#ask((world) => {
      world.rules = [...world.rules.filter(({ id }) => id !== rule.id), rule];
    });
  remove: Steering["remove"] = (id) =>
    this.#ask((world) => {
      world.rules = world.rules.filter((rule) => rule.id !== id);
    });
}

/** The disk: what is on it stays whatever dies. */
export class SimDisk {
  text = "";
}

export class SimIntents implements IntentStore {
  constructor(private readonly calls: Calls, private readonly disk: SimDisk) {}

  load(): Intents {
    const intents = readIntents(this.disk.text);
    this.disk.text = compactIntents(intents);
    return intents;
  }

  append(entry: Entry): Promise<void> {
    const line = entryLine(entry), before = this.disk.text;
    return this.calls.call("journal", () => {
      this.disk.text = before + line;
    }).catch((error) => {
      // Dead in the middle of a write, or a disk that took half of it and was cleared.
      if (error instanceof ControlDead && this.disk.text === before + line) {
        this.disk.text = before + line.slice(0, Math.round(line.length * this.calls.fate.torn()));
      } else if (!(error instanceof ControlDead)) this.disk.text = before;
      throw error;
    });
  }
}

export function simParties(calls: Calls, { mode, disk }: { mode: Mode; disk: SimDisk }) {
  const { boxes } = calls.world;
  const made = {
    a: new SimDriver(calls, boxes.a, mode),
    b: new SimDriver(calls, boxes.b, mode),
  } satisfies Record<BoxName, SimDriver>;
  const drivers: DriverSet = {
    names: ["a", "b"],
    get: (name) => name === "a" || name === "b" ? made[name] : null,
    boxOf: (name) => name === "a" || name === "b" ? name : null,
  };
  const courier: Courier = { send: (_id, records) => calls.call("courier", () => records) };
  const steering = new SimSteering(calls), intents = new SimIntents(calls, disk);
  return { drivers, courier, steering, intents };
}

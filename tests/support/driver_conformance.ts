/**
 * Duty: what every state driver has to do, as tests that any driver's test file can call.
 *
 * What a driver says that it cannot do is left out. Times are bounded, never compared.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { DriverContext, DriverEvent, DriverKind, StateDriver } from "../../drivers/driver.ts";
import { DRIVER } from "../../appliance/config_keys_state.ts";
import { ALL, fieldsText, holds } from "../../drivers/fields.ts";
import { recordFault, type StateRecord } from "../../drivers/record.ts";
import { takes } from "../../drivers/registry.ts";
import { within } from "./child.ts";

const WATCH_MS_MAX = 30_000;
const STIR_MS = 300;
const STIRS_MAX = 90;
const RESERVED: readonly string[] = Object.keys(DRIVER);

export interface Subject {
  readonly kind: DriverKind;
  /** A driver with nothing of `samples` in its box. */
  open(): Promise<StateDriver>;
  /** Records that the box takes, of at least two flows, each of version 1. None: it cannot put. */
  readonly samples: readonly StateRecord[];
  /** A value that no driver of this codec can read; left out where all can be read. */
  readonly garbage?: Uint8Array;
  /** Changes the box from outside, each round otherwise; for drivers that do not tell of what they put themselves. */
  readonly stir?: (round: number) => Promise<unknown>;
}

export const CONTEXT: DriverContext = { name: "test", nowMs: () => Date.now(), say: () => {} };

/** All that a driver holds of its roles. */
export async function held(driver: StateDriver, fields = ALL): Promise<StateRecord[]> {
  const records: StateRecord[] = [];
  for (const role of driver.abilities.get) {
    for await (const record of driver.get(role, fields, AbortSignal.timeout(WATCH_MS_MAX))) {
      records.push(record);
    }
  }
  return records;
}

const names = (records: readonly StateRecord[]) =>
  records.map(({ role, codec, key }) => `${role} ${codec} ${key}`).sort();

const CLAIMS: Readonly<Record<string, (subject: Subject, driver: StateDriver) => Promise<void>>> = {
  async "get() gives records that can be carried, each once"({ samples }, driver) {
    if (samples.length > 0) await driver.put(samples);
    const records = await held(driver);
    for (const record of records) {
      assert.equal(recordFault(record), null, record.key);
      assert.ok(!record.ended, `${record.key} ended and is still given`);
    }
    assert.equal(new Set(names(records)).size, records.length, "a key was given twice");
  },

  async "get() keeps to the fields asked for"({ samples }, driver) {
    const flow = samples.find(({ partition }) => partition === "flow");
    if (flow === undefined) return;
    await driver.put(samples);
    for (const record of await held(driver, flow.fields)) {
      const own = record.partition === "shared" || holds(flow.fields, record.fields);
      assert.ok(own, `${fieldsText(record.fields)} is not of ${fieldsText(flow.fields)}`);
    }
  },

  async "put() takes what is new, and knows it the second time"({ samples }, driver) {
    if (samples.length === 0) return;
    const first = await driver.put(samples);
    assert.deepEqual(first.refused, []);
    assert.equal(first.taken + first.known, samples.length);
    const before = names(await held(driver));
    const again = await driver.put(samples);
    assert.deepEqual({ ...again, refused: again.refused.length }, {
      taken: 0,
      known: samples.length,
      refused: 0,
    });
    assert.deepEqual(names(await held(driver)), before);
  },

  async "put() refuses by name what it cannot read, and goes on"({ samples, garbage }, driver) {
    const [sample, other] = samples;
    if (sample === undefined || other === undefined) return;
    const bad = [
      ...(garbage ? [{ ...sample, value: garbage }] : []),
      ...(takes(driver.abilities, "no-such/1") ? [] : [{ ...sample, codec: "no-such/1" }]),
      { ...sample, version: 0 },
    ];
    for (const record of bad) {
      const { taken, known, refused } = await driver.put([record, other]);
      assert.equal(taken + known, 1, "what stood beside it was not taken");
      assert.equal(refused.length, 1);
      assert.equal(refused[0]!.key, record.key);
      assert.ok(refused[0]!.reason.length > 3);
    }
  },

  async "del() takes away what it counts"({ samples }, driver) {
    if (samples.length === 0) return;
    await driver.put(samples);
    for (const role of driver.abilities.del) {
      const wanted = (await held(driver)).filter((record) => record.role === role).length;
      if (driver.abilities.get.includes(role)) assert.equal(await driver.del(role, ALL), wanted);
      assert.equal((await held(driver)).filter((record) => record.role === role).length, 0);
    }
  },

  async "watch() tells what changes, and ends when it is told to"({ samples, stir }, driver) {
    if (!driver.abilities.watch || (samples.length === 0 && stir === undefined)) return;
    const stop = new AbortController();
    const watched = driver.watch(stop.signal)[Symbol.asyncIterator]();
    const told = new AbortController();
    const first = watched.next().finally(() => told.abort());
    // A box that is listed in intervals may be listed for the first time after the first change.
    const stirring = (async () => {
      for (let round = 0; !told.signal.aborted && round < STIRS_MAX; round++) {
        await (stir ?? (() => driver.put(samples)))(round);
        await delay(STIR_MS, null, { signal: told.signal }).catch(() => null);
      }
    })();
    const event = await within(first, WATCH_MS_MAX, () => "Cannot see a change");
    await stirring;
    assert.ok(!event.done, "it ended by itself");
    const { kind } = event.value as DriverEvent;
    assert.ok(["record", "reprocess", "redirect", "gap"].includes(kind), kind);
    const rest = (async () => {
      while (!(await watched.next()).done);
    })();
    stop.abort();
    await within(rest, WATCH_MS_MAX, () => "Cannot end a watch");
  },

  async "counters() are numbers with names of words"(_, driver) {
    await held(driver);
    for (const [name, count] of Object.entries(driver.counters())) {
      assert.match(name, /^[a-z][a-z0-9_ ]*$/);
      assert.ok(Number.isFinite(count) && count >= 0, name);
    }
  },

  async "close() may come twice"(_, driver) {
    await driver.close();
    await driver.close();
  },
};

/** What the kind says of itself is whole. */
export function settingsAreTold(kind: DriverKind): void {
  assert.match(kind.kind, /^[a-z][a-z0-9-]*$/);
  assert.ok(kind.summary.length > 10 && !kind.summary.endsWith("."), "a line without a full stop");
  for (const [name, setting] of Object.entries(kind.settings)) {
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    assert.ok(!RESERVED.includes(name), `${name} is a key of every driver`);
    assert.match(setting.help, /\.$/, `${name}: help is full sentences`);
    assert.ok(!(setting.required && setting.default !== undefined), `${name}: required, with a default`);
    if (setting.type === "choice") assert.ok(setting.choices?.length, `${name}: no choices`);
    if (setting.type !== "integer") continue;
    assert.ok(setting.min !== undefined && setting.max !== undefined, `${name}: an integer has bounds`);
  }
}

async function opened(subject: Subject, check: (subject: Subject, driver: StateDriver) => Promise<void>) {
  const driver = await subject.open();
  try {
    await check(subject, driver);
  } finally {
    await driver.close();
  }
}

/** Registers the tests; `name` stands in front of each. */
export function driverConformance(name: string, subject: Subject): void {
  for (const [claim, check] of Object.entries(CLAIMS)) {
    Deno.test(`${name}: ${claim}`, () => opened(subject, check));
  }
}

/** All of it as steps of one test, for a box that is made once and emptied by `open`. */
export async function conforms(t: Deno.TestContext, subject: Subject): Promise<void> {
  for (const [claim, check] of Object.entries(CLAIMS)) {
    assert.ok(await t.step(claim, () => opened(subject, check)), claim);
  }
}

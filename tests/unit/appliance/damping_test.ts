/** Damping: deaths add up and fade, the bars are two, and it ends in time. */
import assert from "node:assert/strict";
import {
  type Damped,
  type DampingConfig,
  DEATH_POINTS,
  lookDamped,
  noteDeath,
  pointsMax,
  reuseAtMs,
  UNDAMPED,
} from "../../../appliance/failover/damping.ts";
import { Flaps } from "../../../appliance/failover/flaps.ts";
import type { EventView } from "../../../appliance/view.ts";
import { Random } from "../../../filter/random.ts";

const CONFIG: DampingConfig = { halfLifeS: 900, suppressAbove: 2000, reuseBelow: 750, suppressSMax: 3600 };
const HALF_MS = CONFIG.halfLifeS * 1000;

function die(times: number, everyMs: number, config = CONFIG): Damped {
  let state = UNDAMPED;
  for (let i = 0; i < times; i++) state = noteDeath(state, config, i * everyMs);
  return state;
}

function death(subject: string, wallMs: number, more: Partial<EventView> = {}): EventView {
  return {
    sequence: 0,
    boot: "",
    wallMs,
    monoUs: 0,
    kind: "box",
    cause: "link",
    subject,
    before: "alive",
    after: "dead",
    silentUs: null,
    lostPackets: null,
    text: "",
    ...more,
  };
}

Deno.test("noteDeath() suppresses with the third quick death, not with the second", () => {
  assert.deepEqual([1, 2, 3].map((times) => die(times, 1000).suppressed), [false, false, true]);
  assert.equal(die(20, 4 * HALF_MS).suppressed, false, "a death every hour is no flapping");
});

Deno.test("lookDamped() halves the points in a half-life and reuses below the lower bar", () => {
  const state: Damped = { points: 3000, atMs: 0, suppressed: true };
  assert.equal(lookDamped(state, CONFIG, HALF_MS).points, 1500);
  assert.equal(lookDamped(state, CONFIG, HALF_MS).suppressed, true, "between the bars nothing changes");
  assert.equal(lookDamped(state, CONFIG, 2 * HALF_MS).suppressed, true);
  assert.equal(lookDamped(state, CONFIG, 2 * HALF_MS + 1000).suppressed, false);
});

Deno.test("lookDamped() forgets nothing and adds nothing while a clock goes back", () => {
  const state = noteDeath(UNDAMPED, CONFIG, 10_000);
  assert.equal(lookDamped(state, CONFIG, 0).points, DEATH_POINTS);
});

Deno.test("reuseAtMs() foretells the moment at which lookDamped() ends it", () => {
  for (const times of [3, 4, 10, 100]) {
    const state = die(times, 1000);
    const at = reuseAtMs(state, CONFIG)!;
    assert.equal(lookDamped(state, CONFIG, at - 1000).suppressed, true);
    assert.equal(lookDamped(state, CONFIG, at + 1000).suppressed, false);
  }
  assert.equal(reuseAtMs(UNDAMPED, CONFIG), null);
});

Deno.test("noteDeath() never suppresses for longer than the longest time", () => {
  const random = new Random(5);
  for (let run = 0; run < 200; run++) {
    const config = {
      halfLifeS: 1 + random.below(1000),
      suppressAbove: 1000 + random.below(3000),
      reuseBelow: 1 + random.below(999),
      suppressSMax: 1 + random.below(5000),
    };
    let state = UNDAMPED, nowMs = 0;
    for (let i = 0; i < 50; i++) state = noteDeath(state, config, nowMs += random.below(2000));
    const until = reuseAtMs(state, config);
    assert.ok(state.points <= pointsMax(config));
    assert.ok(until === null || until - nowMs <= config.suppressSMax * 1000 + 1, JSON.stringify(config));
  }
});

Deno.test("noteDeath() suppresses nothing when damping is off", () => {
  assert.equal(die(100, 10, { ...CONFIG, suppressAbove: 0 }).suppressed, false);
});

Deno.test("Flaps counts deaths of boxes and nothing that a person did", () => {
  const flaps = new Flaps();
  const events = [0, 1, 2].map((i) => death("primary", i * 1000));
  flaps.note([
    ...events,
    death("redundant", 0, { after: "alive" }),
    death("redundant", 0, { cause: "order" }),
    death("redundant-in", 0, { kind: "link", after: "down" }),
  ], CONFIG);
  assert.equal(flaps.suppressed("primary"), true);
  assert.equal(flaps.view("redundant", CONFIG), null);
  assert.equal(flaps.view("primary", CONFIG)!.points, Math.round(die(3, 1000).points));
});

Deno.test("Flaps.look() names a box once when it is reused, and forgets it in the end", () => {
  const flaps = new Flaps();
  flaps.note([0, 1, 2].map((i) => death("primary", i)), CONFIG);
  assert.deepEqual(flaps.look(CONFIG, 1000), []);
  assert.deepEqual(flaps.look(CONFIG, 3 * HALF_MS), ["primary"]);
  assert.deepEqual(flaps.look(CONFIG, 3 * HALF_MS + 1), []);
  flaps.look(CONFIG, 20 * HALF_MS);
  assert.equal(flaps.view("primary", CONFIG), null);
});

Deno.test("Flaps taught by a journal judges as the one that saw it happen", () => {
  const events = Array.from({ length: 7 }, (_, i) => death("primary", i * 200_000));
  const saw = new Flaps(), read = new Flaps();
  for (const event of events) {
    saw.note([event], CONFIG);
    for (let ms = 0; ms < 200_000; ms += 10_000) saw.look(CONFIG, event.wallMs + ms);
  }
  read.note(events, CONFIG);
  const nowMs = events.at(-1)!.wallMs + 190_000;
  saw.look(CONFIG, nowMs);
  read.look(CONFIG, nowMs);
  assert.deepEqual(read.view("primary", CONFIG), saw.view("primary", CONFIG));
});

/** Drivers that fail: opened anew, later each time, told once for a run of failures; and when to try again. */
import assert from "node:assert/strict";
import { LiveDriver } from "../../../appliance/live_driver.ts";
import { Restarts } from "../../../appliance/restarts.ts";
import type { DriverKind, StateDriver } from "../../../drivers/driver.ts";
import { MEMORY } from "../../../drivers/memory.ts";
import { Random } from "../../../filter/random.ts";
import { CONTEXT } from "../../support/driver_conformance.ts";
import { pause, until } from "../../support/state_world.ts";

function live(kind: DriverKind, work: (driver: StateDriver, signal: AbortSignal) => Promise<void>) {
  const told: string[] = [], waits: number[] = [];
  const driver = new LiveDriver({
    kind,
    settings: { records_max: 10 },
    context: CONTEXT,
    restarts: new Restarts(new Random(1)),
    // Thirty seconds are for what hangs; the rest is waited for in no time.
    sleep: (ms, signal) => (waits.push(ms), pause(ms === 30_000 ? 60 : 1, signal)),
    work,
    tell: ({ kind, text }) => told.push(`${kind}: ${text}`),
  });
  return { driver, told, waits };
}

const untilStopped = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

Deno.test("LiveDriver: a driver that fails is opened anew, told once, and once when it works again", async () => {
  let failures = 3;
  const { driver, told, waits } = live(MEMORY, async (_, signal) => {
    if (failures-- > 0) throw new Error("the box hung up");
    await untilStopped(signal);
  });
  driver.start();
  await until("that it works again", () => told.length === 2);
  assert.deepEqual(told, [
    "failed: driver test has failed: the box hung up",
    "again: driver test works again",
  ]);
  assert.equal(driver.failures, 3);
  const steps = waits.filter((ms) => ms !== 30_000 && ms !== 1_000);
  for (const [index, ms] of steps.slice(0, 3).entries()) {
    assert.ok(ms >= 100 * 2 ** index && ms <= 200 * 2 ** index, `${ms} ms`);
  }
  assert.equal(driver.state, "running");
  await driver.stop();
  assert.equal(driver.state, "stopped");
});

Deno.test("LiveDriver: one that cannot be opened, or hangs while it is, has failed with a reason", async () => {
  let closed = 0, opening = 0;
  const hangs: DriverKind = {
    ...MEMORY,
    open: async (settings, context) => {
      if (opening++ === 0) throw new Error("no such socket");
      await new Promise((resolve) => setTimeout(resolve, 90));
      const late = await MEMORY.open(settings, context);
      return Object.assign(late, { close: () => Promise.resolve(void closed++) });
    },
  };
  const { driver, told } = live(hangs, (_, signal) => untilStopped(signal));
  driver.start();
  await until("both failures", () => driver.failures === 2);
  assert.match(told[0]!, /no such socket/);
  await driver.stop();
  await until("that the late ones are closed", () => closed > 0 && closed === opening - 1);
});

Deno.test("LiveDriver: work that ends by itself is a failure, and a stop is none", async () => {
  let turns = 0;
  const { driver, told } = live(MEMORY, async (_, signal) => {
    if (++turns > 1) await untilStopped(signal);
  });
  driver.start();
  await until("the second turn", () => turns === 2);
  await driver.stop();
  assert.match(told[0]!, /it has stopped by itself/);
  assert.equal(driver.failures, 1);
});

Deno.test("Restarts: each wait is longer up to a bound, and a steady time begins anew", () => {
  const restarts = new Restarts(new Random(3), { firstMs: 100, maxMs: 1_000, steadyMs: 5_000 });
  const waits = [1, 2, 3, 4, 5, 6].map((now) => restarts.failed(now));
  for (const [index, ms] of waits.entries()) {
    const step = Math.min(1_000, 100 * 2 ** index);
    assert.ok(ms >= step / 2 && ms <= step, `${ms} ms at ${index}`);
  }
  assert.equal(restarts.inARow, 6);
  restarts.started(10);
  assert.ok(restarts.failed(4_000) > 400);
  restarts.started(5_000);
  assert.ok(restarts.failed(10_000) <= 100);
});

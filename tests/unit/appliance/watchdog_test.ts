/**
 * When the machine's watchdog is fed, and what comes before it is not.
 */
import assert from "node:assert/strict";
import { type PlaneLook, Progress, watchdogMs } from "../../../appliance/watchdog.ts";

const BEATS: PlaneLook = { state: "running", pid: 7, freshMs: 2 };
const STANDS: PlaneLook = { ...BEATS, freshMs: 60_000 };
const ABSENT: PlaneLook = { ...BEATS, state: "absent", pid: 0 };

/** What is said to `count` looks of one kind, as runs of equal verdicts. */
function looks(progress: Progress, look: PlaneLook, count: number): string {
  const kinds = Array.from({ length: count }, () => progress.judge(look).kind);
  return kinds.join(" ").replace(/(\w+)(?: \1)+\b/g, (run, kind) => `${kind}*${run.split(" ").length}`);
}

Deno.test("Progress feeds while the plane beats, whatever it beat before", () => {
  const progress = new Progress();
  assert.equal(looks(progress, BEATS, 1000), "feed*1000");
  assert.equal(looks(progress, STANDS, 9), "feed*9");
  assert.equal(looks(progress, BEATS, 1), "feed");
  assert.equal(looks(progress, STANDS, 9), "feed*9", "it is counted from anew");
});

Deno.test("Progress ends a plane that stands once, then starves", () => {
  const progress = new Progress();
  assert.equal(looks(progress, STANDS, 40), "feed*9 end feed*19 starve*11");
  assert.deepEqual(progress.judge(STANDS), { kind: "starve", reason: "the plane stands for 41 s" });
  assert.equal(looks(progress, BEATS, 2), "feed*2");
});

Deno.test("Progress gives an absent plane five minutes, and an old beat after a halt nothing to fear", () => {
  const progress = new Progress();
  assert.equal(looks(progress, ABSENT, 301), "feed*299 starve*2");
  const halted = new Progress();
  halted.judge(BEATS);
  assert.equal(halted.judge({ ...BEATS, freshMs: 3_600_000 }).kind, "feed");
  assert.equal(halted.judge(BEATS).kind, "feed");
});

Deno.test("watchdogMs() is for the process that systemd means, and for no other", () => {
  const of = (values: Record<string, string>) => watchdogMs((name) => values[name], 42);
  const given = { WATCHDOG_USEC: "20000000", NOTIFY_SOCKET: "/run/systemd/notify" };
  assert.equal(of(given), 20_000);
  assert.equal(of({ ...given, WATCHDOG_PID: "42" }), 20_000);
  assert.equal(of({ ...given, WATCHDOG_PID: "43" }), null);
  assert.equal(of({ WATCHDOG_USEC: "20000000" }), null);
  assert.equal(of({ ...given, WATCHDOG_USEC: "0" }), null);
});

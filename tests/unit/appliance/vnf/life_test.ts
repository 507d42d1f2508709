/** The life of a VNF by itself, and what is run for a template. */
import assert from "node:assert/strict";
import { besideArgv, startArgv, stopArgv } from "../../../../appliance/vnf/argv.ts";
import {
  adoptedVnf,
  live,
  newVnf,
  type VnfAct,
  type VnfEvent,
  type VnfState,
  type VnfTemplate,
} from "../../../../appliance/vnf/life.ts";
import { Random } from "../../../../filter/random.ts";

const TEMPLATE: VnfTemplate = {
  name: "fw-b",
  box: "redundant",
  in: "namespace",
  where: "fw",
  start: "run",
  stays: true,
  health: "ask",
  healthMs: 1000,
  healthTimeoutMs: 500,
  stop: null,
  stopMs: 2000,
  startMs: 5000,
  autostart: true,
  restartMs: 500,
  restartMsMax: 4000,
  log: null,
};

class Life {
  state: VnfState = newVnf(0);
  nowMs = 0;
  readonly acts: VnfAct[] = [];

  constructor(readonly template: VnfTemplate = TEMPLATE) {}

  hear(event: VnfEvent): VnfAct | null {
    const { state, act } = live(this.state, event, { template: this.template, nowMs: this.nowMs });
    this.state = state;
    if (act !== null) this.acts.push(act);
    return act;
  }

  pass(ms: number): VnfAct | null {
    this.nowMs += ms;
    return this.hear({ kind: "tick" });
  }
}

const OK = { kind: "checked", ok: true, text: "" } as const;
const ILL = { kind: "checked", ok: false, text: "not healthy: code 1" } as const;

Deno.test("live() brings a VNF up, looks after it, and starts it again when it is ill", () => {
  const life = new Life();
  assert.equal(life.hear({ kind: "order", on: true }), "start");
  assert.equal(life.hear({ kind: "started", pid: 7 }), "check");
  life.hear(ILL);
  assert.equal(life.state.phase, "starting");
  assert.equal(life.pass(1000), "check");
  life.hear(OK);
  assert.deepEqual([life.state.phase, life.state.reason], ["up", ""]);
  assert.equal(life.pass(999), null);
  for (let i = 0; i < 3; i++) {
    assert.equal(life.pass(1000), "check");
    if (i < 2) life.hear(ILL);
  }
  assert.equal(life.hear(ILL), "stop");
  life.hear({ kind: "stopped" });
  assert.deepEqual([life.state.phase, life.state.pid, life.state.reason], ["waiting", null, ILL.text]);
  assert.equal(life.pass(499), null);
  assert.equal(life.pass(1), "start");
  assert.equal(life.state.restarts, 1);
});

Deno.test("live() waits longer with each failure, and forgets them after a minute of health", () => {
  const life = new Life({ ...TEMPLATE, health: null });
  life.hear({ kind: "order", on: true });
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    life.hear({ kind: "started", pid: 7 });
    life.hear({ kind: "gone", reason: "it ended with code 1" });
    waits.push(life.state.notBeforeMs - life.nowMs);
    life.pass(waits.at(-1)!);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 4000, 4000]);
  life.hear({ kind: "started", pid: 7 });
  life.pass(60_001);
  life.hear({ kind: "gone", reason: "it ended" });
  assert.equal(life.state.notBeforeMs - life.nowMs, 500);
});

Deno.test("live() stops what does not come up in time, and what is not wanted any more", () => {
  const late = new Life();
  late.hear({ kind: "order", on: true });
  late.hear({ kind: "started", pid: 7 });
  late.hear(ILL);
  assert.equal(late.pass(5001), "stop");
  assert.match(late.state.reason, /not up within 5000 ms: not healthy/);
  const unwanted = new Life();
  unwanted.hear({ kind: "order", on: true });
  // In the middle of its start: it is stopped when that is over.
  assert.equal(unwanted.hear({ kind: "order", on: false }), null);
  assert.equal(unwanted.hear({ kind: "started", pid: 7 }), "stop");
  unwanted.hear({ kind: "stopped" });
  assert.deepEqual([unwanted.state.phase, unwanted.state.pid], ["stopped", null]);
  assert.equal(unwanted.pass(100_000), null);
});

Deno.test("live() looks at what an earlier control started before it says that it is up", () => {
  const life = new Life();
  life.state = adoptedVnf(7, true, 0);
  assert.equal(life.hear({ kind: "tick" }), "check");
  life.hear(OK);
  assert.deepEqual([life.state.phase, life.state.pid], ["up", 7]);
});

Deno.test("live() does one thing at a time whatever happens, and ends where it was ordered to", () => {
  const events: VnfEvent[] = [
    { kind: "order", on: true },
    { kind: "order", on: false },
    { kind: "gone", reason: "it ended" },
    { kind: "tick" },
  ];
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed), life = new Life({ ...TEMPLATE, health: random.pick([null, "ask"]) });
    const finish = (): VnfEvent => {
      if (life.state.busy === "check") return random.pick([OK, ILL]);
      if (life.state.busy === "stop") return { kind: "stopped" };
      return random.pick<VnfEvent>([{ kind: "started", pid: 7 }, { kind: "failed", reason: "no" }]);
    };
    for (let i = 0; i < 200; i++) {
      life.nowMs += random.below(800);
      const busy = life.state.busy;
      const act = life.hear(busy !== null && random.chance(0.5) ? finish() : random.pick(events));
      if (busy !== null && life.state.busy === busy) {
        assert.equal(act, null, `seed ${seed}: ${busy} and ${act}`);
      }
    }
    const on = random.chance(0.5);
    life.hear({ kind: "order", on });
    for (let i = 0; i < 40; i++) {
      life.pass(2000);
      if (life.state.busy === "check") life.hear(OK);
      else if (life.state.busy === "stop") life.hear({ kind: "stopped" });
      else if (life.state.busy === "start") life.hear({ kind: "started", pid: 8 });
    }
    assert.equal(life.state.phase, on ? "up" : "stopped", `seed ${seed}`);
    assert.equal(life.state.begun, on, `seed ${seed}`);
  }
});

Deno.test("commands run where the template says", () => {
  const of = (place: VnfTemplate["in"], where: string | null) => ({ ...TEMPLATE, in: place, where });
  assert.deepEqual(startArgv(of("namespace", "fw"), "x y"), [
    "ip",
    "netns",
    "exec",
    "fw",
    "/bin/sh",
    "-c",
    "x y",
  ]);
  assert.equal(
    startArgv(of("nspawn", "/srv/fw"), "x").slice(0, 5).join(" "),
    "systemd-nspawn --quiet --keep-unit --directory /srv/fw",
  );
  assert.ok(startArgv(of("unit", "fw"), "x").includes("--wait"));
  assert.deepEqual(besideArgv(of("nspawn", "/srv/fw"), "x"), ["/bin/sh", "-c", "x"]);
  assert.deepEqual(stopArgv(of("unit", "fw")), ["systemctl", "stop", "fw"]);
  assert.equal(stopArgv(of("host", null)), null);
});

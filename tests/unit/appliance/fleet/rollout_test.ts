/** The parts of roll-outs by themselves: orders as people write them, stages, windows, one node's way, when everything halts. */
import assert from "node:assert/strict";
import type {
  Census,
  Course,
  CourseStep,
  FleetNode,
  Rollout,
  RolloutOrder,
} from "../../../../appliance/fleet/rollout/contract.ts";
import { Changes } from "../../../../appliance/fleet/rollout/changes.ts";
import { Count, takeCensus } from "../../../../appliance/fleet/rollout/count.ts";
import { hearAnswer, offerId, stepCourse } from "../../../../appliance/fleet/rollout/course.ts";
import { Rollouts, ROLLOUTS_MAX } from "../../../../appliance/fleet/rollout/engine.ts";
import { endsStage, haltReason } from "../../../../appliance/fleet/rollout/judge.ts";
import { parseOrder } from "../../../../appliance/fleet/rollout/order.ts";
import { standingOf } from "../../../../appliance/fleet/rollout/ready.ts";
import { opensAtMs, place, stageOf } from "../../../../appliance/fleet/rollout/stages.ts";
import { openRolloutStore } from "../../../../appliance/fleet/rollout/store.ts";
import { compareVersions } from "../../../../appliance/fleet/rollout/version.ts";
import type { SlotView, UpdateReport } from "../../../../appliance/update/contract.ts";

const DIGEST = "d".repeat(64);
const GOOD = {
  id: "spring",
  bundle: { digest: DIGEST, version: "1.1.0", bytes: 100 },
  stages: [{ name: "canary", nodes: ["a"] }, { percent: 20 }, { percent: 100 }],
  deadlineS: 100,
  observeS: 10,
  soakS: 60,
};

function order(more: object = {}): RolloutOrder {
  const parsed = parseOrder({ ...GOOD, ...more });
  assert.ok("id" in parsed, String(parsed));
  return parsed;
}

const slot = (more: Partial<SlotView>): SlotView => ({
  ...{ name: "A", state: "good", version: "1.0.0", digest: null, triesLeft: 0, booted: true },
  ...more,
});
const OTHER = slot({ name: "B", booted: false, state: "empty", version: null });

function node(
  more: Partial<FleetNode> = {},
  reports: readonly UpdateReport[] = [],
  booted = slot({}),
): FleetNode {
  return {
    ...{
      id: "a",
      name: "a",
      labels: {},
      partner: null,
      connected: true,
      health: "green",
      onRedundant: false,
    },
    update: { slots: [booted, OTHER], installing: null, reports, badVersions: [] },
    ...more,
  };
}

function rollout(more: Partial<Rollout> = {}): Rollout {
  return {
    ...{ order: order(), phase: "running", stage: 0, throughMs: null, startedMs: 0, reason: "", madeMs: 0 },
    ...more,
  };
}

Deno.test("parseOrder() tells every fault at once, with its place and value", () => {
  const faults = parseOrder({
    id: "no spaces",
    bundle: { digest: "abc", version: "1.1.0", bytes: 0 },
    stages: [{ percent: 20 }, { percent: 10 }, { nodes: [], percent: 3 }],
    windows: ["2-4"],
    haltPercent: 101,
    speed: 1,
  });
  assert.ok(!("id" in faults));
  for (
    const place of ["id", "bundle.digest", "bundle.bytes", "stages[1].percent", "stages[2]", "windows[0]"]
  ) {
    assert.ok(faults.some((fault) => fault.startsWith(`${place} = `)), `${place}: ${faults.join("\n")}`);
  }
  assert.ok(faults.some((fault) => /^haltPercent = 101: must be a whole number from 0 to 100/.test(fault)));
  assert.ok(faults.some((fault) => /^speed = 1: is not known/.test(fault)));
  assert.equal(order().deadlineMs, 100_000);
});

Deno.test("stageOf() gives a node the first stage that has it, by the same draw each time", () => {
  const percents = order({ stages: [{ percent: 20 }, { percent: 100 }] });
  const nodes = Array.from({ length: 5000 }, (_, n) => node({ id: `n${n}`, name: `n${n}` }));
  const first = nodes.filter((one) => stageOf(percents, one) === 0).length;
  assert.ok(Math.abs(first - 1000) < 120, `${first} of 5000 are in a stage of 20 %`);
  assert.equal(place("spring", "n1"), place("spring", "n1"));
  assert.notEqual(place("spring", "n1"), place("autumn", "n1"));
  const scoped = order({ scope: { site: "north" }, stages: [{ labels: { kind: "lab" } }, { percent: 100 }] });
  assert.equal(stageOf(scoped, node()), null);
  assert.equal(stageOf(scoped, node({ labels: { site: "north", kind: "lab" } })), 0);
  assert.equal(stageOf(scoped, node({ labels: { site: "north" } })), 1);
});

Deno.test("opensAtMs() finds the next beginning, over midnight too", () => {
  const at = (text: string) => Date.parse(`2026-03-01T${text}:00Z`);
  const night = [{ fromMin: 22 * 60, toMin: 4 * 60 }];
  for (const open of ["22:00", "23:59", "03:59"]) assert.equal(opensAtMs(night, at(open)), at(open));
  assert.equal(opensAtMs(night, at("04:00")), at("22:00"));
  const morning = [{ fromMin: 120, toMin: 180 }];
  assert.equal(opensAtMs(morning, at("03:00")), at("02:00") + 86_400_000);
  assert.equal(opensAtMs([], at("03:00")), at("03:00"));
});

Deno.test("compareVersions() orders as semantic versioning does", () => {
  const ordered = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-2.x",
    "1.0.0",
    "1.2.0",
    "1.10.0",
  ];
  const sorted = ordered.filter((one) => one !== "1.0.0-2.x");
  assert.deepEqual(sorted.toReversed().sort(compareVersions), sorted);
  assert.equal(compareVersions("1.0.0+a", "1.0.0+b"), 0);
  assert.equal(compareVersions("nightly", "1.0.0"), 0);
});

Deno.test("standingOf() has a reason for each that is not offered anything", () => {
  const around = { nowMs: 0, partner: undefined, bar: undefined, heldBy: null };
  const bar = { node: "a", version: "1.1.0", atMs: 0, reason: "fell back: no link", pardonedBy: null };
  const rows: readonly [FleetNode, object, string | RegExp][] = [
    [node(), {}, "ready"],
    [node({}, [], slot({ digest: DIGEST })), {}, "has it"],
    [node({ update: null }), {}, /no updater/],
    [node(), { bar }, /1\.1\.0 fell back here .*a person must allow/],
    [node({}, [], slot({ version: "2.0.0" })), {}, /runs 2\.0\.0, which is later/],
    [node({ connected: false }), {}, /it is not connected/],
    [node({ health: "red" }), {}, /it is red/],
    [node({ onRedundant: true }), {}, /it serves on a redundant box/],
    [node({}, [], slot({ state: "trial" })), {}, /has not proved itself/],
    [node(), { heldBy: "b" }, /b, which shares its traffic, is being updated/],
    [node({ partner: "b" }), {}, /its partner b is not known/],
    [node({ partner: "b" }), { partner: node({ id: "b", health: "yellow" }) }, /its partner b is yellow/],
    [node({ partner: "b" }), { partner: node({ id: "b" }) }, "ready"],
  ];
  for (const [one, more, wanted] of rows) {
    const standing = standingOf(rollout(), one, { ...around, ...more })!;
    const told = "reason" in standing ? standing.reason : standing.is;
    if (typeof wanted === "string") assert.equal(told, wanted);
    else assert.match(told, wanted);
  }
  const closed = rollout({ order: order({ windows: ["02:00-03:00"] }) });
  assert.match(JSON.stringify(standingOf(closed, node(), around)), /the window opens at 02:00 UTC/);
  const halted = rollout({ phase: "halted" });
  assert.match(JSON.stringify(standingOf(halted, node(), around)), /the roll-out is halted/);
});

const COURSE: Course = {
  ...{ rollout: "spring", node: "a", attempt: 1, step: "installing", stage: 0, partner: null, force: false },
  ...{ healthBefore: "green", reportMs: 50, sinceMs: 0, reason: "" },
};

Deno.test("stepCourse() goes by what the node shows, from each step", () => {
  const report = (outcome: UpdateReport["outcome"], atMs = 60): UpdateReport => ({
    ...{ atMs, outcome, version: "1.1.0", digest: DIGEST, reason: "why" },
  });
  const fresh = slot({ digest: DIGEST, version: "1.1.0" }), nowMs = 1000, lateMs = 100_000, all = order();
  const rows: readonly [CourseStep, FleetNode | undefined, number, CourseStep, RegExp?][] = [
    ["installing", node(), nowMs, "installing"],
    ["installing", node({}, [report("installed")]), nowMs, "installed"],
    ["installing", node({}, [report("installed", 50)]), nowMs, "installing"],
    ["installing", node({}, [report("refused")]), nowMs, "failed", /refused: why/],
    ["installing", node(), lateMs, "failed", /late: not installed within 100 s/],
    ["installing", undefined, nowMs, "failed", /taken out/],
    ["installed", node(), 10 * lateMs, "installed"],
    ["installed", node({}, [], fresh), nowMs, "observing"],
    ["restarting", node(), nowMs, "restarting"],
    ["restarting", node({ connected: false }), nowMs, "restarting"],
    ["restarting", node({}, [], slot({ digest: DIGEST, state: "trial" })), nowMs, "restarting"],
    ["restarting", node({}, [], fresh), nowMs, "observing"],
    ["restarting", node({}, [report("fell-back")]), nowMs, "failed", /fell back: why/],
    ["restarting", node(), lateMs, "failed", /late: not restarted/],
    ["observing", node({}, [], fresh), nowMs, "observing"],
    ["observing", node({}, [], fresh), 10_000, "good"],
    [
      "observing",
      node({ health: "yellow" }, [], fresh),
      10_000,
      "failed",
      /worse: it was green and is yellow/,
    ],
    ["observing", node({}, [report("fell-back")]), nowMs, "failed", /fell back/],
    ["observing", node(), 10_000, "failed", /runs something else/],
    ["observing", node({ connected: false }, [], fresh), 10_000, "observing"],
    ["observing", node({ connected: false }, [], fresh), 110_000, "failed", /late/],
    ["good", node({ health: "red" }), lateMs, "good"],
    ["failed", node({}, [], fresh), nowMs, "failed"],
  ];
  for (const [step, one, atMs, wanted, reason] of rows) {
    const next = stepCourse({ ...COURSE, step }, all, one, atMs);
    assert.equal(next.step, wanted, `${step} at ${atMs}`);
    if (reason) assert.match(next.reason, reason);
  }
});

Deno.test("hearAnswer() takes a refusal of the open offer alone", () => {
  const id = offerId(COURSE, "install"), no = { ok: false, reason: "no room" };
  assert.equal(hearAnswer(COURSE, { id, ...no }, 1).step, "failed");
  assert.equal(hearAnswer(COURSE, { id, ok: true, reason: "" }, 1), COURSE);
  assert.equal(hearAnswer(COURSE, { id: offerId(COURSE, "restart"), ...no }, 1), COURSE);
  const later: Course = { ...COURSE, step: "installed" };
  assert.equal(hearAnswer(later, { id, ...no }, 1), later);
});

const NONE: Census = { size: 0, good: 0, failed: 0, fresh: 0, underWay: 0, left: 0, waiting: 0 };

Deno.test("haltReason() takes one canary for everything and one of a thousand for little", () => {
  const of = (census: Partial<Census>) => [{ ...NONE, ...census }, NONE, NONE];
  assert.match(
    haltReason(rollout(), of({ size: 1, failed: 1, fresh: 1 }))!,
    /1 of 1 that ended in stage "canary"/,
  );
  assert.equal(haltReason(rollout(), of({ size: 1000, failed: 1, fresh: 1 })), null);
  assert.notEqual(haltReason(rollout(), of({ size: 1000, failed: 2, fresh: 2 })), null);
  assert.equal(haltReason(rollout(), of({ size: 1000, good: 900, failed: 40, fresh: 40 })), null);
  assert.equal(haltReason(rollout(), of({ size: 1, failed: 1, fresh: 0 })), null);
});

Deno.test("endsStage() waits for enough good ones and then for the soak", () => {
  const censuses = [{ ...NONE, size: 2, good: 2 }, { ...NONE, size: 8, waiting: 8 }, NONE];
  const through = endsStage(rollout(), censuses, 1000);
  assert.equal(through.throughMs, 1000);
  assert.equal(endsStage(through, censuses, 60_999), through);
  assert.deepEqual(endsStage(through, censuses, 61_000).stage, 1);
  const unproved = [{ ...NONE, size: 1, left: 1 }, NONE, NONE], waiting = rollout();
  assert.equal(endsStage(waiting, unproved, 0), waiting);
  const last = rollout({ stage: 2 }),
    over = [{ ...NONE, size: 1, good: 1 }, NONE, { ...NONE, size: 3, good: 2, left: 1 }];
  assert.match(endsStage(last, over, 0).reason, /done: 3 good, 0 failed, 1 left/);
});

Deno.test("Rollouts goes on from the rows of a store, and makes open offers under the same ids", async () => {
  const store = openRolloutStore(":memory:"), all = [node()];
  const fleet = { node: (id: string) => all.find((one) => one.id === id), nodes: () => all };
  const engine = new Rollouts();
  await store.commit(engine.make(order(), 0));
  await store.commit(engine.start("spring", "test", 0));
  const turn = engine.turn(fleet, 1000);
  await store.commit(turn);
  assert.deepEqual(turn.offers.map(({ id }) => id), ["spring/a/1/install"]);
  const again = new Rollouts(await store.load());
  assert.deepEqual(again.open(2000), turn.offers);
  assert.deepEqual(again.turn(fleet, 2000).offers, []);
  await store.close();
});

Deno.test("Count follows changes of nodes and courses, and one that looks too seldom counts all", () => {
  const map = new Map<string, FleetNode>(), changes = new Changes(), courses = new Map<string, Course>();
  const put = (one: FleetNode) => (map.set(one.id, one), changes.note(one.id));
  const fleet = {
    node: (id: string) => map.get(id),
    nodes: () => map.values(),
    changed: (mark: number) => changes.since(mark),
  };
  const spring = rollout({ order: order({ stages: [{ nodes: ["a"] }, { percent: 100 }] }) });
  const known = { course: (id: string) => courses.get(id), bar: () => undefined };
  const count = new Count(spring.order);
  const look = () => {
    count.refresh(spring, fleet, known);
    assert.deepEqual(count.stages, takeCensus(spring, { node: fleet.node, nodes: fleet.nodes }, known));
    return count.stages.map(({ size, good, failed, fresh, underWay, left, waiting }) =>
      [size, good, failed, fresh, underWay, left, waiting].join(" ")
    );
  };
  for (const id of ["a", "b", "c"]) put(node({ id, name: id }));
  assert.deepEqual(look(), ["1 0 0 0 0 0 1", "2 0 0 0 0 0 2"]);
  assert.deepEqual([...count.waiting(1)], ["b", "c"]);
  put(node({ id: "b", name: "b", update: null }));
  map.delete("c");
  changes.note("c");
  assert.deepEqual(look(), ["1 0 0 0 0 0 1", "1 0 0 0 0 1 0"]);
  for (const [step, wanted] of [["installing", "1 0 0 0 1 0 0"], ["failed", "1 0 1 1 0 0 0"]] as const) {
    courses.set("a", { step, sinceMs: 5 } as Course);
    count.touch("a");
    assert.equal(look()[0], wanted);
  }
  for (let n = 0; n < 200_001; n++) changes.note("b");
  put(node({ id: "d", name: "d" }));
  assert.equal(changes.since(3).ids, null);
  assert.deepEqual(look(), ["1 0 1 1 0 0 0", "2 0 0 0 0 1 1"]);
});

Deno.test("Rollouts keeps a bounded number, and refuses where none is over", () => {
  const engine = new Rollouts();
  for (let n = 0; n < ROLLOUTS_MAX; n++) engine.make(order({ id: `r${n}` }), n);
  assert.throws(() => engine.make(order({ id: "more" }), 99), /64 are not over/);
  assert.throws(() => engine.make(order({ id: "r1" }), 99), /there is one already/);
  engine.abort("r3", "test", 100);
  assert.deepEqual(engine.make(order({ id: "more" }), 101).drops, ["r3"]);
  assert.throws(() => engine.pause("r1", "test"), /Cannot pause the roll-out r1: it is draft/);
  assert.throws(() => engine.start("r3", "test", 0), /there is none of this name/);
});

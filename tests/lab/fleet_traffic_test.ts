/**
 * A staged update of a pair and a single under traffic: three nodes in namespaces, each with a plane that a load goes through
 * all the time, the product's controller and the product's agent; only the slots are files.
 *
 * A restart into a slot that is a file ends and begins the agent, and the plane must not notice. So this does not show what
 * a restart of the machine does to traffic: that its plane ends and the new version's plane begins, how long that takes, and
 * who carries the traffic of a node meanwhile. Each load is its node's own; nothing moves over to the partner.
 */
import assert from "node:assert/strict";
import type { RolloutView } from "../../appliance/fleet/rollout/report.ts";
import { Random } from "../../filter/random.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { sweep } from "../../scripts/lab/registry.ts";
import { type Sample, type Step, TrafficFleet } from "../support/fleet_traffic.ts";
import { machineDrops } from "../support/wire.ts";

const NODES = { left: "pair=p", right: "pair=p", single: "" };
const NAMES = Object.keys(NODES);
const ID = "good", BEFORE = "1.0.0", VERSION = "1.1.0";
const CONTENT_BYTES = 2_000_000;
const LIMIT_MS = 90_000;
const LOOK_MS = 100;

/** A signed bundle, taken in and rolled out to the single and then to all. */
async function rollOut({ controller, lab, publisher }: TrafficFleet): Promise<void> {
  const random = new Random(1), content = Uint8Array.from({ length: CONTENT_BYTES }, () => random.below(256));
  const path = `${lab.directory}/bundle`, order = `${lab.directory}/order.json`;
  await Deno.writeFile(path, publisher.bundle(VERSION, true, content));
  await Deno.writeTextFile(
    order,
    JSON.stringify({
      ...{ id: ID, bundle: { digest: await controller.bundle(path), version: VERSION } },
      ...{ deadlineS: 60, observeS: 1, soakS: 0 },
      stages: [{ name: "canary", nodes: ["single"] }, { name: "all", percent: 100 }],
    }),
  );
  for (const words of [["make", order], ["start", ID]]) {
    const { code, stdout, stderr } = await controller.cli("rollout", ...words);
    assert.equal(code, 0, `${stdout}${stderr}`);
  }
}

/** Looks at all loads until the roll-out has ended. */
async function watch(fleet: TrafficFleet): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  for (const deadline = Date.now() + LIMIT_MS;;) {
    samples.push(await fleet.sample());
    const { rollout } = await fleet.controller.get(`/rollouts/${ID}`) as unknown as { rollout: RolloutView };
    if (rollout.phase === "done") return [...samples, await fleet.sample()];
    const late = Date.now() > deadline;
    if (late || rollout.phase !== "running") {
      throw new Error(`${rollout.phase}: ${rollout.reason}; ${rollout.waits}\n${await fleet.whereabouts()}`);
    }
    await sleep(LOOK_MS);
  }
}

/** Frames of a load that came through within a time; by the samples around it that are nearest to it. */
function through(
  samples: readonly Sample[],
  name: string,
  [fromMs, toMs]: readonly [number, number],
): number {
  const first = samples.findLast(({ atMs }) => atMs <= fromMs),
    last = samples.find(({ atMs }) => atMs >= toMs);
  return (last?.received[name] ?? 0) - (first?.received[name] ?? 0);
}

/** When each step was taken; every one of them once. */
function timesOf(steps: readonly Step[]): readonly [offered: number, installed: number, proved: number] {
  assert.deepEqual(steps.map(({ what }) => what), ["offered", "installed", "proved"]);
  return steps.map(({ atMs }) => atMs) as unknown as [number, number, number];
}

async function planes({ nodes }: TrafficFleet) {
  return await Promise.all([...nodes.values()].map(async ({ node }) => {
    const { plane: { pid, restarts }, path, switches } = await node.status();
    return { pid, restarts, path, switches };
  }));
}

Deno.test("a pair and a single are updated stage by stage, and no frame of the loads through them is lost", async () => {
  await sweep();
  await using fleet = await TrafficFleet.up(NODES);
  const before = await planes(fleet), drops = machineDrops();
  const had = await Promise.all(NAMES.map((name) => fleet.fetched(name)));
  await rollOut(fleet);
  const samples = await watch(fleet);

  const told = await Promise.all(NAMES.map((name) => fleet.tell(name)));
  for (const [i, { view, installs, restarts }] of told.entries()) {
    const versions = view.slots.map(({ version, booted, state }) => [version, booted, state]);
    assert.deepEqual(versions, [[BEFORE, false, "good"], [VERSION, true, "good"]], NAMES[i]);
    assert.deepEqual([installs, restarts], [1, 1], NAMES[i]);
    const came = await fleet.fetched(NAMES[i]!) - had[i]!;
    assert.ok(came > CONTENT_BYTES, `${came} bytes came to ${NAMES[i]} for ${CONTENT_BYTES}`);
  }
  const [left, right, single] = told.map(({ steps }) => timesOf(steps));
  const [first, second] = left![0] < right![0] ? [left!, right!] : [right!, left!];
  assert.ok(single![2] <= first[0], "the pair is offered it when the single has proved itself");
  assert.ok(first[2] <= second[0], "never both of the pair at once");

  for (const [offered, installed, proved] of [left!, right!, single!]) {
    for (const name of NAMES) {
      const frames = [[offered, installed], [installed, proved]].map(([fromMs, toMs]) =>
        through(samples, name, [fromMs!, toMs!])
      );
      assert.ok(frames.every((count) => count > 0), `${name}: ${frames} frames while one was updated`);
    }
  }
  await assertWhole(fleet, drops);
  const same = { restarts: 0, path: "primary", switches: 0 };
  assert.deepEqual(await planes(fleet), before.map(({ pid }) => ({ pid, ...same })));
});

/** Every frame came, once and in order; but for what the machine itself had no room for, see machineDrops(). */
async function assertWhole(fleet: TrafficFleet, dropsBefore: number): Promise<void> {
  const reports = [...await fleet.stop()], drops = machineDrops() - dropsBefore;
  const sum = (name: "lost" | "duplicated" | "reordered" | "foreign") =>
    reports.reduce((total, [, report]) => total + report[name], 0);
  if (sum("lost") > 0 && sum("lost") <= drops) {
    console.log(`the machine's own backlog dropped ${drops} frames`);
  }
  const ours = Math.max(0, sum("lost") - drops);
  const [duplicated, reordered, foreign] = [sum("duplicated"), sum("reordered"), sum("foreign")];
  const none = { ours: 0, duplicated: 0, reordered: 0, foreign: 0 };
  assert.deepEqual({ ours, duplicated, reordered, foreign }, none, await fleet.whereabouts());
  for (const [name, { sent, gapUs }] of reports) {
    console.log(`${name}: ${sent} frames, longest gap ${(gapUs / 1000).toFixed(1)} ms`);
  }
}

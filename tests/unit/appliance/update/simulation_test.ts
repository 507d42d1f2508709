/** A machine with two slots through updates, good and bad, with the power cut at every write. */
import assert from "node:assert/strict";
import { Random } from "../../../../filter/random.ts";
import { readBoot } from "../../../../appliance/update/boot_copies.ts";
import { COPY_BYTES } from "../../../../appliance/update/boot_state.ts";
import { type Content, PowerCut, UpdateWorld } from "../../../support/update_world.ts";

const CONTENTS: readonly Content[] = ["good", "good", "fails", "panics", "hangs"];

/** Installs and restarts; a cut is a restart too. @returns the outcome for people */
async function update(
  world: UpdateWorld,
  version: string,
  content: Content,
  cutAfter: number,
): Promise<string> {
  const path = `/${version}`;
  world.bundles.set(path, { version, content });
  world.left = cutAfter;
  let said = "installed";
  try {
    await world.updater().install(path, { digest: path, force: false });
  } catch (error) {
    // The updater wraps what failed, and a cut leaves nobody to say it.
    said = world.left < 0 || error instanceof PowerCut ? "cut" : "refused";
  }
  if (said === "refused") world.left = Infinity;
  await world.rest();
  world.left = Infinity;
  return said;
}

async function assertWell(world: UpdateWorld, what: string): Promise<void> {
  const { state, lost } = await readBoot(world.copies);
  assert.ok(!lost, `${what}: the boot state is lost`);
  const { content, version } = world.slots[world.booted];
  assert.equal(content, "good", `${what}: ${version} runs`);
  assert.equal(state.slots[world.booted].state, "good", what);
  assert.equal(state.first, world.booted, what);
  // What is shown is true.
  const view = await world.updater().view();
  const shown = view.slots.find(({ booted }) => booted);
  assert.equal(shown?.version, version, what);
  assert.ok(!view.badVersions.includes(version), `${what}: ${version} runs and is called bad`);
}

Deno.test("updates end in a slot that works, wherever the power is cut, with a report that is true", async () => {
  for (const content of ["good", "fails", "panics", "hangs"] as const) {
    for (let cutAfter = 0; cutAfter < 40; cutAfter++) {
      for (const torn of [0, 30, 60, 120, COPY_BYTES]) {
        const world = new UpdateWorld(), what = `${content}, cut after ${cutAfter} writes and ${torn} bytes`;
        world.torn = torn;
        await update(world, "1.1.0", content, cutAfter);
        await assertWell(world, what);
        const runs = world.slots[world.booted].version, last = world.memory().reports.at(-1);
        if (runs === "1.1.0") assert.ok(content === "good", what);
        // The word "good" is only said of what runs, and "fell-back" only of what does not.
        if (last?.outcome === "good") assert.equal(runs, last.version, what);
        if (last?.outcome === "fell-back") assert.equal(runs, "1.0.0", what);
      }
    }
  }
});

Deno.test("an update without a cut is reported as what became of it", async () => {
  for (
    const [content, outcome, runs] of [
      ["good", "good", "1.1.0"],
      ["fails", "fell-back", "1.0.0"],
      ["panics", "fell-back", "1.0.0"],
      ["hangs", "fell-back", "1.0.0"],
    ] as const
  ) {
    const world = new UpdateWorld();
    assert.equal(await update(world, "1.1.0", content, Infinity), "installed");
    const last = world.memory().reports.at(-1);
    assert.equal(last?.outcome, outcome);
    assert.equal(last?.version, "1.1.0");
    assert.equal(world.slots[world.booted].version, runs);
    assert.deepEqual(world.memory().badVersions, outcome === "good" ? [] : ["1.1.0"]);
  }
});

Deno.test("a version that failed, and one that is older, are refused unless forced, and change nothing", async () => {
  const world = new UpdateWorld();
  await update(world, "1.1.0", "fails", Infinity);
  assert.equal(await update(world, "1.1.0", "good", Infinity), "refused");
  assert.match(world.memory().reports.at(-1)!.reason, /failed on this machine before/);
  assert.equal(await update(world, "0.9.0", "good", Infinity), "refused");
  assert.match(world.memory().reports.at(-1)!.reason, /older than 1\.0\.0/);
  await world.updater().install("/1.1.0", { digest: "/1.1.0", force: true });
  await world.rest();
  assert.equal(world.slots[world.booted].version, "1.1.0");
  assert.deepEqual(world.memory().badVersions, []);
});

Deno.test("a data partition that is full refuses an update, and one that is nonsense costs only history", async () => {
  const world = new UpdateWorld();
  world.fullData = true;
  assert.equal(await update(world, "1.1.0", "good", Infinity), "refused");
  await assertWell(world, "full");
  world.fullData = false;
  world.spoilMemory();
  assert.equal(await update(world, "1.2.0", "good", Infinity), "installed");
  assert.equal(world.slots[world.booted].version, "1.2.0");
});

Deno.test("a rollback by hand goes to the slot that was good, and to no other", async () => {
  const world = new UpdateWorld();
  await assert.rejects(world.updater().rollBack(), /Cannot roll back: slot B is empty/);
  await update(world, "1.1.0", "good", Infinity);
  await world.updater().rollBack();
  await world.rest();
  assert.equal(world.slots[world.booted].version, "1.0.0");
  await assertWell(world, "rolled back");
});

Deno.test("years of updates by chance, with cuts, always leave a slot that works", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed), world = new UpdateWorld();
    for (let turn = 1; turn <= 12; turn++) {
      const what = `seed ${seed}, turn ${turn}`;
      world.torn = random.below(COPY_BYTES);
      const cut = random.chance(0.5) ? random.below(40) : Infinity;
      if (random.chance(0.15)) await world.updater().rollBack().then(() => world.rest(), () => {});
      await update(world, `1.${turn}.${seed}`, random.pick(CONTENTS), cut);
      await assertWell(world, what);
    }
  }
});

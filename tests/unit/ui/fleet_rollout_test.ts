/** A controller's pages, routes and commands on roll-outs, over a registry in memory. */
import assert from "node:assert/strict";
import type { NodeStanding, RolloutView } from "../../../appliance/fleet/rollout/report.ts";
import { rolloutText } from "../../../ui/fleet/rollout_cli.ts";
import type { Visitor } from "../../../ui/session.ts";
import { FleetDesk } from "../../support/fleet_desk.ts";

const VIEWER: Visitor = { name: "vic", role: "viewer", csrf: "meant" };
const FORM = { id: "spring", version: "1.1.0", canary: "single", percents: "50, 100" };

Deno.test("pages of a controller list, search and show nodes and pairs", async () => {
  await using desk = await FleetDesk.open();
  const all = await desk.page("/nodes");
  assert.equal(all.status, 200);
  for (const name of ["left", "right", "single"]) assert.match(all.text, new RegExp(`>${name}</a>`));
  const some = await desk.page("/nodes?search=site%3Dnorth");
  assert.match(some.text, />single<\/a>/);
  assert.doesNotMatch(some.text, />left<\/a>/);
  assert.match((await desk.page("/nodes?state=red")).text, /No node is so\./);
  const one = await desk.page(`/nodes/${desk.ids.get("left")}`);
  assert.match(one.text, /1\.0\.0/);
  assert.match(one.text, new RegExp(desk.ids.get("right")!));
  assert.match((await desk.page("/pairs")).text, /p1.*left.*right/s);
  assert.equal((await desk.page("/nodes/none")).status, 404);
  assert.equal((await desk.page("/events")).status, 200);
});

Deno.test("pages of a controller make, start and pause a roll-out, and say why nodes wait", async () => {
  await using desk = await FleetDesk.open();
  assert.match((await desk.page("/rollouts")).text, /There is no bundle/);
  const digest = await desk.bundle();
  const wrong = await desk.page("/rollouts", { form: { ...FORM, digest, percents: "50, 40" } });
  assert.match(wrong.text, /stages\[2\]\.percent = 40: must grow/);
  assert.match(wrong.text, /value="spring"/);
  const made = await desk.page("/rollouts", { form: { ...FORM, digest } });
  assert.deepEqual([made.status, made.to], [303, "/rollouts/spring"]);
  assert.match((await desk.page("/rollouts/spring")).text, /the roll-out is draft/);
  assert.match((await desk.page("/rollouts/spring/start")).text, /<h2>Start\?<\/h2>/);
  assert.equal((await desk.page("/rollouts/spring/start", { form: {} })).status, 303);
  await until(() => desk.keeper.rollouts.course("spring", desk.ids.get("single")!) !== undefined);
  const shown = (await desk.page("/rollouts/spring")).text;
  assert.match(shown, /fetches and installs the bundle/);
  assert.match(shown, /has not begun/);
  assert.equal((await desk.page("/rollouts/spring/pause", { form: {} })).status, 303);
  assert.match((await desk.page("/rollouts/spring")).text, /paused by ann/);
  const again = await desk.page("/rollouts/spring/pause", { form: {} });
  assert.match(again.text, /Cannot pause the roll-out spring: it is paused/);
  assert.deepEqual(desk.audited.map(({ result }) => result), [409, 303, 303, 303, 409]);
});

async function until(holds: () => boolean): Promise<void> {
  for (let n = 0; !holds(); n++) {
    assert.ok(n < 500, "it did not come");
    await new Promise((done) => setTimeout(done, 20));
  }
}

Deno.test("pages of a controller refuse who may not, and forms of other sessions", async () => {
  await using desk = await FleetDesk.open();
  const form = { ...FORM, digest: await desk.bundle() };
  assert.equal((await desk.page("/rollouts", { visitor: VIEWER, form })).status, 403);
  assert.doesNotMatch(
    (await desk.page("/rollouts", { visitor: VIEWER })).text,
    /<form method="post" action="\/rollouts"/,
  );
  assert.equal((await desk.page("/rollouts", { form: { ...form, csrf: "other" } })).status, 403);
  assert.equal(desk.keeper.list().length, 0);
  assert.equal((await desk.page("/rollouts/none/start", { form: {} })).status, 200);
});

Deno.test("the API makes, shows and changes roll-outs, with roles", async () => {
  await using desk = await FleetDesk.open();
  const digest = await desk.bundle(), stages = [{ name: "canary", nodes: ["single"] }, { percent: 100 }];
  const order = { id: "spring", bundle: { digest, version: "1.1.0" }, stages };
  assert.equal((await desk.ask("POST", "/rollouts", { visitor: VIEWER, body: order })).status, 403);
  const bad = await desk.ask("POST", "/rollouts", { body: { ...order, stages: [] } });
  assert.match(bad.body.detail, /stages = \[\]: must be a list of 1 to 16 stages/);
  assert.equal((await desk.ask("POST", "/rollouts", { body: order })).status, 200);
  assert.equal((await desk.ask("POST", "/rollouts", { body: order })).status, 409);
  assert.equal((await desk.ask("POST", "/rollouts/spring/start")).status, 200);
  const { rollout } = (await desk.ask("GET", "/rollouts/spring")).body as { rollout: RolloutView };
  assert.deepEqual(rollout.stages.map(({ who, size }) => [who, size]), [["single", 1], ["100 %", 2]]);
  const { nodes } = (await desk.ask("GET", "/rollouts/spring/nodes")).body as { nodes: NodeStanding[] };
  assert.equal(nodes.length, 3);
  const text = rolloutText(rollout, nodes);
  assert.match(text, /^spring: version 1\.1\.0/);
  assert.match(text, /left +100 % +waiting|left +stage 2 +waiting/);
  assert.equal((await desk.ask("POST", "/rollouts/spring/nodes/left/allow")).status, 200);
  assert.equal((await desk.ask("POST", "/rollouts/none/abort")).status, 404);
  assert.deepEqual((await desk.ask("GET", "/bundles")).body.bundles, [{ digest, bytes: 22 }]);
  assert.equal((await desk.ask("GET", `/bundles/${digest}.bundle`)).body, "a bundle of some bytes");
  assert.equal((await desk.ask("GET", "/bundles/..%2Frollouts.db")).status, 404);
});

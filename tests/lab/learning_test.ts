/** A node that learns lets a dead box serve on and says what it would have done; armed, it moves the traffic. */
import assert from "node:assert/strict";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

Deno.test("a node that learns moves nothing by itself, over a restart of the plane, until it is armed", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  await wire.box("redundant");
  const node = await TestNode.start(wire, { failover: ["learning_first = true", "silence_ms = 0"] });
  assert.match((await node.status()).reason, /the node learns/);
  await wire.link("primary-out", "down");
  const learns = await node.until(
    "what it would do",
    ({ learning }) => learning?.would?.path === "redundant",
  );
  assert.deepEqual([learns.path, learns.switches, learns.learning?.would?.cause], ["primary", 0, "link"]);
  const told = (await node.events()).filter(({ kind }) => kind === "mode").map(({ text }) => text);
  assert.deepEqual(told, ["learning: would have moved the traffic from primary to redundant (link)"]);

  const refused = await node.order("arm");
  assert.equal(refused.ok, false);
  assert.match(refused.text, /would move from primary to redundant at once/);
  const ordered = await node.order("switchover");
  assert.match(ordered.text, /the node learns and moves nothing/);

  // A plane that finds the link down when it starts begins where the traffic was.
  Deno.kill(learns.plane.pid, "SIGKILL");
  const revived = await node.until(
    "another plane",
    ({ plane, learning }) =>
      plane.state === "running" && plane.pid !== learns.plane.pid && learning?.would !== null,
  );
  assert.deepEqual([revived.path, revived.switches], ["primary", 0]);

  assert.ok((await node.order("arm", true)).ok);
  const moved = await node.until("the switch", ({ path }) => path === "redundant");
  assert.equal(moved.learning, undefined);

  // Armed is kept, although the configuration would have it learn first.
  await node.endControl("SIGINT");
  await node.startControl();
  assert.equal((await node.status()).learning, undefined);
  const disarmed = await node.order("disarm");
  assert.match(disarmed.text, /learns from now on/);
  assert.ok((await node.status()).learning);
});

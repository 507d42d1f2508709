/**
 * A switch on somebody's word, under load, with both boxes alive: nothing is lost, nothing comes twice.
 *
 * The filter mirrors here, so the standby works on its copies all the time and what it sends has to be held back.
 */
import assert from "node:assert/strict";
import { TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

const PER_SECOND = 10_000;
const ROUNDS = 5;
/** A box that a busy machine does not let run hands over late; the time for that is not what is tested here. */
const FAILOVER = ["silence_ms = 1000", "pause_ms = 200", "drain_ms = 200"];

Deno.test("switchover and failback under load lose nothing and double nothing", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  await wire.box("redundant");
  const node = await TestNode.start(wire, { preset: "nat", failover: FAILOVER });
  const drops = machineDrops();
  const load = await wire.load(PER_SECOND, { flows: 16 });
  const took: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [order, path] of [["switchover", "redundant"], ["failback", "primary"]] as const) {
      await load.more(500);
      const result = await node.order(order);
      assert.deepEqual([result.ok, result.path], [true, path], result.text);
      took.push(`${Math.round(result.tookUs!)}`);
    }
  }
  await load.more(500);
  const report = await load.stop();
  const events = (await node.events()).filter(({ kind }) => kind === "switch");
  assert.deepEqual(events.map(({ cause, after }) => `${after} ${cause}`), [
    ...Array.from({ length: ROUNDS }, () => ["redundant order", "primary order"]).flat(),
  ]);
  const { lost, reordered, duplicated, foreign } = report;
  console.log(
    `${
      2 * ROUNDS
    } switches: ${lost} lost, ${reordered} reordered, ${duplicated} doubled of ${report.sent}; ` +
      `longest gap ${(report.gapUs / 1000).toFixed(1)} ms; orders took ${took.join(", ")} us`,
  );
  const ours = Math.max(0, lost - (machineDrops() - drops));
  const expected = { ours: 0, duplicated: 0, foreign: 0 };
  assert.deepEqual({ ours, duplicated, foreign }, expected, await node.whereabouts());
});

Deno.test("an order to a box without links is refused unless forced, and then the plane moves on by itself", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  await wire.box("redundant");
  const node = await TestNode.start(wire);
  await wire.link("redundant-out", "down");
  await node.until("no spare", ({ light }) => light === "yellow");
  const refused = await node.order("switchover");
  assert.deepEqual([refused.ok, refused.path], [false, "primary"]);
  assert.match(refused.text, /redundant is not known to be alive: no link on redundant-out/);
  const forced = await node.order("switchover", true);
  assert.equal(forced.ok, false);
  assert.match(forced.text, /moved on to primary/);
  assert.equal((await node.status()).path, "primary");
});

Deno.test("an order to the box that serves is done already", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  const result = await node.order("failback");
  assert.deepEqual([result.ok, result.path, result.tookUs], [true, "primary", null]);
  assert.equal((await node.status()).switches, 0);
});

Deno.test("a plane that is started anew begins with the box that served last, after a crash and after a stop", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, { failover: ["silence_ms = 0"] });
  assert.ok((await node.order("switchover")).ok);
  const { plane } = await node.status();
  // Control has to have seen the switch, which is a matter of its next tick.
  await node.until("the switch in the journal", ({ lastSwitch }) => lastSwitch?.after === "redundant");
  Deno.kill(plane.pid, "SIGKILL");
  const revived = await node.until(
    "another plane",
    (status) => status.plane.state === "running" && status.plane.pid !== plane.pid,
  );
  assert.deepEqual([revived.path, revived.switches], ["redundant", 0]);
  await node.endControl("SIGINT");
  await node.startControl();
  assert.equal((await node.status()).path, "redundant");
  assert.ok((await node.order("failback")).ok);
});

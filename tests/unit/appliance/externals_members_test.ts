/** Three boxes around one external switch: each can be named, and one that has left is done without. */
import assert from "node:assert/strict";
import { DOWN, FakeSwitch, port } from "../../support/fake_switch.ts";
import { bothSides } from "../../support/switch_settings.ts";
import { DATA, World } from "../../support/switch_world.ts";

/** The third box is on ports 7 and 8. */
function three(): { readonly world: World; readonly fake: FakeSwitch } {
  const names = ["up", "down", "pin", "pout", "rin", "rout", "r2in", "r2out"];
  const fake = new FakeSwitch(0x2an, names.map((name, at) => port(at + 1, name)));
  const world = new World([bothSides({
    client: { outer: "up", boxes: ["pin", "rin", "r2in"] },
    server: { outer: "down", boxes: ["pout", "rout", "r2out"] },
  })], { failback: "automatic", failbackAfterMs: 5000 });
  world.switches.set("tcp:192.0.2.1:6653", fake);
  world.pass(300);
  world.texts();
  return { world, fake };
}

Deno.test("Externals moves the traffic to the third of three boxes, and knows no fourth", () => {
  const { world, fake } = three();
  assert.equal(world.externals.order(2), null);
  world.pass(200);
  assert.deepEqual(fake.where(DATA), [7]);
  assert.deepEqual(world.texts(), ["external switches: traffic moved from primary to redundant-2: by order"]);
  assert.equal(world.externals.order(3), "the redundant-3 is on no external switch");
  assert.equal(world.externals.order(3, "forced"), null, "a node may have more boxes on ports of its own");
  world.pass(20_000);
  assert.deepEqual(fake.where(DATA), [7], "what a person moved for good stays");
});

Deno.test("Externals does without a box that has left, and takes it again after the hold-up", () => {
  const { world, fake } = three();
  const syn = { ...DATA, ip_proto: 6n, tcp_flags: 2n };
  assert.deepEqual(fake.where(syn), [3, 5, 7]);
  world.externals.leave([1]);
  world.pass(200);
  assert.deepEqual(fake.where(syn), [3, 7], "no copies");
  world.say(fake, fake.setState(3, DOWN));
  world.pass(200);
  assert.deepEqual(fake.where(DATA), [7], "not the one that has left");
  world.externals.leave([]);
  world.say(fake, fake.setState(7, DOWN));
  assert.notDeepEqual(fake.where(DATA), [5], "not before it is warm");
  world.pass(3500);
  assert.deepEqual(fake.where(DATA), [5]);
});

Deno.test("Externals relieves a box that serves, and goes back when it has joined again", () => {
  const { world, fake } = three();
  assert.equal(world.externals.order(2, "relief"), null);
  world.externals.leave([0]);
  world.pass(20_000);
  assert.deepEqual(fake.where(DATA), [7]);
  world.externals.leave([]);
  world.pass(4000);
  assert.deepEqual(fake.where(DATA), [7]);
  world.pass(2000);
  assert.deepEqual(fake.where(DATA), [3], "it was not moved for good");
  world.externals.leave([0]);
  world.pass(200);
  assert.match(world.texts().at(-1)!, /from primary to redundant: the primary has left$/);
});

Deno.test("Externals, started anew, knows the order of boxes where one has left", () => {
  const { world, fake } = three();
  world.externals.leave([1]);
  world.externals.order(2);
  world.pass(300);
  const before = fake.got.filter((kind) => kind.endsWith("-mod")).length;
  world.start().leave([1]);
  world.pass(3000);
  assert.equal(fake.got.filter((kind) => kind.endsWith("-mod")).length, before);
  assert.deepEqual(fake.where(DATA), [7]);
});

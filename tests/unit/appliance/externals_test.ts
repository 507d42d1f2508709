/**
 * External switches under a network and a clock that the test plays: what is sent, what is told, and what a switch
 * holds after every kind of trouble.
 */
import assert from "node:assert/strict";
import { Random } from "../../../filter/random.ts";
import { DOWN, FakeSwitch, LIVE, port } from "../../support/fake_switch.ts";
import { bothSides, GROUP_FIRST } from "../../support/switch_settings.ts";
import { aSwitch, BOXES, DATA, driven, one, World } from "../../support/switch_world.ts";

Deno.test("Externals programs a switch, reads it back, and says so once", () => {
  const { world, fake } = one();
  world.pass(5000);
  assert.deepEqual(world.texts(), [
    "switch edge: connected to tcp:192.0.2.1:6653, datapath 000000000000002a",
    `switch edge: holds what it should, after ${fake.groups.size + fake.flows.length} changes`,
  ]);
  assert.deepEqual(fake.where(DATA), [3]);
  const view = world.view();
  assert.equal(view.light, "green");
  assert.equal(view.serving, "primary");
  assert.deepEqual([view.groups, view.flows], [fake.groups.size, fake.flows.length]);
  assert.ok(world.nowMs - view.verifiedMs! <= 1100, "it is looked at again and again");
  assert.ok(view.ports.every(({ live }) => live));
});

Deno.test("Externals repairs what others change: at once where the switch tells, at the next look otherwise", () => {
  const { world, fake } = driven();
  const group = GROUP_FIRST;
  world.say(fake, ...fake.dropGroup(group));
  assert.match(
    world.texts().join(),
    new RegExp(`put right what others had changed: group ${group} was missing; flow`),
  );
  assert.deepEqual(fake.where(DATA), [3]);
  const main = [...fake.groups.values()].find(({ buckets }) => buckets.length === 3)!;
  fake.groups.set(main.group, { ...main, buckets: main.buckets.slice(1) });
  world.pass(1200);
  assert.match(world.texts().join(), new RegExp(`put right .*: group ${main.group} was changed$`));
  assert.equal(fake.groups.get(main.group)!.buckets.length, 3);
  assert.equal(world.view().repairs, 2);
  world.pass(3000);
  assert.deepEqual(world.texts(), []);
});

Deno.test("Externals makes an order of what a switch did, and a port that flaps moves traffic once", () => {
  const { world, fake } = driven();
  world.say(fake, fake.setState(4, DOWN));
  assert.deepEqual(fake.where(DATA), [5], "by the switch's own ladder");
  world.pass(200);
  assert.deepEqual(world.texts(), [
    "switch edge: primary-out (pout) is down",
    "external switches: traffic moved from primary to redundant: the primary is not live",
  ]);
  world.say(fake, fake.setState(4, LIVE));
  world.pass(10_000);
  assert.deepEqual(fake.where(DATA), [5], "the way back is a judgement");
  assert.deepEqual(world.texts(), ["switch edge: primary-out (pout) is up"]);
  assert.equal(world.view().serving, "redundant");
  assert.equal(world.externals.order(0), null);
  world.pass(200);
  assert.deepEqual(fake.where(DATA), [3]);
  assert.deepEqual(world.texts(), ["external switches: traffic moved from redundant to primary: by order"]);
});

Deno.test("Externals goes back by itself where failback is automatic, when the primary has earned it", () => {
  const fake = aSwitch();
  const world = new World([bothSides()], { failback: "automatic", failbackAfterMs: 5000 });
  world.switches.set("tcp:192.0.2.1:6653", fake);
  world.pass(300);
  world.say(fake, fake.setState(3, DOWN));
  world.pass(1000);
  world.say(fake, fake.setState(3, LIVE));
  world.pass(4500);
  assert.deepEqual(fake.where(DATA), [5]);
  world.pass(1000);
  assert.deepEqual(fake.where(DATA), [3]);
  assert.match(world.texts().at(-1)!, /from redundant to primary: the primary has been live for long enough/);
});

Deno.test("Externals leaves a primary alone that died too often lately, and uses it when no other is alive", () => {
  const fake = aSwitch();
  const world = new World([bothSides()], { failback: "automatic", failbackAfterMs: 5000 });
  world.switches.set("tcp:192.0.2.1:6653", fake);
  world.pass(300);
  for (let death = 0; death < 3; death++) {
    world.say(fake, fake.setState(3, DOWN));
    world.pass(1000);
    world.say(fake, fake.setState(3, LIVE));
    world.pass(6000);
  }
  assert.deepEqual(fake.where(DATA), [5], "after the third death it does not return");
  world.pass(60_000);
  assert.deepEqual(fake.where(DATA), [5]);
  world.say(fake, fake.setState(5, DOWN));
  world.pass(1000);
  assert.deepEqual(fake.where(DATA), [3], "better than none");
  world.say(fake, fake.setState(5, LIVE));
  world.pass(20_000);
  assert.deepEqual(fake.where(DATA), [3]);
});

Deno.test("Externals refuses to move to a box that is not live, unless forced", () => {
  const { world, fake } = driven();
  world.say(fake, fake.setState(6, DOWN));
  assert.equal(world.externals.order(1), "the redundant is not live on every switch");
  world.pass(300);
  assert.deepEqual(fake.where(DATA), [3]);
});

Deno.test("Externals lets a box that one switch has lost not serve on the other either", () => {
  const client = bothSides({ name: "client", server: null, bypass: "down" });
  const server = bothSides({
    name: "server",
    client: null,
    bypass: "up",
    address: { scheme: "tcp", host: "192.0.2.2", port: 6653 },
  });
  const world = new World([client, server]);
  const [a, b] = [aSwitch(1n), aSwitch(2n)];
  world.switches.set("tcp:192.0.2.1:6653", a);
  world.switches.set("tcp:192.0.2.2:6653", b);
  world.pass(300);
  assert.deepEqual([a.where(DATA), b.where({ ...DATA, in_port: 2n })], [[3], [4]]);
  world.say(b, b.setState(4, DOWN));
  world.pass(200);
  assert.deepEqual([a.where(DATA), b.where({ ...DATA, in_port: 2n })], [[5], [6]]);
  world.say(a, a.setState(5, DOWN));
  world.pass(200);
  assert.deepEqual([a.where(DATA), b.where({ ...DATA, in_port: 2n })], [[2], [1]], "around, on both");
});

Deno.test("Externals dials again after a loss and programs a switch that came back empty", () => {
  const { world, fake } = driven();
  world.switches.clear();
  world.cut(fake);
  world.pass(20_000);
  assert.deepEqual(world.texts(), [
    "switch edge: not connected: the switch closed the connection; it goes on with what it holds",
    "switch edge: not connected: connection refused; it goes on with what it holds",
  ]);
  assert.deepEqual([world.view().light, world.view().reason], ["red", "connection refused"]);
  const restarted = aSwitch();
  world.switches.set("tcp:192.0.2.1:6653", restarted);
  world.pass(9000);
  assert.deepEqual(restarted.where(DATA), [3]);
  assert.match(world.texts().join("\n"), /connected to .*\n.*holds what it should, after \d+ changes/);
});

Deno.test("Externals notices a switch that answers nothing any more", () => {
  const { world, fake } = driven();
  fake.mute = true;
  world.switches.clear();
  world.pass(4200);
  assert.match(world.texts().join("\n"), /not connected: has said nothing for 3000 ms/);
});

Deno.test("Externals, started anew, takes over the order it finds and changes nothing", () => {
  const { world, fake } = driven();
  world.externals.order(1);
  world.pass(300);
  const before = fake.got.filter((kind) => kind.endsWith("-mod")).length;
  world.texts();
  world.start();
  world.pass(3000);
  assert.equal(fake.got.filter((kind) => kind.endsWith("-mod")).length, before);
  assert.deepEqual(fake.where(DATA), [5]);
  assert.equal(world.view().serving, "redundant");
  assert.match(world.texts().join("\n"), /holds what it should already/);
});

Deno.test("Externals changes nothing on a switch that lacks a port, and goes on when it has it", () => {
  const fake = aSwitch();
  fake.ports.delete(6);
  const { world } = one({}, fake);
  world.pass(300);
  assert.match(
    world.texts().join("\n"),
    /Cannot drive switch edge: redundant-out "rout" is no port of it; it has up \(1\),/,
  );
  assert.equal(fake.groups.size + fake.flows.length, 0);
  assert.equal(world.view().light, "red");
  world.say(fake, fake.setPort(port(9, "rout"), 0));
  world.pass(300);
  assert.deepEqual(fake.where({ ...DATA, in_port: 9n }), []);
  assert.equal(world.view().light, "green", world.texts().join("\n"));
});

Deno.test("Externals says which changes a switch refuses, and those it takes and forgets", () => {
  const refusing = aSwitch();
  const { world } = one({}, refusing);
  refusing.refuses = (body) => body.kind === "flow-mod" && body.match.length > 3 ? [4, 6] : null;
  world.pass(300);
  const [, told] = world.texts();
  assert.match(
    told!,
    /^Cannot drive switch edge: refused 20 of \d+ changes: flow .*tcp_flags.* was missing: bad match, bad field; .*; and 15 more; it goes on/,
  );
  const sent = refusing.got.length;
  world.pass(5000);
  assert.ok(refusing.got.length - sent < 10, "it is not asked the same again and again");
  refusing.refuses = () => null;
  world.pass(10_000);
  assert.equal(world.view().light, "green");
  const forgetful = aSwitch();
  forgetful.forgetful = true;
  const other = one({}, forgetful).world;
  other.pass(1000);
  assert.match(
    other.texts().at(-1)!,
    /took every change and does not hold it: group 21\d+ was missing; .* and \d+ more/,
  );
});

Deno.test("Externals turns away another version, another datapath and one that is there already", () => {
  const old = aSwitch();
  old.greeting = { version: 1, versions: null };
  const first = one({}, old).world;
  first.pass(300);
  assert.match(
    first.texts().join(),
    /not connected: speaks OpenFlow of version 1, and only version 4 \(1\.3\) is spoken/,
  );
  assert.ok(old.got.includes("error"));
  const second = one({ datapath: "0000000000000007" }).world;
  second.pass(300);
  assert.match(second.texts().join(), /has datapath 000000000000002a, not 0000000000000007/);
  const twin = bothSides({ name: "twin", address: { scheme: "tcp", host: "192.0.2.9", port: 6653 } });
  const third = new World([bothSides(), twin]);
  third.switches.set("tcp:192.0.2.1:6653", aSwitch());
  third.switches.set("tcp:192.0.2.9:6653", aSwitch());
  third.pass(300);
  assert.match(
    third.texts().join("\n"),
    /switch twin: not connected: has datapath 000000000000002a, as has switch edge/,
  );
  assert.equal(third.view(0).light, "green");
  const noGroups = aSwitch();
  noGroups.groupTypes = 1;
  const fourth = one({}, noGroups).world;
  fourth.pass(300);
  assert.match(fourth.texts().join(), /Cannot drive switch edge: has no fast-failover groups/);
});

Deno.test("Externals tells switches that come to it apart by their datapath", () => {
  const listen = { by: "listen", address: { scheme: "tcp", host: "0.0.0.0", port: 6653 } } as const;
  const world = new World([
    bothSides({ ...listen, name: "a", datapath: "000000000000000a" }),
    bothSides({ ...listen, name: "b", datapath: "000000000000000b" }),
  ]);
  const come = (fake: FakeSwitch) =>
    world.join(fake, world.listening.get("tcp:0.0.0.0:6653")!, "192.0.2.5:4711");
  const [a, b, stranger] = [aSwitch(10n), aSwitch(11n), aSwitch(12n)];
  for (const fake of [b, a, stranger]) come(fake);
  world.pass(300);
  assert.deepEqual(world.externals.views().map(({ datapath, light }) => [datapath, light]), [
    ["000000000000000a", "green"],
    ["000000000000000b", "green"],
  ]);
  assert.match(
    world.texts().join("\n"),
    /Cannot drive switch 192\.0\.2\.5:4711: has datapath 000000000000000c, which is no/,
  );
  assert.equal(stranger.groups.size, 0);
});

Deno.test("Externals listens again where it could not, and says who was turned away", () => {
  const where = { by: "listen", address: { scheme: "tcp", host: "0.0.0.0", port: 6653 } } as const;
  const tls = { ca: "/ca.pem", certificate: "/node.pem", key: "/node.key" };
  const world = new World([bothSides({ ...where, tls })]);
  const first = world.listening.get("tcp:0.0.0.0:6653")!;
  first.deaf("address already in use");
  world.pass(9000);
  const second = world.listening.get("tcp:0.0.0.0:6653")!;
  assert.notEqual(second, first);
  second.turnedAway("no certificate");
  world.join(aSwitch(), second, "192.0.2.5:4711");
  world.pass(300);
  assert.equal(world.view().light, "green");
  assert.deepEqual(world.texts().slice(0, 2), [
    "switch edge: not connected: Cannot listen on tcp:0.0.0.0:6653: address already in use; it goes on with what it holds",
    "switch edge: not connected: a switch was turned away: its certificate has to be one of version 3 signed by /ca.pem " +
    "(no certificate); it goes on with what it holds",
  ]);
});

Deno.test("Externals does not hold its own stall against a switch", () => {
  const { world } = driven();
  world.nowMs += 20_000;
  world.pass(1500);
  assert.equal(world.view().light, "green");
  assert.deepEqual(world.texts(), []);
});

Deno.test("Externals ends a conversation that is no OpenFlow, and goes on with the others", () => {
  const { world, fake } = driven();
  world.say(fake, new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
  assert.match(world.texts().join(), /not connected: Cannot read OpenFlow/);
  world.pass(2000);
  assert.equal(world.view().light, "green");
});

Deno.test("Externals outlives a switch that says anything at any time", () => {
  const random = new Random(1);
  const { world, fake } = driven();
  let wrong = 0, lost = 0;
  for (let round = 0; round < 500; round++) {
    const answer = fake.receive;
    // One in a few of its messages is bent; the rest of the conversation goes on around it.
    fake.receive = (bytes) =>
      answer.call(fake, bytes).map((message) => {
        if (random.below(8) > 0) return message;
        wrong++;
        const bent = message.slice();
        for (let count = random.below(3); count >= 0; count--) {
          const at = 1 + random.below(bent.length - 1);
          if (at < 2 || at > 3) bent[at] = random.below(256);
        }
        return bent;
      });
    world.pass(1000);
    fake.receive = answer;
    if (world.view().light !== "green") lost++;
  }
  assert.ok(wrong > 200 && lost > 20, `${wrong} wrong, ${lost} lost`);
  world.pass(20_000);
  const { light, serving } = world.view();
  assert.equal(light, "green", world.texts().slice(-3).join("\n"));
  assert.deepEqual(fake.where(DATA), [serving === "primary" ? 3 : 5]);
});

Deno.test("Externals leaves a switch that is not configured any more, and takes only what is its own", () => {
  const { world, fake } = driven();
  fake.groups.set(7, { group: 7, type: 0, buckets: [] });
  const foreign = { ...fake.flows[0]!, cookie: 5n, priority: 1, instructions: [] };
  fake.flows.push(foreign);
  world.externals.configure({ switches: [bothSides({ mirror: "none" })], boxes: BOXES });
  assert.ok(fake.flows.length > 20, "another description alone takes nothing away");
  world.pass(1000);
  assert.deepEqual([world.view().light, world.view().flows], ["green", 6]);
  assert.ok([...fake.groups.keys()].every((group) => group === 7 || group >= GROUP_FIRST));
  world.externals.configure({ switches: [], boxes: BOXES });
  world.deliver();
  assert.deepEqual([...fake.groups.keys()], [7]);
  assert.deepEqual(fake.flows, [foreign]);
});

Deno.test("Externals closes with or without taking its own away", async () => {
  const kept = driven();
  await kept.world.externals.close(false, () => Promise.resolve());
  assert.ok(kept.fake.groups.size > 0);
  const removed = driven();
  await removed.world.externals.close(true, () => Promise.resolve(removed.world.deliver()));
  assert.equal(removed.fake.groups.size + removed.fake.flows.length, 0);
});

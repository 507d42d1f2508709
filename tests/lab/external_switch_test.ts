/**
 * A node that drives a real switch: Open vSwitch in user space between two boxes, under a load that counts each frame.
 *
 * Counts and orders are asserted, times are only told. What the machine itself dropped between two interfaces
 * meanwhile is taken off.
 */
import assert from "node:assert/strict";
import type { ExternalSwitchView } from "../../appliance/view.ts";
import { sleep } from "../../scripts/lab/process.ts";
import type { TestNode } from "../support/node.ts";
import { DATAPATH, makeCertificates, missingSwitch, SwitchLab } from "../support/switch_lab.ts";
import { machineDrops, nodeEnd } from "../support/wire.ts";

const missing = missingSwitch();
const LISTENING = ["ptcp:6653:127.0.0.1", 'address = "tcp:127.0.0.1:6653"'] as const;
const PER_SECOND = 1_000;

function test(claim: string, fn: (lab: SwitchLab) => Promise<void>): void {
  Deno.test({
    name: `${claim}${missing && ` (needs ${missing})`}`,
    ignore: missing !== "",
    fn: async () => {
      await using lab = await SwitchLab.up();
      await fn(lab);
    },
  });
}

async function view(node: TestNode): Promise<ExternalSwitchView> {
  return (await node.status()).external[0]!;
}

/** The first view for which `is` holds. */
async function seen(node: TestNode, what: string, is: (view: ExternalSwitchView) => boolean) {
  const status = await node.until(what, ({ external }) => is(external[0]!));
  return status.external[0]!;
}

async function driven(lab: SwitchLab, ...more: string[]): Promise<TestNode> {
  await lab.controller(LISTENING[0]);
  const node = await lab.node(LISTENING[1], ...SwitchLab.ports(), ...more);
  await seen(node, "a switch that is driven", ({ light }) => light === "green");
  return node;
}

function packetsTo(view: ExternalSwitchView, name: string): number {
  return view.delivered.find((one) => one.name === name)?.packets ?? 0;
}

async function texts(node: TestNode): Promise<string[]> {
  return (await node.events()).filter(({ kind }) => kind === "external").map(({ text }) => text);
}

/** What was told, once `is` holds of it or time is up: the switch says what it has done after it has done it. */
async function told(node: TestNode, is: (texts: readonly string[]) => boolean): Promise<string[]> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline && !is(await texts(node));) {
    await sleep(50);
  }
  return await texts(node);
}

test("a switch that is driven fails over by itself, and traffic comes back when a person says so", async (lab) => {
  const node = await driven(lab);
  await lab.wire.box("primary");
  await lab.wire.box("redundant");
  const load = await lab.wire.load(PER_SECOND);
  await load.more(500);
  const before = await load.report();
  const drops = machineDrops();
  await lab.wire.link("primary-out", "down");
  await load.more(500);
  const after = await load.report();
  await seen(node, "the redundant box serving", ({ serving }) => serving === "redundant");
  await load.more(500);
  const counted = await seen(node, "the switch's own count", (one) => packetsTo(one, "redundant") > 0);
  assert.deepEqual(
    [packetsTo(counted, "primary"), packetsTo(counted, "wire")],
    [0, 0],
    "since the last change",
  );
  await lab.wire.link("primary-out", "up");
  await seen(node, "all ports up", ({ light }) => light === "green");
  await load.more(500);
  assert.equal((await view(node)).serving, "redundant", "the way back is a person's");
  const back = await node.order("failback");
  assert.ok(back.ok, back.text);
  await load.more(1_000);
  await seen(node, "the primary serving", ({ serving }) => serving === "primary");
  const report = await load.stop();
  console.log(
    `link lost: ${
      after.lost - before.lost
    } frames of both directions lost at ${PER_SECOND} a second each, longest gap ` +
      `${
        (after.gapUs / 1000).toFixed(1)
      } ms; in all ${report.lost} lost, ${report.duplicated} doubled of ${report.sent}; ` +
      `the machine dropped ${machineDrops() - drops}`,
  );
  const down = /primary-out \(\w+\) is down[^]*from primary to redundant: the primary is not live/;
  const up = /primary-out \(\w+\) is up[^]*from redundant to primary: by order/;
  const all = (await told(node, (texts) => down.test(texts.join("\n")) && up.test(texts.join("\n")))).join(
    "\n",
  );
  assert.match(all, down);
  assert.match(all, up);
  assert.equal(report.foreign, 0);
});

Deno.test({
  name: `of three boxes around a switch each serves in its turn, and one that has left does not${
    missing && ` (needs ${missing})`
  }`,
  ignore: missing !== "",
  fn: async () => {
    await using lab = await SwitchLab.up(3);
    const further = (end: "in" | "out") => `${nodeEnd(`redundant-${end}`)}, ${nodeEnd(`redundant-2-${end}`)}`;
    await lab.controller(LISTENING[0]);
    const ports = SwitchLab.ports({ "redundant-in": further("in"), "redundant-out": further("out") });
    const node = await lab.node(LISTENING[1], ...ports);
    await seen(node, "a switch that is driven", ({ light }) => light === "green");
    for (const box of ["primary", "redundant", "redundant-2"] as const) await lab.wire.box(box);
    const load = await lab.wire.load(PER_SECOND);
    await load.more(200);
    const serves = async (box: string) => {
      await seen(node, `${box} serving`, (one) => one.serving === box && packetsTo(one, box) > 0);
      await load.more(200);
    };
    assert.ok((await node.order("switchover", false, "redundant-2")).ok);
    await serves("redundant-2");
    assert.ok((await node.order("failback")).ok);
    await serves("primary");
    assert.ok((await node.maintain("redundant", true)).ok);
    await lab.wire.link("primary-out", "down");
    await serves("redundant-2");
    assert.ok((await node.maintain("redundant", false)).ok);
    await lab.wire.link("redundant-2-in", "down");
    await serves("redundant");
    const { foreign } = await load.stop();
    assert.equal(foreign, 0, "what a standby sends is heard by nobody");
    const moves = (texts: readonly string[]) => texts.filter((text) => text.includes("traffic moved"));
    const moved = moves(await told(node, (texts) => moves(texts).length >= 4));
    assert.deepEqual(moved.map((text) => / from (\S+ to \S+):/.exec(text)?.[1]).slice(0, 4), [
      "primary to redundant-2",
      "redundant-2 to primary",
      "primary to redundant-2",
      "redundant-2 to redundant",
    ]);
  },
});

test("without a live box traffic passes around, or is blocked where the policy says so", async (lab) => {
  const node = await driven(lab);
  const load = await lab.wire.load(PER_SECOND);
  for (const role of ["primary-in", "redundant-out"] as const) await lab.wire.link(role, "down");
  await seen(node, "the wire", ({ serving }) => serving === "wire");
  await load.more(500);
  await node.edit((toml) => `${toml}dead_policy = "block"\n`);
  assert.ok((await node.reload()).ok);
  await seen(node, "a block", ({ serving, verifiedMs }) => serving === "block" && verifiedMs !== null);
  // Those that were under way have arrived by the time that so many later ones were sent.
  const sent = async (frames: number) => {
    const aim = (await load.report()).sent + frames;
    for (let look = 0; look < 2_000 && (await load.report()).sent < aim; look++) await sleep(10);
    return await load.report();
  };
  const [before, after] = [await sent(PER_SECOND), await sent(PER_SECOND)];
  assert.ok(after.sent > before.sent);
  assert.equal(after.received, before.received);
  await load.stop();
});

test("what others change on the switch is put right and said", async (lab) => {
  const node = await driven(lab);
  await lab.wire.box("primary");
  const load = await lab.wire.load(PER_SECOND);
  await load.more(200);
  const whole = [sorted(await lab.dump("groups")), rules(await lab.dump("flows"))];
  await lab.ovs.groups("del-groups", "group_id=21000");
  await seen(node, "a repair", ({ repairs, light }) => repairs === 1 && light === "green");
  await load.more(200);
  await lab.ovs.groups("mod-group", "group_id=21008,type=ff,bucket=watch_port:1,output:1");
  await seen(node, "a second repair", ({ repairs, light }) => repairs === 2 && light === "green");
  await lab.ovs.groups("del-flows", "in_port=2");
  await seen(node, "a third repair", ({ repairs, light }) => repairs === 3 && light === "green");
  await load.more(200);
  assert.deepEqual([sorted(await lab.dump("groups")), rules(await lab.dump("flows"))], whole);
  const repairs = (texts: readonly string[]) => texts.filter((text) => text.includes("put right"));
  const right = repairs(await told(node, (texts) => repairs(texts).length >= 3));
  assert.match(right[0]!, /group 21000 was missing; flow in_port=0x1 \(table 0, priority 1000\) was missing/);
  assert.match(right[1]!, /group 21008 was changed$/);
  assert.match(right[2]!, /flow .*in_port=0x2.* was missing/);
  await load.stop();
});

/** Flows without what counts and ages. */
function rules(dump: string): string[] {
  return sorted(dump.replace(/(duration|n_packets|n_bytes|idle_age|hard_age)=[^ ,]*,? ?/g, ""));
}

function sorted(dump: string): string[] {
  return dump.split("\n").filter((line) => !line.includes("reply")).map((line) => line.trim()).sort();
}

test("a switch that is started again is programmed again, and one that is left keeps nothing", async (lab) => {
  const node = await driven(lab);
  await lab.wire.box("primary");
  const before = rules(await lab.dump("flows"));
  await lab.ovs.groups("add-flow", "priority=5,arp,actions=NORMAL");
  await lab.ovs.stop();
  await seen(node, "the loss", ({ light, connectedMs }) => light === "red" && connectedMs === null);
  await lab.ovs.startAgain();
  await seen(node, "the switch again", ({ light }) => light === "green");
  const load = await lab.wire.load(PER_SECOND);
  await load.more(500);
  assert.deepEqual(rules(await lab.dump("flows")), before);
  await load.stop();
  await lab.ovs.groups("add-flow", "priority=5,arp,actions=NORMAL");
  await node.endControl("SIGTERM");
  assert.equal(
    rules(await lab.dump("flows")).length,
    before.length + 1,
    "SIGTERM leaves the switch as it is",
  );
  await node.startControl();
  await seen(node, "the switch taken over", ({ light }) => light === "green");
  const already = /holds what it should already/;
  assert.match((await told(node, (texts) => already.test(texts.at(-1) ?? ""))).at(-1)!, already);
  await node.endControl("SIGINT");
  assert.deepEqual(rules(await lab.dump("flows")).filter((line) => line !== ""), [
    "cookie=0x0, table=0, priority=5,arp actions=NORMAL",
  ]);
  assert.doesNotMatch(await lab.dump("groups"), /group_id/);
});

test("a port that the switch does not have, and another datapath, change nothing on it", async (lab) => {
  await lab.controller(LISTENING[0]);
  const node = await lab.node(LISTENING[1], ...SwitchLab.ports({ "redundant-in": "eth99" }));
  const { reason } = await seen(node, "a refusal", ({ light }) => light === "red");
  const refused = await seen(node, "a reason", (one) => one.reason.includes("eth99"));
  assert.match(refused.reason, /^redundant-in "eth99" is no port of it; it has .*pup \(1\)/, reason);
  assert.doesNotMatch(await lab.dump("groups"), /group_id/);
  await node.edit((toml) => `${toml.replace("eth99", "5")}datapath = "00000000000000bb"\n`);
  assert.ok((await node.reload()).ok);
  const other = await seen(node, "another datapath", (one) => one.reason.includes("datapath"));
  assert.equal(other.reason, `has datapath ${DATAPATH}, not 00000000000000bb`);
  assert.doesNotMatch(await lab.dump("groups"), /group_id/);
});

test("a switch that comes by TLS is driven, and one with a certificate of another authority gets nowhere", async (lab) => {
  const files = await makeCertificates(lab.wire.lab.directory);
  const secrets = (
    ca: string,
  ) => [`ca = "${ca}"`, `certificate = "${files.node.certificate}"`, `key = "${files.node.key}"`];
  await lab.ovs.configure(["set-ssl", files.foreign.key, files.foreign.certificate, files.ca]);
  await lab.controller("ssl:127.0.0.1:6653");
  const node = await lab.node('listen = "tls:127.0.0.1:6653"', ...SwitchLab.ports(), ...secrets(files.ca));
  const away = await seen(node, "a switch turned away", ({ reason }) => reason.includes("turned away"));
  assert.deepEqual([away.light, away.connectedMs], ["red", null]);
  assert.doesNotMatch(await lab.dump("groups"), /group_id/);
  await lab.ovs.configure(["set-ssl", files.switch.key, files.switch.certificate, files.ca]);
  const good = await seen(node, "the switch", ({ light }) => light === "green");
  assert.equal(good.datapath, DATAPATH);
});

test("a switch that listens with TLS is driven if both ends are of one authority", async (lab) => {
  const files = await makeCertificates(lab.wire.lab.directory);
  await lab.ovs.configure(["set-ssl", files.switch.key, files.switch.certificate, files.ca]);
  await lab.controller("pssl:6653:127.0.0.1");
  const own = [`certificate = "${files.node.certificate}"`, `key = "${files.node.key}"`];
  const dial = ['address = "tls:127.0.0.1:6653"', ...SwitchLab.ports(), ...own];
  const node = await lab.node(...dial, `ca = "${files.foreign.certificate}"`);
  const refused = await seen(node, "a refusal", ({ reason }) => /certificate|issuer/i.test(reason));
  assert.equal(refused.light, "red");
  await node.edit((toml) => toml.replace(files.foreign.certificate, `${files.ca}.none`));
  assert.ok((await node.reload()).ok);
  const unread = await seen(node, "a file that is not there", ({ reason }) => reason.includes(".none"));
  assert.match(unread.reason, /^Cannot read the certificate authority .*authority\.pem\.none: no such file/);
  assert.doesNotMatch(await lab.dump("groups"), /group_id/);
  await node.edit((toml) => toml.replace(`${files.ca}.none`, files.ca));
  assert.ok((await node.reload()).ok);
  await seen(node, "the switch", ({ light }) => light === "green");
});

/**
 * The flight recorder around a failover under traffic: what it keeps is opened by tshark, is decided again offline to the
 * same end, and shows when somebody changed it.
 */
import assert from "node:assert/strict";
import { PATH, STEP } from "../../filter/names.ts";
import { packetOf } from "../../filter/pcapng_blocks.ts";
import { eachBlock, entryOf, noteOf } from "../../appliance/recorder_format.ts";
import type { ReplayReport } from "../../appliance/replay.ts";
import type { RecorderStatus } from "../../appliance/view.ts";
import { run, sleep, tryRun } from "../../scripts/lab/process.ts";
import { binary, TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const PER_SECOND = 500;
const SAVED_MS_MAX = 20_000;
const RULE = [
  "[[filter.rules]]",
  'name = "traffic"',
  'match = "ip"',
  "handshake = true",
  "first_packets = 3",
];

function command(node: TestNode, words: readonly string[]) {
  const remote = words[0] === "replay" ? [] : ["--socket", `${node.directory}/run/control.sock`];
  return tryRun([binary(), ...words, ...remote], { timeoutMs: 60_000 });
}

async function replayed(node: TestNode, file: string): Promise<ReplayReport & { code: number }> {
  const { code, stdout, stderr } = await command(node, ["replay", file, "--json"]);
  assert.ok(stdout.startsWith("{"), `${stdout}${stderr}`);
  return { ...JSON.parse(stdout), code };
}

async function status(node: TestNode): Promise<RecorderStatus> {
  return JSON.parse((await command(node, ["recorder", "status", "--json"])).stdout);
}

/** Once there are so many records in files. */
async function recorded(node: TestNode, count: number): Promise<RecorderStatus> {
  for (const deadline = Date.now() + 20_000;;) {
    const now = await status(node);
    if (now.decisions >= count) return now;
    if (Date.now() > deadline) throw new Error(`Cannot see ${count} records: ${JSON.stringify(now)}`);
    await sleep(100);
  }
}

/** Saves until `is` holds of what was saved, or time is up: what has passed is in the files a little later. */
async function saved(
  node: TestNode,
  words: readonly string[],
  is: (report: ReplayReport, file: string) => Promise<boolean> | boolean,
): Promise<{ file: string; report: ReplayReport & { code: number } }> {
  for (const deadline = Date.now() + SAVED_MS_MAX;;) {
    const file = `${node.directory}/${crypto.randomUUID()}.pcapng`;
    const { code, stderr } = await command(node, ["recorder", "save", file, ...words]);
    assert.equal(code, 0, stderr);
    const report = await replayed(node, file);
    if (await is(report, file) || Date.now() > deadline) return { file, report };
  }
}

/** The frames by the names of their interfaces and their comments, as tshark reads them. */
async function tshark(file: string): Promise<string[]> {
  const fields = ["frame.interface_name", "frame.comment"].flatMap((name) => ["-e", name]);
  const argv = ["tshark", "-n", "-r", file, "-T", "fields", ...fields];
  return (await run(argv, { timeoutMs: 60_000 })).trim().split("\n");
}

for (const cores of [1, 2]) {
  Deno.test(`a failover under traffic is recorded and comes out the same when it is decided again, by ${cores} core(s)`, async () => {
    await using wire = await Wire.up();
    await wire.box("primary");
    await wire.box("redundant");
    const node = await TestNode.start(wire, {
      preset: "nat",
      cores,
      filter: RULE,
      failover: ["hold_up_ms = 200"],
    });
    const load = await wire.load(PER_SECOND, { flows: 16 });
    await load.more(300);
    await wire.link("primary-out", "down");
    await node.until("the failover", ({ path }) => path === "redundant");
    await wire.link("primary-out", "up");
    await load.more(300);
    await node.until("a primary that lives", ({ boxes }) => boxes[0]!.light === "green");
    assert.ok((await node.order("failback")).ok);
    await load.more(100);
    await load.stop();
    await recorded(node, 200);
    const { file, report } = await saved(
      node,
      [],
      ({ decisions, steps, switches }) => decisions.same >= 200 && switches.withStep === 2 && steps.same >= 4,
    );
    assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
    const { decisions, steps, switches, seals } = report;
    assert.deepEqual([report.code, report.identical, report.different], [0, true, 0], JSON.stringify(report));
    assert.ok(decisions.same >= 200, JSON.stringify(report));
    assert.deepEqual([decisions.no_rules, decisions.cut, decisions.other_layout], [0, 0, 0]);
    assert.equal(switches.told, 2);
    assert.equal(switches.withStep, 2);
    assert.ok(steps.same >= 4, JSON.stringify(steps)); // dead, switch, alive, order
    assert.deepEqual([seals.broken, seals.cut, seals.unsealedBytes], [null, null, 0]);

    const told = await command(node, ["replay", file]);
    assert.match(told.stdout, /Decisions on frames: (\d+) of \1 come out[^]*\nIdentical\.\n$/);
    console.log(told.stdout);

    const lines = await tshark(file);
    // It shows what is ours alone as frames without an interface.
    assert.equal(lines.filter((line) => !line.startsWith("\t")).length, report.packets);
    assert.ok(
      lines.some((line) => /^upstream\tcopied: (handshake|first), rule /.test(line)),
      lines.slice(0, 20).join("\n"),
    );
    assert.ok(lines.some((line) => /^primary-out\tseen out of the serving box/.test(line)));
    assert.ok(lines.some((line) => /^node\tswitch: /.test(line)));

    await changed(node, file);
  });
}

/** A verdict that says otherwise is found by the seal and by deciding again; a byte of the payload by the seal. */
async function changed(node: TestNode, path: string): Promise<void> {
  const file = await Deno.readFile(path);
  let at = -1, number = 0;
  eachBlock(file, (block) => {
    const packet = packetOf(block);
    if (at >= 0) return;
    if (packet !== null || entryOf(block) !== null) number++;
    if (packet === null) return;
    // "why" is the fifth of eight bytes before the entry, which is the last of a witness.
    const { custom } = packet;
    if (custom !== undefined && custom[custom.length - 192 - 8 + 4] === 2) {
      at = custom.byteOffset + custom.length - 192 - 4;
    }
  });
  assert.ok(at > 0, "a handshake was copied");
  const forged = file.slice();
  forged[at] = 5;
  await Deno.writeFile(`${path}.forged`, forged);
  const report = await replayed(node, `${path}.forged`);
  assert.deepEqual([report.code, report.identical, report.different], [1, false, 1]);
  const [difference] = report.differences;
  assert.equal(difference!.packet, number);
  assert.match(difference!.recorded, /^copied: first/);
  assert.match(difference!.replayed, /^copied: handshake/);
  assert.ok(report.seals.broken !== null && report.seals.broken.from <= at && at < report.seals.broken.to);
  const text = await command(node, ["replay", `${path}.forged`]);
  assert.match(
    text.stdout,
    /THE FILE WAS CHANGED between byte \d+ and byte \d+\.\npacket \d+, .*recorded "copied: first/,
  );

  const quiet = file.slice();
  quiet[file.length - 100]! ^= 1;
  await Deno.writeFile(`${path}.quiet`, quiet);
  const found = await replayed(node, `${path}.quiet`);
  assert.deepEqual([found.code, found.seals.broken !== null || found.seals.cut !== null], [1, true]);

  await Deno.writeFile(`${path}.cut`, file.subarray(0, Math.floor(file.length * 0.6) + 1));
  const cut = await replayed(node, `${path}.cut`);
  assert.deepEqual([cut.code, cut.identical, cut.seals.broken], [0, true, null]);
  assert.match(cut.seals.cut!, /is cut$/);
}

Deno.test("the recorder keeps rules, events, steps and counters, stops and goes on by order, and survives another plane", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  await wire.box("redundant");
  const node = await TestNode.start(wire, { preset: "nat", filter: RULE });
  const load = await wire.load(PER_SECOND, { flows: 8 });
  await load.more(100);
  await recorded(node, 20);
  assert.ok((await node.reload()).ok); // another generation of rules
  assert.equal((await command(node, ["recorder", "off"])).code, 0);
  assert.equal((await status(node)).on, false);
  await load.more(50);
  assert.equal((await command(node, ["recorder", "on"])).code, 0);
  assert.equal((await status(node)).on, true);
  const { plane } = await node.status();
  Deno.kill(plane.pid, "SIGKILL");
  await node.until("another plane", (now) => now.plane.state === "running" && now.plane.pid !== plane.pid);
  await load.more(100);
  assert.ok((await node.order("switchover")).ok);
  await load.stop();
  const { file, report } = await saved(node, ["--last", "5"], async (_, file) => {
    const { kinds, steps } = await kept(file);
    return steps.includes("order redundant") && (kinds.get("node") ?? 0) >= 2;
  });
  assert.deepEqual([report.identical, report.decisions.no_rules], [true, 0], JSON.stringify(report));
  const { kinds, steps } = await kept(file);
  for (const kind of ["rules", "event", "node", "counters", "step"]) {
    assert.ok((kinds.get(kind) ?? 0) > 0, `${kind}: ${JSON.stringify([...kinds])}`);
  }
  assert.ok(kinds.get("node")! >= 2, "of both planes");
  assert.ok(steps.includes("order redundant"), steps.join(", "));
});

/** How often a file has what beside frames, and the steps. */
async function kept(file: string): Promise<{ kinds: Map<string, number>; steps: string[] }> {
  const kinds = new Map<string, number>();
  const steps: string[] = [];
  const bytes = await Deno.readFile(file);
  eachBlock(bytes, (block) => {
    const entry = entryOf(block);
    if (entry === null) return;
    const about = noteOf(entry)?.about ?? entry.kind;
    kinds.set(about, (kinds.get(about) ?? 0) + 1);
    if (entry.kind !== "step") return;
    const view = new DataView(entry.data.buffer, entry.data.byteOffset);
    steps.push(`${STEP[view.getUint32(24, true)]} ${PATH[view.getUint32(36, true)]}`);
  });
  return { kinds, steps };
}

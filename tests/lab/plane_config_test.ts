/**
 * The configuration in force while a node lives: what a reload changes, what it cannot, and who may change it.
 *
 * Whatever is refused leaves everything as it was, the file that the next plane would be started from included.
 */
import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import { inNamespace, tryRun } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { binary, TestNode } from "../support/node.ts";
import { nodeEnd, Wire } from "../support/wire.ts";

const RULE = '[[filter.rules]]\nname = "dns"\nmatch = "udp port 53"\nall = true\n';

/** What a node has in shared memory. */
function boards(node: TestNode): string[] {
  const name = basename(node.boardPath);
  return [...Deno.readDirSync(dirname(node.boardPath))].map((entry) => entry.name)
    .filter((one) => one.startsWith(name));
}

/** The names of those the plane goes by, in order. */
async function rules(node: TestNode): Promise<string> {
  return (await node.status()).mirror.rules.map(({ name }) => name).join(" ");
}

Deno.test("reload takes over rules and the log's level, and the plane goes by them when it says so", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  await node.edit((toml) => `${toml}${RULE}[log]\nlevel = "error"\n`);
  assert.deepEqual(await node.reload(), { ok: true, text: "the new configuration is in force" });
  assert.equal(await rules(node), "dns none");
  assert.match(node.accepted, /udp port 53/);
  assert.ok((await node.order("switchover")).ok);
  assert.doesNotMatch(node.log, /traffic moved/, "a switch is told as a warning");
});

Deno.test("reload refuses what a running node cannot change, by key, and leaves all as it was", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  const before = node.accepted;
  const upstream = `af_packet:${nodeEnd("upstream")}`;
  const refusals: [(toml: string) => string, RegExp][] = [
    [(toml) => toml.replace(`"${upstream}"`, '"null"'), /^ports\.upstream cannot change/],
    [(toml) => toml.replace("memory_mib = 96", "memory_mib = 97"), /^plane\.memory_mib cannot change/],
    [(toml) => toml.replace("flows_max = 1024", "flows_max = 2000"), /^plane\.flows_max cannot change/],
    [(toml) => toml.replace('/state"', '/other"'), /^node\.state_directory cannot change/],
    [(toml) => `${toml}[api]\nsocket = "/run/x.sock"\n`, /^api\.socket cannot change/],
    [(toml) => `${toml}colour = 1\n`, /\/remediate\.toml:\d+: .*colour is no key/],
  ];
  const original = await Deno.readTextFile(node.configPath);
  for (const [change, expected] of refusals) {
    await node.edit(() => `${change(original)}${RULE}`);
    const { ok, text } = await node.reload();
    assert.equal(ok, false, text);
    assert.match(text, expected);
    assert.equal(node.accepted, before);
  }
  await Deno.remove(node.configPath);
  assert.match((await node.reload()).text, /remediate\.toml cannot be read: no such file or directory$/);
  assert.equal(await rules(node), "none");
});

Deno.test("reload that cannot keep the configuration refuses it, and the old rules stay", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  const before = node.accepted;
  await Deno.mkdir(`${node.directory}/run/accepted.toml.new`); // in the way, as a full disk would be
  await node.edit((toml) => `${toml}${RULE}`);
  const { ok, text } = await node.reload();
  assert.equal(ok, false);
  assert.match(text, /^Cannot write .*\/run\/accepted\.toml: is a directory$/);
  assert.equal(node.accepted, before);
  assert.equal(await rules(node), "none");
});

Deno.test("control that takes over a plane leaves to it what it cannot change, and says so", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  const before = node.accepted;
  const { pid } = (await node.status()).plane;
  await node.endControl("SIGTERM");
  const upstream = `"af_packet:${nodeEnd("upstream")}"`;
  await node.edit((toml) => `${toml.replace(upstream, '"null"')}${RULE}`);
  await node.startControl();
  const { plane, ports } = await node.status();
  assert.equal(plane.pid, pid);
  assert.equal(`"${ports[0]!.spec}"`, upstream, "status tells the port that the plane has");
  assert.equal(await rules(node), "none");
  assert.match(
    node.log,
    / error Cannot change ports\.upstream while the plane runs: .*accepted\.toml stays /,
  );
  assert.equal(node.accepted, before);
  await node.endControl("SIGINT");
  await node.startControl();
  assert.equal((await node.status()).ports[0]!.spec, "null", "a new plane goes by the new file");
});

Deno.test("a second control is refused and does not touch the configuration in force", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  const before = node.accepted;
  await node.edit((toml) => `${toml}${RULE}`);
  const command = [binary(), "run", "--force", "--config", node.configPath];
  const { code, stderr } = await tryRun(inNamespace(wire.lab.ns(NODE_NS), command), { timeoutMs: 60_000 });
  assert.match(stderr, /^Cannot serve on .*control\.sock: a node answers there already$/m);
  assert.equal(code, 1);
  assert.equal(node.accepted, before);
  assert.equal((await node.status()).plane.state, "running");
});

Deno.test("a node that was ended leaves nothing in shared memory, nor does one that could not start", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  assert.equal(boards(node).length, 4, "a board, its lock, the rings of captured frames and of decisions");
  await node.endControl("SIGINT");
  assert.deepEqual(boards(node), []);
  await node.edit((toml) => toml.replace(`af_packet:${nodeEnd("downstream")}`, "af_packet:nope0"));
  const command = [binary(), "run", "--force", "--config", node.configPath];
  const { code } = await tryRun(inNamespace(wire.lab.ns(NODE_NS), command), { timeoutMs: 60_000 });
  assert.equal(code, 3);
  assert.deepEqual(boards(node), []);
});

Deno.test("a runtime directory that takes no file is one sentence, and no plane is started", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  await node.endControl("SIGINT");
  await Deno.mkdir(`${node.directory}/run/accepted.toml.new`);
  const command = [binary(), "run", "--config", node.configPath];
  const { code, stderr } = await tryRun(inNamespace(wire.lab.ns(NODE_NS), command), { timeoutMs: 60_000 });
  assert.match(stderr, /^Cannot write .*\/run\/accepted\.toml: is a directory$/m);
  assert.doesNotMatch(stderr, /\n\s+at .*:\d+:\d+/, "no stack");
  assert.equal(code, 1);
  assert.deepEqual(boards(node), []);
});

/**
 * What a node says when it cannot start: one sentence a person can act on, and the exit code of a plane.
 *
 * Also the board of another version: control refuses it with both versions, and the plane forwards on.
 */
import assert from "node:assert/strict";
import { ABI_VERSION } from "../../filter/board.ts";
import { inNamespace, type RunResult, tryRun } from "../../scripts/lab/process.ts";
import { NODE_NS } from "../../scripts/lab/topology.ts";
import { binary, type NodeSettings, nodeToml, TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

const EXIT_PLANE = 3;

/** Runs a subcommand on a configuration to its end. */
async function attempt(wire: Wire, toml: string, argv: readonly string[]): Promise<RunResult> {
  const path = `${await Deno.makeTempDir({ dir: wire.lab.directory })}/remediate.toml`;
  await Deno.writeTextFile(path, toml);
  const command = [binary(), ...argv, "--config", path];
  return await tryRun(inNamespace(wire.lab.ns(NODE_NS), command), { timeoutMs: 60_000 });
}

interface Refusal {
  readonly what: string;
  readonly settings?: NodeSettings;
  readonly edit?: (toml: string) => string;
  /** What `run` says before it starts anything, and what the plane says when it is started all the same. */
  readonly run: RegExp;
  readonly plane: RegExp;
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "an interface that is not there",
    settings: { ports: { downstream: "af_packet:nope0" } },
    run: /port downstream: There is no interface nope0\.\n +fix: /,
    plane: /^plane: Cannot open port downstream \(af_packet:nope0\): there is no interface nope0$/m,
  },
  {
    what: "a runtime directory that cannot be made",
    edit: (toml) => toml.replace(/runtime_directory = .*/, 'runtime_directory = "/proc/remediate"'),
    run: /runtime: \/proc\/remediate cannot be written\.\n +fix: /,
    plane: /^plane: Cannot make the runtime directory \/proc\/remediate: /m,
  },
  {
    what: "hugepages that are demanded and not there",
    settings: { plane: ['hugepages = "on"', "memory_mib = 65536"] },
    run: /hugepages: .* 65536 MiB are needed\.\n +fix: echo 32768 > /,
    plane:
      /^plane: Cannot start the plane: plane\.hugepages is "on", but only \d+ MiB .*65536 are needed: echo 32768/m,
  },
];

for (const { what, settings, edit, run, plane } of REFUSALS) {
  Deno.test(`a node refuses to start with ${what}, in one sentence with the fix, code 3`, async () => {
    await using wire = await Wire.up();
    const toml = nodeToml(wire.lab.directory, settings);
    const ran = await attempt(wire, edit?.(toml) ?? toml, ["run"]);
    assert.match(ran.stderr, run);
    assert.equal(ran.code, EXIT_PLANE, ran.stderr);
    const started = await attempt(wire, edit?.(toml) ?? toml, ["plane"]);
    assert.match(started.stderr, plane);
    assert.equal(started.code, EXIT_PLANE, started.stderr);
    for (const { stderr } of [ran, started]) assert.doesNotMatch(stderr, /\n\s+at .*:\d+:\d+/, "no stack");
  });
}

Deno.test("a plane that dies while it starts gives control its own sentence and code 3", async () => {
  await using wire = await Wire.up();
  const toml = nodeToml(wire.lab.directory, { ports: { downstream: "af_packet:nope0" } });
  const { code, stderr } = await attempt(wire, toml, ["run", "--force"]);
  assert.match(
    stderr,
    /error Cannot open port downstream \(af_packet:nope0\): there is no interface nope0$/m,
  );
  assert.equal(code, EXIT_PLANE);
});

Deno.test("a second plane on the board of a running one is refused, and the first forwards on", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  const { pid } = (await node.status()).plane;
  const command = [binary(), "plane", "--config", node.configPath];
  const { code, stderr } = await tryRun(inNamespace(wire.lab.ns(NODE_NS), command), { timeoutMs: 60_000 });
  assert.match(stderr, /^plane: Cannot start a plane: one is running already on /m);
  assert.equal(code, EXIT_PLANE);
  const after = await node.status();
  assert.deepEqual([after.plane.pid, after.plane.state], [pid, "running"]);
});

Deno.test("a second control of a running node is refused and takes nothing away from the first", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire);
  const command = [binary(), "run", "--force", "--config", node.configPath];
  const { code, stderr } = await tryRun(inNamespace(wire.lab.ns(NODE_NS), command), { timeoutMs: 60_000 });
  assert.match(stderr, /^Cannot serve on .*control\.sock: a node answers there already$/m);
  assert.notEqual(code, 0);
  assert.equal((await node.status()).plane.state, "running");
});

/** Offset of the version in every board (filter/native/abi.h: magic, abi). */
const ABI_OFFSET = 4;

function writeVersion(path: string, version: number): void {
  using file = Deno.openSync(path, { read: true, write: true });
  file.seekSync(ABI_OFFSET, Deno.SeekMode.Start);
  const word = new Uint8Array(4);
  new DataView(word.buffer).setUint32(0, version, true);
  file.writeSync(word);
}

Deno.test("a board of another version is refused with both versions, and the plane forwards on", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  const node = await TestNode.start(wire, { failover: ["silence_ms = 1000"] });
  const drops = machineDrops();
  const load = await wire.load(2_000);
  await node.endControl("SIGTERM");
  writeVersion(node.boardPath, ABI_VERSION + 6);
  const command = [binary(), "run", "--force", "--config", node.configPath];
  const refused = await tryRun(inNamespace(wire.lab.ns(NODE_NS), command), { timeoutMs: 60_000 });
  const versions = `the plane writes version ${ABI_VERSION + 6}, this program reads version ${ABI_VERSION}`;
  assert.ok(refused.stderr.includes(`Cannot read the board: ${versions}`), refused.stderr);
  assert.doesNotMatch(refused.stderr, /\n\s+at .*:\d+:\d+/, "no stack");
  assert.equal(refused.code, EXIT_PLANE);
  writeVersion(node.boardPath, ABI_VERSION);
  await load.more(500);
  await node.startControl();
  const { lost, reordered, duplicated } = await load.stop();
  assert.ok(lost <= machineDrops() - drops, await node.whereabouts());
  assert.deepEqual({ reordered, duplicated }, { reordered: 0, duplicated: 0 });
});

/**
 * Captures of a running node: as many packets as the plane has counted, with the reason of each, events among them, and
 * never a frame less forwarded.
 */
import assert from "node:assert/strict";
import { isMark } from "../../appliance/capture_encode.ts";
import type { NodeStatus } from "../../appliance/view.ts";
import { runBpf } from "../../filter/bpf.ts";
import { type CapturedFrame, readCapture } from "../../filter/capture.ts";
import { compileFilter } from "../../filter/pcap_filter.ts";
import { end, sleep, tryRun } from "../../scripts/lab/process.ts";
import { CLIENT4, FROM_CLIENT, FROM_SERVER, packet, SERVER4 } from "../support/cast.ts";
import { binary, TestNode } from "../support/node.ts";
import { machineDrops, Wire } from "../support/wire.ts";

const UNTIL_MS_MAX = 20_000;
const RULES = [
  "[[filter.rules]]",
  'name = "everything"',
  'match = "udp"',
  "all = true",
];
const QUIET = ["silence_ms = 0"];

/** By the length on the wire, of which less is kept. */
const EXPRESSION = "udp and greater 150";

const copies = ({ mirror }: NodeStatus) => mirror.why.reduce((sum, { packets }) => sum + packets, 0);

/** `remediate capture` on its way into a file. */
class Recording {
  private constructor(readonly child: Deno.ChildProcess, readonly path: string) {}

  static async start(node: TestNode, args: readonly string[]): Promise<Recording> {
    const path = `${node.directory}/${crypto.randomUUID()}.pcapng`;
    const all = ["capture", "--socket", `${node.directory}/run/control.sock`, "--write", path, ...args];
    const child = new Deno.Command(binary(), { args: all, stdin: "null", stdout: "null", stderr: "piped" })
      .spawn();
    const recording = new Recording(child, path);
    const deadline = Date.now() + UNTIL_MS_MAX;
    // It has begun when the head of the file is there.
    while ((await Deno.stat(path).catch(() => null))?.size === undefined || recording.size === 0) {
      if (Date.now() > deadline) throw new Error(`Cannot see ${path} begin`);
      await sleep(20);
    }
    return recording;
  }

  get size(): number {
    return Deno.statSync(this.path).size;
  }

  /** Its end, by itself or by Ctrl-C, what it says, and the file. */
  async end(signal?: Deno.Signal) {
    if (signal !== undefined) end(this.child, signal);
    const timer = setTimeout(() => end(this.child, "SIGKILL"), UNTIL_MS_MAX);
    const { code, stderr } = await this.child.output();
    clearTimeout(timer);
    const said = new TextDecoder().decode(stderr);
    const [, written, lost] = /^(\d+) packets written, (\d+) not kept$/m.exec(said) ?? [];
    const frames = [...readCapture(await Deno.readFile(this.path))];
    return { code, said, written: Number(written), lost: Number(lost), frames };
  }

  /** Waits until nothing more comes. */
  async quiet(): Promise<void> {
    const deadline = Date.now() + UNTIL_MS_MAX;
    for (let before = -1; before !== this.size;) {
      if (Date.now() > deadline) throw new Error(`Cannot see ${this.path} come to its end`);
      before = this.size;
      await sleep(1_000);
    }
  }

  /** Waits until it has so many packets. */
  async packets(count: number): Promise<void> {
    const deadline = Date.now() + UNTIL_MS_MAX;
    const seen = () =>
      [...readCapture(Deno.readFileSync(this.path))].filter((frame) => !isMark(frame)).length;
    while (seen() < count) {
      if (Date.now() > deadline) throw new Error(`Cannot see ${count} packets in ${this.path}: ${seen()}`);
      await sleep(50);
    }
  }
}

function command(node: TestNode, words: readonly string[]) {
  return tryRun([binary(), ...words, "--socket", `${node.directory}/run/control.sock`], {
    timeoutMs: 30_000,
  });
}

Deno.test("capture writes each mirrored frame once, with its reason, its rule and its port", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: QUIET, more: RULES });
  const both = ["upstream", "primary-in", "redundant-in"] as const;
  await bench.settle([both, ["downstream", "primary-out", "redundant-out"]]);
  const before = await node.status();
  const [all, filtered, ended] = [
    await Recording.start(node, []),
    await Recording.start(node, ["--filter", EXPRESSION]),
    await Recording.start(node, ["--packets", "3"]),
  ];
  const long = packet([CLIENT4, SERVER4], 17, new Uint8Array(400).fill(1));
  for (const frame of Object.values(FROM_CLIENT)) await bench.send("upstream", frame);
  for (const frame of Object.values(FROM_SERVER)) await bench.send("downstream", frame);
  await bench.send("upstream", long);
  await bench.settle([both, ["downstream", "primary-out", "redundant-out"]]);
  const made = copies(await node.status()) - copies(before);
  await all.packets(made);
  const whole = await all.end("SIGINT");
  assert.deepEqual([whole.code, whole.written, whole.lost], [0, made, 0], whole.said);
  // An event at this moment, as a stall of the machine, leaves a mark beside them.
  const frames = whole.frames.filter((frame) => !isMark(frame));
  assert.equal(frames.length, made);
  const ports = new Set(frames.map(({ port }) => port));
  assert.deepEqual([...ports].sort(), ["redundant-in", "redundant-out"]);
  const comments = new Set(frames.map(({ comment }) => comment));
  assert.deepEqual([...comments].sort(), ["mirrored: all, rule everything", "mirrored: neighbour"]);
  const cut = frames.find(({ wireLength }) => wireLength === long.length)!;
  assert.deepEqual(cut.bytes, long.subarray(0, 128));
  for (let i = 1; i < made; i++) assert.ok(frames[i]!.timeNs >= frames[i - 1]!.timeNs);
  const some = await filtered.end("SIGINT");
  const program = compileFilter(EXPRESSION);
  const isChosen = (frame: CapturedFrame) => runBpf(program, frame.bytes, frame.wireLength) !== 0;
  const chosen = some.frames.filter((frame) => !isMark(frame));
  assert.deepEqual(chosen.map(text), frames.filter(isChosen).map(text));
  assert.ok(chosen.length > 0);
  const three = await ended.end();
  assert.deepEqual([three.code, three.written], [0, 3]);
  const first = three.frames.filter((frame) => !isMark(frame));
  assert.deepEqual(first.map(text), frames.slice(0, 3).map(text));
});

const text = ({ timeNs, bytes, port }: CapturedFrame) => `${timeNs} ${port} ${[...bytes].join()}`;

Deno.test("capture shows all that asked ports receive and are handed, each frame once", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: QUIET });
  await bench.settle([["upstream", "primary-in", "redundant-in"], ["primary-in", "upstream"]]);
  const recording = await Recording.start(node, ["--ports", "upstream,primary-in", "--filter", "udp"]);
  const frame = FROM_CLIENT["IPv4 UDP"]!, answer = FROM_SERVER["IPv4 UDP"]!;
  await bench.send("upstream", frame);
  await bench.settle([["upstream", "primary-in", "redundant-in"]]);
  await bench.send("primary-in", answer);
  await bench.settle([["primary-in", "upstream"]]);
  await recording.packets(4);
  const frames = (await recording.end("SIGINT")).frames.filter((frame) => !isMark(frame));
  assert.deepEqual(frames.map(({ port, bytes }) => [port, [...bytes]]), [
    ["upstream", [...frame]],
    ["primary-in", [...frame]],
    ["primary-in", [...answer]],
    ["upstream", [...answer]],
  ]);
});

Deno.test("capture counts what it could not keep, and forwarding does not notice", async () => {
  await using wire = await Wire.up();
  const boxes = [await wire.box("primary"), await wire.box("redundant")];
  assert.equal(boxes.length, 2);
  const capture = ["[capture]", "buffer_mib = 1"];
  const node = await TestNode.start(wire, { failover: QUIET, more: [...RULES, ...capture] });
  const before = await node.status();
  const recording = await Recording.start(node, []);
  const drops = machineDrops();
  const load = await wire.load(4000);
  await load.more(500);
  // Control stands still; the plane overwrites what nobody has taken: 4096 frames fit.
  Deno.kill(node.controlPid, "SIGSTOP");
  try {
    await load.more(12_000);
  } finally {
    Deno.kill(node.controlPid, "SIGCONT");
  }
  const report = await load.stop();
  const made = copies(await node.until("control at work", ({ freshMs }) => freshMs < 1000)) - copies(before);
  await recording.quiet();
  const { written, lost, frames } = await recording.end("SIGINT");
  assert.equal(frames.filter((frame) => !isMark(frame)).length, written);
  assert.equal(written + lost, made);
  assert.ok(lost > 4096, `${lost} of ${made} lost`);
  // But for what the machine's own queues had no room for.
  const ours = Math.max(0, report.lost - (machineDrops() - drops));
  assert.deepEqual([ours, report.reordered], [0, 0], await node.whereabouts());
});

Deno.test("the ring on disk has the switch among the frames around it, and gives them out", async () => {
  await using wire = await Wire.up();
  await wire.box("primary");
  await wire.box("redundant");
  // Of all that comes before a busy machine has seen to the rest.
  const more = [...RULES, "[capture]", "ring_mib = 8"];
  const node = await TestNode.start(wire, { failover: QUIET, more });
  const load = await wire.load(2000);
  await load.more(1000);
  await wire.link("primary-in", "down");
  await node.until("the redundant box serve", ({ path }) => path === "redundant");
  await load.more(1000);
  await load.stop();
  const { mirror, lastSwitch } = await node.status();
  const made = mirror.why.reduce((sum, { packets }) => sum + packets, 0);
  assert.ok(lastSwitch !== null);
  const list = async () => JSON.parse((await command(node, ["capture", "list", "--json"])).stdout);
  const deadline = Date.now() + UNTIL_MS_MAX;
  while ((await list()).packets < made && Date.now() < deadline) await sleep(50);
  const listing = await list();
  assert.deepEqual([listing.packets, listing.missed, listing.failing], [made, 0, null]);
  assert.equal(listing.files.reduce((sum: number, one: { switches: number }) => sum + one.switches, 0), 1);
  for (const { name } of listing.files) {
    assert.equal(Deno.statSync(`${listing.directory}/${name}`).mode! & 0o777, 0o600);
  }
  const path = `${node.directory}/incident.pcapng`;
  const got = await command(node, ["capture", "get", "--filter", "udp", "--write", path]);
  assert.equal(got.code, 0, got.stderr);
  const frames = [...readCapture(await Deno.readFile(path))];
  const at = frames.findIndex(({ comment }) => comment?.startsWith("switch: "));
  assert.equal(frames[at]!.comment, `switch: ${lastSwitch.text}`);
  assert.match(frames[at]!.comment!, /from primary to redundant \(link\); .* [\d.]+ ms before/);
  const before = frames.slice(0, at).filter((frame) => !isMark(frame));
  assert.ok(
    before.length > 500 && before.every(({ comment }) => comment === "mirrored: all, rule everything"),
  );
  assert.ok(before.every(({ timeNs }) => timeNs <= frames[at]!.timeNs));
  // Other programs must see it as we do.
  const seen = await tryRun(["tcpdump", "-nr", path, "udp"]);
  assert.equal(seen.stdout.trim().split("\n").length, frames.filter((frame) => !isMark(frame)).length);
});

Deno.test("a plane that is started again is captured on, by the ring and by whoever watches", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const more = [...RULES, "[capture]", "ring_mib = 1"];
  const node = await TestNode.start(wire, { failover: QUIET, more });
  const way = [["upstream", "primary-in", "redundant-in"]] as const;
  await bench.settle(way);
  const recording = await Recording.start(node, ["--filter", "udp"]);
  const frame = FROM_CLIENT["IPv4 UDP"]!;
  await bench.send("upstream", frame);
  await recording.packets(1);
  const { plane } = await node.status();
  Deno.kill(plane.pid, "SIGKILL");
  await node.until(
    "another plane",
    (status) => status.plane.restarts === 1 && status.plane.state === "running",
  );
  await bench.settle(way);
  await bench.send("upstream", frame);
  await recording.packets(2);
  const { frames } = await recording.end("SIGINT");
  const shown = frames.map((one) => isMark(one) ? "event" : "frame");
  assert.equal(shown.at(0), "frame");
  assert.equal(shown.at(-1), "frame");
  assert.ok(
    frames.some(({ comment }) =>
      comment === "plane: the plane has died: traffic stands still until another one runs"
    ),
  );
});

Deno.test("reload begins and ends the ring, and control that ends finishes what is being read", async () => {
  await using wire = await Wire.up();
  const bench = await wire.bench();
  const node = await TestNode.start(wire, { failover: QUIET, more: RULES });
  const way = [["upstream", "primary-in", "redundant-in"]] as const;
  const recording = await Recording.start(node, []);
  const toml = await Deno.readTextFile(node.configPath);
  const list = async () => JSON.parse((await command(node, ["capture", "list", "--json"])).stdout);
  await Deno.writeTextFile(node.configPath, `${toml}[capture]\nring_mib = 1\n`);
  assert.equal((await tryRun([binary(), "reload", "--config", node.configPath])).code, 0);
  const before = copies(await node.status());
  await bench.settle(way);
  const made = copies(await node.status()) - before;
  const deadline = Date.now() + UNTIL_MS_MAX;
  while ((await list()).packets < made && Date.now() < deadline) await sleep(50);
  const { packets, files } = await list();
  assert.deepEqual([packets, files.length], [made, 1]);
  await Deno.writeTextFile(node.configPath, toml);
  assert.equal((await tryRun([binary(), "reload", "--config", node.configPath])).code, 0);
  // While it was on an event may have left a mark.
  const closed = await list();
  await bench.settle(way);
  const after = await list();
  assert.deepEqual([after.bytesMax, after.files.length, after.files[0].bytes], [0, 1, closed.files[0].bytes]);
  await Deno.writeTextFile(node.configPath, `${toml}[capture]\nsnap_bytes = 256\n`);
  const refused = await tryRun([binary(), "reload", "--config", node.configPath]);
  assert.match(refused.stderr, /^Cannot reload: capture\.snap_bytes cannot change while the node runs/);
  await recording.packets(2 * made);
  assert.equal(await node.endControl("SIGTERM"), 0);
  const ended = await recording.end();
  assert.deepEqual([ended.code, ended.written, ended.lost], [0, 2 * made, 0], ended.said);
});

Deno.test("captures that nobody reads any more make room for others, though no frame comes", async () => {
  await using wire = await Wire.up();
  const node = await TestNode.start(wire, { failover: QUIET });
  const some: Recording[] = [];
  for (let i = 0; i < 4; i++) some.push(await Recording.start(node, []));
  const fifth = await command(node, ["capture", "--seconds", "1", "--write", "-"]);
  assert.equal(fifth.code, 1);
  assert.match(fifth.stderr, /4 captures run already/);
  for (const recording of some) await recording.end("SIGKILL");
  const deadline = Date.now() + UNTIL_MS_MAX;
  let last = fifth;
  while (last.code !== 0 && Date.now() < deadline) {
    last = await command(node, ["capture", "--seconds", "1", "--write", "-"]);
  }
  assert.deepEqual([last.code, last.stderr], [0, "0 packets written, 0 not kept\n"]);
});

Deno.test("capture says in a sentence what is wrong, and touches no file", async () => {
  await using wire = await Wire.up();
  await wire.bench();
  const node = await TestNode.start(wire, { failover: QUIET, more: ["[capture]", "buffer_mib = 0"] });
  const path = `${node.directory}/none.pcapng`;
  const wrong = await command(node, ["capture", "--write", path, "--filter", "tcp prot 80"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^Cannot compile filter "tcp prot 80": .*syntax error/);
  const none = await command(node, ["capture", "--write", path]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /has no buffer for them: set capture\.buffer_mib/);
  const empty = await command(node, ["capture", "get", "--write", path]);
  assert.equal(empty.code, 1);
  assert.match(empty.stderr, /there is no ring of captured frames; set capture\.ring_mib/);
  const port = await command(node, ["capture", "--write", path, "--ports", "upstrem"]);
  assert.deepEqual([port.code, port.stderr], [
    2,
    'Cannot read option --ports: "upstrem" is no port: did you mean upstream?\n',
  ]);
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});

/**
 * A mirror with a budget, in a plane that runs under more than the budget allows: copies stay within it, what is worth
 * most is never shed, and every frame that was wanted is either copied or counted as shed.
 *
 * The rule wants every frame of the load, so what is wanted is what was sent. The bounds hold on a machine that stands still
 * now and then, because they are in the board's own time: a bucket gives its rate, and once what it holds.
 */
import assert from "node:assert/strict";
import type { CounterView, NodeStatus } from "../../appliance/view.ts";
import { type MappedBoard, openNative } from "../../filter/dpdk.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { type NodeSettings, TestNode } from "../support/node.ts";
import { type Load, LOAD_FRAME_BYTES, type LoadReport, machineDrops, Wire } from "../support/wire.ts";

const PER_SECOND = 16_000;
const FLOWS = 8;
/** Three frames in a hundred open a flow then, seven are first ones. */
const COPIES = { renewEvery: 50 };
const WINDOW_FRAMES = 2 * PER_SECOND;
const RULE = [
  "[[filter.rules]]",
  'name = "wants-all"',
  "handshake = true",
  "first_packets = 5",
  "first_bytes = 4294967295",
];
const NATIVE = openNative();

const settings = (...filter: string[]): NodeSettings => ({
  failover: ["silence_ms = 1000"],
  filter,
  more: RULE,
});

interface Moment {
  readonly atNs: number;
  readonly packets: number;
  readonly bytes: number;
}

class Scene {
  readonly #drops = machineDrops();

  private constructor(readonly node: TestNode, readonly load: Load, readonly map: MappedBoard) {}

  static async open(wire: Wire, filter: string): Promise<Scene> {
    await wire.box("primary");
    const node = await TestNode.start(wire, settings(filter));
    const load = await wire.load(PER_SECOND, { flows: FLOWS, copies: COPIES });
    const scene = new Scene(node, load, node.board(NATIVE));
    await scene.shedding();
    return scene;
  }

  /** Waits until the budget is spent for the first time. */
  async shedding(): Promise<void> {
    const shed = ({ mirror }: NodeStatus) => mirror.shed.some(({ packets }) => packets > 0);
    await this.node.until("copies shed", shed);
  }

  #copies(field: string): number {
    const { board } = this.map;
    let sum = 0;
    for (let role = 0; role < board.count(field); role++) sum += board.number(field, role);
    return sum;
  }

  /** In an order that can only make a window look too short at its start and too long at its end. */
  begin(): Moment {
    const atNs = this.map.board.number("live.heartbeat_ns");
    return {
      packets: this.#copies("port.mirrored_packets"),
      bytes: this.#copies("port.mirrored_bytes"),
      atNs,
    };
  }

  end(): Moment {
    const [packets, bytes] = ["port.mirrored_packets", "port.mirrored_bytes"].map((field) =>
      this.#copies(field)
    );
    return { packets: packets!, bytes: bytes!, atNs: this.map.board.number("live.heartbeat_ns") };
  }

  /** The load ended: what was wanted of each class was copied or shed. */
  async finish(): Promise<Sums> {
    const report = await this.load.stop();
    await sleep(50); // the plane writes down what was shed every 10 ms
    const { mirror, ports } = await this.node.status();
    const drops = machineDrops() - this.#drops;
    const refused = ports.reduce((sum, { txFull }) => sum + txFull, 0);
    const room = drops === 0 ? 0 : drops + refused;
    const of = (views: readonly CounterView[], name: string) => views.find((one) => one.name === name)!;
    const sum = (views: readonly CounterView[]) => views.reduce((total, { packets }) => total + packets, 0);
    const { sent, lost, reordered, duplicated, copies } = report;
    const expected = { lost: 0, reordered: 0, duplicated: 0 };
    assert.deepEqual({ lost: Math.max(0, lost - room), reordered, duplicated }, expected);
    const [copied, shed] = [sum(mirror.why), sum(mirror.shed)];
    assert.ok(copied + shed <= sent && copied + shed >= sent - room, `${copied} + ${shed} of ${sent}`);
    const arrived = copies[0] + copies[1];
    assert.ok(arrived <= copied && arrived >= copied - room, `${arrived} of ${copied} copies arrived`);
    for (const views of [mirror.why, mirror.shed]) {
      for (const { packets, bytes } of views) assert.equal(bytes, packets * LOAD_FRAME_BYTES);
    }
    const classes = ["handshake", "first", "bytes"].map((name) => {
      const [kept, lost] = [of(mirror.why, name).packets, of(mirror.shed, name).packets];
      return { name, wanted: kept + lost, shed: lost };
    });
    assert.equal(classes.reduce((total, { wanted }) => total + wanted, 0), copied + shed, "no other class");
    return { report, room, classes };
  }
}

interface Sums {
  readonly report: LoadReport;
  readonly room: number;
  /** In falling order of value. */
  readonly classes: readonly { readonly name: string; readonly wanted: number; readonly shed: number }[];
}

/** Handshakes are all there, and the less a class is worth the more of it is shed. */
function assertOrder({ report, room, classes }: Sums): void {
  const [handshake, first, bytes] = classes;
  const { openings } = report;
  assert.equal(handshake!.shed, 0, "no handshake is shed while there is something else to shed");
  const { wanted } = handshake!;
  assert.ok(wanted <= openings && wanted >= openings - room, `${wanted} of ${openings} openings`);
  assert.ok(openings > 100 && first!.wanted > 100, "there was something of each class");
  const share = (one: typeof handshake) => one!.shed / one!.wanted;
  assert.ok(share(first) <= share(bytes) && share(bytes) > 0.5, `${share(first)}, ${share(bytes)}`);
}

Deno.test("filter.budget_pps bounds the copies to its rate, handshakes come first, and what is shed adds up", async () => {
  const rate = 4_000;
  /** What the bucket holds: 50 ms of its rate (RM_BUDGET_DEPTH_NS). */
  const depth = rate / 20;
  await using wire = await Wire.up();
  const scene = await Scene.open(wire, `budget_pps = ${rate}`);
  const from = scene.begin();
  await scene.load.more(WINDOW_FRAMES);
  const to = scene.end();
  const [seconds, copies] = [(to.atNs - from.atNs) / 1e9, to.packets - from.packets];
  assert.ok(copies <= rate * seconds + depth, `${copies} copies in ${seconds} s`);
  assert.ok(copies >= rate * seconds / 2, `${copies} copies in ${seconds} s use the budget`);
  const sums = await scene.finish();
  assertOrder(sums);
  console.log(
    `${(copies / seconds).toFixed(0)} copies a second of ${rate}; ` +
      sums.classes.map(({ name, wanted, shed }) => `${name} ${wanted}, ${shed} shed`).join("; "),
  );
});

Deno.test("filter.budget_mbit bounds the bytes of the copies in the same way", async () => {
  const rate = 250_000;
  /** What the bucket holds, never less than for a few jumbo frames (RM_BUDGET_BYTES_MIN). */
  const depth = 262_144;
  await using wire = await Wire.up();
  const scene = await Scene.open(wire, "budget_mbit = 2");
  const from = scene.begin();
  await scene.load.more(WINDOW_FRAMES);
  const to = scene.end();
  const [seconds, bytes] = [(to.atNs - from.atNs) / 1e9, to.bytes - from.bytes];
  assert.ok(bytes <= rate * seconds + depth, `${bytes} bytes in ${seconds} s`);
  assert.ok(bytes >= rate * seconds / 2, `${bytes} bytes in ${seconds} s use the budget`);
  const sums = await scene.finish();
  assertOrder(sums);
  console.log(
    `${(bytes / seconds / 125_000).toFixed(2)} Mbit/s of 2; ` +
      sums.classes.map(({ name, wanted, shed }) => `${name} ${wanted}, ${shed} shed`).join("; "),
  );
});

Deno.test("without a budget nothing is shed, and one that is taken away by a reload sheds no more", async () => {
  await using wire = await Wire.up();
  const scene = await Scene.open(wire, "budget_pps = 1000");
  const { code, stderr } = await scene.node.reconfigure(settings());
  assert.equal(code, 0, stderr);
  const generation = scene.map.board.number("command.rule_generation");
  await scene.node.until("the rules", () => scene.map.board.number("live.rule_done") === generation);
  await sleep(50); // what was shed before is written down within 10 ms
  const shed = () => scene.map.board.number("shed.packets", 9);
  const [before, copied] = [shed(), scene.begin()];
  assert.ok(before > 0);
  await scene.load.more(PER_SECOND / 2);
  await sleep(50);
  assert.equal(shed(), before);
  assert.ok(scene.end().packets - copied.packets >= PER_SECOND / 2);
  await scene.finish();
});

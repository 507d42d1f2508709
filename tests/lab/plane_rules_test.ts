/**
 * A change of rules under load: no frame is lost or passes another, and each is decided by the old rules or by the new.
 *
 * There is a rule for each flow of the load, and all of them copy everything or nothing. Half a set of rules would copy
 * some flows and not others, so in the order of sending copies would come and go with every frame; as it is they come
 * once and go once for each change.
 */
import assert from "node:assert/strict";
import { writeRules } from "../../appliance/board_command.ts";
import { type MappedBoard, openNative } from "../../filter/dpdk.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { filterOf, type NodeSettings, TestNode } from "../support/node.ts";
import { type Load, type LoadReport, machineDrops, Wire } from "../support/wire.ts";

/** With the copies half as much again; far below what the plane can do. */
const PER_SECOND = 8_000;
/** As many as there can be rules beside that of the preset. */
const FLOWS = 15;
/** Some frames of every flow, under each set of rules. */
const SOME = 4 * FLOWS;
/** How often the plane looks for rules, by its own clock (REFRESH_NS in filter/native/plane.c). */
const LOOK_NS = 10_000_000;
const COPIES = { renewEvery: 50 };

/** One rule for each flow of the load. */
function settings(what: "all" | "none"): NodeSettings {
  const rule = (flow: number) => [
    "[[filter.rules]]",
    `name = "${what}-${flow}"`,
    `match = "host 10.1.0.${flow + 1}"`,
    `${what} = true`,
  ];
  return {
    // On a busy machine the box itself stands still for a moment, which is not what is tested here.
    failover: ["silence_ms = 1000"],
    more: Array.from({ length: FLOWS }, (_, flow) => rule(flow)).flat(),
  };
}

/** Loaded once: a library stays for the life of the process. */
const NATIVE = openNative();
const [ALL, NONE] = [settings("all"), settings("none")];
const FILTERS = { all: filterOf(ALL), none: filterOf(NONE) };

class Scene {
  readonly #drops = machineDrops();
  readonly #map: MappedBoard;

  private constructor(readonly node: TestNode, readonly load: Load) {
    this.#map = node.board(NATIVE);
  }

  static async open(wire: Wire, first: NodeSettings = NONE): Promise<Scene> {
    await wire.box("primary");
    const node = await TestNode.start(wire, first);
    return new Scene(node, await wire.load(PER_SECOND, { flows: FLOWS, copies: COPIES }));
  }

  number(field: string): number {
    return this.#map.board.number(field);
  }

  store(field: string, value: number): void {
    this.#map.publish(field, value);
  }

  /** Overwrites part of a rule without a word to the plane. */
  scribble(rule: number, field: string, value: number): void {
    this.#map.board.setNumber(field, value, rule);
  }

  write(what: keyof typeof FILTERS): void {
    const filter = FILTERS[what];
    writeRules(this.#map.board, this.#map.publish, filter.compiled, filter);
  }

  /** Waits until the plane has taken over what was written, and some frames have come under it. */
  async inForce(): Promise<void> {
    const generation = this.number("command.rule_generation");
    for (let look = 0; this.number("live.rule_done") !== generation; look++) {
      assert.ok(look < 6_000, `generation ${generation} is not taken over: ${this.number("live.rule_done")}`);
      await sleep(5);
    }
    await this.load.more(SOME);
  }

  /**
   * All frames there, in order, once; the copies on the wire are those that the board counts. `exact`: the machine itself
   * had room for all of them, see machineDrops(); where it had not, ports refuse frames too, and count them.
   */
  async finish(): Promise<LoadReport & { readonly exact: boolean }> {
    const report = await this.load.stop();
    const { lost, reordered, duplicated, foreign, copies } = report;
    const { mirror, ports, switches } = await this.node.status();
    const drops = machineDrops() - this.#drops;
    const refused = ports.reduce((sum, { txFull }) => sum + txFull, 0);
    if (drops > 0) console.log(`the machine's own backlog dropped ${drops} frames meanwhile`);
    const room = drops === 0 ? 0 : drops + refused;
    const whole = { lost: Math.max(0, lost - room), reordered, duplicated, foreign, switches };
    const expected = { lost: 0, reordered: 0, duplicated: 0, foreign: 0, switches: 0 };
    assert.deepEqual(whole, expected, await this.node.whereabouts());
    const counted = mirror.why.find(({ name }) => name === "all")!.packets;
    const mirrored = ports.reduce((sum, { mirroredPackets }) => sum + mirroredPackets, 0);
    assert.ok(mirrored <= counted && mirrored >= counted - room, `${mirrored} of ${counted} copies sent`);
    assert.equal(mirror.rules.reduce((sum, { packets }) => sum + packets, 0), counted, "copies by rule");
    const arrived = copies[0] + copies[1];
    assert.ok(arrived <= counted && arrived >= counted - room, `${arrived} of ${counted} copies arrived`);
    return { ...report, exact: drops === 0 };
  }
}

Deno.test("remediate reload swaps the rules under load: nothing lost, each frame decided by old or new", async () => {
  await using wire = await Wire.up();
  const scene = await Scene.open(wire);
  await scene.load.more(SOME);
  const reloads = 6;
  for (let n = 0; n < reloads; n++) {
    const before = scene.number("live.rule_done");
    const { code, stderr } = await scene.node.reconfigure(n % 2 === 0 ? ALL : NONE);
    assert.equal(code, 0, stderr);
    await scene.inForce();
    assert.equal(scene.number("live.rule_done"), before + 2);
    if (n === 0) {
      const wrong = { ...NONE, more: ["[[filter.rules]]", 'name = "x"', 'match = "tcp prot 80"'] };
      const refused = await scene.node.reconfigure(wrong);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /filter\.rules\[0\]\.match .*syntax error/);
      await scene.load.more(SOME);
      assert.equal(scene.number("live.rule_done"), before + 2, "the old rules stay in force");
    }
  }
  const { changes, sent, copies, exact } = await scene.finish();
  if (exact) assert.deepEqual(changes, [reloads, reloads]);
  console.log(`${reloads} reloads under ${sent} frames, ${copies[0] + copies[1]} copied`);
});

/** Rules that copy different shares of flows alike, by the name of each in this order. */
function inOrder(...names: readonly ("all" | "tenth" | "half")[]): NodeSettings {
  const says = { all: "all = true", tenth: "sample = 10", half: "sample = 2" };
  const flow = { all: 1, tenth: 2, half: 3 };
  const rules = names.map((name) => [
    "[[filter.rules]]",
    `name = "${name}"`,
    `match = "host 10.1.0.${flow[name]}"`,
    says[name],
  ]);
  return { failover: ["silence_ms = 1000"], preset: "none", more: rules.flat() };
}

Deno.test("copies stay with the names of rules that a reload moves, and those of a rule that goes are kept apart", async () => {
  await using wire = await Wire.up();
  const scene = await Scene.open(wire, inOrder("all", "tenth", "half"));
  await scene.load.more(100 * FLOWS);
  const read = async () => {
    const { mirror: { rules } } = await scene.node.status();
    return new Map(rules.map(({ name, packets }) => [name, packets]));
  };
  const before = await read();
  const { code, stderr } = await scene.node.reconfigure(inOrder("tenth", "all"));
  assert.equal(code, 0, stderr);
  await scene.inForce();
  const after = await read();
  assert.deepEqual([...after.keys()].toSorted(), ["(replaced)", "all", "none", "tenth"]);
  for (const name of ["all", "tenth"]) assert.ok(after.get(name)! >= before.get(name)!, name);
  assert.ok(after.get("tenth")! < after.get("all")! / 5, "each has its own");
  assert.ok(after.get("(replaced)")! >= before.get("half")!);
  await scene.load.stop();
});

Deno.test("rules written one generation after the other each decide for a run of frames, and for all of it", async () => {
  await using wire = await Wire.up();
  const scene = await Scene.open(wire);
  await scene.load.more(SOME);
  const generations = 60;
  for (let n = 0; n < generations; n++) {
    scene.write(n % 2 === 0 ? "all" : "none");
    await scene.inForce();
  }
  const { changes, sent, copies, exact } = await scene.finish();
  if (exact) assert.deepEqual(changes, [generations, generations]);
  console.log(`${generations} generations under ${sent} frames, ${copies[0] + copies[1]} copied`);
});

Deno.test("rules written as fast as can be are taken whole or not at all, and the last ones in the end", async () => {
  await using wire = await Wire.up();
  const scene = await Scene.open(wire);
  await scene.load.more(SOME);
  const [first, startNs] = [scene.number("command.rule_generation"), scene.number("live.heartbeat_ns")];
  let [written, seen] = [0, new Set<number>()];
  const { received } = await scene.load.report();
  for (let now = received; now < received + PER_SECOND; now = (await scene.load.report()).received) {
    for (let n = 0; n < 50; n++) {
      scene.write(written++ % 2 === 0 ? "all" : "none");
      seen.add(scene.number("live.rule_done"));
    }
  }
  scene.write("all");
  await scene.inForce();
  const looks = Math.floor((scene.number("live.heartbeat_ns") - startNs) / LOOK_NS) + 1;
  assert.equal(scene.number("live.rule_done"), first + 2 * (written + 1));
  assert.ok(
    [...seen].every((generation) => generation % 2 === 0),
    "only finished generations are taken over",
  );
  const { changes, sent, exact } = await scene.finish();
  // The plane takes over one set at a look; half a set would show at every frame.
  if (exact) {
    for (const number of changes) {
      assert.ok(number <= looks, `${number} changes in ${looks} looks`);
    }
  }
  assert.ok(changes[0] >= 1 && changes[1] >= 1);
  console.log(
    `${written} generations, ${seen.size} of them seen in force, ${changes} changes under ${sent} frames`,
  );
});

Deno.test("a control that dies while it writes rules leaves the old ones in force, and the next one mends them", async () => {
  await using wire = await Wire.up();
  const scene = await Scene.open(wire);
  scene.write("all");
  await scene.inForce();
  const whole = scene.number("live.rule_done");
  await scene.node.endControl("SIGKILL");
  scene.store("command.rule_generation", whole + 1);
  const half = Math.floor(FLOWS / 2);
  for (let rule = 0; rule < half; rule++) scene.scribble(rule, "rule.none", 1);
  scene.scribble(0, "command.rule_count", half);
  await scene.load.more(PER_SECOND / 2);
  assert.equal(scene.number("live.rule_done"), whole);
  await scene.node.startControl();
  await scene.inForce();
  assert.equal(scene.number("live.rule_done"), whole + 2);
  const { changes, exact } = await scene.finish();
  if (exact) {
    assert.deepEqual(changes, [2, 2], "copied from the first change to the mended rules, without a gap");
  }
});

/** Grey failure: what is found, how fast, with which reason, and what is none. Traffic is made from a seed. */
import assert from "node:assert/strict";
import { Random } from "../../filter/random.ts";
import { ProbeBench } from "./probes.ts";

const TICK_MS = 50;
const FLOWS = 20;

interface Traffic {
  /** Packets of connections that pass, and new ones, in each millisecond. */
  readonly packets: number;
  readonly openings?: number;
  /** Shares 0..1. */
  readonly loss?: number;
  readonly openingsLoss?: number;
  readonly repeats?: number;
  readonly delayMs?: () => number;
}

/** A serving box with traffic through it. */
class Scene implements Disposable {
  readonly #random: Random;
  #name = 0n;
  #under: { readonly name: bigint; readonly atMs: number }[] = [];
  #sent: bigint[] = [];
  says = "";

  private constructor(readonly bench: ProbeBench, seed: number) {
    this.#random = new Random(seed);
  }

  static async open(more: readonly string[] = [], seed = 1): Promise<Scene> {
    return new Scene(await ProbeBench.open(["[grey]", ...more]), seed);
  }

  #fresh(): bigint {
    // Spread over all bits, as a hash is.
    this.#name = BigInt.asUintN(64, (this.#name + 1n) * 0x9e3779b97f4a7c15n);
    return this.#name | 1n;
  }

  #packet({ loss = 0, repeats = 0, delayMs = () => 1 }: Traffic): void {
    const { bench } = this, random = this.#random;
    const again = random.chance(repeats) ? this.#sent.at(-1 - random.below(100)) : undefined;
    const name = again ?? this.#fresh();
    this.#sent.push(name);
    if (this.#sent.length > 1000) this.#sent.splice(0, 500);
    bench.greyIn(name, 1 + random.below(FLOWS));
    bench.greyRepeats(name);
    if (!random.chance(loss)) this.#under.push({ name, atMs: bench.nowMs + delayMs() });
  }

  /** @returns after how many milliseconds each thing was first said */
  run(ms: number, traffic: Traffic): Map<string, number> {
    const { bench } = this, startMs = bench.nowMs, told = new Map<string, number>();
    for (; bench.nowMs < startMs + ms; bench.nowMs++) {
      for (let i = 0; i < traffic.packets; i++) this.#packet(traffic);
      for (let i = 0; i < (traffic.openings ?? 0); i++) {
        const name = this.#fresh();
        bench.greyIn(name, 0);
        if (!this.#random.chance(traffic.openingsLoss ?? 0)) {
          this.#under.push({ name, atMs: bench.nowMs + 1 });
        }
      }
      for (const { name } of this.#under.filter(({ atMs }) => atMs <= bench.nowMs)) bench.greyOut(name);
      this.#under = this.#under.filter(({ atMs }) => atMs > bench.nowMs);
      if (Math.round(bench.nowMs) % TICK_MS !== 0) continue;
      const says = bench.greyTick();
      if (says !== this.says) told.set(says, bench.nowMs - startMs);
      this.says = says;
    }
    return told;
  }

  [Symbol.dispose](): void {
    this.bench[Symbol.dispose]();
  }
}

const PLAIN: Traffic = { packets: 5 };
const FROM_CLIENTS = "traffic from the clients";

for (
  const [loss, word, withinMs] of [
    [0.01, "loses a little", 4000],
    [0.05, "loses packets", 1000],
    [0.6, "loses most packets", 1000],
  ] as const
) {
  Deno.test(`a loss of ${100 * loss} % is found and ends again`, async () => {
    for (let seed = 1; seed <= 5; seed++) {
      using scene = await Scene.open(["act = true"], seed);
      scene.run(3000, PLAIN);
      assert.equal(scene.says, "green");
      const told = scene.run(withinMs + 1000, { ...PLAIN, loss });
      const found = [...told].find(([says]) => says.endsWith(`${FROM_CLIENTS} ${word}`));
      assert.ok(found, `seed ${seed}: ${JSON.stringify([...told])}`);
      assert.ok(found[1] <= withinMs, `seed ${seed}: found after ${found[1]} ms`);
      scene.run(15_000, PLAIN);
      assert.equal(scene.says, "green", `seed ${seed}`);
    }
  });
}

Deno.test("a loss is red only where the configuration says so", async () => {
  using scene = await Scene.open();
  scene.run(3000, PLAIN);
  scene.run(2000, { ...PLAIN, loss: 0.05 });
  assert.equal(scene.says, `yellow: ${FROM_CLIENTS} loses packets`);
});

Deno.test("what is usual is no failure: a box that always loses a third", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    using scene = await Scene.open([], seed);
    scene.run(3000, { ...PLAIN, loss: 0.3 });
    assert.deepEqual([...scene.run(60_000, { ...PLAIN, loss: 0.3 }).keys()], [], `seed ${seed}`);
    assert.match(
      [...scene.run(3000, { ...PLAIN, loss: 0.4 }).keys()].join(),
      /loses packets/,
      `seed ${seed}`,
    );
  }
});

Deno.test("a burst of loss now and then, and idle gaps, are no failure", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    using scene = await Scene.open(["act = true"], seed);
    scene.run(3000, PLAIN);
    for (let i = 0; i < 20; i++) {
      const told = [
        ...scene.run(2000, PLAIN).keys(),
        ...scene.run(10, { ...PLAIN, loss: 1 }).keys(),
        ...scene.run(3000, { packets: 0 }).keys(),
      ];
      assert.deepEqual(told.filter((says) => says.startsWith("red")), [], `seed ${seed}`);
    }
  }
});

Deno.test("a box that changes packets is not judged", async () => {
  using scene = await Scene.open(["act = true"]);
  scene.run(5000, { ...PLAIN, loss: 1 });
  assert.equal(scene.says, "off");
  assert.equal(scene.bench.board.number("grey.blind", 0), 1);
});

Deno.test("packets that look alike are not judged, as the loss of one would not show", async () => {
  using scene = await Scene.open(["act = true"]);
  for (let i = 0; i < 4000; i++) {
    scene.bench.greyIn(0x1234_5678_9abc_def0n, 1);
    if (i % 2 === 1) scene.bench.greyOut(0x1234_5678_9abc_def0n);
    scene.bench.nowMs += 1;
    if (i % TICK_MS === 0) scene.bench.greyTick();
  }
  assert.equal(scene.bench.board.number("grey.blind", 0), 2);
});

Deno.test("datagrams that differ in one place only have names of their own", async () => {
  using scene = await Scene.open();
  for (const bytes of [16, 40, 64, 1200]) {
    for (const at of [0, 4, 8, 12, Math.floor(bytes / 2) - 2, bytes - 4]) {
      const names = new Set(Array.from({ length: 500 }, (_, i) => {
        const datagram = new Uint8Array(8 + bytes);
        new DataView(datagram.buffer).setUint32(8 + at, i);
        return scene.bench.greyName(datagram, bytes, false);
      }));
      assert.equal(names.size, 500, `${bytes} bytes, at ${at}`);
      const sampled = [...names].filter((name) => (name & 7n) === 0n).length;
      assert.ok(sampled > 20 && sampled < 150, `${sampled} of 500 sampled, ${bytes} bytes, at ${at}`);
    }
  }
});

Deno.test("new connections that fail while old ones are well are a full table; a scan that is stopped is not", async () => {
  using scene = await Scene.open(["act = true"]);
  scene.run(60_000, { ...PLAIN, openings: 1 });
  // So many more that are blocked, while the others pass as before.
  assert.deepEqual([...scene.run(5000, { ...PLAIN, openings: 5, openingsLoss: 0.8 }).keys()], []);
  const told = scene.run(3000, { ...PLAIN, openings: 1, openingsLoss: 1 });
  assert.deepEqual([...told.keys()], [
    `red: ${FROM_CLIENTS} does not let new connections through, old ones are well`,
  ]);
});

Deno.test("talk with the box itself is no loss", async () => {
  using scene = await Scene.open(["act = true"]);
  scene.run(3000, PLAIN);
  const { bench } = scene;
  for (let i = 1; i <= 2000; i++) {
    // One in six packets; it is answered by the box, and never comes out.
    bench.greyIn(BigInt.asUintN(64, BigInt(i) * 0xd6e8feb86659fd93n) | 1n, 1000);
    assert.deepEqual([...scene.run(1, PLAIN).keys()], []);
  }
});

Deno.test("a wave of retransmissions is told", async () => {
  using scene = await Scene.open();
  scene.run(5000, { ...PLAIN, repeats: 0.02 });
  assert.equal(scene.says, "green");
  const told = scene.run(3000, { ...PLAIN, repeats: 0.3 });
  assert.deepEqual([...told.keys()], [`yellow: ${FROM_CLIENTS} sees a wave of retransmissions`]);
});

Deno.test("a delay that has grown is told, jitter is not", async () => {
  using scene = await Scene.open();
  const random = new Random(7);
  const jitter = () => random.chance(0.1) ? 40 : 1 + random.below(3);
  scene.run(20_000, { ...PLAIN, delayMs: jitter });
  assert.equal(scene.says, "green");
  const told = scene.run(5000, { ...PLAIN, delayMs: () => 30 + jitter() });
  assert.deepEqual([...told.keys()], [`yellow: ${FROM_CLIENTS} has become slow`]);
  scene.run(5000, { ...PLAIN, delayMs: jitter });
  assert.equal(scene.says, "green");
});

Deno.test("a box that was left as red stays so for a while, and a box that begins has a clean sheet", async () => {
  using scene = await Scene.open(["act = true", "hold_s = 10"]);
  const { bench } = scene;
  scene.run(3000, PLAIN);
  scene.run(2000, { ...PLAIN, loss: 0.1 });
  const red = `red: ${FROM_CLIENTS} loses packets`;
  assert.equal(scene.says, red);
  bench.nowMs += TICK_MS;
  assert.equal(bench.greyTick(1, 0), red);
  assert.equal(bench.greyTick(1, 1), "off", "nothing is known of the other one");
  bench.nowMs += 9000;
  assert.equal(bench.greyTick(1, 0), red);
  bench.nowMs += 2000;
  assert.equal(bench.greyTick(1, 0), "off");
  assert.equal(bench.greyTick(0, 0), "green");
});

Deno.test("a packet's name outlasts a NAT, and another packet has another one", async () => {
  using scene = await Scene.open();
  const name = (bytes: number[], payload: number, isTcp: boolean) =>
    scene.bench.greyName(Uint8Array.from(bytes), payload, isTcp);
  const tcp = (port: number, seq: number, ack: number, sum: number) => [
    ...[port >> 8, port & 255, 0, 80, 0, 0, 0, seq, 0, 0, 0, ack, 0x50, 0x10, 1, 2, sum, sum, 0, 0],
  ];
  assert.equal(name(tcp(1, 7, 9, 1), 100, true), name(tcp(2, 7, 9, 2), 100, true));
  assert.equal(name(tcp(1, 7, 9, 1), 100, true), name(tcp(1, 7, 11, 1), 100, true), "sent again, later");
  assert.notEqual(name(tcp(1, 7, 9, 1), 100, true), name(tcp(1, 8, 9, 1), 100, true));
  assert.notEqual(
    name(tcp(1, 7, 9, 1), 0, true),
    name(tcp(1, 7, 10, 1), 0, true),
    "ACKs differ by what they say",
  );
  const udp = (
    port: number,
    first: number,
  ) => [0, port, 0, 53, 0, 24, port, port, first, ...Array(15).fill(4)];
  assert.equal(name(udp(1, 1), 16, false), name(udp(2, 1), 16, false));
  assert.notEqual(name(udp(1, 1), 16, false), name(udp(1, 2), 16, false));
  assert.equal(name(udp(1, 1), 7, false), 0n, "too little to know it by");
});

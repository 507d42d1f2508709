/**
 * Two BFD sessions over a bad network, by seed: each end is the product's session in C beside the model, fed the same.
 *
 * The network loses, delays, reorders, repeats and breaks packets; ends stall, change their intervals and start anew.
 * After every step both must show and send the same, and when the network is good again both ends come up.
 */
import assert from "node:assert/strict";
import { BFD_DIAG } from "../../filter/names.ts";
import { Random } from "../../filter/random.ts";
import { BfdLibrary, type BfdSession, TERMS, type Terms } from "../support/bfd.ts";
import { BfdModel } from "./bfd_model.ts";
import { buildLibrary } from "./reflex.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const RUNS = Number(Deno.env.get("REMEDIATE_RUNS") ?? 50);
const BAD_NS = 8e9;
const GOOD_NS = 12e9;
const MS = 1e6;

interface Flying {
  readonly at: number;
  readonly to: 0 | 1;
  readonly bytes: Uint8Array;
}

class End implements Disposable {
  #session: BfdSession;
  #model: BfdModel;

  constructor(readonly library: BfdLibrary, readonly random: Random, public terms: Terms, now: number) {
    [this.#session, this.#model] = this.#open(now);
  }

  #open(now: number): [BfdSession, BfdModel] {
    const discr = 1 + this.random.below(0xffff_fffe);
    const seed = BigInt(this.random.u32()) << 32n | BigInt(this.random.u32());
    return [
      this.library.session(this.terms, discr, seed, now),
      new BfdModel(this.terms, discr, seed, now),
    ];
  }

  restart(now: number): void {
    this.#session[Symbol.dispose]();
    [this.#session, this.#model] = this.#open(now);
  }

  retune(terms: Terms, now: number): void {
    this.terms = terms;
    this.#session.retune(terms, now);
    this.#model.retune(terms, now);
  }

  stall(ns: number): void {
    this.#session.stalled(ns);
    this.#model.stalled(ns);
  }

  receive(bytes: Uint8Array, now: number): string {
    const why = this.#session.receive(bytes, now);
    assert.equal(why, this.#model.receive(bytes, now));
    return why;
  }

  /** A turn of the plane: what expires, then what is due. */
  turn(now: number, looked: number): Uint8Array[] {
    assert.equal(this.#session.expire(now, looked), this.#model.expire(now, looked));
    const packets: Uint8Array[] = [];
    for (;;) {
      const packet = this.#session.send(now), expected = this.#model.send(now);
      assert.deepEqual(packet, expected === null ? null : new Uint8Array(expected));
      if (packet === null) return packets;
      packets.push(packet);
      assert.ok(packets.length < 4, "an end sends without end");
    }
  }

  look(now: number) {
    const seen = this.#session.look(now), expected = this.#model.look(now);
    assert.deepEqual(seen, { ...expected, diag: BFD_DIAG[expected.diag] });
    return seen;
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
  }
}

interface Weather {
  readonly loss: number;
  readonly delayNs: number;
  readonly twice: number;
  readonly broken: number;
}

class World {
  readonly ends: readonly [End, End];
  readonly discards = new Map<string, number>();
  now = 1e9;
  #flying: Flying[] = [];

  constructor(library: BfdLibrary, readonly random: Random, terms: readonly [Terms, Terms]) {
    this.ends = [
      new End(library, random, terms[0], this.now),
      new End(library, random, terms[1], this.now),
    ];
  }

  #throw(to: 0 | 1, bytes: Uint8Array, weather: Weather): void {
    if (this.random.chance(weather.loss)) return;
    const sent = bytes.slice();
    if (this.random.chance(weather.broken)) {
      sent[this.random.below(sent.length)]! ^= 1 << this.random.below(8);
    }
    const copies = this.random.chance(weather.twice) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.#flying.push({ at: this.now + this.random.below(weather.delayNs + 1), to, bytes: sent });
    }
  }

  /** To the next thing that happens, a little late as every loop is. */
  step(weather: Weather, mishaps: boolean): void {
    const due = Math.min(
      ...this.ends.map((end) => end.look(this.now).dueNs),
      ...this.#flying.map(({ at }) => at),
      this.now + 50 * MS,
    );
    this.now = Math.max(this.now, due) + this.random.below(200_000);
    if (mishaps) this.#mishap();
    this.#flying.sort((a, b) => a.at - b.at);
    while (this.#flying.length > 0 && this.#flying[0]!.at <= this.now) {
      const { to, bytes } = this.#flying.shift()!;
      const why = this.ends[to].receive(bytes, this.now);
      this.discards.set(why, (this.discards.get(why) ?? 0) + 1);
    }
    for (const i of [0, 1] as const) {
      const looked = this.now - (this.random.chance(0.1) ? this.random.below(5 * MS) : 0);
      for (const packet of this.ends[i].turn(this.now, looked)) {
        this.#throw(i === 0 ? 1 : 0, packet, weather);
      }
    }
  }

  #mishap(): void {
    const end = this.ends[this.random.below(2)]!;
    if (this.random.chance(0.003)) {
      const lost = this.random.below(80 * MS);
      this.now += lost;
      end.stall(lost);
    }
    if (this.random.chance(0.002)) {
      const minTxUs = 1000 * (1 + this.random.below(50)), minRxUs = 1000 * (1 + this.random.below(50));
      end.retune({ ...end.terms, minTxUs, minRxUs, multiplier: 1 + this.random.below(5) }, this.now);
    }
    if (this.random.chance(0.0005)) end.restart(this.now);
  }
}

function someTerms(random: Random): [Terms, Terms] {
  const auth = random.pick([0, 4, 5]);
  const one = (passive: boolean): Terms => ({
    ...TERMS,
    minTxUs: 1000 * (5 + random.below(40)),
    minRxUs: 1000 * (5 + random.below(40)),
    multiplier: 2 + random.below(4),
    passive,
    auth,
  });
  return [one(random.chance(0.3)), one(false)];
}

Deno.test(`two sessions agree with the model over a bad network, and come up over a good one (${RUNS} seeds from ${SEED})`, async () => {
  using library = new BfdLibrary(await buildLibrary());
  const told = new Map<string, number>();
  let ups = 0, downs = 0;
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const random = new Random(seed);
    const world = new World(library, random, someTerms(random));
    using _a = world.ends[0];
    using _b = world.ends[1];
    try {
      const weather = {
        loss: random.pick([0, 0.05, 0.3, 0.6]),
        delayNs: random.pick([0, 2, 40]) * MS,
        twice: random.pick([0, 0.1]),
        broken: random.pick([0, 0.02]),
      };
      const bad = world.now + BAD_NS;
      while (world.now < bad) world.step(weather, true);
      const good = world.now + GOOD_NS;
      while (world.now < good) {
        world.step({ loss: 0, delayNs: MS, twice: 0, broken: 0 }, false);
      }
      const looks = world.ends.map((end) => end.look(world.now));
      assert.deepEqual(looks.map(({ state, light }) => [state, light]), [["up", "green"], ["up", "green"]]);
      assert.deepEqual(looks.map(({ polling }) => polling), [false, false]);
      const { terms } = world.ends[0], other = world.ends[1].terms;
      assert.equal(looks[0]!.intervalUs, Math.max(terms.minTxUs, other.minRxUs));
      assert.equal(looks[0]!.detectNs, 1000 * other.multiplier * Math.max(terms.minRxUs, other.minTxUs));
      for (const { ups: more, downs: fewer } of looks) ups += more, downs += fewer;
      for (const [why, n] of world.discards) told.set(why, (told.get(why) ?? 0) + n);
    } catch (error) {
      throw new Error(`Cannot agree with seed ${seed} at ${world.now} ns`, { cause: error });
    }
  }
  // The worlds are bad enough to have tried it.
  assert.ok(downs > 0 && ups > downs, `${ups} ups, ${downs} downs`);
  for (const why of ["auth_sequence", "auth_digest", "no_session"]) {
    assert.ok((told.get(why) ?? 0) > 0, `no packet was refused for ${why}`);
  }
});

Deno.test("two quiet sessions stay up for two minutes with the loop a millisecond late", async () => {
  using library = new BfdLibrary(await buildLibrary());
  const world = new World(library, new Random(SEED), [TERMS, { ...TERMS, multiplier: 3, auth: 0 }]);
  using _a = world.ends[0];
  using _b = world.ends[1];
  const weather = { loss: 0, delayNs: MS, twice: 0, broken: 0 };
  const end = world.now + 120e9;
  while (world.now < end) world.step(weather, false);
  for (const one of world.ends) {
    const { state, ups, downs } = one.look(world.now);
    assert.deepEqual([state, ups, downs], ["up", 1, 0]);
  }
});

Deno.test("a loss of one packet in a hundred never takes a session of three down", async () => {
  using library = new BfdLibrary(await buildLibrary());
  const world = new World(library, new Random(SEED + 7), [TERMS, TERMS]);
  using _a = world.ends[0];
  using _b = world.ends[1];
  const good = { loss: 0, delayNs: MS, twice: 0, broken: 0 };
  while (world.now < 6e9) world.step(good, false);
  while (world.now < 66e9) world.step({ ...good, loss: 0.01 }, false);
  assert.deepEqual(world.ends.map((one) => one.look(world.now).downs), [0, 0]);
});

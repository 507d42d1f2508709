/** Learnt silence: no living box is ever taken for dead, and a dead one is found as early as its past allows. */
import assert from "node:assert/strict";
import { Random } from "../../filter/random.ts";
import { Bench } from "./bench.ts";
import { DEFAULTS, JITTERS, live } from "./jitter.ts";
import { buildLibrary, Reflex } from "./reflex.ts";
import { MS } from "./settings.ts";

const SEEDS = 120;

for (const jitter of JITTERS) {
  Deno.test(`silence is judged right for a box with ${jitter.name}`, async () => {
    using reflex = new Reflex(await buildLibrary());
    const found: number[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const life = live(reflex, new Random(seed), jitter);
      assert.equal(
        life.falseNs,
        null,
        `seed ${seed}: judged silent ${life.falseNs} ns after its birth, and lived`,
      );
      assert.ok(life.foundNs !== null, `seed ${seed}: dead, and never found`);
      // Two turns: the one that sees the evidence, and the one that is over the bar.
      assert.ok(
        life.foundNs <= life.barNs + 2 * MS,
        `seed ${seed}: ${life.foundNs} ns, the bar was ${life.barNs}`,
      );
      found.push(life.foundNs / MS);
    }
    found.sort((a, b) => a - b);
    const at = (share: number) => found[Math.floor(share * (found.length - 1))]!.toFixed(1);
    console.log(`${jitter.name}: found after ${at(0.5)} ms, 99 %: ${at(0.99)} ms`);
    if (jitter.name === "steady") assert.ok(found.at(-1)! < 10, "a steady box is found within 10 ms");
  });
}

/** Dense traffic for so long, each frame answered within its turn. */
function answered(bench: Bench, ms: number): string[] {
  const told: string[] = [];
  for (let i = 0; i < ms; i++) {
    bench.burst();
    bench.wait(1);
    bench.reflex.out(1, 20);
    told.push(...bench.turn());
  }
  return told;
}

/** Nothing comes out any more. @returns after how many milliseconds the box was judged */
function silentAfter(bench: Bench): number {
  for (let ms = 0; ms < 1000; ms++) {
    bench.burst();
    if (bench.turn().some((text) => text.includes("(silence)"))) return ms;
    bench.wait(1);
  }
  return Infinity;
}

Deno.test("a way that nothing has been learnt of is judged by silence_ms", async () => {
  using bench = await Bench.open(DEFAULTS);
  answered(bench, 100);
  assert.equal(silentAfter(bench), 20);
});

Deno.test("a way that was steady for long enough is judged by the least silence, a shaken one is not", async () => {
  using bench = await Bench.open(DEFAULTS);
  assert.deepEqual(answered(bench, 1200), []);
  bench.burst();
  bench.turns(5);
  answered(bench, 1);
  assert.equal(silentAfter(bench), 20, "four times five milliseconds, which were usual a moment ago");
  using steady = await Bench.open(DEFAULTS);
  answered(steady, 1200);
  assert.equal(silentAfter(steady), 6);
});

Deno.test("after a pause of the traffic the first burst is judged by silence_ms", async () => {
  using bench = await Bench.open(DEFAULTS);
  answered(bench, 1200);
  bench.turns(50);
  answered(bench, 5);
  assert.equal(silentAfter(bench), 20);
});

Deno.test("what was usual is forgotten in an hour, not in minutes", async () => {
  using bench = await Bench.open({ ...DEFAULTS, learnNs: 100 * MS });
  answered(bench, 200);
  bench.burst();
  bench.turns(4);
  answered(bench, 240_000);
  const bar = () => bench.reflex.board.number("usual.bar_ns", 0) / MS;
  assert.ok(bar() > 8, `after four minutes the bar is ${bar()} ms`);
  answered(bench, 2_400_000);
  assert.equal(bar(), 6);
});

Deno.test("a box that is well again at once after a verdict is known to hiccup from then on", async () => {
  using bench = await Bench.open({ ...DEFAULTS, automatic: false });
  answered(bench, 1200);
  assert.equal(silentAfter(bench), 6);
  bench.reflex.out(1, 8);
  bench.turn();
  answered(bench, 1200);
  bench.set({ automatic: true });
  assert.equal(silentAfter(bench), 20, "four times what was usual, and no more than silence_ms");
});

Deno.test("silence that is usual is waited out up to silence_ms_max, where that is configured", async () => {
  using bench = await Bench.open({ ...DEFAULTS, silenceNsMax: 100 * MS, automatic: false });
  answered(bench, 1200);
  silentAfter(bench);
  bench.turns(10);
  bench.reflex.out(1, 8);
  bench.turn();
  answered(bench, 200);
  const bar = bench.reflex.board.number("usual.bar_ns", 0) / MS;
  assert.ok(bar > 20 && bar <= 100, `${bar} ms`);
});

Deno.test("with the least silence at 0 nothing is learnt", async () => {
  using bench = await Bench.open({ ...DEFAULTS, silenceNsMin: 0 });
  answered(bench, 1200);
  assert.equal(silentAfter(bench), 20);
});

Deno.test("the last box is given ten times as long, whatever was learnt", async () => {
  using bench = await Bench.open(DEFAULTS);
  answered(bench, 1200);
  bench.link("redundant", "both", false);
  bench.turn();
  assert.equal(silentAfter(bench), 60);
});

/** Silence of the primary from now on; the standby passes a probe each 3 ms from `fromMs` on. @returns when it was judged */
function silentBeside(bench: Bench, fromMs: number, paceMs = 3): number {
  for (let ms = 0; ms < 1000; ms++) {
    bench.burst();
    if (ms >= fromMs && ms % paceMs === 0) bench.passed("redundant", paceMs);
    if (bench.turn().some((text) => text.includes("(silence)"))) return ms;
    bench.wait(1);
  }
  return Infinity;
}

Deno.test("a silence that the standby shares is judged when it passes probes again, or at ten times the bar", async () => {
  const after = async (fromMs: number, paceMs = 3) => {
    using bench = await Bench.open(DEFAULTS);
    answered(bench, 100);
    bench.passed("redundant", paceMs);
    return silentBeside(bench, fromMs, paceMs);
  };
  assert.equal(await after(0), 20, "a standby that passes probes all the time costs nothing");
  assert.equal(await after(17), 20);
  // What the primary held would have been read 2 ms after what the standby held.
  assert.equal(await after(24), 26);
  assert.equal(await after(Infinity), 200, "both stay silent");
  assert.equal(await after(Infinity, 50), 20, "probes that go seldom prove nothing");
});

Deno.test("a pause of the node and all around it, which no excuse covers, moves nothing", async () => {
  using bench = await Bench.open(DEFAULTS);
  answered(bench, 100);
  bench.passed("redundant");
  bench.burst();
  bench.turn();
  bench.stall(90);
  bench.burst();
  assert.deepEqual(bench.turn(), []);
  bench.wait(1);
  bench.passed("redundant");
  assert.deepEqual(bench.turn(), []);
  bench.wait(1);
  bench.reflex.out(1, 40);
  assert.deepEqual(bench.turn(), []);
  answered(bench, 100);
  assert.equal(silentAfter(bench), 20);
});

Deno.test("a pause that all share moves nothing, and what was long dead is no bystander", async () => {
  using bench = await Bench.open(DEFAULTS);
  answered(bench, 100);
  for (let time = 0; time < 20; time++) {
    bench.passed("redundant");
    for (let ms = 0; ms < 150; ms++) {
      bench.burst();
      assert.deepEqual(bench.turn(), []);
      bench.wait(1);
    }
    bench.passed("redundant");
    assert.deepEqual(bench.turn(), []);
    bench.wait(1);
    bench.reflex.out(1, 20);
    assert.deepEqual(bench.turn(), []);
  }
  answered(bench, 100);
  assert.equal(silentAfter(bench), 20);
});

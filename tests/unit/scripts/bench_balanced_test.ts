/** The benches of balancers and of video: the player's model, what runs amount to, what the boxes are told. */
import assert from "node:assert/strict";
import { dashBars, type DashRun, dashTable, moments } from "../../../scripts/bench/dash_report.ts";
import { excess, lbBars, type LbRun, lbTable, resetsOf } from "../../../scripts/bench/lb_report.ts";
import { standing } from "../../../scripts/bench/statistics.ts";
import { haproxyConfig, nftBalancer, switchBalancer, switchGroup } from "../../../scripts/lab/balancers.ts";
import { LADDER_KBIT, Player, segmentBytes, VARIANTS } from "../../../scripts/lab/player.ts";
import type { Viewing } from "../../../scripts/lab/viewers.ts";

/** Plays a video whose segment `number` takes `tookMs(number, level)` to come. */
function play(segments: number, tookMs: (number: number, level: number) => number) {
  const player = new Player({ segments }, 0);
  let now = 0;
  const levels: number[] = [];
  for (let next = player.next; next !== null; next = player.next) {
    player.advance(now);
    now += player.waitMs;
    const took = tookMs(next.number, next.level);
    now += took;
    levels.push(next.level);
    player.arrived(now, segmentBytes(next.level, next.number), took);
  }
  return { ...player.report(now), levels, waited: now };
}

Deno.test("segmentBytes() lie between 100 KB and 1.4 MB, and differ from segment to segment", () => {
  const sizes = LADDER_KBIT.flatMap((_, level) =>
    Array.from({ length: VARIANTS }, (_, number) => segmentBytes(level, number))
  );
  assert.ok(Math.min(...sizes) >= 100_000 && Math.max(...sizes) <= 1_400_000);
  for (const level of LADDER_KBIT.keys()) {
    const own = sizes.slice(level * VARIANTS, (level + 1) * VARIANTS);
    assert.equal(new Set(own).size, VARIANTS);
  }
});

Deno.test("Player on a fast link plays without a stop, at the highest rate, in the video's own time", () => {
  const { bufferEvents, stalledMs, resolutionChanges, playMs, levels } = play(30, () => 50);
  assert.deepEqual([bufferEvents, stalledMs, resolutionChanges], [0, 0, 1]);
  assert.equal(levels.at(-1), LADDER_KBIT.length - 1);
  assert.equal(playMs, 30_000 + 100); // two segments are fetched before it begins
});

Deno.test("Player stops when a segment comes too late, falls to the lowest rate, and rises again", () => {
  const { bufferEvents, stalledMs, playMs, levels } = play(40, (number) => number === 20 ? 9_000 : 50);
  assert.equal(bufferEvents, 1);
  assert.ok(stalledMs > 2_000 && stalledMs < 5_000);
  assert.ok(Math.abs(playMs - 40_000 - 100 - stalledMs) <= 1);
  assert.equal(levels[21], 0);
  assert.equal(levels.at(-1), LADDER_KBIT.length - 1);
});

Deno.test("Player lets a short failure pass in its buffer", () => {
  const { bufferEvents, resolutionChanges } = play(40, (number) => number === 20 ? 900 : 50);
  assert.deepEqual([bufferEvents, resolutionChanges], [0, 1]);
});

Deno.test("Player on a slow link takes what the link carries", () => {
  const kbit = 5_000;
  const { levels, bufferEvents } = play(60, (number, level) => segmentBytes(level, number) * 8 / kbit);
  assert.ok(levels.slice(5).every((level) => LADDER_KBIT[level]! < kbit));
  assert.equal(bufferEvents, 0);
});

const LOAD = { average: 1, busy: 0.5, stolen: 0 };
function lb(setup: LbRun["setup"], readErrors: number, timeouts: number, longStuck: number): LbRun {
  const wrk = {
    ...{
      requests: 9,
      seconds: 1,
      requestsPerSecond: 9,
      connectErrors: 0,
      readErrors,
      writeErrors: 0,
      timeouts,
    },
    ...{ badStatus: 0, latencyP50Ms: 1, latencyP99Ms: 2 },
  };
  return { balancer: "ovs", setup, flips: 2, wrk, longFlows: 30, longBroken: 0, longStuck, load: LOAD };
}

Deno.test("excess() is what ours has above Base, and its part of what Simple has", () => {
  const runs = [lb("base", 1, 0, 0), lb("simple", 11, 4, 0), lb("remediate", 3, 0, 2)];
  assert.deepEqual(excess(runs, "ovs", resetsOf), { above: 2, ofSimple: 0.2 });
  assert.deepEqual(excess(runs, "ovs", (run) => run.longStuck), { above: 2, ofSimple: null });
  assert.equal(excess(runs.slice(1), "ovs", resetsOf), null);
  assert.deepEqual(lbBars(runs).map((bar) => standing(bar) >= 1), [false, true, false]);
  assert.match(lbTable(runs), /Open vSwitch, weighted select group +Simple +2 +9 +11 +4/);
});

const VIEWING: Viewing = {
  ...{ bufferEvents: 0, stalledMs: 0, resolutionChanges: 1, playMs: 60_000, meanKbit: 7_000, failed: 0 },
  isWhole: true,
};
function dash(setup: DashRun["setup"], change: Partial<Viewing>): DashRun {
  return { setup, failovers: 6, viewings: [VIEWING, { ...VIEWING, ...change }], load: LOAD };
}

Deno.test("dashBars() allow nothing above Base, and one per cent of play time", () => {
  const verdicts = (change: Partial<Viewing>) =>
    dashBars([dash("base", {}), dash("remediate", change)]).map((bar) => standing(bar) >= 1);
  assert.deepEqual(verdicts({ playMs: 60_900 }), [true, true, true, true, true]);
  assert.deepEqual(
    verdicts({ bufferEvents: 1, resolutionChanges: 2, failed: 1, isWhole: false, playMs: 63_000 }),
    [false, false, false, false, false],
  );
  assert.match(dashTable([dash("simple", { failed: 3 })]), /Simple +6 +2 +0 +2 +3 +0 +60\.0/);
});

Deno.test("moments() put a return behind every death, in parts of equal length", () => {
  const found = moments(3, 30_000, () => 0.5);
  assert.equal(found.length, 6);
  assert.deepEqual(found, found.toSorted((a, b) => a - b));
  assert.ok(found.every((moment, index) => Math.floor(moment / 10_000) === Math.floor(index / 2)));
});

Deno.test("every balancer gives the first server twice as much as the others", () => {
  assert.match(
    nftBalancer("nft-turns"),
    /numgen inc mod 4 map { 0 : 10\.2\.0\.11, 1 : 10\.2\.0\.11, 2 : 10\.2\.0\.12/,
  );
  assert.match(nftBalancer("nft-hash"), /jhash ip saddr \. tcp sport mod 4/);
  assert.match(
    haproxyConfig(),
    /listen p80\n {2}bind 10\.1\.0\.1:80[^]*10\.2\.0\.11:80 weight 2\n[^]*:80 weight 1/,
  );
  assert.match(
    switchGroup(),
    /type=select,bucket=weight:2,actions=ct\(commit,zone=1,nat\(dst=10\.2\.0\.11\)/,
  );
  const flows = switchBalancer();
  assert.ok(
    flows.some((flow) => flow.includes("arp_tpa=10.2.0.1,") && flow.includes("load:0xa020001->")) ||
      flows.some((flow) => flow.includes("load:0x0a020001->")),
  );
  assert.ok(
    flows.filter((flow) => flow.includes("+new")).every((flow) => flow.includes("tcp_flags=+syn-ack")),
  );
});

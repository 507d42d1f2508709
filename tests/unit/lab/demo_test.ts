/**
 * The demo's rows, statistics, bars, tables and options.
 */
import assert from "node:assert/strict";
import { parseOptions } from "../../../scripts/demo.d/options.ts";
import { cells, type Load, type Row, type Run } from "../../../scripts/demo.d/rows.ts";
import { median, shareOfBase, troubleRatio } from "../../../scripts/demo.d/statistics.ts";
import { align, comparison, freeTable, rowTable } from "../../../scripts/demo.d/table.ts";
import { judge, verdict, worst } from "../../../scripts/demo.d/verdict.ts";

const LOAD: Load = { object: "5k", connections: 100, mbit: 80, seconds: 6, timeoutSeconds: 2 };
const CALM: Run = {
  ...{ requests: 24_000, requestsAfter: 12_000, resets: 0, timeouts: 0, hung: 0, longFlows: 40, longLost: 0 },
  ...{
    longGapMs: 30,
    outageMs: 0,
    packetsLost: 0,
    replyGapMs: 3,
    mirroredShare: 0.04,
    mirroredShareBytes: 0.01,
  },
  ...{ rttP50Us: 100, rttP99Us: 900, switches: 0, event: null },
};
const EVENT = { cause: "link", silentUs: 300, lostPackets: 4, text: "primary lost its link" } as const;

function row(system: Row["system"], failure: Row["failure"], ...runs: Partial<Run>[]): Row {
  return { load: LOAD, system, failure, runs: runs.map((run) => ({ ...CALM, ...run })) };
}

const BASE = row("base", "none", {}, { requestsAfter: 11_900 }, { requestsAfter: 12_100 });
const SIMPLE = row("simple", "link-both", {
  requestsAfter: 30,
  hung: 100,
  longLost: 40,
  outageMs: 60,
  switches: 1,
});
const OURS = row("remediate", "link-both", { requestsAfter: 11_880, outageMs: 3, switches: 1, event: EVENT });

Deno.test("median() takes the middle, or the mean of the middle two", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("shareOfBase() compares medians of the same load", () => {
  assert.equal(shareOfBase([BASE, SIMPLE, OURS], OURS), 0.99);
  assert.ok(Number.isNaN(shareOfBase([OURS], OURS)));
});

Deno.test("troubleRatio() is 0 like Base, 1 like Simple, and null where Simple has no trouble", () => {
  const hung = (run: Run) => run.hung, resets = (run: Run) => run.resets;
  const half = row("remediate", "link-both", { hung: 50 });
  assert.equal(troubleRatio([BASE, SIMPLE], OURS, hung), 0);
  assert.equal(troubleRatio([BASE, SIMPLE], half, hung), 0.5);
  assert.equal(troubleRatio([BASE, SIMPLE], SIMPLE, hung), 1);
  assert.equal(troubleRatio([BASE, SIMPLE], OURS, resets), null);
  const few = row("simple", "link-both", { resets: 1 });
  assert.equal(troubleRatio([BASE, few], row("remediate", "link-both", { resets: 2 }), resets), 2);
});

Deno.test("cells() puts Base first for each load and keeps the short form short", () => {
  const short = cells(false), full = cells(true);
  assert.equal(new Set(full.map((cell) => JSON.stringify(cell.load))).size, 6);
  for (const list of [short, full]) {
    const seen = new Set<string>();
    for (const cell of list) {
      const key = JSON.stringify(cell.load);
      assert.equal(cell.system === "base", !seen.has(key));
      seen.add(key);
    }
  }
  const seconds = short.reduce((sum, cell) => sum + cell.load.seconds, 0);
  assert.ok(seconds <= 80, `${seconds} s of load`);
  assert.ok(short.some((cell) => cell.failure === "silent" && cell.system === "remediate"));
});

Deno.test("judge() passes a run that meets every bar and says so", () => {
  const rows = [BASE, SIMPLE, OURS], bars = judge(rows);
  assert.deepEqual(bars.filter((bar) => !bar.ok), []);
  assert.equal(worst(bars), null);
  assert.match(verdict(rows, bars), /kept 40 of 40 long flows and 99 % .* bars are met\.$/);
});

Deno.test("judge() misses each bar of its own, and worst() names the one furthest off", () => {
  const bad = row("remediate", "link-both", {
    ...{ requestsAfter: 11_000, longLost: 3, hung: 20, outageMs: 24, switches: 1 },
  });
  const rows = [row("base", "none", { switches: 1 }), SIMPLE, bad];
  const missed = judge(rows).filter((bar) => !bar.ok).map((bar) => bar.what);
  assert.deepEqual(missed, [
    "requests after the failure against Base",
    "long flows lost in a run",
    "resets, timeouts and hung connections as a share of Simple's",
    "outage, median",
    "outage, worst run",
    "switches without a failure",
  ]);
  assert.equal(worst(judge(rows))?.what, "outage, median");
  assert.match(verdict(rows, judge(rows)), /6 of 6 bars are missed\.$/);
});

Deno.test("judge() holds silent deaths to their own bar", () => {
  const slow = row("remediate", "silent", { outageMs: 31 });
  const missed = judge([BASE, row("simple", "silent", { hung: 100 }), slow]).filter((bar) => !bar.ok);
  assert.deepEqual(missed.map((bar) => bar.text), [
    "all silent deaths: outage, median 31 ms, to be below 30 ms",
  ]);
});

Deno.test("rowTable() shows medians, and a dash where a figure has no meaning", () => {
  const [head, base, , ours] = rowTable([BASE, SIMPLE, OURS]).split("\n");
  assert.match(head!, /^load +failure +system +requests/);
  assert.match(base!, /^5 KB x 100 +no failure +Base +24000 +12000 +100\.0 % .* 0 of 40 +- +0 +4\.00 % +-$/);
  assert.match(ours!, /99\.0 % .* 3\.0 +0 +4\.00 % +link$/);
});

Deno.test("align() puts names left and figures right", () => {
  assert.equal(align([["a", "figure"], ["long name", "1"]], 1), "a          figure\nlong name       1");
});

Deno.test("comparison() divides throughput and subtracts delay", () => {
  const passage = { requestsPerSecond: 5_000, megabitPerSecond: 700, rttP50Us: 100, rttP99Us: 300 };
  const free = {
    bridge: [passage],
    node: [{ requestsPerSecond: 4_000, megabitPerSecond: 350, rttP50Us: 140, rttP99Us: 290 }],
  };
  assert.deepEqual(comparison(free), {
    requestRatio: 0.8,
    megabitRatio: 0.5,
    addedP50Us: 40,
    addedP99Us: -10,
  });
  assert.match(freeTable(free), /node against bridge +80 % +50 % +\+40 +-10$/);
});

Deno.test("parseOptions() takes one run, five with --full, and refuses the rest in words", () => {
  assert.equal(parseOptions([]).runs, 1);
  assert.equal(parseOptions(["--full"]).runs, 5);
  assert.equal(parseOptions(["--full", "--runs", "2", "--json"]).runs, 2);
  assert.throws(
    () => parseOptions(["--runs", "many"]),
    /Cannot use --runs "many": a whole number from 1 to 50/,
  );
  assert.throws(() => parseOptions(["--fast"]), /--fast/);
});

/** What the bench of matches makes of its runs. */
import assert from "node:assert/strict";
import {
  alarmBars,
  alarmTable,
  errorOf,
  faultBars,
  matchBars,
  type MatchRun,
  matchTable,
} from "../../../scripts/bench/match_report.ts";
import { FAULTS, healFault, makeFault } from "../../../scripts/bench/match_faults.ts";
import { partsOf, serviceAddress, strainBox, turnBox } from "../../../scripts/bench/match_strains.ts";
import { standing } from "../../../scripts/bench/statistics.ts";

const load = { average: 1, busy: 0.5, stolen: 0 };
const made = (more: Partial<MatchRun> = {}): MatchRun => ({
  kind: "nat",
  way: "both",
  proto: "tcp",
  fault: null,
  flows: 300,
  compared: 300,
  unsure: 0,
  equal: 300,
  alive: 300,
  counted: { carried: 300, lost: 0, idle: 0 },
  moved: 50_000,
  standstillMs: 300,
  load,
  ...more,
});

Deno.test("a prediction is held against what came of it, in points", () => {
  assert.equal(errorOf(made()), 0);
  assert.equal(errorOf(made({ equal: 297 })), 1);
  assert.equal(errorOf(made({ equal: 0, alive: 0 })), 0);
  assert.ok(Number.isNaN(errorOf(made({ compared: 0, equal: 0 }))));
});

Deno.test("what was not predicted has no bar for it, and only both ways together promise life", () => {
  const bars = matchBars([
    made({ alive: 299 }),
    made({ way: "seed", compared: 0, equal: 0 }),
    made({ way: "mirror", equal: 150 }),
    made({ way: "seed", proto: "udp", compared: 0, equal: 0, alive: 290 }),
  ]);
  assert.deepEqual(bars.map((bar) => [bar.what, standing(bar) >= 1]), [
    ["nat, both, alive", false],
    ["nat, both, prediction off by", true],
    ["nat, mirroring only, prediction off by", false],
    ["nat, seeding only, UDP, alive", false],
  ]);
});

Deno.test("who promises bytes has to have moved them", () => {
  const bars = matchBars([
    made({ kind: "nat+1GB", moved: 9.9e8 }),
    made({ kind: "nat+10MB", moved: 1.01e7 }),
  ]);
  const moved = bars.filter(({ unit }) => unit === "MB").map((bar) => [bar.what, standing(bar) >= 1]);
  assert.deepEqual(moved, [
    ["nat+1GB, both, moved by each before the failure", false],
    ["nat+10MB, both, moved by each before the failure", true],
  ]);
});

Deno.test("a kind is a topology and strains, and one that there is not is refused", () => {
  assert.deepEqual(partsOf("nat"), { topology: "nat", strain: {} });
  assert.deepEqual(partsOf("firewall+1GB+liberal"), {
    topology: "firewall",
    strain: { bytes: 1e9, liberal: true },
  });
  assert.throws(() => partsOf("nat+2GB"), /^RangeError: Cannot make boxes "nat\+2GB": there is no "2GB"$/);
});

Deno.test("what strains make of boxes: both are liberal, and only the redundant one loses copies or forgets", () => {
  const of = (kind: string, box: string) =>
    strainBox(partsOf(kind).strain, box).map((argv) => argv.join(" "));
  assert.deepEqual(of("nat", "redundant"), []);
  for (const box of ["primary", "redundant"]) assert.match(of("firewall+liberal", box)[0]!, /be_liberal=1$/);
  assert.deepEqual(of("nat+idle", "primary"), []);
  assert.match(of("nat+idle", "redundant")[0]!, /timeout_established=2$/);
  for (const box of ["primary", "redundant"]) {
    assert.match(of("nat+10min", box)[0]!, /timeout_established=20$/);
  }
  assert.deepEqual(of("nat+5%", "primary"), []);
  const [lossy] = of("nat+5%", "redundant");
  assert.equal(lossy!.match(/numgen random mod 1000 < 50 drop/g)!.length, 2);
  const { strain } = partsOf("nat+5%");
  assert.deepEqual([turnBox(strain, "primary"), turnBox(strain, "redundant").length], [[], 1]);
});

Deno.test("a load balancer is asked for its service, and no other box is", () => {
  const found = ["nat", "firewall+jhash", "firewall+numgen-random", "nat+haproxy"].map((kind) =>
    serviceAddress(partsOf(kind).strain, "10.2.0.11")
  );
  assert.deepEqual(found, ["10.2.0.11", "10.1.0.1", "10.1.0.1", "10.1.0.1"]);
});

Deno.test("failovers with faults have a bar together, and those without none", () => {
  const fault = { fault: "rule", percent: 30 } as const;
  const runs = [
    made({ alive: 0 }),
    made({ fault, equal: 297 }),
    made({ fault }),
    made({ fault, compared: 0, equal: 0 }),
  ];
  const [bar, ...more] = faultBars(runs);
  assert.deepEqual([bar!.what, bar!.value, more], [
    "2 failovers with faults, predictions off by, on average",
    0.5,
    [],
  ]);
  assert.deepEqual(faultBars([made()]), []);
});

Deno.test("the table has a line for each run, and dashes for what is not known", () => {
  const lines = matchTable([made(), made({ way: "seed", compared: 0, equal: 0, alive: 150 })]).split("\n");
  assert.match(
    lines[1]!,
    /^nat +both +- +300 +300 +100\.0 % +0 +100\.0 % +0\.0 points +300, 0 lost, 0 idle$/,
  );
  assert.match(lines[2]!, /^nat +seeding only +- +300 +0 +- +0 +50\.0 % +- +300, 0 lost, 0 idle$/);
});

Deno.test("of boxes that end connections themselves it is judged whether the node says that it knows nothing", () => {
  const haproxy = { kind: "nat+haproxy", compared: 0, equal: 0, alive: 0 };
  const bars = [
    matchBars([made({ ...haproxy, unsure: 300 })]),
    matchBars([made({ ...haproxy, unsure: 200 })]),
  ];
  assert.deepEqual(bars.map((each) => each.map((bar) => standing(bar) >= 1)), [[true], [false]]);
});

Deno.test("a run with a fault is named by it, and promises no life", () => {
  const faulty = made({ fault: { fault: "full", percent: 30 }, equal: 210, alive: 209, counted: null });
  assert.deepEqual(matchBars([faulty]).map(({ what, value }) => [what, value]), [
    ["nat, both, a full table 30 %, prediction off by", 0.333],
  ]);
  assert.match(matchTable([faulty]).split("\n")[1]!, /both +a full table 30 % +300 .* +0\.3 points +-$/);
});

Deno.test("an alarm that never came is the longest, and the first false one misses its bar", () => {
  const alarms = [{ fault: "rule" as const, ms: [900, null, 1500], load }];
  const soak = { seconds: 10, flows: 600, alarms: 1, load };
  assert.deepEqual(alarmBars(alarms, soak).map((bar) => [bar.value, standing(bar) >= 1]), [[1500, true], [
    1,
    false,
  ]]);
  assert.equal(standing(alarmBars([{ ...alarms[0]!, ms: [900, null, null] }], null)[0]!) >= 1, false);
  assert.deepEqual(alarmTable(alarms, soak).split("\n"), [
    "alarm after a rule drops source ports: median 1500 ms of 900, never, 1500",
    "10 s without a fault, 600 connections: 1 alarms",
  ]);
});

Deno.test("every fault has commands that make it and commands that heal it", () => {
  const made = FAULTS.map((fault) => makeFault(fault, { share: 0.25, flows: 300 })[0]!.at(-1)!);
  // An answer comes from the port that all have in common: the rule is for what clients send.
  assert.match(made[0]!, / iifname "in" tcp sport & 30 < 8 drop/);
  assert.match(made[2]!, /ct count over 225 drop/);
  assert.match(made[4]!, /mod 101 < 25 drop/);
  assert.ok(FAULTS.every((fault) => healFault(fault).length > 0));
});

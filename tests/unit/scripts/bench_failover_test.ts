/** The bench of failovers: which trials are run, what they amount to, what the peers are configured with. */
import assert from "node:assert/strict";
import {
  plannedBars,
  plannedText,
  quietBars,
  quietText,
  serviceBars,
} from "../../../scripts/bench/failover_bars.ts";
import {
  cells,
  DEATH_TEXT,
  DEATHS,
  isOurs,
  share,
  SYSTEM_TEXT,
  SYSTEMS,
} from "../../../scripts/bench/failover_cells.ts";
import { parseOptions } from "../../../scripts/bench/failover_options.ts";
import type { PlannedRun } from "../../../scripts/bench/failover_planned.ts";
import { across, plotFailover } from "../../../scripts/bench/failover_plot.ts";
import {
  countBars,
  missingBar,
  peerBars,
  quantile,
  type Row,
  summary,
  table,
  timeBars,
  zeroBar,
} from "../../../scripts/bench/failover_report.ts";
import type { Trial } from "../../../scripts/bench/failover_trial.ts";
import { loadBetween } from "../../../scripts/bench/load.ts";
import { standing, worstBar } from "../../../scripts/bench/statistics.ts";
import { BFD_SIDES, birdConfig, switchBfd } from "../../../scripts/lab/bird.ts";
import { failureAction, recoveryAction } from "../../../scripts/lab/failures.ts";
import {
  conntrackdConfig,
  keepalivedConfig,
  notifyScript,
  pairRules,
  pairTopology,
} from "../../../scripts/lab/pair.ts";
import { topologyProblems } from "../../../scripts/lab/plan.ts";

function trial(switchMs: number | null, more: Partial<Trial> = {}): Trial {
  return {
    cause: null,
    switchMs,
    noticedMs: null,
    gapMs: (switchMs ?? 300) + 1,
    lostProbe: 2,
    lostFast: 20,
    duplicates: 0,
    reordered: 0,
    elsewhere: 0,
    lostBefore: 0,
    late: 0,
    ...more,
  };
}

function row(system: Row["system"], death: Row["death"], trials: readonly Trial[]): Row {
  return { system, death, afterMs: 300, trials };
}

Deno.test("cells() has every death on every system, and few trials where nothing will ever switch", () => {
  const all = cells({ trials: 20, peerTrials: 5, only: "" });
  assert.equal(all.length, (SYSTEMS.length - 1) * DEATHS.length + 1);
  assert.ok(all.filter((cell) => isOurs(cell.system)).every((cell) => cell.trials === 20));
  const hopeless = all.find((cell) => cell.system === "ovs" && cell.death === "forwarding")!;
  assert.deepEqual([hopeless.trials, hopeless.afterMs], [3, 3_000]);
  const only = cells({ trials: 1, peerTrials: 1, only: "silent death" });
  assert.deepEqual(new Set(only.map((cell) => cell.death)), new Set(["silent"]));
});

Deno.test("share() gives every trial to one round, as evenly as can be", () => {
  for (const trials of [1, 3, 5, 20, 100]) {
    const each = [0, 1, 2, 3].map((round) => share(trials, round, 4));
    assert.equal(each.reduce((sum, one) => sum + one, 0), trials);
    assert.ok(Math.max(...each) - Math.min(...each) <= 1);
  }
});

Deno.test("quantile() is the smallest value that a share does not exceed", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1)], [50, 99, 100]);
  assert.deepEqual([quantile([7], 0.99), quantile([], 0.5)], [7, NaN]);
});

Deno.test("summary() takes a trial without a switch for infinite, and leaves out one that began wrong", () => {
  const found = summary(
    row("remediate", "silent", [trial(5), trial(null), trial(0.1, { elsewhere: 3 }), trial(7)]),
  );
  assert.deepEqual([found.p50Ms, found.maxMs, found.falseSwitches], [7, Infinity, 1]);
  const text = table([row("ovs", "silent", [trial(null)])]);
  assert.match(text, /silent death +Open vSwitch, BFD 100 ms +1 +> 300/);
});

Deno.test("timeBars() and peerBars() judge ours alone, and any time beats peers that never switch", () => {
  const rows = [
    row("remediate", "forwarding", [trial(4), trial(30)]),
    row("ovs", "forwarding", [trial(null)]),
    row("remediate", "link-both", [trial(0.5)]),
    row("keepalived-10", "link-both", [trial(25)]),
    row("remediate", "grey", [trial(null)]),
    row("ovs", "grey", [trial(null)]),
  ];
  const verdicts = timeBars(rows).map((bar) => [bar.what, standing(bar) >= 1]);
  assert.deepEqual(verdicts, [
    ["link down, p50", true],
    ["link down, p99", true],
    ["forwarding dead, box answers, p99", false],
    ["grey, 5 % lost, p99", false],
  ]);
  assert.deepEqual(peerBars(rows).map((bar) => [bar.value, standing(bar) >= 1]), [
    [50, true],
    [Infinity, true],
    [NaN, false],
  ]);
});

Deno.test("zeroBar() is met by none, and missed the more the more there are; missingBar() is missed by most", () => {
  assert.equal(standing(zeroBar("x", 0)), 1);
  assert.ok(standing(zeroBar("x", 1)) > standing(zeroBar("x", 9)));
  assert.ok(standing(zeroBar("x", 1)) < 1 && standing(zeroBar("x", NaN)) === 0);
  assert.equal(
    worstBar([zeroBar("x", 9), missingBar("grey failure"), zeroBar("y", 0)])!.what,
    "grey failure: not available",
  );
});

Deno.test("countBars() wants no loss at all in silent deaths once there is a hold ring", () => {
  const rows = [row("remediate", "silent", [trial(5), trial(6, { duplicates: 1 })])];
  const of = (hold: boolean) => countBars(rows, hold).map((bar) => bar.value);
  assert.deepEqual(of(false), [0, 1]);
  assert.deepEqual(of(true), [0, 1, 44]);
});

Deno.test("plotFailover() draws a dot for each trial, the later the further right", () => {
  const svg = plotFailover([row("remediate", "silent", [trial(5), trial(null), trial(50)])]);
  assert.equal(svg.match(/<circle /g)!.length, 3);
  assert.ok(
    svg.includes(DEATH_TEXT.silent) && svg.includes(SYSTEM_TEXT.remediate) && svg.endsWith("</svg>\n"),
  );
  assert.ok(across(0.01) === across(0.1) && across(1) < across(10) && across(1e9) === across(5_000));
});

const WRK = {
  requests: 10,
  seconds: 1,
  requestsPerSecond: 10,
  connectErrors: 0,
  readErrors: 0,
  writeErrors: 0,
  timeouts: 0,
  badStatus: 0,
  latencyP50Ms: 1,
  latencyP99Ms: 2,
};
const STREAM = {
  sent: 100,
  late: 0,
  lost: 0,
  lostBefore: 0,
  duplicates: 0,
  reordered: 0,
  otherBefore: 0,
  firstOtherNs: 0,
  gapUpNs: 1,
  gapDownNs: 1,
};
const LOAD = { average: 1, busy: 0.5, stolen: 0 };
const CALM: PlannedRun = {
  switches: 0,
  leftOut: 0,
  seconds: 1,
  small: WRK,
  bulk: WRK,
  streams: [STREAM, STREAM],
  tcp: { resent: 4, outOfOrder: 0 },
  hung: 0,
  load: LOAD,
};

Deno.test("plannedBars() count what is above the undisturbed load", () => {
  const ordered = { ...CALM, switches: 50, tcp: { resent: 6, outOfOrder: 0 } };
  const deaths = { ...CALM, small: { ...WRK, readErrors: 1 }, hung: 2 };
  const bars = plannedBars({ base: CALM, ordered, deaths }).filter((bar) => bar.value > 0);
  assert.deepEqual(bars.map((bar) => [bar.what, bar.value]), [
    ["planned switches, TCP segments sent again", 2],
    ["cycles of failing and coming back, resets", 1],
    ["cycles of failing and coming back, connections that hang", 2],
  ]);
  assert.match(plannedText({ base: CALM, ordered, deaths: null }), /50 switches in 1 s/);
});

Deno.test("quietBars() allow no switch, and quietText() states the load", () => {
  const quiet = { seconds: 40, switches: 1, events: ["silence"], stalls: 3, restarts: 3 };
  const all = { ...quiet, bursts: 9, sent: 1000, lost: 1, load: LOAD };
  assert.ok(quietBars(all).some((bar) => standing(bar) < 1));
  assert.match(quietText(all), /1 switches in 40 s.*load average 1.0, processors 50 % busy.*silence/);
  const moved = loadBetween({ idle: 0, stolen: 0, total: 0, average: 9 }, {
    idle: 25,
    stolen: 50,
    total: 100,
    average: 2,
  });
  assert.deepEqual(moved, { average: 2, busy: 0.75, stolen: 0.5 });
});

Deno.test("failureAction() prepares what packets suffer for a second of the clock, and refuses to for links", () => {
  const box = {
    name: "b",
    kind: "firewall",
    inside: "in",
    outside: "out",
    ports: "preserve",
    input: "drop",
  } as const;
  for (const failure of ["silent", "silent-in", "silent-out", "forwarding", "grey"] as const) {
    assert.match(failureAction(failure, box, 1_800_000_000).argv.join(" "), /meta time >= 1800000000 .*drop/);
    assert.doesNotMatch(failureAction(failure, box).argv.join(" "), /meta time/);
  }
  assert.match(failureAction("grey", box).argv.join(" "), /numgen random mod 100 < 5 drop/);
  assert.deepEqual(recoveryAction("grey", box), recoveryAction("silent", box));
  assert.throws(() => failureAction("link-both", box, 1), /Cannot prepare "link-both" for a later moment/);
});

Deno.test("the pair of boxes can be built, and its programs are told of both sides", () => {
  assert.deepEqual(topologyProblems(pairTopology()), []);
  const config = keepalivedConfig("redundant", { advertMs: 10, notify: "/x/notify" });
  assert.match(config, /advert_int 0\.01\n[^]*10\.1\.0\.1\/24[^]*10\.2\.0\.1\/24/);
  assert.match(config, /priority 100/);
  assert.match(config, /notify_master "\/x\/notify primary"/);
  assert.doesNotMatch(keepalivedConfig("primary", { advertMs: 100, notify: null }), /notify/);
  assert.match(conntrackdConfig("primary", "/h"), /IPv4_Destination_Address 10\.3\.0\.2[^]*Path \/h\//);
  assert.match(notifyScript("/c"), /primary\) conntrackd -C \/c -c; conntrackd -C \/c -f; .*-R; .*-B ;;/);
  assert.ok(pairRules("primary").some((rule) => rule.includes("10.1.0.3 ip protocol vrrp accept")));
});

Deno.test("BFD has a session on each side, and the switch sends to the box's own MAC", () => {
  assert.match(birdConfig(), /neighbor 10\.1\.0\.201 dev "in" local 10\.1\.0\.1;\n.*10\.2\.0\.201 dev "out"/);
  const settings = switchBfd(BFD_SIDES.out);
  assert.ok(settings.includes('bfd:bfd_local_dst_mac="02:00:00:00:02:01"'));
  assert.ok(settings.includes('bfd:bfd_dst_ip="10.2.0.1"') && settings.includes('bfd:min_tx="100"'));
});

Deno.test("parseOptions() of bench:failover gives peers a quarter of the trials, and --full ten minutes of quiet", () => {
  const { trials, peerTrials, quietS } = parseOptions([]);
  assert.deepEqual([trials, peerTrials, quietS], [20, 5, 40]);
  const full = parseOptions(["--full"]);
  assert.deepEqual([full.trials, full.peerTrials, full.quietS], [100, 25, 600]);
  assert.throws(() => parseOptions(["--trials", "0"]), /Cannot use --trials "0"/);
});

Deno.test("serviceBars() counts the times in which traffic moved, and says nothing where there were none", () => {
  assert.deepEqual(serviceBars([], 62_000), []);
  const [bar] = serviceBars([null, "probe", null], 62_000);
  assert.deepEqual([bar!.what, bar!.value], ["false switches in 3 times 62 s of service", 1]);
});

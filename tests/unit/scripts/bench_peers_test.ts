/** The bench beside others: what Open vSwitch and tc print, what runs amount to, what the devices are told. */
import assert from "node:assert/strict";
import {
  copiesDue,
  linkBars,
  linkRow,
  type LinkRun,
  linkText,
  mppsPerCpu,
  type Stage,
} from "../../../scripts/bench/links_score.ts";
import {
  DEVICES,
  ebpfScript,
  linksTopology,
  switchFlows,
  tcScript,
  WORKS,
} from "../../../scripts/bench/links_setup.ts";
import { mirredPackets, pmdCounts, portCounts } from "../../../scripts/bench/ovs_text.ts";
import { nullBars, nullCells, nullRow } from "../../../scripts/bench/plane_null.ts";
import { parseOptions } from "../../../scripts/bench/plane_options.ts";
import { nodeConfig } from "../../../scripts/lab/node.ts";
import { parseConfig } from "../../../appliance/config.ts";
import { topologyProblems } from "../../../scripts/lab/plan.ts";

const PORTS = `OFPST_PORT reply (xid=0x2): 4 ports
  port LOCAL: rx pkts=0, bytes=0, drop=0, errs=0, frame=0, over=0, crc=0
           tx pkts=0, bytes=0, drop=31026555, errs=0, coll=0
  port  1: rx pkts=36075840, bytes=2308853760, drop=0, errs=0, frame=?, over=?, crc=?
           tx pkts=0, bytes=0, drop=0, errs=0, coll=?
  port  2: rx pkts=0, bytes=0, drop=0, errs=0, frame=?, over=?, crc=?
           tx pkts=36042400, bytes=0, drop=0, errs=0, coll=?
`;
const PMD = `pmd thread numa_id 0 core_id 1:
  packets received: 58294880
  packet recirculations: 0
  avg. datapath passes per packet: 1.00
  phwol hits: 0
  mfex opt hits: 0
  simple match hits: 100
  emc hits: 57079308
  smc hits: 20
  megaflow hits: 1215436
  avg. subtable lookups per megaflow hit: 1.00
  miss with success upcall: 3
  miss with failed upcall: 133
  avg. packets per output batch: 32.00
main thread:
  packets received: 7
  packet recirculations: 0
`;
const TC = `filter protocol ip pref 1 u32 chain 0 
filter protocol ip pref 1 u32 chain 0 fh 800::800 order 2048 key ht 800 bkt 0 terminal flowid not_in_hw 
  match 00060000/00ff0000 at 8
	action order 1: mirred (Egress Mirror to device rin) pipe
	index 1 ref 1 bind 1 installed 6 sec used 0 sec firstused 6 sec
	Action statistics:
	Sent 483900 bytes 9678 pkt (dropped 0, overlimits 0 requeues 0) 
	backlog 0b 0p requeues 0

	action order 2: mirred (Egress Redirect to device pin) stolen
	Action statistics:
	Sent 483900 bytes 9678 pkt (dropped 0, overlimits 0 requeues 0) 

filter protocol all pref 2 u32 chain 0 fh 801::800 order 2048 key ht 801 bkt 0 terminal flowid not_in_hw 
	action order 1: mirred (Egress Redirect to device pin) stolen
	Action statistics:
	Sent 23712900 bytes 474258 pkt (dropped 0, overlimits 0 requeues 0) 
`;

Deno.test("portCounts() reads numbered ports of ovs-ofctl and refuses what has none", () => {
  assert.deepEqual(
    [...portCounts(PORTS)],
    [[1, { rx: 36075840, tx: 0 }], [2, { rx: 0, tx: 36042400 }]],
  );
  assert.throws(() => portCounts("ovs-ofctl: br0 is not a bridge"), /Cannot read the ports.*not a bridge/);
});

Deno.test("pmdCounts() adds up polling threads, leaves the main thread out, and misses no line silently", () => {
  const one = { received: 58294880, cached: 57079428, wildcard: 1215436, missed: 136 };
  assert.deepEqual(pmdCounts(PMD), one);
  assert.equal(pmdCounts(PMD + PMD).received, 2 * one.received);
  assert.throws(() => pmdCounts("main thread:\n  packets received: 0\n"), /polling thread/);
  assert.throws(() => pmdCounts(PMD.replace("emc hits", "hits")), /"emc hits"/);
});

Deno.test("mirredPackets() adds up the actions of one kind and device", () => {
  assert.equal(mirredPackets(TC, "Mirror", "rin"), 9678);
  assert.equal(mirredPackets(TC, "Redirect", "pin"), 9678 + 474258);
  assert.throws(() => mirredPackets(TC, "Mirror", "pin"), /Mirror to pin/);
});

const LOAD = { ns: 1e9, made: 1000, refused: 10, syns: 20, firstAcks: 19 };
const stage = (more: Partial<Stage> = {}): Stage => ({
  load: LOAD,
  arrived: 990,
  copied: 20,
  probes: 0,
  span: { elapsedNs: 1e9, lostNs: 0.6e9 },
  ...more,
});
const linkRun = (more: Partial<LinkRun> = {}): LinkRun => ({
  idleShare: 0.02,
  flat: stage(),
  paced: stage(),
  rttP50Us: 50,
  rttP99Us: 90,
  ...more,
});
const [SYN, ALL] = WORKS as [typeof WORKS[number], typeof WORKS[number]];

Deno.test("mppsPerCpu() takes off what the machine has of the processor anyway", () => {
  assert.ok(Math.abs(mppsPerCpu(stage(), 0.1) - 990 / 0.5e6) < 1e-12);
  assert.ok(Number.isNaN(mppsPerCpu(stage(), 0.7)), "no answer is better than an endless one");
});

Deno.test("copiesDue() is SYNs for a switch without state, handshakes for ours, and all for a mirror", () => {
  const probing = stage({ probes: 5 });
  assert.deepEqual(DEVICES.map((device) => copiesDue(device, SYN, probing)), [0, 40, 20, 20, 40]);
  assert.deepEqual(DEVICES.map((device) => copiesDue(device, ALL, probing)), [0, 995, 995, 995, 995]);
  assert.equal(copiesDue("plane", SYN, stage()), 39);
});

Deno.test("linkRow() takes the best flat-out run, medians of the rest, and the copies of all runs", () => {
  const slow = linkRun({ flat: stage({ arrived: 495 }), paced: stage({ arrived: 891 }), idleShare: 0.2 });
  const row = linkRow("tc", SYN, [slow, linkRun(), linkRun({ rttP50Us: 70 })]);
  assert.equal(row.perCpuBest, mppsPerCpu(stage(), 0.02));
  assert.equal(row.loss, 0);
  assert.deepEqual([row.copied, row.due, row.rttP50Us, row.idleShareMax], [60, 60, 50, 0.2]);
  const noisy = linkRow("tc", SYN, [linkRun({ idleShare: 0.5 })]);
  assert.equal(noisy.perCpuBest, mppsPerCpu(stage(), 0.05), "what neighbours had is not taken off");
  assert.throws(() => linkRow("tc", SYN, []), /no runs/);
});

Deno.test("linkBars() judges the plane against Open vSwitch alone, for each work", () => {
  const fast = linkRun({ flat: stage({ span: { elapsedNs: 1e9, lostNs: 0.31e9 } }) });
  const rows = [
    linkRow("plane", SYN, [fast]),
    linkRow("ovs", SYN, [linkRun()]),
    linkRow("tc", SYN, [linkRun()]),
    linkRow("plane", ALL, [linkRun()]),
  ];
  const bars = linkBars(rows);
  assert.deepEqual(bars.map(({ what, bar }) => [what, bar]), [["links, mirror SYN", 1]]);
  assert.ok(Math.abs(bars[0]!.value - 2) < 1e-9);
});

Deno.test("linkText() gives delay above the cable's, no figure for the cable's processor, and the noise", () => {
  const rows = [
    linkRow("cable", SYN, [linkRun({ rttP50Us: 20, rttP99Us: 30 })]),
    linkRow("tc", SYN, [linkRun({ idleShare: 0.25 })]),
  ];
  const [, cable, tc] = linkText(rows).split("\n");
  assert.match(cable!, /no device +- +- .* - +- +20 +30 +- +-$/);
  assert.match(tc!, /20 of 20 +50 +90 +30 +60$/);
  assert.match(linkText(rows), /up to 25 % of that processor: the figures are disturbed/);
});

Deno.test("linksTopology() can be built, and every name the rules use is an interface of the node", () => {
  for (const cable of [true, false]) assert.deepEqual(topologyProblems(linksTopology(cable)), []);
  const names = linksTopology(false).links.flatMap(({ ends }) => ends)
    .filter(({ ns }) => ns === "node").map(({ name }) => name);
  for (const { copies } of WORKS) {
    for (const script of [tcScript(copies), ebpfScript("filter.o")]) {
      const used = [...script.matchAll(/dev (\w+)/g)].map(([, name]) => name!);
      assert.deepEqual(used.filter((name) => !names.includes(name)), []);
    }
    assert.equal(switchFlows(copies).some((flow) => flow.includes("output:3")), copies === "syn");
  }
});

Deno.test("the plane's rules on links are a configuration that the product takes", () => {
  for (const { name, rules, copies } of WORKS) {
    const text = nodeConfig("/run/x", { preset: "none", rules, silenceMs: 0 });
    const { config, problems } = parseConfig(text, name);
    assert.deepEqual(problems, []);
    assert.equal(config!.filter.rules[0]!.name, copies);
    assert.equal(config!.failover.silenceMs, 0);
  }
});

Deno.test("nullRow() is a ratio of speeds; only mirrored SYNs have a bar", () => {
  const turn = (ns: number, copied: number) => ({
    slices: [{ packets: 100, cpuNs: 100 * ns }],
    io: [{ packets: 100, cpuNs: 1000 }],
    copied,
    cached: 0.9,
  });
  const own = [turn(30, 0.04), turn(20, 0.04)], theirs = [turn(100, 0.02)];
  const rows = ["null ports, mirror SYN", "null ports, forward"].map((name) => nullRow(name, own, theirs));
  assert.equal(rows[0]!.ratio, 5);
  assert.equal(rows[0]!.io.bestNs, 10);
  assert.deepEqual(nullBars(rows).map(({ what, value, bar, goal }) => [what, value, bar, goal]), [
    ["null ports, mirror SYN", 5, 4, 7],
  ]);
  const [head, cells] = nullCells(rows);
  assert.equal(head!.length, cells!.length);
  assert.deepEqual(cells!.slice(-2), ["90.00 %", "5.00"]);
});

Deno.test("parseOptions() of the bench names the option and the value that is wrong", () => {
  assert.deepEqual(parseOptions([]), {
    slices: 48,
    packets: 500_000,
    rounds: 3,
    only: "",
    json: false,
    check: false,
  });
  assert.throws(() => parseOptions(["--rounds", "0"]), /--rounds "0" is no whole number from 1 to 100/);
});

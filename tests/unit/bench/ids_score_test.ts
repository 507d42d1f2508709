/** Arithmetic of the IDS bench: cuts, pairs, bars, and the table of what is known. */
import assert from "node:assert/strict";
import {
  addScore,
  chosen,
  type Cost,
  cutIndex,
  judgeBars,
  type Judged,
  newScore,
  readKnown,
  type Row,
  row,
  takenOver,
} from "../../../scripts/bench/ids_score.ts";
import { pathOf } from "../../../scripts/bench/ids_captures.ts";
import { readingCells, readMessages, tableCells } from "../../../scripts/bench/ids_report.ts";
import { differences } from "../../../scripts/bench/ids_trial.ts";

const alert = (sid: number, packet: number | null) => ({ sid, packet });

/** 100 frames; 1 and 2 are raised early, 3 late, 4 at the end of a stream. */
const WHOLE = [alert(1, 5), alert(1, 60), alert(2, 10), alert(3, 90), alert(4, null)];

function judged(mirrored: Judged["mirrored"], after: Judged["after"]): Judged {
  return { capture: "x.pcap", frames: 100, whole: WHOLE, mirrored, after, why: (sid) => `of ${sid}` };
}

Deno.test("takenOver() gets the mirror before the cut and everything from it on", () => {
  const mirror = Uint8Array.of(1, 0, 0, 1, 0, 0, 0, 0);
  assert.deepEqual([...takenOver(mirror, 0.5)], [1, 0, 0, 1, 1, 1, 1, 1]);
  assert.deepEqual([...mirror], [1, 0, 0, 1, 0, 0, 0, 0]);
  assert.deepEqual([chosen(mirror), chosen(mirror, 3), cutIndex(7, 0.5)], [2, 1, 3]);
});

Deno.test("addScore() counts a signature once, alerts each time, and names what is missed", () => {
  const score = newScore("p");
  const none = { alerts: [], before: 0 };
  addScore(score, judged([alert(1, 1), alert(1, 2), alert(9, 3)], [none, none, none]));
  assert.deepEqual([score.signatures, score.signaturesWhole, score.alerts, score.alertsWhole], [1, 4, 2, 5]);
  assert.deepEqual(
    score.missed.filter(({ cut }) => cut === null),
    [2, 3, 4].map((sid) => ({ capture: "x.pcap", sid, cut: null, why: `of ${sid}` })),
  );
});

Deno.test("addScore() counts after a cut only what is raised after it, in both", () => {
  const score = newScore("p");
  // Ten of the first fifty frames were mirrored: packet 11 of the replica is the first after the cut.
  const half = { alerts: [alert(1, 11), alert(2, 10), alert(3, 50), alert(4, null)], before: 10 };
  const none = { alerts: [], before: 0 };
  addScore(score, judged(WHOLE, [none, half, none]));
  assert.deepEqual(score.cuts, [{ kept: 0, pairs: 3 }, { kept: 3, pairs: 3 }, { kept: 0, pairs: 2 }]);
  assert.deepEqual(score.missed.map(({ cut, sid }) => [cut, sid]), [
    ...[1, 3, 4].map((sid) => [0.25, sid]),
    ...[3, 4].map((sid) => [0.75, sid]),
  ]);
});

const cost = (packets: number, bytes: number): Cost => ({
  all: { packets: 100, bytes: 1000 },
  mirrored: { packets, bytes },
});

function rowOf(policy: string, signatures: number, bytes: number): Row {
  const score = newScore(policy);
  Object.assign(score, { signatures, signaturesWhole: 100, alerts: 99, alertsWhole: 100 });
  score.cuts.forEach((cut) => Object.assign(cut, { kept: 99, pairs: 100 }));
  return row(score, cost(20, 200), cost(5, bytes));
}

Deno.test("judgeBars() holds each preset against its own bars, and one that is not there misses them", () => {
  const met = judgeBars([rowOf("ids", 98, 50), rowOf("ids-full", 99, 85)]);
  assert.deepEqual(met.filter((bar) => !bar.met), []);
  const missed = judgeBars([rowOf("ids", 97, 51), rowOf("first 5", 99, 10)]).filter((bar) => !bar.met);
  assert.deepEqual(missed.map(({ policy, what }) => `${policy} ${what}`), [
    "ids signatures",
    "ids bytes of the heavy mix",
    "ids-full signatures",
    "ids-full alerts",
    "ids-full bytes of the heavy mix",
  ]);
});

Deno.test("tableCells() has a cell under each heading", () => {
  const [head, cells] = tableCells([rowOf("ids", 98, 50)]);
  assert.equal(head!.length, cells!.length);
  assert.deepEqual(cells, [
    ...["ids", "98.0 %", "99.0 %", "99.0 %", "99.0 %", "99.0 %", "99.0 %"],
    ...["20.0 %", "20.0 %", "5.0 %", "5.0 %"],
  ]);
});

Deno.test("readKnown() reads the table of alerts, and differences() tells what is counted otherwise", () => {
  const known = readKnown("capture\tsids\talerts\tpackets\na:x.pcap\t2\t5\t9\nb:y.pcap\t1\t1\t9\n");
  const counted = [{ capture: "a:x.pcap", signatures: 2, alerts: 4 }, {
    capture: "b:y.pcap",
    signatures: 1,
    alerts: 1,
  }];
  assert.deepEqual(differences(known, counted), ["a:x.pcap: 2 signatures and 4 alerts, not 2 and 5"]);
  assert.throws(() => readKnown("name\tsids\n"), /line 1/);
  assert.throws(() => readKnown("capture\tsids\talerts\tx\na\tb\t1\n"), /line 2 is no capture/);
});

Deno.test("pathOf() finds a capture by its name in alerts.tsv", () => {
  assert.equal(pathOf("data", "arkime:tests/x.pcap"), "data/captures/arkime/tests/x.pcap");
  assert.equal(
    pathOf("data", "debian-src:tcpdump_4.99.3:tests/x.pcap"),
    "data/captures/tcpdump/tests/x.pcap",
  );
  assert.equal(
    pathOf("data", "suricata-verify:tests/a/x.pcap"),
    "data/captures/suricata-verify/tests/a/x.pcap",
  );
});

Deno.test("readMessages() finds what a rule says, and leaves out rules that are off", () => {
  const rules = 'alert tcp any any -> any any (msg:"one \\"x\\""; content:"a"; sid:11; rev:2;)\n' +
    '# alert udp any any -> any any (msg:"off"; sid:12;)\n';
  assert.deepEqual([...readMessages(rules)], [[11, 'one \\"x\\"']]);
});

Deno.test("readingCells() shows each reading of the mix beside what is published", () => {
  const mix = (transfers: number, bytes: number) => ({
    transfers,
    directions: 20,
    connections: 10,
    costs: [{ all: { packets: 9, bytes }, mirrored: { packets: 3, bytes: 5_000 } }],
  });
  const real = mix(0, 100_000);
  const heavy = { published: mix(3, 200_000), direction: mix(7, 720_000), connection: mix(4, 360_000) };
  const cells = readingCells([{ name: "first 5", rules: [], published: 0.033 }], {
    real,
    halves: { tune: real, judge: real },
    heavy,
  });
  assert.deepEqual(cells.map(([, ...rest]) => rest), [
    ["transfers", "kB/direction", "kB/connection", "first 5"],
    ["", "", "", "3.3 %"],
    ["0", "5.0", "10.0", "5.0 %"],
    ["3", "10.0", "20.0", "2.5 %"],
    ["7", "36.0", "72.0", "0.7 %"],
    ["4", "18.0", "36.0", "1.4 %"],
  ]);
});

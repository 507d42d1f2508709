/** All that control knows of matches: what it tells, what it keeps for the next control, and what it reports. */
import assert from "node:assert/strict";
import { COUNTER, ROLE } from "../../../filter/names.ts";
import { PROOF_AFTER_MS } from "../../../appliance/match_proofs.ts";
import { type Kept, MatchWatch } from "../../../appliance/match_watch.ts";
import type { EventView } from "../../../appliance/view.ts";
import { FakeBoard } from "../../support/fake_board.ts";
import { eventView } from "../ui/fake_node.ts";

const RULES = { alarmBelow: 95, clearFrom: 98, flowsMin: 10, holdMs: 0 };
const T = 1_700_000_040_000, SWITCH_NS = 9e9;
const MINUTE_MS = 60_000;
const at = (ms: number) => ({ monoNs: SWITCH_NS + ms * 1e6, wallMs: T + ms });
const v4 = (last: number) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, last);

/** The primary serves; of the redundant box's flows 40 of 50 are the same. */
function scene() {
  const told: EventView[] = [], kept: Kept[] = [];
  const fake = new FakeBoard().set("box.member", 1, 0).set("box.member", 1, 1).set("live.flows", 60);
  fake.set("match.equal", 40, 3).set("match.dropped", 10, 4);
  for (const role of ["primary-in", "redundant-in"]) {
    fake.setText("port.driver", "af_packet", ROLE.findIndex((one) => one === role));
  }
  const watch = new MatchWatch({ tell: (event) => told.push(event), keep: (line) => kept.push(line) });
  const report = (of: MatchWatch, history = true, ms = 0) =>
    of.report(fake.board, { history, rules: RULES, nowMs: T + ms, drill: null });
  return { told, kept, fake, watch, report };
}

Deno.test("a standby is reported with its history, and the next control knows what this one has seen", () => {
  const { kept, fake, watch, report } = scene();
  watch.look(fake.board, RULES, at(0));
  fake.set("match.equal", 50, 3).set("match.dropped", 0, 4);
  fake.set("counter.packets", 7, COUNTER.indexOf("mirror_full"));
  watch.look(fake.board, RULES, at(MINUTE_MS));
  const { standbys } = report(watch, true, MINUTE_MS);
  assert.deepEqual(standbys.map(({ box, history }) => [box, history.length]), [["redundant", 2]]);
  assert.deepEqual(standbys[0]!.worstHour?.worst, { equal: 40, different: 0, followed: 0, dropped: 10 });
  assert.deepEqual(standbys[0]!.history.map(({ lostCopies }) => lostCopies), [0, 7]);
  assert.deepEqual(report(watch, false).standbys[0]!.history, []);
  assert.equal(kept.length, 1);
  const next = new MatchWatch({ tell: () => {} });
  next.load([...kept, { sequence: 1, kind: "of another file" }]);
  assert.deepEqual(report(next).standbys[0]!.worstHour, standbys[0]!.worstHour);
});

Deno.test("a switch begins a proof, which is told, kept and known to the next control", () => {
  const { told, kept, fake, watch, report } = scene();
  watch.look(fake.board, RULES, at(-100));
  const numbers = { proto: 6, first_ns: 5e9, peer: 1 };
  for (const side of [0, 1] as const) {
    fake.setFlow(side, 1, { addr: [v4(1), v4(2)], port: [4000, 80], numbers });
    fake.setCarried(side, 1, 1, 3);
  }
  fake.setTwins(1, 1, 5e9, 1 << 2).set("live.switches", 1).set("live.path", 1);
  const event = eventView(1, { after: "redundant", monoUs: SWITCH_NS / 1000, text: "moved" });
  assert.equal(
    watch.withMatch(fake.board, event).text,
    "moved; it carries on 40 of 50 flows compared: 10 dropped",
  );
  watch.look(fake.board, RULES, at(PROOF_AFTER_MS));
  const proof = told.find(({ cause }) => cause === "proof");
  assert.deepEqual([proof?.kind, proof?.subject], ["match", "redundant"]);
  assert.equal(proof?.text, "redundant: predicted 1 of 1 flows, 1 carried on");
  const next = new MatchWatch({ tell: () => {} });
  next.load(kept);
  assert.equal(report(next).failover?.known, 1);
  assert.deepEqual(report(next).failover, report(watch).failover);
});

Deno.test("without a plane nothing is reported but what was proven before", () => {
  const { watch } = scene();
  assert.deepEqual(watch.report(null, { history: true, rules: RULES, nowMs: T, drill: null }), {
    standbys: [],
    alarmBelow: 95,
    failover: null,
  });
});

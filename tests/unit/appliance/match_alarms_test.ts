/** The match of standbys as control tells it: alarms, and what was known before a switch. */
import assert from "node:assert/strict";
import { MatchAlarms } from "../../../appliance/match_alarms.ts";
import type { EventView } from "../../../appliance/view.ts";
import { FakeBoard } from "../../support/fake_board.ts";
import { eventView } from "../ui/fake_node.ts";

const RULES = { alarmBelow: 95, clearFrom: 98, flowsMin: 10, holdMs: 0 };
const now = { monoNs: 1e9, wallMs: 1_700_000_000_000 };

/** The primary serves; the redundant box has joined. */
function scene() {
  const told: EventView[] = [];
  const fake = new FakeBoard().set("box.member", 1, 0).set("box.member", 1, 1);
  const alarms = new MatchAlarms((event) => told.push(event));
  const look = (equal: number, different: number, dropped = 0) => {
    fake.set("match.equal", equal, 3).set("match.different", different, 3).set("match.dropped", dropped, 3);
    alarms.look(fake.board, RULES, now);
  };
  return { told, fake, alarms, look };
}

Deno.test("a standby that would not carry on enough is told, and told again when it would", () => {
  const { told, alarms, look } = scene();
  look(90, 7, 3);
  assert.equal(alarms.has("redundant"), true);
  look(96, 4);
  look(99, 1);
  assert.equal(alarms.has("redundant"), false);
  assert.deepEqual(told.map(({ kind, subject, after, text }) => [kind, subject, after, text]), [
    [
      "match",
      "redundant",
      "unlike",
      "redundant would carry on only 90.0 % of 100 flows: 7 with another binding, 3 dropped",
    ],
    ["match", "redundant", "alike", "redundant would carry on 99.0 % of 100 flows again"],
  ]);
});

Deno.test("what would be translated is carried on, and a switch says how much it was", () => {
  const { told, fake, alarms, look } = scene();
  fake.set("match.followed", 7, 3);
  look(90, 9, 1);
  assert.deepEqual(told, []);
  const moved = { kind: "switch", after: "redundant", text: "moved" } as EventView;
  assert.equal(
    alarms.withMatch(fake.board, moved).text,
    "moved; it carries on 97 of 100 flows compared, 7 of them translated: 2 with another binding, 1 dropped",
  );
});

Deno.test("a box that begins to serve, or has left, takes its alarm with it and says nothing", () => {
  const { told, fake, alarms, look } = scene();
  look(0, 100);
  fake.set("live.path", 1);
  look(0, 100);
  assert.deepEqual([alarms.has("redundant"), told.length], [false, 1]);
  fake.set("live.path", 0);
  look(0, 100);
  fake.set("box.member", 0, 1);
  look(0, 100);
  assert.deepEqual([alarms.has("redundant"), told.length], [false, 2]);
});

Deno.test("the last flows that end clear it, and say so", () => {
  const { told, look } = scene();
  look(0, 100);
  look(0, 0);
  assert.equal(told[1]!.text, "redundant has no flows to be compared by any more");
});

Deno.test("a switch tells what was known of the box before it served", () => {
  const { fake, alarms, look } = scene();
  const moved = eventView(1, { kind: "switch", after: "redundant", text: "moved" });
  assert.equal(alarms.withMatch(fake.board, moved).text, "moved");
  look(38, 1, 1);
  fake.set("live.path", 1);
  look(0, 0);
  const text = "moved; it carries on 38 of 40 flows compared: 1 with another binding, 1 dropped";
  assert.equal(alarms.withMatch(fake.board, moved).text, text);
  assert.equal(
    alarms.withMatch(fake.board, eventView(2, { kind: "switch", after: "wire", text: "none" })).text,
    "none",
  );
  assert.equal(
    alarms.withMatch(fake.board, eventView(3, { kind: "link", after: "up", text: "link" })).text,
    "link",
  );
});

/** Which spare is next in line by weight. */
import assert from "node:assert/strict";
import { type EventView, MATCH_CLASSES } from "../../../appliance/view.ts";
import { FakeBoard } from "../../support/fake_board.ts";
import { lineText, lineUp, Preference, worthOf } from "../../../appliance/preference.ts";

const LINE = ["redundant", "redundant-2", "redundant-3"] as const;
const worths = (...worth: number[]) => LINE.map((box, i) => ({ box, worth: worth[i]! }));

Deno.test("worthOf() is the weight times the share; a spare of which nothing is known is not held back", () => {
  assert.equal(worthOf(100, 0.61), 61);
  assert.equal(worthOf(50, null), 50);
  assert.equal(worthOf(1000, 0), 0);
});

Deno.test("lineUp() puts the best first, and keeps the line among those that are nearly alike", () => {
  assert.deepEqual(lineUp(LINE, worths(100, 100, 100)), LINE);
  assert.deepEqual(lineUp(LINE, worths(61, 100, 80)), ["redundant-2", "redundant-3", "redundant"]);
  assert.deepEqual(lineUp(LINE, worths(95, 100, 99)), LINE, "not clearly better");
  assert.deepEqual(lineUp(LINE, worths(100, 0, 100)), ["redundant", "redundant-3", "redundant-2"]);
  const back = lineUp(["redundant-2", "redundant", "redundant-3"], worths(100, 98, 10));
  assert.deepEqual(back, ["redundant-2", "redundant", "redundant-3"], "nor does it fall back by a little");
});

Deno.test("lineUp() keeps every spare once, whatever they are worth", () => {
  for (let a = 0; a <= 100; a += 20) {
    for (let b = 0; b <= 100; b += 20) {
      for (let c = 0; c <= 100; c += 20) {
        const line = lineUp(LINE, worths(a, b, c));
        assert.deepEqual([...line].sort(), [...LINE].sort());
        const best = Math.max(a, b, c),
          first = { redundant: a, "redundant-2": b, "redundant-3": c }[line[0] as "redundant"];
        assert.ok(first >= best * 0.9, `${a} ${b} ${c}: ${line.join(" ")}`);
      }
    }
  }
});

Deno.test("lineText() names all of them with what they are worth", () => {
  assert.match(
    lineText(["redundant-2", "redundant"], worths(61.4, 100)),
    /: redundant-2 \(100\), then redundant \(61\)$/,
  );
});

Deno.test("Preference moves the ranks on the board once a second at most, tells each time, and only by weight", () => {
  const fake = new FakeBoard(), { board } = fake, told: EventView[] = [];
  const preference = new Preference((event) => void told.push(event));
  const boxes = [
    { box: "primary", name: "primary", rank: 0, weight: 100 },
    { box: "redundant", name: "redundant", rank: 100, weight: 100 },
    { box: "redundant-2", name: "fw-c", rank: 200, weight: 200 },
  ] as const;
  boxes.forEach(({ rank }, i) => board.setNumber("command.rank", rank, i));
  const ranks = () => boxes.map((_, i) => board.number("command.rank", i));
  const look = (wallMs: number, choose: "order" | "weight" = "weight") =>
    preference.look(board, { boxes, failover: { choose } } as never, { monoNs: 0, wallMs });
  look(10_000, "order");
  assert.deepEqual([ranks(), told.length], [[0, 100, 200], 0]);
  look(20_000);
  assert.deepEqual(ranks(), [0, 200, 100], "nothing is known of either: the heavier one");
  fake.set("match.equal", 1, 2 * MATCH_CLASSES.length).set("match.dropped", 9, 2 * MATCH_CLASSES.length);
  look(20_900);
  assert.deepEqual(ranks(), [0, 200, 100], "a second has not passed");
  look(21_000);
  assert.deepEqual(ranks(), [0, 100, 200], "it would carry on a tenth: 20 against 100");
  assert.deepEqual(told.map(({ kind, cause, subject }) => [kind, cause, subject]), [
    ["match", "preferred", "redundant-2"],
    ["match", "preferred", "redundant"],
  ]);
});

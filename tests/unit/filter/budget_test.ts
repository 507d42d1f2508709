/** The mirror's budget: what is shed first, and that nothing is shed while there is room. */
import assert from "node:assert/strict";
import { Budget } from "../../../filter/budget.ts";
import { WHY, type Why } from "../../../filter/names.ts";

const SECOND = 1_000_000_000n;
const CLASSES = WHY.slice(WHY.indexOf("handshake"));

/** Copies of 1000 bytes of one class at one moment, until the first is refused. */
function burst(budget: Budget, why: Why): number {
  let made = 0;
  while (budget.take(why, 1000, 0n)) made++;
  return made;
}

Deno.test("Budget.take() keeps more back from each class that is worth less", () => {
  const rooms = CLASSES.map((why) =>
    burst(new Budget({ bytesPerSecond: 100_000_000, packetsPerSecond: 0 }, 0n), why)
  );
  assert.equal(rooms[0], 5000, "a handshake may use all of the 50 ms that are kept");
  assert.equal(rooms.at(-1), 625, "the least an eighth");
  rooms.forEach((room, i) => assert.ok(i === 0 || room < rooms[i - 1]!, `${CLASSES[i]}: ${room}`));
});

Deno.test("Budget.take() sheds nothing of a handshake because of content, nor counts what it made", () => {
  const budget = new Budget({ bytesPerSecond: 0, packetsPerSecond: 1000 }, 0n);
  const turns = burst(budget, "turn");
  assert.ok(turns > 0 && turns < 64);
  assert.deepEqual(budget.shed, new Map([["turn", { packets: 1, bytes: 1000 }]]));
  assert.equal(burst(budget, "handshake"), 64 - turns);
  assert.ok(budget.take("neighbour", 60, 0n), "neighbours are always told");
});

Deno.test("Budget.take() refills with time to the rate that was set, and not beyond its depth", () => {
  const budget = new Budget({ bytesPerSecond: 100_000_000, packetsPerSecond: 0 }, 0n);
  burst(budget, "handshake");
  assert.equal(budget.take("handshake", 1000, 9_999n), false);
  assert.equal(budget.take("handshake", 1000, 10_000n), true);
  assert.equal(budget.take("handshake", 1000, 5_000n), false, "a clock that goes back gives nothing");
  const later = 100n * SECOND;
  let made = 0;
  while (budget.take("handshake", 1000, later)) made++;
  assert.equal(made, 5000);
});

Deno.test("Budget.take() without bounds takes everything and counts nothing", () => {
  const budget = new Budget({ bytesPerSecond: 0, packetsPerSecond: 0 }, 0n);
  for (let i = 0; i < 10_000; i++) assert.ok(budget.take("all", 9000, 0n));
  assert.equal(budget.shed.size, 0);
});

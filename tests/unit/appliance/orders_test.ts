/** Which box people mean, and where a switchover leads that names none. */
import assert from "node:assert/strict";
import type { BoxConfig } from "../../../appliance/config.ts";
import { nextBox } from "../../../appliance/drills.ts";
import { chooseSpare, namedBox, reliefFor } from "../../../appliance/orders.ts";
import { boxView } from "../ui/fake_node.ts";

const BOXES: readonly BoxConfig[] = [
  { box: "primary", name: "primary", rank: 0, weight: 100 },
  { box: "redundant", name: "redundant", rank: 100, weight: 100 },
  { box: "redundant-2", name: "fw-c", rank: 50, weight: 100 },
];

Deno.test("namedBox() takes both names of a box, and no other word", () => {
  assert.equal(namedBox(BOXES, "fw-c"), "redundant-2");
  assert.equal(namedBox(BOXES, "redundant-2"), "redundant-2");
  assert.equal(namedBox(BOXES, "primary"), "primary");
  assert.equal(namedBox(BOXES, "fw"), null);
});

Deno.test("chooseSpare() is the first green one by rank, and never the primary", () => {
  const views = [boxView("primary"), boxView("redundant"), boxView("redundant-2")];
  assert.equal(chooseSpare(views, BOXES), "redundant-2");
  const dead = boxView("redundant-2", { light: "red" });
  assert.equal(chooseSpare([...views.slice(0, 2), dead], BOXES), "redundant");
  assert.equal(
    chooseSpare([boxView("primary"), boxView("redundant", { light: "red" }), dead], BOXES),
    "redundant-2",
  );
});

Deno.test("nextBox() of a drill is the one that would take over: alive, not serving, first by rank", () => {
  const alive = (...boxes: string[]) => (box: string) => boxes.includes(box);
  assert.equal(nextBox(BOXES, "primary", alive("primary", "redundant", "redundant-2")), "redundant-2");
  assert.equal(nextBox(BOXES, "primary", alive("primary", "redundant")), "redundant");
  assert.equal(nextBox(BOXES, "redundant-2", alive("primary", "redundant-2")), "primary");
  assert.equal(nextBox(BOXES, "primary", alive("primary")), undefined);
});

Deno.test("reliefFor() is the first member by rank that is green, the primary too, or nobody", () => {
  const views = [boxView("primary"), boxView("redundant"), boxView("redundant-2")];
  assert.equal(reliefFor("primary", views, BOXES), "redundant-2");
  assert.equal(reliefFor("redundant", views, BOXES), "primary");
  const away = boxView("redundant-2", { member: false });
  assert.equal(reliefFor("primary", [...views.slice(0, 2), away], BOXES), "redundant");
  const dead = boxView("redundant", { light: "red" });
  assert.equal(reliefFor("primary", [views[0]!, dead, away], BOXES), null);
});

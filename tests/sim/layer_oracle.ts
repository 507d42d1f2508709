/**
 * What must hold of the layer after everything: moves have ended, every frame left once, state is where its flow is served,
 * and counts are those of a single box.
 */
import assert from "node:assert/strict";
import { readIntents } from "../../appliance/layer/intents.ts";
import { type LayerLife, MOVED } from "./layer_simulate.ts";
import { holds, type LayerWorld, type SimFlow } from "./layer_world.ts";

const died = ({ boxes, planeDied }: LayerWorld) => boxes.a.died || boxes.b.died || planeDied;

/** Control was started anew where it died; all that is left to do is done. */
export async function checkLayer(life: LayerLife): Promise<void> {
  const { world } = life;
  if (world.planeDied) await life.layer.assertRules().catch(() => life.begin());
  await life.layer.idle();
  const traffic = world.traffic;
  world.settle();
  const { open, rules } = readIntents(life.disk.text);
  assert.equal(open.length, 0, `${open.length} moves never end`);
  for (const { id, end } of life.layer.moves()) assert.ok(end, `move ${id} has no end`);
  const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id).sort();
  assert.deepEqual(ids(world.rules), ids(rules), "the plane goes by other rules than the journal");
  for (const flow of world.flows) checkFlow(life, flow);
  world.traffic = traffic;
}

function checkFlow({ world, guarantee, layer }: LayerLife, flow: SimFlow): void {
  const { out, lost, key, sent } = flow;
  assert.equal(new Set(out).size, out.length, `${key} left twice`);
  const all = [...out, ...lost].sort((a, b) => a - b);
  assert.deepEqual(all, Array.from({ length: sent }, (_, i) => i + 1), `${key} lost frames`);
  if (guarantee === "order-preserving" && !world.planeDied) {
    assert.deepEqual(out, out.toSorted((a, b) => a - b), `${key} left out of order`);
  }
  if (died(world)) return;
  assert.equal(lost.length, 0, `${key} lost ${lost}`);
  if (guarantee === "none" && holds(MOVED, flow.fields)) return;
  const serving = world.boxOf(flow.fields), other = serving === "a" ? "b" : "a";
  const state = world.boxes[serving].flows.get(key);
  assert.equal(state?.count ?? 0, out.length, `${key} of ${serving} counted otherwise than a single box`);
  assert.equal(state?.last ?? 0, out.reduce((most, n) => Math.max(most, n), 0), `${key} is old`);
  const left = layer.moves().some(({ reason }) => /stayed in/.test(reason));
  if (!left) assert.ok(!world.boxes[other].flows.has(key), `${key} has state in ${other} as well`);
}

/** The sums of both are in a, where b serves nothing and nothing died. */
export function checkMerged(life: LayerLife): void {
  const { world } = life, { a } = world.boxes;
  if (died(world) || world.rules.some(({ box }) => box === "b")) return;
  life.count("merged");
  const served = world.flows.filter(({ out }) => out.length > 0);
  assert.equal(a.total.value, served.reduce((sum, { out }) => sum + out.length, 0), "a sum is another");
  assert.equal(a.longest.value, Math.max(0, ...served.flatMap(({ out }) => out)), "a maximum is another");
  assert.deepEqual([...a.seen.value].sort(), served.map(({ key }) => key).sort(), "a set is another");
}

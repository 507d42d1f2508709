/** What an agent asks of the node's journal for its controller. */
import assert from "node:assert/strict";
import type { EventView } from "../../../appliance/view.ts";
import { eventsOf } from "../../../ui/fleet/node_seam.ts";

function journal(sequences: number[]) {
  const told: number[] = [];
  const event = (sequence: number) => ({
    sequence,
    wallMs: 1,
    kind: "plane",
    cause: "start",
    subject: "plane",
    text: "",
  });
  return {
    told,
    node: {
      events: ({ after, limit }: { after: number; limit: number }) =>
        Promise.resolve(
          sequences.filter((one) => one > after).slice(0, limit).map(
            event,
          ) as unknown as readonly EventView[],
        ),
      // As the journal does with those of its process, here all.
      eventsKnown: (known: number) => {
        told.push(known);
        sequences = sequences.map((one) => one + known);
        return Promise.resolve();
      },
    },
  };
}

const numbers = async (...asked: Parameters<typeof eventsOf>) =>
  (await eventsOf(...asked)).map(({ sequence }) => sequence);

Deno.test("what the controller does not know is told, so many at a time, and a whole journal hears nothing of it", async () => {
  const { node, told } = journal([1, 2, 3, 4, 5]);
  assert.deepEqual(await numbers(node, 0, 3), [1, 2, 3]);
  assert.deepEqual(await numbers(node, 3, 3), [4, 5]);
  assert.deepEqual(await numbers(node, 5, 3), []);
  assert.deepEqual(told, []);
  assert.deepEqual(
    await numbers(journal([90, 91, 92]).node, 5, 2),
    [90, 91],
    "older ones are no longer kept",
  );
  assert.deepEqual(await numbers(journal([]).node, 0, 3), []);
});

Deno.test("a journal that has not what the controller knows is told so, and its events are above that", async () => {
  const { node, told } = journal([1, 2]);
  assert.deepEqual(await numbers(node, 600, 100), [601, 602]);
  assert.deepEqual(told, [600]);
  assert.deepEqual(await numbers(node, 602, 100), []);
  assert.deepEqual(told, [600]);
});

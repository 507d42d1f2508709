/** A node that learns moves nothing, whatever is judged; and says each time that it would have. */
import assert from "node:assert/strict";
import {
  judgeLearning,
  LEARNING_START,
  type LearningSeen,
  learningText,
} from "../../../appliance/failover/learning.ts";
import { Random } from "../../../filter/random.ts";
import { PATHS } from "../../../appliance/view.ts";

const seen = (more: Partial<LearningSeen> = {}): LearningSeen => ({
  learning: true,
  path: "primary",
  reflex: { path: "primary", cause: "order" },
  order: null,
  ...more,
});

Deno.test("judgeLearning() tells the death of a box once, and its end once", () => {
  const died = seen({ reflex: { path: "redundant", cause: "silence" } });
  const first = judgeLearning(LEARNING_START, died, 1000);
  assert.deepEqual(first.told, { over: false, path: "redundant", cause: "silence" });
  assert.deepEqual(first.state, { times: 1, would: { path: "redundant", cause: "silence", sinceMs: 1000 } });
  const again = judgeLearning(first.state, died, 1100);
  assert.deepEqual([again.told, again.state], [null, first.state]);
  const well = judgeLearning(again.state, seen(), 1200);
  assert.deepEqual(well.told, { over: true, path: "primary", cause: "over" });
  assert.deepEqual(well.state, { times: 1, would: null });
});

Deno.test("judgeLearning() tells a failback in place of carrying it out", () => {
  const onSpare = { path: "redundant", reflex: { path: "redundant", cause: "order" } } as const;
  const verdict = judgeLearning(LEARNING_START, seen({ ...onSpare, order: "primary" }), 5);
  assert.deepEqual([verdict.order, verdict.told?.path, verdict.told?.cause], [null, "primary", "return"]);
  const armed = judgeLearning(verdict.state, seen({ ...onSpare, order: "primary", learning: false }), 6);
  assert.deepEqual([armed.order, armed.told, armed.state.would], ["primary", null, null]);
});

Deno.test("judgeLearning() leaves no order while it learns and touches none while it does not, over 100,000 looks", () => {
  const random = new Random(7);
  let state = LEARNING_START, open = false;
  for (let look = 0; look < 100_000; look++) {
    const one = seen({
      learning: random.chance(0.9),
      path: random.pick(PATHS),
      reflex: { path: random.pick(PATHS), cause: "link" },
      order: random.chance(0.2) ? random.pick(PATHS) : null,
    });
    const verdict = judgeLearning(state, one, look);
    assert.equal(verdict.order, one.learning ? null : one.order);
    // What has ended had begun; and what stands in the state is what differs now.
    if (verdict.told?.over) assert.ok(open);
    const differs = one.reflex.path !== one.path || (one.order !== null && one.order !== one.path);
    assert.equal(verdict.state.would !== null, one.learning && differs);
    assert.ok(verdict.state.times >= state.times);
    open = verdict.state.would !== null;
    state = verdict.state;
  }
  assert.ok(state.times > 1000);
});

Deno.test("learningText() says what the node would do now", () => {
  assert.equal(
    learningText({ sinceMs: 0, times: 0, would: null }),
    "the node learns: it moves nothing by itself",
  );
  const would = { path: "redundant", cause: "link", sinceMs: 0 } as const;
  assert.match(
    learningText({ sinceMs: 0, times: 1, would }),
    /armed, it would move the traffic to redundant/,
  );
});

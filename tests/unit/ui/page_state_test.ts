/** The one big word, for every way in which a node can be; and what changes on the pages by itself. */
import assert from "node:assert/strict";
import type { NodeStatus } from "../../../appliance/view.ts";
import { liveValues, shapeOf } from "../../../ui/page/live.ts";
import { protection } from "../../../ui/page/state.ts";
import { ratesBetween } from "../../../ui/text.ts";
import { boxView, MATCH_REPORT, nodeStatus, NOW_MS, portView } from "./fake_node.ts";

const primary = (more = {}) => boxView("primary", { serving: true, ...more });
const redundant = (more = {}) => boxView("redundant", more);
const match = MATCH_REPORT.standbys[0]!.now;
const plane = (state: NodeStatus["plane"]["state"]) => ({ plane: { ...nodeStatus().plane, state } });

Deno.test("protection() says a word and a reason for every state of a node", () => {
  const cases: readonly [Partial<NodeStatus>, string, RegExp][] = [
    [{}, "Protected", /stands by/],
    [{ ...plane("stopped"), reason: "the plane has stopped" }, "Unprotected", /the plane has stopped/],
    [{ freshMs: 1001 }, "Unprotected", /lost sight of the plane/],
    [{ path: "block" }, "Unprotected", /traffic is blocked/],
    [{ path: "wire" }, "Unprotected", /around the boxes/],
    [{ boxes: [primary()] }, "Unprotected", /there is no second box/],
    [
      { boxes: [primary(), redundant({ light: "red", reason: "no link" })] },
      "Unprotected",
      /redundant is not alive: no link/,
    ],
    [{ boxes: [primary(), redundant({ member: false })] }, "Unprotected", /redundant is away/],
    [
      { boxes: [primary({ light: "red", reason: "silent" }), redundant()] },
      "Unprotected",
      /primary serves and is not alive/,
    ],
    [{ boxes: [primary(), redundant({ match: { ...match, alarm: true } })] }, "Degraded", /^redundant: /],
    [{ light: "yellow", reason: "grey failure" }, "Degraded", /grey failure/],
    [
      {
        boxes: [primary(), redundant({ match: { ...match, alarm: true } }), boxView("redundant-2")],
      },
      "Protected",
      /stands by/,
    ],
  ];
  for (const [more, word, reason] of cases) {
    const said = protection(nodeStatus(more));
    assert.equal(said.word, word, JSON.stringify(more));
    assert.match(said.reason, reason);
  }
});

Deno.test("liveValues() never shows a total or a guess where a rate is not known", () => {
  const values = liveValues(nodeStatus(), null, NOW_MS);
  assert.equal(values["port.upstream.rx"], "–");
  assert.equal(values["take.of"], "not known yet");
  assert.equal(values["lane.primary"], "traffic-0");
  assert.equal(values["lane.redundant"], "copies-0");
});

Deno.test("liveValues() gives rates and what a failover would keep, and neither of what was not seen of late", () => {
  const before = nodeStatus({ boxes: [primary(), redundant({ match })] });
  const after = {
    ...before,
    ports: before.ports.map((port) => portView(port.role, { rxBytes: port.rxBytes + 12_500_000 })),
  };
  const rates = ratesBetween(before, after, 1000), values = liveValues(after, rates, NOW_MS);
  assert.equal(values["port.upstream.rx"], "100 Mbit/s");
  assert.equal(values["lane.primary"], "traffic-3");
  assert.deepEqual(
    [values["take.number"], values["take.of"], values["take.state"]],
    ["99.3 %", "298 of 300 flows would live on", "yellow"],
  );
  assert.deepEqual([values.fresh, values["fresh.text"]], ["fresh", "seen just now"]);
  const old = liveValues({ ...after, freshMs: 4000 }, rates, NOW_MS);
  assert.deepEqual([old.fresh, old["fresh.text"], old.state], [
    "stale",
    "stale: seen 4 s ago",
    "unprotected",
  ]);
  assert.deepEqual([old["port.upstream.rx"], old["lane.primary"]], ["–", "traffic-0"]);
  assert.deepEqual(
    [old["take.number"], old["take.of"], old["take.state"]],
    ["–", "not known: the plane was last seen 4 s ago", "off"],
  );
});

Deno.test("shapeOf() stays while only numbers change, and changes with what there is to show", () => {
  const one = nodeStatus(), shape = shapeOf(one);
  assert.equal(
    shapeOf(nodeStatus({ freshMs: 7, flows: { upstream: 1, downstream: 2, slots: 262144 } })),
    shape,
  );
  assert.notEqual(shapeOf(nodeStatus({ path: "redundant" })), shape);
  assert.notEqual(shapeOf(nodeStatus({ boxes: [...one.boxes, boxView("redundant-2")] })), shape);
});

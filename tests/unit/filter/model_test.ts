/** The oracle on the stories of flows, and what it remembers of a TCP flow. */
import assert from "node:assert/strict";
import { type AgesMs, FilterModel } from "../../../filter/model.ts";
import { filterRule } from "../../../filter/rule.ts";
import { DOWN, tcpFrame, UP } from "./ends.ts";
import { frameOf, protocolIs, type Scenario, SCENARIOS } from "./scenarios.ts";

const AGES: AgesMs = {
  tcp_opening: 30_000,
  tcp: 3_600_000,
  tcp_closing: 10_000,
  udp: 60_000,
  icmp: 30_000,
  other: 0,
};
const START_NS = 1_000_000_000n;

function play({ rules, steps }: Scenario): void {
  const model = new FilterModel(rules, AGES);
  steps.forEach((step, i) => {
    if ("rules" in step) return model.setRules(step.rules);
    const [ms, way, packet, segment, why, age] = step;
    const timeNs = START_NS + BigInt(ms) * 1_000_000n;
    const decision = model.decide(frameOf(way, packet, segment), timeNs, way.length === 2);
    assert.equal(decision.why, why, `step ${i}: ${way} ${packet} at ${ms} ms`);
    if (age) assert.equal(decision.flow!.age, age, `age after step ${i}: ${way} ${packet} at ${ms} ms`);
  });
}

for (const scenario of SCENARIOS) Deno.test(`FilterModel: ${scenario.says}`, () => play(scenario));

/** A model without rules, fed with TCP frames; gives the client's half and the server's. */
function follow(...frames: readonly Uint8Array[]) {
  const rule = filterRule({ name: "seed", seed: true }); // what is seeded is followed when it is quiet, too
  const model = new FilterModel([{ rule, program: [] }], AGES);
  let last;
  for (const frame of frames) last = model.decide(frame, START_NS, false);
  return last!.flow!;
}

Deno.test("FilterModel follows sequence numbers across the end of their space", () => {
  const [client, server] = follow(
    tcpFrame(UP, "A", { seq: 0xffff_fff0, ack: 0xffff_ff00, payload: 32 }),
    tcpFrame(UP, "A", { seq: 0xffff_ff00, ack: 0x10, payload: 16 }),
    tcpFrame(DOWN, "A", { seq: 0x10, ack: 0xffff_fff8 }),
    tcpFrame(DOWN, "A", { seq: 0xffff_ff00, ack: 0x10 }),
  ).half;
  assert.deepEqual({ next: client.next, ack: client.ack }, { next: 0x10, ack: 0x10 });
  assert.deepEqual({ next: server.next, ack: server.ack }, { next: 0x10, ack: 0x10 });
});

Deno.test("FilterModel counts SYN and FIN as one number each and keeps the options of the SYN", () => {
  const linux = [4, 2, 1, 1, 3, 3, 9, 0];
  const [client, server] = follow(
    tcpFrame(UP, "S", { seq: 99, tcpOptions: linux, window: 7 }),
    tcpFrame(DOWN, "SA", { seq: 499, ack: 100, window: 1000 }),
    tcpFrame(UP, "FA", { seq: 100, ack: 500, window: 2000, payload: 5 }),
  ).half;
  assert.deepEqual(
    {
      next: client.next,
      ack: client.ack,
      window: client.window,
      scale: client.scale,
      sack: client.sackPermitted,
    },
    { next: 106, ack: 500, window: 2000, scale: 9, sack: true },
  );
  assert.deepEqual(
    {
      next: server.next,
      ack: server.ack,
      window: server.window,
      scale: server.scale,
      sack: server.sackPermitted,
    },
    { next: 500, ack: 100, window: 1000, scale: undefined, sack: false },
  );
  assert.deepEqual([client.sentFin, server.finAckDue], [true, true]);
});

Deno.test("FilterModel takes the first acknowledgment as it is, however large", () => {
  const [client] =
    follow(tcpFrame(UP, "S", { seq: 1 }), tcpFrame(UP, "A", { seq: 2, ack: 0xf000_0000 })).half;
  assert.equal(client.ack, 0xf000_0000);
});

Deno.test("FilterModel knows which direction comes from outside", () => {
  assert.equal(follow(tcpFrame(DOWN, "S")).outerDir, 1);
  const rule = filterRule({ name: "seed", seed: true }); // what is seeded is followed when it is quiet, too
  const model = new FilterModel([{ rule, program: [] }], AGES);
  assert.equal(
    model.decide(tcpFrame(DOWN, "S"), START_NS, true).flow!.outerDir,
    0,
    "observed: the other one",
  );
});

Deno.test("FilterModel says which rule a flow has, and nothing of frames without a flow", () => {
  const rules = [
    { rule: filterRule({ name: "udp" }), program: protocolIs(17) },
    { rule: filterRule({ name: "tcp", all: true }), program: protocolIs(6) },
  ];
  const model = new FilterModel(rules, AGES);
  assert.equal(model.decide(tcpFrame(UP, "S"), START_NS, false).rule, 1);
  const none = model.decide(new Uint8Array(5), START_NS, false);
  assert.deepEqual([none.parse, none.why, none.rule, none.flow], [
    "short_ethernet",
    "none",
    undefined,
    undefined,
  ]);
  assert.equal(model.flows.size, 1);
});

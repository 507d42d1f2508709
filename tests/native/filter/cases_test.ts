/** The C core on the tables the model is held to: frames with their verdicts, stories of flows. */
import assert from "node:assert/strict";
import type { CoreResult } from "../../../filter/core.ts";
import { type Expected, PACKET_CASES } from "../../unit/filter/packet_cases.ts";
import { frameOf, type Scenario, SCENARIOS } from "../../unit/filter/scenarios.ts";
import { AGES, openCore } from "./library.ts";

const START_NS = 1_000_000_000n;

function factsOf(result: CoreResult, named: Expected): Expected {
  const packet = (name: string) => result.field(`packet.${name}`);
  const scale = packet("scale");
  const all: Required<Expected> = {
    dir: packet("dir") as 0 | 1,
    port: result.port,
    proto: packet("proto"),
    vlan: packet("vlan"),
    payloadBytes: packet("payload_bytes"),
    scale: scale === 0xff ? undefined : scale,
    sack: packet("sack") === 1,
  };
  return Object.fromEntries(Object.keys(named).map((name) => [name, all[name as keyof Expected]]));
}

Deno.test("rm_parse() finds the verdict and the facts of every frame in the table", async () => {
  using core = await openCore(1024);
  core.setRules([], AGES);
  const inputs = PACKET_CASES.map(({ frame }) => ({ timeNs: START_NS, bytes: frame, observed: false }));
  const results = core.decide(inputs);
  PACKET_CASES.forEach(({ says, verdict, flow, frame }, i) => {
    assert.equal(results[i]!.parse, verdict, says);
    assert.equal(results[i]!.field("packet.frame_bytes"), frame.length, says);
    if (flow) assert.deepEqual(factsOf(results[i]!, flow), flow, says);
  });
});

async function play({ rules, steps }: Scenario): Promise<void> {
  using core = await openCore(64);
  core.setRules(rules, AGES);
  steps.forEach((step, i) => {
    if ("rules" in step) return core.setRules(step.rules, AGES);
    const [ms, way, packet, segment, why, age] = step;
    const timeNs = START_NS + BigInt(ms) * 1_000_000n;
    const bytes = frameOf(way, packet, segment);
    const [result] = core.decide([{ timeNs, bytes, observed: way.length === 2 }]);
    assert.equal(result!.why, why, `step ${i}: ${way} ${packet} at ${ms} ms`);
    if (age) assert.equal(result!.age, age, `age after step ${i}: ${way} ${packet} at ${ms} ms`);
  });
}

for (const scenario of SCENARIOS) Deno.test(`rm_decide(): ${scenario.says}`, () => play(scenario));

Deno.test("rm_flow_start() gives a slot that has no peer and no rule", async () => {
  using core = await openCore(16);
  core.setRules([], AGES);
  const [result] = core.decide([{ timeNs: START_NS, bytes: frameOf(">", "udp", {}), observed: false }]);
  const entry = core.flow(result!.slot)!;
  const { offset } = core.ruleLayout;
  const view = new DataView(entry.buffer);
  assert.equal(view.getUint32(offset("flow.peer"), true), 0xffffffff);
  assert.equal(entry[offset("flow.rule")], 0xff);
  assert.equal(view.getBigUint64(offset("flow.first_ns"), true), START_NS);
  assert.equal(core.flow(16), undefined);
});

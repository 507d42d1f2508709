/**
 * The plan of an external switch, judged by where a switch that holds it sends packets: for every state of its ports,
 * not for the few one thinks of.
 */
import assert from "node:assert/strict";
import { changesTo } from "../../../appliance/failover/external/diff.ts";
import { type Judgement, nodeCookie, planSwitch } from "../../../appliance/failover/external/plan.ts";
import { place, type SwitchSettings } from "../../../appliance/failover/external/settings.ts";
import { encode } from "../../../drivers/openflow/messages.ts";
import { DOWN, FakeSwitch, LIVE, type Packet, port } from "../../support/fake_switch.ts";
import { bothSides, GROUP_FIRST } from "../../support/switch_settings.ts";

const UP = 1, DOWNSTREAM = 2, PIN = 3, POUT = 4, RIN = 5, ROUT = 6, AROUND = 9;
const PORTS = [
  port(UP, "up"),
  port(DOWNSTREAM, "down"),
  port(PIN, "pin"),
  port(POUT, "pout"),
  port(RIN, "rin"),
  port(ROUT, "rout"),
  port(7, "r2in"),
  port(8, "r2out"),
  port(AROUND, "around"),
];
const SYN: Packet = { eth_type: 0x0800n, ip_proto: 6n, tcp_flags: 0x002n };
const DATA: Packet = { eth_type: 0x0800n, ip_proto: 6n, tcp_flags: 0x010n };

function programmed(
  settings: SwitchSettings,
  judgement: Partial<Judgement> = {},
  chaining = true,
): FakeSwitch {
  const fake = new FakeSwitch(1n, PORTS);
  const placed = place(settings, PORTS);
  assert.ok("placement" in placed, JSON.stringify(placed));
  const boxes = (settings.client ?? settings.server)!.boxes.length;
  const order = Array.from({ length: boxes }, (_, box) => box);
  const whole = { order, out: [], left: [], ...judgement };
  const cookie = nodeCookie("test");
  const wanted = planSwitch({ settings, placement: placed.placement, judgement: whole, cookie, chaining });
  for (const { body } of changesTo(wanted, { groups: [], flows: [] }, GROUP_FIRST)) {
    fake.receive(encode({ transaction: 1, body }));
  }
  const again = { groups: [...fake.groups.values()], flows: fake.flows };
  assert.deepEqual(changesTo(wanted, again, GROUP_FIRST), [], "what was written is what was wanted");
  return fake;
}

function from(inPort: number, packet: Packet): Packet {
  return { in_port: BigInt(inPort), ...packet };
}

/** All 64 states of the six ports of one switch. */
function* states(fake: FakeSwitch): Generator<(number: number) => boolean> {
  for (let bits = 0; bits < 64; bits++) {
    for (const number of [1, 2, 3, 4, 5, 6]) fake.setState(number, bits >> (number - 1) & 1 ? LIVE : DOWN);
    yield (number) => (bits >> (number - 1) & 1) === 1;
  }
}

Deno.test("planSwitch() goes by the first box of which both ports are live, else around, in all states of ports", () => {
  for (const order of [[0, 1], [1, 0]]) {
    const fake = programmed(bothSides(), { order });
    for (const live of states(fake)) {
      const boxLive = [live(PIN) && live(POUT), live(RIN) && live(ROUT)];
      const serving = order.find((box) => boxLive[box]) ?? null;
      const goes = (near: readonly number[], outer: number) => serving === null ? outer : near[serving]!;
      const up = goes([PIN, RIN], DOWNSTREAM), down = goes([POUT, ROUT], UP);
      assert.deepEqual(fake.where(from(UP, DATA)), live(up) ? [up] : []);
      assert.deepEqual(fake.where(from(DOWNSTREAM, DATA)), live(down) ? [down] : []);
    }
  }
});

Deno.test("planSwitch() copies what forms state to the standby, and lets out only what serves", () => {
  for (const order of [[0, 1], [1, 0]]) {
    const fake = programmed(bothSides(), { order });
    for (const live of states(fake)) {
      const boxLive = [live(PIN) && live(POUT), live(RIN) && live(ROUT)];
      const serving = order.find((box) => boxLive[box]);
      if (serving === undefined) continue;
      const standby = 1 - serving;
      for (const [outer, near] of [[UP, [PIN, RIN]], [DOWNSTREAM, [POUT, ROUT]]] as const) {
        const expected: number[] = [near[serving]!, near[standby]!].filter(live);
        assert.deepEqual(fake.where(from(outer, SYN)), expected);
        assert.deepEqual(fake.where(from(near[serving]!, DATA)), live(outer) ? [outer] : []);
        assert.deepEqual(fake.where(from(near[standby]!, DATA)), [], "shadow");
      }
    }
  }
});

Deno.test("planSwitch() mirrors FIN, RST, ARP and neighbour discovery of both families, and nothing else", () => {
  const fake = programmed(bothSides());
  const copied: Packet[] = [
    { ...SYN, tcp_flags: 0x012n },
    { ...SYN, tcp_flags: 0x011n },
    { ...SYN, tcp_flags: 0x014n },
    { eth_type: 0x86ddn, ip_proto: 6n, tcp_flags: 0x002n },
    { eth_type: 0x0806n },
    { eth_type: 0x86ddn, ip_proto: 58n, icmpv6_type: 135n },
  ];
  for (const packet of copied) assert.deepEqual(fake.where(from(UP, packet)), [PIN, RIN]);
  const others: Packet[] = [
    DATA,
    { eth_type: 0x0800n, ip_proto: 17n },
    { eth_type: 0x86ddn, ip_proto: 58n, icmpv6_type: 128n },
    { eth_type: 0x88ccn },
  ];
  for (const packet of others) assert.deepEqual(fake.where(from(UP, packet)), [PIN]);
  assert.deepEqual(programmed(bothSides({ mirror: "all" })).where(from(UP, DATA)), [PIN, RIN]);
  assert.deepEqual(programmed(bothSides({ mirror: "none" })).where(from(UP, SYN)), [PIN]);
});

Deno.test("planSwitch() blocks without a live box where the policy says so", () => {
  const fake = programmed(bothSides({ deadPolicy: "block" }));
  for (const number of [POUT, RIN]) fake.setState(number, DOWN);
  assert.deepEqual(fake.where(from(UP, DATA)), []);
  assert.deepEqual(fake.where(from(DOWNSTREAM, DATA)), []);
});

Deno.test("planSwitch() leaves out a box that may not serve, whatever its ports say", () => {
  const fake = programmed(bothSides(), { out: [0] });
  assert.deepEqual(fake.where(from(UP, DATA)), [RIN]);
  assert.deepEqual(fake.where(from(UP, SYN)), [RIN, PIN], "it is kept warm");
  assert.deepEqual(fake.where(from(POUT, DATA)), []);
  fake.setState(ROUT, DOWN);
  assert.deepEqual(fake.where(from(UP, DATA)), [DOWNSTREAM]);
});

Deno.test("planSwitch() goes down a row of redundant boxes", () => {
  const settings = bothSides({
    client: { outer: "up", boxes: ["pin", "rin", "r2in"] },
    server: { outer: "down", boxes: ["pout", "rout", "r2out"] },
  });
  const fake = programmed(settings);
  assert.deepEqual(fake.where(from(UP, SYN)), [PIN, RIN, 7]);
  fake.setState(POUT, DOWN);
  assert.deepEqual(fake.where(from(UP, DATA)), [RIN]);
  assert.deepEqual(fake.where(from(8, DATA)), []);
  fake.setState(RIN, DOWN);
  assert.deepEqual(fake.where(from(UP, DATA)), [7]);
  assert.deepEqual(fake.where(from(8, DATA)), [DOWNSTREAM]);
});

Deno.test("planSwitch() copies nothing to a box that has left, and hears nothing of it", () => {
  const settings = bothSides({
    client: { outer: "up", boxes: ["pin", "rin", "r2in"] },
    server: { outer: "down", boxes: ["pout", "rout", "r2out"] },
  });
  const fake = programmed(settings, { out: [1], left: [1] });
  assert.deepEqual(fake.where(from(UP, SYN)), [PIN, 7]);
  assert.deepEqual(fake.where(from(DOWNSTREAM, SYN)), [POUT, 8]);
  fake.setState(PIN, DOWN);
  assert.deepEqual(fake.where(from(UP, DATA)), [7]);
  assert.deepEqual(fake.where(from(ROUT, DATA)), []);
});

Deno.test("planSwitch() knows one side alone, with a way around and without chained groups", () => {
  const oneSide = { server: null, bypass: "around" };
  const fake = programmed(bothSides(oneSide));
  assert.ok(
    [...fake.groups.values()].every(({ buckets }) =>
      buckets.every(({ actions }) => actions.every(({ kind }) => kind === "output"))
    ),
  );
  assert.deepEqual(fake.where(from(AROUND, DATA)), [UP]);
  assert.deepEqual(fake.where(from(RIN, DATA)), []);
  fake.setState(PIN, DOWN);
  assert.deepEqual(fake.where(from(UP, DATA)), [RIN]);
  assert.deepEqual(fake.where(from(RIN, DATA)), [UP]);
  fake.setState(RIN, DOWN);
  assert.deepEqual(fake.where(from(UP, DATA)), [AROUND]);
  const flat = programmed(bothSides(), {}, false);
  flat.setState(POUT, DOWN);
  assert.deepEqual(flat.where(from(UP, DATA)), [PIN], "the other port is for the node's judgement");
});

Deno.test("changesTo() mends what was changed, and takes away what is its own alone", () => {
  const fake = programmed(bothSides());
  const placed = place(bothSides(), PORTS);
  assert.ok("placement" in placed);
  const judgement = { order: [0, 1], out: [], left: [] };
  const base = { settings: bothSides(), placement: placed.placement, cookie: nodeCookie("test") };
  const wanted = planSwitch({ ...base, judgement, chaining: true });
  const [first] = fake.groups.values();
  fake.groups.set(first!.group, { ...first!, buckets: first!.buckets.slice(1) });
  fake.groups.set(GROUP_FIRST + 100, { group: GROUP_FIRST + 100, type: 3, buckets: [] });
  fake.groups.set(7, { group: 7, type: 0, buckets: [] });
  fake.flows = fake.flows.slice(1).map((flow, at) => at === 0 ? { ...flow, instructions: [] } : flow);
  fake.flows.push({ ...fake.flows[0]!, priority: 3 });
  const found = { groups: [...fake.groups.values()], flows: fake.flows };
  const texts = changesTo(wanted, found, GROUP_FIRST).map(({ text }) => text);
  assert.equal(texts.length, 5, texts.join("\n"));
  assert.equal(texts[0], `group ${first!.group} was changed`);
  assert.match(texts[1]!, /^flow in_port=0x1 \(table 0, priority 1000\) was missing$/);
  assert.match(texts[2]!, /^flow .* was changed$/);
  assert.match(texts[3]!, /^flow .* \(table 0, priority 3\) was not needed$/);
  assert.equal(texts[4], `group ${GROUP_FIRST + 100} was not needed`);
});

Deno.test("place() finds ports by name and number, and names each that is not there or there twice", () => {
  const good = place(bothSides({ client: { outer: "1", boxes: ["pin", "5"] } }), PORTS);
  assert.deepEqual("placement" in good && good.placement.client, { outer: 1, boxes: [3, 5] });
  const bad = place(bothSides({ client: { outer: "eth9", boxes: ["pin", "4"] } }), PORTS.slice(0, 6));
  assert.deepEqual(bad, {
    problem: 'upstream "eth9" is no port of it; primary-out "pout" is the port of redundant-in as well; ' +
      "it has up (1), down (2), pin (3), pout (4), rin (5), rout (6)",
  });
});

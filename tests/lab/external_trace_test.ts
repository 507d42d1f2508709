/**
 * Every state of the ports, judged by Open vSwitch itself: where it would send a packet with the groups of the node is
 * where the switch of the unit tests sends it. So what those prove holds for the real one.
 */
import assert from "node:assert/strict";
import { NETWORK } from "../../drivers/openflow/link.ts";
import { Externals } from "../../appliance/externals.ts";
import { changesTo } from "../../appliance/failover/external/diff.ts";
import { nodeCookie, planSwitch } from "../../appliance/failover/external/plan.ts";
import { encode } from "../../drivers/openflow/messages.ts";
import { sleep } from "../../scripts/lab/process.ts";
import { DummySwitch } from "../support/dummy_switch.ts";
import { DOWN, FakeSwitch, LIVE, type Packet, port } from "../support/fake_switch.ts";
import { missingSwitch } from "../support/switch_lab.ts";
import { bothSides, DAMPING, GROUP_FIRST } from "../support/switch_settings.ts";

const missing = missingSwitch();
const NAMES = ["up", "down", "pin", "pout", "rin", "rout"] as const;
const BOXES = { failback: "manual", failbackAfterMs: 60_000, holdUpMs: 1000, damping: DAMPING } as const;
const SYN = ["tcp,tcp_flags=syn", { eth_type: 0x0800n, ip_proto: 6n, tcp_flags: 2n }] as const;
const ACK = ["tcp,tcp_flags=ack", { eth_type: 0x0800n, ip_proto: 6n, tcp_flags: 0x10n }] as const;
/** What enters where: state and data from outside, data from each box. */
const TRIES: readonly (readonly [inPort: number, kind: readonly [string, Packet]])[] = [
  [1, SYN],
  [2, ACK],
  [4, ACK],
  [6, ACK],
];
const LOOKS_MAX = 1_000;

/** A node drives the switch, in this order of boxes, and goes away. */
async function program(dummy: DummySwitch, first: number): Promise<void> {
  const told: string[] = [];
  const options = { node: "test", network: NETWORK, nowMs: () => Date.now() };
  const settings = bothSides({ address: { scheme: "tcp", host: "127.0.0.1", port: dummy.port } });
  const externals = new Externals({ ...options, tell: ({ text }) => told.push(text) }, {
    switches: [settings],
    boxes: BOXES,
  });
  const until = async (is: () => boolean) => {
    for (let looks = 0; !is(); looks++) {
      assert.ok(looks < 1_500, told.join("\n"));
      externals.tick();
      await sleep(20);
    }
  };
  const serves = (name: string) => externals.views()[0]!.reason === `${name} serves; holds what it should`;
  await until(() => externals.views()[0]!.light === "green");
  externals.order(first);
  await until(() => serves(first === 0 ? "primary" : "redundant"));
  await externals.close(false, sleep);
}

function model(first: number): FakeSwitch {
  const fake = new FakeSwitch(1n, NAMES.map((name, at) => port(at + 1, name)));
  const placement = {
    client: { outer: 1, boxes: [3, 5] },
    server: { outer: 2, boxes: [4, 6] },
    bypass: null,
  };
  const judgement = { order: [first, 1 - first], out: [], left: [] };
  const wanted = planSwitch({
    settings: bothSides(),
    placement,
    judgement,
    cookie: nodeCookie("test"),
    chaining: true,
  });
  for (const { body } of changesTo(wanted, { groups: [], flows: [] }, GROUP_FIRST)) {
    fake.receive(encode({ transaction: 1, body }));
  }
  return fake;
}

/** The switch takes note of its ports between two questions; it gets some time for that. */
async function agree(dummy: DummySwitch, fake: FakeSwitch, state: string): Promise<void> {
  for (const [inPort, [text, packet]] of TRIES) {
    const expected = fake.where({ in_port: BigInt(inPort), ...packet }).sort();
    let found: number[] = [];
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      // What is sent to a port without a link is lost there, in the model before.
      found = (await dummy.where(`in_port=${inPort},${text}`)).filter((number) => fake.takes(number)).sort();
      if (found.join() === expected.join()) break;
      await sleep(10);
    }
    assert.deepEqual(found, expected, `${text} into port ${inPort}, ports up: ${state}`);
  }
}

Deno.test({
  name: `Open vSwitch goes by the groups of the node as the model does, in all states of its ports${
    missing && ` (needs ${missing})`
  }`,
  ignore: missing !== "",
  fn: async () => {
    await using dummy = await DummySwitch.up(NAMES);
    for (const first of [0, 1]) {
      for (const name of NAMES) await dummy.link(name, "up");
      await program(dummy, first);
      const fake = model(first);
      let before = 63;
      for (let step = 0; step < 64; step++) {
        // A Gray code: one port changes at a time.
        const bits = 63 ^ step ^ step >> 1;
        for (const [at, name] of NAMES.entries()) {
          const [was, is] = [before >> at & 1, bits >> at & 1];
          if (was === is) continue;
          await dummy.link(name, is === 1 ? "up" : "down");
          fake.setState(at + 1, is === 1 ? LIVE : DOWN);
        }
        before = bits;
        // The other order is the same ladder with the boxes exchanged: some states of it will do.
        if (first === 0 || step % 4 === 0) {
          await agree(
            dummy,
            fake,
            NAMES.filter((_, at) => bits >> at & 1).join(" "),
          );
        }
      }
    }
  },
});

/**
 * The guard: for a moment after a switch no box ends a connection that is alive, unless its other end does.
 *
 * The test is the client, the server and both boxes.
 */
import assert from "node:assert/strict";
import type { NodeStatus } from "../../appliance/view.ts";
import { ethernet, icmp, ip } from "../../filter/frame.ts";
import { PROTO, TCP } from "../../filter/packet.ts";
import { CLIENT4, SERVER4 } from "../support/cast.ts";
import { awake, conversation, play, scene, seeds, segment, speak } from "../support/conversation.ts";
import { TestNode } from "../support/node.ts";
import { Wire } from "../support/wire.ts";

const IT = scene(CLIENT4, SERVER4);
const RESET = segment(IT, ["in", "server"], { seq: 9501, ack: 1151, flags: TCP.rst | TCP.ack });

const counter = (status: NodeStatus, name: string) =>
  status.counters.find((one) => one.name === name)?.packets ?? 0;

async function switched(cores: number, failover: readonly string[]) {
  const wire = await Wire.up();
  try {
    const bench = await wire.bench();
    const node = await TestNode.start(wire, {
      preset: "nat",
      cores,
      failover: ["silence_ms = 0", "drain_ms = 0", ...failover],
    });
    await awake(bench, "primary");
    await play(bench, "primary", conversation(IT));
    assert.ok((await node.order("switchover")).ok);
    await awake(bench, "redundant");
    await play(bench, "redundant", [speak(IT, "up")]);
    bench.taken();
    return { wire, bench, node, [Symbol.asyncDispose]: () => wire.down() };
  } catch (error) {
    await wire.down();
    throw error;
  }
}

for (const cores of [1, 2]) {
  Deno.test(`a reset of the new box is held back and its connection seeded again, on ${cores} cores`, async () => {
    await using s = await switched(cores, ["guard_ms = 60000"]);
    await s.bench.send("redundant-in", RESET);
    await s.node.until("a frame held back", (status) => counter(status, "guarded") === 1);
    await awake(s.bench, "redundant");
    const at = (role: string) =>
      s.bench.arrivals.filter((one) => one.role === role).map(({ bytes }) => bytes.toHex());
    assert.ok(!at("upstream").includes(RESET.toHex()), "the client gets no reset");
    s.bench.taken();
    const next = segment(IT, ["in", "client"], { seq: 1101, ack: 9501, flags: TCP.ack, window: 502 });
    await play(s.bench, "redundant", [["upstream", next]]);
    const [syn] = seeds(IT)["redundant-in"];
    assert.equal(at("redundant-in")[0], syn!.toHex(), "its next frame is preceded by a seed");
  });

  Deno.test(`a reset that the server sent passes, on ${cores} cores`, async () => {
    await using s = await switched(cores, ["guard_ms = 60000"]);
    const sent = segment(IT, ["out", "server"], { seq: 9501, ack: 1151, flags: TCP.rst | TCP.ack });
    await play(s.bench, "redundant", [["downstream", sent], ["redundant-in", RESET]]);
    assert.equal(counter(await s.node.status(), "guarded"), 0);
  });
}

Deno.test("an ICMP error of the new box about a live connection is held back, one about its path's MTU is not", async () => {
  await using s = await switched(1, ["guard_ms = 60000"]);
  const [, asked] = speak(IT, "up");
  const error = (code: number) => {
    const quote = Uint8Array.from(asked.subarray(14, 14 + 28));
    const { type, body } = ip([SERVER4, CLIENT4], PROTO.icmp, icmp([SERVER4, CLIENT4], [3, code, 0], quote));
    return ethernet([SERVER4, CLIENT4], type, body, { pad: false });
  };
  await play(s.bench, "redundant", [["redundant-in", error(4)]]);
  for (const code of [1, 13]) await s.bench.send("redundant-in", error(code));
  await s.node.until("both held back", (status) => counter(status, "guarded") === 2);
});

Deno.test("with guard_ms = 0 the reset passes", async () => {
  await using s = await switched(1, ["guard_ms = 0"]);
  await play(s.bench, "redundant", [["redundant-in", RESET]]);
  assert.equal(counter(await s.node.status(), "guarded"), 0);
});

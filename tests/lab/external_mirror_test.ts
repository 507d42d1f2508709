/**
 * Frame by frame through a switch that a node drives: every kind passes unchanged, what forms state is copied, and the
 * box that does not serve is heard by nobody.
 */
import assert from "node:assert/strict";
import type { Role } from "../../appliance/view.ts";
import { ethernet, icmp } from "../../filter/frame.ts";
import { PROTO, TCP } from "../../filter/packet.ts";
import type { Bench } from "../support/bench.ts";
import {
  arp,
  type Cast,
  CLIENT4,
  CLIENT6,
  datagram,
  type Ends,
  FROM_CLIENT,
  FROM_SERVER,
  packet,
  segment,
  SERVER4,
  SERVER6,
} from "../support/cast.ts";
import { missingSwitch, SwitchLab } from "../support/switch_lab.ts";

const missing = missingSwitch();
/** Few enough for a receive buffer of a socket, so that a marker behind them speaks for all. */
const AT_ONCE = 30;

async function arrivals(bench: Bench, role: Role, frames: readonly Uint8Array[]) {
  for (let first = 0; first < frames.length; first += AT_ONCE) {
    for (const frame of frames.slice(first, first + AT_ONCE)) await bench.send(role, frame);
    // Markers are ARP: copied as what forms state.
    await bench.settle([["upstream", "primary-in", "redundant-in"], [
      "downstream",
      "primary-out",
      "redundant-out",
    ]]);
  }
  return bench.taken();
}

/** Sorted: Open vSwitch takes a batch flow by flow, so only frames of one flow keep their order. */
function hex(frames: readonly Uint8Array[]): string[] {
  return frames.map((frame) => frame.toHex()).sort();
}

/** Open vSwitch keeps a mark of its own in the place of a tag's drop-eligible bit, and sends it as zero. */
function passed(cast: Cast): Uint8Array[] {
  return Object.entries(cast).map(([name, frame]) => {
    if (!name.includes("drop eligible")) return frame;
    const clear = frame.slice();
    clear[14] = clear[14]! & 0xef;
    return clear;
  });
}

function stateful(ends: Ends, ends6: Ends): Uint8Array[] {
  const flags = [TCP.syn, TCP.syn | TCP.ack, TCP.fin | TCP.ack, TCP.rst];
  const solicit = icmp(ends6, [135, 0, 0], Uint8Array.from(ends6[1].ip));
  return [
    ...flags.flatMap((flag) => [segment(ends, { flags: flag }), segment(ends6, { flags: flag })]),
    ethernet(ends, 0x0806, arp(1, ends)),
    packet(ends6, PROTO.icmpv6, solicit),
  ];
}

function stateless(ends: Ends, ends6: Ends): Uint8Array[] {
  const data = { flags: TCP.ack | TCP.psh };
  return [segment(ends, data), segment(ends6, data), datagram(ends), datagram(ends6)];
}

Deno.test({
  name: `a driven switch passes every kind of frame, copies state and holds the standby back${
    missing && ` (needs ${missing})`
  }`,
  ignore: missing !== "",
  fn: async () => {
    await using lab = await SwitchLab.up();
    const bench = await lab.wire.bench();
    await lab.controller("ptcp:6653:127.0.0.1");
    const node = await lab.node('address = "tcp:127.0.0.1:6653"', ...SwitchLab.ports());
    await node.until("a switch that is driven", ({ external }) => external[0]!.light === "green");
    const sides = [
      ["upstream", "in", FROM_CLIENT, [CLIENT4, SERVER4], [CLIENT6, SERVER6]],
      ["downstream", "out", FROM_SERVER, [SERVER4, CLIENT4], [SERVER6, CLIENT6]],
    ] as const;
    for (const [outer, end, cast, ends, ends6] of sides) {
      const all = Object.values(cast);
      const got = await arrivals(bench, outer, all);
      const at = (role: Role) => got.filter((one) => one.role === role).map(({ bytes }) => bytes);
      assert.deepEqual(hex(at(`primary-${end}`)), hex(passed(cast)), "all of it, unchanged");
      assert.ok(got.every(({ role }) => role === `primary-${end}` || role === `redundant-${end}`));
      const formed = await arrivals(bench, outer, [...stateful(ends, ends6), ...stateless(ends, ends6)]);
      const copies = formed.filter(({ role }) => role === `redundant-${end}`).map(({ bytes }) => bytes);
      assert.deepEqual(hex(copies), hex(stateful(ends, ends6)));
      const fromPrimary = await arrivals(bench, `primary-${end}`, all);
      assert.deepEqual(hex(fromPrimary.map(({ bytes }) => bytes)), hex(passed(cast)));
      assert.ok(fromPrimary.every(({ role }) => role === outer));
      assert.deepEqual(await arrivals(bench, `redundant-${end}`, all), [], "the standby is heard by nobody");
    }
    assert.ok((await node.order("switchover")).ok);
    await node.until(
      "the redundant box serving",
      ({ external }) => external[0]!.reason === "redundant serves; holds what it should",
    );
    const [frame] = Object.values(FROM_CLIENT);
    assert.deepEqual(await arrivals(bench, "upstream", [frame!]), [{ role: "redundant-in", bytes: frame! }]);
    assert.deepEqual(await arrivals(bench, "redundant-out", [frame!]), [{
      role: "downstream",
      bytes: frame!,
    }]);
    assert.deepEqual(await arrivals(bench, "primary-out", [frame!]), []);
  },
});

/** Packets in tunnels: what is found inside, what is left alone, and fragments that follow their first one. */
import assert from "node:assert/strict";
import { ip, udp } from "../../../filter/frame.ts";
import { FilterModel } from "../../../filter/model.ts";
import { flowKey, parsePacket, PROTO } from "../../../filter/packet.ts";
import { filterRule } from "../../../filter/rule.ts";
import { parseInner } from "../../../filter/tunnel.ts";
import { TUNNELS, wrap } from "../../../filter/wrap.ts";
import { CLIENT, DOWN, packet, SERVER, tcpFrame, UP, UP6, type Way } from "./ends.ts";

const ROUTERS: Way = [{ ...CLIENT, ip: [192, 0, 2, 1] }, { ...SERVER, ip: [192, 0, 2, 2] }];
const content = (way: Way) => ip(way, PROTO.udp, udp(way, new Uint8Array(5)));

for (const tunnel of TUNNELS) {
  Deno.test(`parseInner() finds the flow inside ${tunnel}, for IPv4 and IPv6`, () => {
    for (const way of [UP, DOWN, UP6]) {
      const { verdict, inner, flow } = parseInner(wrap(tunnel, ROUTERS, content(way)));
      assert.deepEqual([verdict, inner, flow?.proto, flow?.payloadBytes], ["flow", 1, PROTO.udp, 5]);
      const ports = [way[0].port, way[1].port].sort((a, b) => a - b);
      assert.deepEqual(new Set(flow?.port), new Set(ports));
    }
  });

  Deno.test(`parseInner() never throws on ${tunnel} that is cut, and falls back to what is around it`, () => {
    const frame = wrap(tunnel, ROUTERS, content(UP));
    for (let bytes = 0; bytes < frame.length; bytes++) {
      const cut = frame.slice(0, bytes);
      const { inner, verdict } = parseInner(cut);
      if (inner === 0) assert.equal(verdict, parsePacket(cut).verdict);
    }
  });
}

Deno.test("parseInner() gives both directions of an inner flow one key, whatever the tunnel around them", () => {
  const there = parseInner(wrap("gtp", ROUTERS, content(UP)));
  const back = parseInner(wrap("vxlan", [ROUTERS[1], ROUTERS[0]], content(DOWN)));
  assert.equal(flowKey(there), flowKey(back));
});

Deno.test("parseInner() opens tunnels in tunnels, and leaves what is no tunnel as it is", () => {
  const once = wrap("vxlan", ROUTERS, content(UP));
  const { inner } = parseInner(wrap("greEthernet", ROUTERS, { type: 0x0800, body: once.subarray(14) }));
  assert.equal(inner, 2);
  const plain = tcpFrame(UP, "S");
  assert.deepEqual(parseInner(plain), parsePacket(plain));
  // To the port of VXLAN, but without the flag of a valid network.
  const broken = once.slice();
  broken[42] = 0;
  assert.deepEqual(parseInner(broken), parsePacket(broken));
});

const AGES = { tcp_opening: 0, tcp: 0, tcp_closing: 0, udp: 0, icmp: 0, other: 0 };
const piece = (id: number, fragment: number, way: Way = UP) =>
  packet(way, PROTO.udp, udp(way, new Uint8Array(16)), { id, fragment });

function model(given: { readonly firstPackets?: number; readonly none?: boolean }): FilterModel {
  return new FilterModel([{ rule: filterRule({ name: "rule", ...given }), program: [] }], AGES);
}

Deno.test("FilterModel lets later fragments do as their first one did", () => {
  const filter = model({ firstPackets: 1 });
  const why = (frame: Uint8Array, seconds = 0) =>
    filter.decide(frame, BigInt(seconds) * 10n ** 9n, false).why;
  assert.deepEqual([why(piece(1, 0x2000)), why(piece(1, 0x2002)), why(piece(1, 4))], [
    "first",
    "fragment",
    "fragment",
  ]);
  // The second packet of the flow is not copied, and so are its fragments.
  assert.deepEqual([why(piece(2, 0x2000)), why(piece(2, 0x2002)), why(piece(2, 4))], [
    "none",
    "none",
    "none",
  ]);
  assert.equal(why(piece(3, 4)), "fragment", "a first one that was not seen may be one that matters");
  assert.equal(why(piece(2, 4, DOWN)), "fragment", "the same number from the other end is another packet");
  assert.equal(why(piece(2, 4), 61), "fragment", "forgotten after a minute");
});

Deno.test("FilterModel copies no fragment where no rule copies anything, nor one that came out of the box", () => {
  assert.equal(model({ none: true }).decide(piece(1, 4), 0n, false).why, "none");
  assert.equal(model({ firstPackets: 1 }).decide(piece(1, 4), 0n, true).why, "none");
});

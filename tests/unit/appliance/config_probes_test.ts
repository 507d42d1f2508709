/** [[probe]] and [grey]: what is refused and why, what the pace is, and what comes to the board. */
import assert from "node:assert/strict";
import { describeProblem, parseConfig } from "../../../appliance/config.ts";
import { mappedAddress, parseIpAddress, parseMac } from "../../../filter/ip_address.ts";
import { probeFrame, rawFrame } from "../../../appliance/probe_frames.ts";
import { parsePacket } from "../../../filter/packet.ts";

const PORTS = ["[ports]"].concat(
  ["upstream", "downstream", "primary_in", "primary_out", "redundant_in", "redundant_out"].map((role) =>
    `${role} = "af_packet:${role.replaceAll("_", "")}"`
  ),
);
const ENDS = ['from = "10.1.0.250"', 'to = "10.2.0.11"'];
const PROBE = ["[[probe]]", 'name = "p"'];

const parse = (...lines: string[]) => parseConfig([...PORTS, ...lines].join("\n"), "t");
const faults = (...lines: string[]) =>
  parse(...lines).problems.map((one) => describeProblem(one).replace(/^t:\d+: /, "").split(";")[0]);

Deno.test("a probe needs two addresses of one version, or a file", () => {
  assert.deepEqual(faults(...PROBE), ["probe[0].from is missing", "probe[0].to is missing"]);
  assert.deepEqual(faults(...PROBE, 'from = "10.1.0.1"', 'to = "fe80::1"'), [
    "probe[0].to is of another IP version than from",
  ]);
  assert.deepEqual(faults(...PROBE, 'kind = "raw"'), ["probe[0].file is missing: the kind is raw"]);
  assert.deepEqual(faults(...PROBE, 'from = "10.1.0.256"', 'to = "1.2.3"'), [
    "probe[0].from is no address",
    "probe[0].to is no address",
  ]);
});

Deno.test("probes have names of their own, and there are 16 at most", () => {
  assert.deepEqual(faults(...PROBE, ...ENDS, ...PROBE, ...ENDS), [
    "probe[1].name is the name of probe[0] as well",
  ]);
  const many = Array.from({ length: 17 }, (_, i) => ["[[probe]]", `name = "p${i}"`, ...ENDS]).flat();
  assert.deepEqual(faults(...many), ["probe are too many: 17"]);
});

Deno.test("a probe goes through every box there is, unless it names some", () => {
  const third = ["[[redundant]]", 'in = "af_packet:r2in"', 'out = "af_packet:r2out"'];
  const boxes = (...lines: string[]) => parse(...third, ...PROBE, ...ENDS, ...lines).config!.probes[0]!.boxes;
  assert.deepEqual(boxes(), ["primary", "redundant", "redundant-2"]);
  assert.deepEqual(boxes('box = "both"'), ["primary", "redundant"]);
  assert.deepEqual(boxes('box = "redundant-2"'), ["redundant-2"]);
  assert.deepEqual(parse(...PROBE, ...ENDS).config!.probes[0]!.boxes, ["primary", "redundant"]);
  assert.deepEqual(faults(...PROBE, ...ENDS, 'box = "redundant-2"'), ["probe[0].box is no box of this node"]);
});

Deno.test("a session of BFD is with a box that there is", () => {
  const session = ["[[bfd]]", 'name = "s"', 'side = "up"', 'peer = "10.1.0.1"', 'local = "10.1.0.250"'];
  assert.deepEqual(faults(...session, 'box = "redundant-3"'), ["bfd[0].box is no box of this node"]);
  assert.deepEqual(faults(...session, 'box = "redundant"'), []);
});

Deno.test("what is to be answered goes up, is no raw frame, and has room for its ports", () => {
  const answered = [...PROBE, ...ENDS, 'expect = "answered"'];
  assert.deepEqual(faults(...answered), ["probe[0].direction has no host to answer on the client side"]);
  const tcp = [...answered, 'direction = "up"', 'kind = "tcp"'];
  assert.deepEqual(faults(...tcp, "from_port = 65500"), ["probe[0].from_port leaves no room for 64 ports"]);
  assert.deepEqual(faults(...tcp), []);
  assert.deepEqual(faults(...PROBE, 'kind = "raw"', 'file = "/a"', 'expect = "answered"'), [
    "probe[0].expect cannot be known of a raw frame",
  ]);
});

Deno.test("the pace follows what is expected, and a timeout has a bound", () => {
  const pace = (...lines: string[]) => {
    const probe = parse(...PROBE, ...ENDS, 'direction = "up"', ...lines).config!.probes[0]!;
    return [probe.intervalMs, probe.timeoutMs];
  };
  assert.deepEqual(pace(), [3, 8]);
  assert.deepEqual(pace('expect = "answered"'), [50, 200]);
  assert.deepEqual(pace("interval_ms = 7", "timeout_ms = 9"), [7, 9]);
  assert.deepEqual(faults(...PROBE, ...ENDS, "interval_ms = 1", "timeout_ms = 51"), [
    "probe[0].timeout_ms is more than 50 times interval_ms",
  ]);
  const slow = faults(...PROBE, ...ENDS, "interval_ms = 3000");
  assert.deepEqual(slow, [
    "probe[0].interval_ms is not below failover.votes.probe_stale_ms (3000): " +
    "what a probe said would not last to the next",
  ]);
  assert.deepEqual(
    faults(...PROBE, ...ENDS, "interval_ms = 3000", "[failover.votes]", "probe_stale_ms = 4000"),
    [],
  );
  const { warnings } = parse(...PROBE, ...ENDS, "timeout_ms = 4");
  assert.match(warnings[0]!.reason, /the node's own stall would pass for a lost probe/);
});

Deno.test("the bars of grey failure rise", () => {
  assert.deepEqual(faults("[grey]", "loss_percent = 1"), [
    "grey.loss_percent is not above grey.loss_low_percent (1)",
  ]);
});

Deno.test("probeFrame() turns the ends round for the way down, and carries tag, TTL and MAC", () => {
  const [probe] = parse(
    ...PROBE,
    ...ENDS,
    'kind = "udp"',
    "vlan = 9",
    "ttl = 3",
    "payload_bytes = 100",
    'mac_down = "02:00:00:00:00:09"',
  ).config!.probes;
  const up = probeFrame(probe!, 0), down = probeFrame(probe!, 1);
  assert.deepEqual([up.macGiven, down.macGiven, [...down.bytes.slice(0, 6)]], [0, 1, [2, 0, 0, 0, 0, 9]]);
  assert.deepEqual([...up.bytes.slice(30, 38)], [10, 1, 0, 250, 10, 2, 0, 11]);
  assert.deepEqual([...down.bytes.slice(30, 38)], [10, 2, 0, 11, 10, 1, 0, 250]);
  assert.deepEqual([up.bytes[26], parsePacket(up.bytes).vlan, parsePacket(up.bytes).flow!.payloadBytes], [
    3,
    9,
    100,
  ]);
});

Deno.test("rawFrame() knows a frame by its payload, or by all behind its MACs", () => {
  const [probe] = parse(...PROBE, 'kind = "raw"', 'file = "/a"').config!.probes;
  const plain = new Uint8Array(60).fill(1);
  assert.deepEqual([rawFrame(probe!, plain).markAt, rawFrame(probe!, plain).markBytes], [14, 46]);
  assert.throws(() => rawFrame(probe!, new Uint8Array(1600)), /it has 1600 bytes, at most 1536 fit/);
});

Deno.test("parseIpAddress() reads both versions and refuses the rest", () => {
  assert.deepEqual(parseIpAddress("10.0.0.1"), [10, 0, 0, 1]);
  assert.deepEqual(parseIpAddress("2001:db8::1"), [0x20, 1, 0x0d, 0xb8, ...Array(11).fill(0), 1]);
  assert.deepEqual(parseIpAddress("::"), Array(16).fill(0));
  for (const bad of ["", "1.2.3", "1.2.3.400", "1::2::3", "1:2:3", "g::1", "1:2:3:4:5:6:7:8:9", "12345::"]) {
    assert.equal(parseIpAddress(bad), null, bad);
  }
  assert.deepEqual([...mappedAddress([1, 2, 3, 4])].slice(10), [255, 255, 1, 2, 3, 4]);
  assert.equal(parseMac("02:00:00:00:00"), null);
});

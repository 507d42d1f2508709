/** Canaries against a box of the test's own: a bridge, a NAT that also changes sequence numbers, one that is broken. */
import assert from "node:assert/strict";
import {
  Canary,
  CANARY_MS_MAX,
  type CanaryPlan,
  FORGOT_MS,
  REFUSED_MS,
  type Sent,
} from "../../../appliance/failover/canary.ts";
import { type CanaryResult, Drill, type DrillConfig } from "../../../appliance/failover/drill.ts";
import { besideTwins } from "../../../appliance/failover/drill_twin.ts";
import { type End, ethernet, icmp, ip, tcp, udp } from "../../../filter/frame.ts";
import { parsePacket, PROTO, TCP } from "../../../filter/packet.ts";
import { hostBytes } from "../../../appliance/address.ts";

const CLIENT: End = { mac: [2, 0x72, 0, 0, 0, 1], ip: [10, 1, 0, 250], port: 50_000 };
const SERVER: End = { mac: [2, 0, 0, 0, 1, 1], ip: [10, 2, 0, 250], port: 443 };
const NAT: End = { mac: [2, 0, 0, 0, 2, 1], ip: [10, 2, 0, 1], port: 61_000 };
const BEHIND: End = { mac: [2, 0x72, 0, 0, 0, 2], ip: [10, 2, 0, 250], port: 443 };
const SHIFT = 0x12345678;

function plan(kind: CanaryPlan["kind"], more: Partial<CanaryPlan> = {}): CanaryPlan {
  const token = Uint8Array.from({ length: 16 }, (_, i) => 100 + i);
  const numbers = { clientSequence: 0xfffffff0, serverSequence: 5 };
  return { kind, refused: false, client: CLIENT, server: SERVER, vlan: 0, token, ...numbers, ...more };
}

/** What a frame says, rebuilt between other ends, with sequence numbers moved. */
function rewritten(
  frame: Uint8Array,
  ends: readonly [End, End],
  shift: { seq: number; ack: number },
): Uint8Array {
  const { flow, vlan } = parsePacket(frame);
  assert.ok(flow, "the canary sends whole packets");
  const payload = frame.slice(flow.payloadOffset, flow.payloadOffset + flow.payloadBytes);
  const at = flow.transportOffset;
  const segment = flow.tcp !== undefined
    ? tcp(ends, {
      seq: flow.tcp.seq + shift.seq >>> 0,
      ack: flow.tcp.ack + shift.ack >>> 0,
      flags: flow.tcp.flags,
      options: [...frame.subarray(at + 20, flow.payloadOffset)],
    }, payload)
    : flow.proto === PROTO.udp
    ? udp(ends, payload)
    : icmp(ends, [frame[at]!, frame[at + 1]!, new DataView(frame.buffer).getUint32(at + 4)], payload);
  const { type, body } = ip(ends, flow.proto, segment);
  return ethernet(ends, type, body, vlan === 0 ? {} : { tags: [vlan] });
}

type Box = (sent: Sent) => Sent | null;
const bridge: Box = ({ side, frame }) => ({ side: side === "in" ? "out" : "in", frame });
const nat: Box = ({ side, frame }) =>
  side === "in"
    ? { side: "out", frame: rewritten(frame, [NAT, BEHIND], { seq: SHIFT, ack: 0 }) }
    : { side: "in", frame: rewritten(frame, [{ ...SERVER, mac: NAT.mac }, CLIENT], { seq: 0, ack: -SHIFT }) };

/** Frames go back and forth until nobody says anything. @returns the sides on which something came out */
function converse(canary: Canary, box: Box, nowMs: number, first: readonly Sent[]): string[] {
  const came: string[] = [];
  const waiting = [...first];
  for (let i = 0; waiting.length > 0; i++) {
    assert.ok(i < 100, "it comes to an end");
    const out = box(waiting.shift()!);
    if (out === null) continue;
    came.push(out.side);
    waiting.push(...canary.hear(out.side, out.frame, nowMs));
  }
  return came;
}

for (const kind of ["tcp", "udp", "icmp"] as const) {
  Deno.test(`a ${kind} canary comes through a bridge, tagged and untagged`, () => {
    for (const vlan of [0, 7]) {
      const canary = new Canary(plan(kind, { vlan }));
      converse(canary, bridge, 3, canary.begin(1));
      assert.deepEqual([canary.verdict?.ok, canary.verdict?.tookMs], [true, 2]);
    }
  });
}

Deno.test("a TCP canary follows a NAT that changes ports and sequence numbers, and tells the binding", () => {
  const canary = new Canary(plan("tcp"));
  const came = converse(canary, nat, 1, canary.begin(0));
  assert.deepEqual(canary.verdict, {
    ok: true,
    text: "came through, both ways",
    binding: ["10.2.0.1:61000", "10.2.0.250:443"],
    tookMs: 1,
  });
  assert.ok(came.filter((side) => side === "out").length >= 4, "opening, data, end and last ACK go out");
});

Deno.test("a canary says again what was lost once", () => {
  const canary = new Canary(plan("tcp"));
  let lost = 0;
  const lossy: Box = (sent) => lost++ % 3 === 1 ? null : bridge(sent);
  converse(canary, lossy, 0, canary.begin(0));
  for (let ms = 200; canary.verdict === null; ms += 200) converse(canary, lossy, ms, canary.tick(ms));
  assert.equal(canary.verdict.ok, true, canary.verdict.text);
});

const oneWay: Box = (sent) => sent.side === "in" ? bridge(sent) : null;
const openOnly: Box = (sent) => {
  const flags = parsePacket(sent.frame).flow!.tcp!.flags;
  return flags & TCP.psh ? null : bridge(sent);
};
for (
  const [name, box, text] of [
    ["dead", () => null, /opening did not come out/],
    ["passing one way", oneWay, /answer did not come back/],
    ["without data", openOnly, /data of the client did not come out/],
  ] as const
) {
  Deno.test(`a TCP canary fails in a box that is ${name}, and says where`, () => {
    const canary = new Canary(plan("tcp"));
    converse(canary, box, 0, canary.begin(0));
    for (let ms = 1; ms <= CANARY_MS_MAX; ms += 100) converse(canary, box, ms, canary.tick(ms));
    canary.tick(CANARY_MS_MAX);
    assert.equal(canary.verdict?.ok, false);
    assert.match(canary.verdict.text, text);
  });
}

Deno.test("what the box has to refuse fails if it comes out, and is good if it does not", () => {
  const open = new Canary(plan("tcp", { refused: true }));
  converse(open, bridge, 1, open.begin(0));
  assert.equal(open.verdict?.ok, false);
  const closed = new Canary(plan("tcp", { refused: true }));
  closed.begin(0);
  for (let ms = 0; ms <= REFUSED_MS; ms += 50) closed.tick(ms);
  assert.equal(closed.verdict?.ok, true);
});

Deno.test("frames of others and frames of another kind never move a canary", () => {
  const canary = new Canary(plan("tcp"));
  const [syn] = canary.begin(0);
  const other = rewritten(syn!.frame, [CLIENT, SERVER], { seq: 1, ack: 0 });
  const mark = parsePacket(other).flow!.transportOffset + 20;
  other.fill(0, mark + 6, mark + 10); // the timestamp, by which it would still be known
  assert.deepEqual(canary.hear("out", other, 1), []);
  assert.deepEqual(canary.hear("in", syn!.frame, 1), [], "on the wrong side");
  assert.deepEqual(canary.hear("out", new Uint8Array(3), 1), []);
  assert.equal(canary.verdict, null);
});

/** A NAT that forgets what has been silent for so long. */
function forgetful(timeoutMs: number, clock: { ms: number }): Box {
  let lastMs = 0, knows = false;
  return (sent) => {
    const opens = parsePacket(sent.frame).flow!.tcp!.flags === TCP.syn;
    knows = opens || knows && clock.ms - lastMs < timeoutMs;
    if (!knows) return null;
    lastMs = clock.ms;
    return nat(sent);
  };
}

for (const [timeoutMs, ok] of [[3_000, false], [3_200, true]] as const) {
  Deno.test(`a canary that is silent for 3 s in a box that forgets after ${timeoutMs} ms`, () => {
    const canary = new Canary(plan("tcp", { idleMs: 3_000 })), clock = { ms: 0 };
    const box = forgetful(timeoutMs, clock);
    converse(canary, box, 0, canary.begin(0));
    for (; canary.verdict === null && clock.ms < 60_000; clock.ms += 10) {
      const sent = canary.tick(clock.ms);
      if (clock.ms > 0 && clock.ms < 3_000) assert.deepEqual(sent, [], "not a word");
      converse(canary, box, clock.ms, sent);
    }
    const { verdict } = canary;
    assert.deepEqual([verdict?.ok, verdict?.forgotMs], [ok, ok ? undefined : 3_000]);
    assert.match(verdict!.text, ok ? /both ways/ : /after a silence nothing of the client came out/);
    assert.ok(verdict!.tookMs < 3_100 + (ok ? 20 : FORGOT_MS + 20), String(verdict!.tookMs));
  });
}

/** The same of datagrams: only what comes from the client's side makes a binding. */
function forgetfulOfDatagrams(timeoutMs: number, clock: { ms: number }): Box {
  let lastMs = -Infinity;
  return (sent) => {
    if (sent.side === "out" && clock.ms - lastMs >= timeoutMs) return null;
    lastMs = clock.ms;
    return nat(sent);
  };
}

for (const [timeoutMs, ok] of [[3_000, false], [3_200, true]] as const) {
  Deno.test(`a UDP canary that is silent for 3 s in a box that forgets after ${timeoutMs} ms`, () => {
    const canary = new Canary(plan("udp", { idleMs: 3_000 })), clock = { ms: 0 };
    const box = forgetfulOfDatagrams(timeoutMs, clock);
    converse(canary, box, 0, canary.begin(0));
    for (; canary.verdict === null && clock.ms < 60_000; clock.ms += 10) {
      const sent = canary.tick(clock.ms);
      assert.ok(sent.every(({ side }) => side === "out"), "it is the server that speaks");
      converse(canary, box, clock.ms, sent);
    }
    const { verdict } = canary;
    assert.deepEqual([verdict?.ok, verdict?.forgotMs], [ok, ok ? undefined : 3_000]);
    assert.match(verdict!.text, ok ? /both ways/ : /after a silence nothing of the server came back/);
  });
}

Deno.test("a canary that is silent is told from one that never came through", () => {
  const canary = new Canary(plan("tcp", { idleMs: 3_000 }));
  converse(canary, openOnly, 0, canary.begin(0));
  for (let ms = 1; ms <= CANARY_MS_MAX; ms += 100) converse(canary, openOnly, ms, canary.tick(ms));
  canary.tick(CANARY_MS_MAX);
  assert.deepEqual([canary.verdict?.ok, canary.verdict?.forgotMs], [false, undefined]);
});

const CONFIG: DrillConfig = {
  client: "10.1.0.250",
  server: "10.2.0.250",
  gateway: null,
  vlan: 0,
  flows: 3,
  tcpPort: 443,
  udpPort: 53,
  icmp: true,
  refusedPort: 0,
  idleS: 0,
  twin: false,
};
const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));

for (
  const [client, server] of [["10.1.0.250", "10.2.0.250"], ["2001:db8:1::250", "2001:db8:2::250"]] as const
) {
  Deno.test(`a drill has a verdict for each canary between ${client} and ${server}`, () => {
    const drill = new Drill({ ...CONFIG, client, server }, random);
    const waiting = [...drill.begin(0)];
    while (waiting.length > 0) {
      const { side, frame } = bridge(waiting.shift()!)!;
      waiting.push(...drill.hear(side, frame, 1));
    }
    assert.equal(drill.done, true);
    assert.deepEqual(drill.results.map(({ ok }) => ok), [true, true, true, true, true]);
    assert.equal(new Set(drill.results.map(({ name }) => name)).size, 5);
  });
}

Deno.test("a drill that is to be silent has one more TCP canary, which says so", () => {
  const drill = new Drill({ ...CONFIG, idleS: 3, udpPort: 0, icmp: false, flows: 1 }, random);
  const waiting = [...drill.begin(0)];
  const pass = (nowMs: number) => {
    while (waiting.length > 0) {
      const { side, frame } = bridge(waiting.shift()!)!;
      waiting.push(...drill.hear(side, frame, nowMs));
    }
  };
  pass(1);
  assert.equal(drill.done, false);
  waiting.push(...drill.tick(3_101));
  pass(3_101);
  assert.equal(drill.done, true);
  assert.deepEqual(drill.results.map(({ ok, name }) => [ok, name.endsWith(", silent for 3 s")]), [
    [true, false],
    [true, true],
  ]);
});

Deno.test("silent canaries alone, of TCP and UDP, for the box that serves, from the same ends each time", () => {
  const silent = () => new Drill({ ...CONFIG, idleS: 3, twin: true }, random, { silentOnly: true });
  const drill = silent(), waiting = [...drill.begin(0)];
  for (const nowMs of [1, 3_101]) {
    waiting.push(...drill.tick(nowMs));
    while (waiting.length > 0) {
      const { side, frame } = bridge(waiting.shift()!)!;
      waiting.push(...drill.hear(side, frame, nowMs));
    }
  }
  assert.deepEqual(drill.results.map(({ silent, ok }) => [silent, ok]), [["tcp", true], ["udp", true]]);
  assert.deepEqual(silent().ends, drill.ends);
  assert.notDeepEqual(drill.ends.in.mac, drill.ends.out.mac);
  assert.deepEqual(drill.ends.in.mac.slice(0, 2), [2, 0x72]);
});

Deno.test("only what the serving box keeps and the standby forgets is a fault of the standby", () => {
  const came: CanaryResult = {
    ...{
      name: "tcp",
      silent: "tcp",
      ok: true,
      text: "came through, both ways",
      binding: null,
      tookMs: 3_150,
    },
  };
  const gone: CanaryResult = { ...came, ok: false, text: "nothing came out", forgotMs: 3_000 };
  const dead: CanaryResult = { ...came, ok: false, text: "the opening did not come out" };
  const others: CanaryResult[] = [{ ...dead, silent: "udp" }, { ...came, name: "icmp", silent: "icmp" }];
  const said = (own: CanaryResult, twins: readonly CanaryResult[]) => {
    const [{ ok, text, forgotMs } = own, ...rest] = besideTwins([own, ...others], twins);
    assert.deepEqual(rest, others);
    return [ok, text, forgotMs];
  };
  assert.deepEqual(said(gone, [came]), [
    false,
    "nothing came out, and through the box that serves it did",
    3_000,
  ]);
  assert.deepEqual(said(gone, [gone]), [
    true,
    "forgotten after its silence, as by the box that serves",
    undefined,
  ]);
  const unknown = "nothing came out; of the box that serves nothing can be told: ";
  assert.deepEqual(said(gone, [dead]), [false, `${unknown}${dead.text}`, undefined]);
  assert.deepEqual(said(gone, [{ ...came, silent: "udp" }]), [
    false,
    `${unknown}no verdict in time`,
    undefined,
  ]);
  for (const own of [came, dead]) assert.deepEqual(said(own, [gone]), [own.ok, own.text, undefined]);
});

Deno.test("a drill asks the box for its address first, and ends if it does not answer", () => {
  const drill = new Drill({ ...CONFIG, gateway: "10.1.0.1" }, random);
  const [question] = drill.begin(0);
  const asker = [...question!.frame.subarray(6, 12)];
  const box = { mac: NAT.mac, ip: hostBytes("10.1.0.1")!, port: 0 };
  const me = { mac: asker, ip: hostBytes(CONFIG.client!)!, port: 0 };
  const reply = [0, 1, 8, 0, 6, 4, 0, 2, ...box.mac, ...box.ip, ...me.mac, ...me.ip];
  const first = drill.hear("in", ethernet([box, me], 0x0806, reply), 1);
  assert.equal(first.length, 5);
  assert.ok(first.every(({ frame }) => frame.subarray(0, 6).every((byte, i) => byte === box.mac[i])));

  const deaf = new Drill({ ...CONFIG, gateway: "10.1.0.1" }, random);
  deaf.begin(0);
  for (let ms = 0; ms <= CANARY_MS_MAX; ms += 100) deaf.tick(ms);
  assert.equal(deaf.done, true);
  assert.match(deaf.fault!, /does not answer for its address 10.1.0.1/);
});

Deno.test("a drill answers the box's questions for the ends it plays, and no others", () => {
  const drill = new Drill({ ...CONFIG, gateway: "10.1.0.1" }, random);
  drill.begin(0);
  const ask = (about: number[]) => {
    const whole = { mac: Array<number>(6).fill(255), ip: about, port: 0 };
    const body = [0, 1, 8, 0, 6, 4, 0, 1, ...NAT.mac, ...NAT.ip, 0, 0, 0, 0, 0, 0, ...about];
    return drill.hear("out", ethernet([NAT, whole], 0x0806, body), 1);
  };
  const [answer] = ask([10, 2, 0, 250]);
  assert.equal(answer?.side, "out");
  assert.deepEqual([...answer.frame.subarray(0, 6)], NAT.mac);
  assert.deepEqual([...answer.frame.subarray(20, 22)], [0, 2], "an ARP reply");
  assert.deepEqual(ask([10, 2, 0, 251]), []);
});

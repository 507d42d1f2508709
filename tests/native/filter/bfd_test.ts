/** The BFD session in C: the reception procedure of RFC 5880, 6.8.6 as a table, authentication, timers and echoes. */
import assert from "node:assert/strict";
import { BFD_STATE } from "../../../filter/names.ts";
import { BfdLibrary, type BfdSession, type State, TERMS, type Terms } from "../../support/bfd.ts";
import { PACKET, type Packet, packetBytes, readPacket } from "../../support/bfd_packet.ts";
import { LIBRARY, run, TOP } from "./library.ts";

const DISCR = 0x2a2a2a2a;
const NOW = 1e9;
const MS = 1e6;
const S = 1e9;

async function library(): Promise<BfdLibrary> {
  await run(`${TOP}/scripts/native`, ["filter"]);
  return new BfdLibrary(LIBRARY);
}

/** What the peer says, with our discriminator unless it is Down. */
function says(state: State, more: Partial<Packet> = {}): Uint8Array {
  return packetBytes({ state, yourDiscr: DISCR, desiredTxUs: 10_000, ...more });
}

/** Packets that bring a session into a state. */
const WAY: Readonly<Record<string, readonly State[]>> = { down: [], init: ["down"], up: ["down", "up"] };

function at(bfd: BfdLibrary, state: string, terms: Partial<Terms> = {}): BfdSession {
  const session = bfd.session({ ...TERMS, ...terms }, DISCR, 1n, NOW);
  for (const one of WAY[state]!) assert.equal(session.receive(says(one), NOW), "taken");
  while (session.send(NOW) !== null) continue;
  assert.equal(session.look(NOW).state, state);
  return session;
}

/** RFC 5880, 6.2 and 6.8.6: our state, what is received, our state then, our diagnostic then. */
const TRANSITIONS: readonly (readonly [string, State, State, string])[] = [
  ["down", "admin_down", "down", "none"],
  ["down", "down", "init", "none"],
  ["down", "init", "up", "none"],
  ["down", "up", "down", "none"],
  ["init", "admin_down", "down", "neighbour"],
  ["init", "down", "init", "none"],
  ["init", "init", "up", "none"],
  ["init", "up", "up", "none"],
  ["up", "admin_down", "down", "neighbour"],
  ["up", "down", "down", "neighbour"],
  ["up", "init", "up", "none"],
  ["up", "up", "up", "none"],
];

for (const [before, received, after, diag] of TRANSITIONS) {
  Deno.test(`a session that is ${before} and receives ${received} is ${after}`, async () => {
    using bfd = await library();
    using session = at(bfd, before);
    assert.equal(session.receive(says(received), NOW), "taken");
    const look = session.look(NOW);
    assert.deepEqual([look.state, look.diag], [after, diag]);
    // A change is told at once, whatever the clock says (6.8.7).
    const told = session.send(NOW);
    assert.equal(told !== null, before !== after);
    if (told !== null) assert.equal(told[1]! >> 6, BFD_STATE.indexOf(after));
  });
}

Deno.test("a session in AdminDown tells so once and takes no part any more", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  session.shut(NOW);
  const told = session.send(NOW)!;
  assert.deepEqual([told[1]! >> 6, told[0]! & 31], [0, 7]);
  for (const state of BFD_STATE) assert.equal(session.receive(says(state), NOW), "taken");
  assert.deepEqual([session.look(NOW).state, session.send(NOW + 60 * S)], ["admin_down", null]);
});

Deno.test("a session that is up and hears nothing is down after the peer's interval times its multiplier", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  session.receive(says("up", { desiredTxUs: 20_000, multiplier: 5 }), NOW);
  assert.equal(session.look(NOW).detectNs, 100 * MS);
  assert.equal(session.expire(NOW + 100 * MS), false);
  assert.equal(session.expire(NOW + 100 * MS + 1), true);
  const look = session.look(NOW + 101 * MS);
  assert.deepEqual([look.state, look.diag, look.light, look.remoteDiscr], ["down", "detection", "red", 0]);
});

Deno.test("silence is judged when everybody has looked, and in the end all the same", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  const detect = session.look(NOW).detectNs;
  assert.equal(session.expire(NOW + 2 * detect, NOW + detect), false);
  assert.equal(session.expire(NOW + 2 * detect + 1, NOW + detect), true);
});

Deno.test("the node's own stalls put detection off, by two detection times at most", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  const detect = session.look(NOW).detectNs;
  session.stalled(5 * MS);
  assert.equal(session.expire(NOW + detect + 5 * MS), false);
  assert.equal(session.expire(NOW + detect + 5 * MS + 1), true);
  using other = at(bfd, "up");
  for (let i = 0; i < 100; i++) other.stalled(detect);
  assert.equal(other.expire(NOW + 3 * detect), false);
  assert.equal(other.expire(NOW + 3 * detect + 1), true);
});

Deno.test("a peer that goes down because the node sent too late makes no red light, for a while", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  const late = NOW + 200 * MS;
  session.stalled(200 * MS);
  session.receive(says("down", { diag: 1 }), late);
  assert.deepEqual([session.look(late).light, session.look(late).late], ["yellow", 1]);
  assert.equal(session.look(late + 6 * S).light, "red");
  using other = at(bfd, "up");
  other.receive(says("down", { diag: 1 }), NOW + 5 * MS);
  assert.equal(other.look(NOW + 5 * MS).light, "red");
});

Deno.test("lights: off before it was ever up, yellow when the peer shut it down, red when it fell", async () => {
  using bfd = await library();
  using session = bfd.session(TERMS, DISCR, 1n, NOW);
  const light = () => session.look(NOW).light;
  assert.equal(light(), "off");
  for (const [state, expected] of [["down", "off"], ["up", "green"], ["admin_down", "yellow"]] as const) {
    session.receive(says(state), NOW);
    assert.equal(light(), expected, state);
  }
  session.expire(NOW + 60 * S);
  assert.equal(light(), "off", "who said goodbye is not missed");
  session.receive(says("down", { yourDiscr: 0 }), NOW), session.receive(says("up"), NOW);
  session.receive(says("down"), NOW);
  assert.equal(light(), "red");
});

Deno.test("a passive session says nothing before it is spoken to", async () => {
  using bfd = await library();
  using session = bfd.session({ ...TERMS, passive: true }, DISCR, 1n, NOW);
  assert.equal(session.send(NOW + 60 * S), null);
  session.receive(says("down", { yourDiscr: 0 }), NOW + 60 * S);
  assert.equal(session.send(NOW + 60 * S)![1]! >> 6, BFD_STATE.indexOf("init"));
});

Deno.test("a session that is not up sends one packet a second, jittered to no less than three quarters", async () => {
  using bfd = await library();
  using session = bfd.session(TERMS, DISCR, 9n, NOW);
  const times: number[] = [];
  for (let now = NOW; now < NOW + 120 * S; now += MS) if (session.send(now) !== null) times.push(now);
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  assert.ok(gaps.every((gap) => gap >= 750 * MS && gap <= 1001 * MS), `${gaps}`);
  assert.ok(Math.max(...gaps) - Math.min(...gaps) > 150 * MS, "they differ");
});

Deno.test("with a multiplier of 1 no packet comes later than nine tenths of the interval", async () => {
  using bfd = await library();
  using session = at(bfd, "up", { multiplier: 1 });
  let last = NOW, longest = 0, n = 0;
  for (let now = NOW; now < NOW + 20 * S; now += 10_000) {
    if (session.send(now) === null) continue;
    if (n++ > 0) longest = Math.max(longest, now - last);
    last = now;
  }
  assert.ok(n > 2000 && longest <= 9 * MS + 10_000, `${longest} ns`);
});

Deno.test("a poll is answered at once with F and never with P, and our own ends with the peer's F", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  // Coming up has changed the interval from a second: 6.8.3 wants a poll.
  assert.equal(session.look(NOW).polling, true);
  session.receive(says("up", { poll: true }), NOW);
  assert.equal(session.send(NOW)![1]! & 0x30, 0x10);
  const next = session.send(NOW + 10 * MS)!;
  assert.equal(next[1]! & 0x30, 0x20);
  session.receive(says("up", { final: true }), NOW + 11 * MS);
  assert.equal(session.look(NOW).polling, false);
  assert.equal(session.send(NOW + 30 * MS)![1]! & 0x30, 0);
});

Deno.test("a change for the slower waits until the peer has answered the poll, one for the faster does not", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  session.receive(says("up", { final: true }), NOW);
  session.retune({ ...TERMS, minTxUs: 100_000, minRxUs: 2_000 }, NOW);
  let look = session.look(NOW);
  assert.deepEqual([look.txUs, look.txUsedUs, look.rxUs, look.rxUsedUs], [100_000, 10_000, 2_000, 10_000]);
  assert.equal(look.polling, true);
  session.receive(says("up", { final: true }), NOW);
  look = session.look(NOW);
  assert.deepEqual([look.txUsedUs, look.rxUsedUs, look.polling], [100_000, 2_000, false]);
  session.retune({ ...TERMS, minTxUs: 5_000, minRxUs: 50_000 }, NOW);
  look = session.look(NOW);
  assert.deepEqual([look.txUsedUs, look.rxUsedUs], [5_000, 50_000]);
});

Deno.test("a change while a poll is under way has a poll of its own", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  session.retune({ ...TERMS, minTxUs: 40_000 }, NOW);
  session.receive(says("up", { final: true }), NOW);
  assert.deepEqual([session.look(NOW).polling, session.look(NOW).txUsedUs], [true, 10_000]);
  session.receive(says("up", { final: true }), NOW);
  assert.deepEqual([session.look(NOW).polling, session.look(NOW).txUsedUs], [false, 40_000]);
});

Deno.test("a peer in demand mode gets no packets by the clock, and its polls are answered", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  session.receive(says("up", { final: true }), NOW);
  session.receive(says("up", { demand: true }), NOW);
  assert.equal(session.send(NOW + S), null);
  session.receive(says("up", { demand: true, poll: true }), NOW + S);
  assert.equal(session.send(NOW + S)![1]! & 0x32, 0x10, "F, and no demand of our own");
  session.receive(says("up"), NOW + S);
  assert.notEqual(session.send(NOW + 2 * S), null);
});

Deno.test("a peer that can receive nothing is sent nothing", async () => {
  using bfd = await library();
  using session = at(bfd, "up");
  session.receive(says("up", { requiredRxUs: 0, final: true }), NOW);
  assert.equal(session.send(NOW + 10 * S), null);
});

function signed(type: number, sequence: number, more: Partial<Packet> = {}, key = "swordfish"): Uint8Array {
  return packetBytes({
    ...PACKET,
    state: "down",
    desiredTxUs: 10_000,
    auth: { type, keyId: 7, sequence, key },
    ...more,
  });
}

for (const [type, name, least] of [[4, "keyed", 0], [5, "meticulous", 1]] as const) {
  Deno.test(`the window of ${name} SHA1 begins ${least} after the last number and ends three multipliers later`, async () => {
    using bfd = await library();
    const takes = (after: number, sequence: number) => {
      using session = bfd.session({ ...TERMS, auth: type }, DISCR, 1n, NOW);
      assert.equal(session.receive(signed(type, after), NOW), "taken", "any number is good at first");
      return session.receive(signed(type, sequence >>> 0), NOW);
    };
    for (const after of [1000, 0, 0xffff_fffe]) {
      assert.equal(takes(after, after + least), "taken");
      assert.equal(takes(after, after + 9), "taken");
      assert.equal(takes(after, after + 10), "auth_sequence");
      assert.equal(takes(after, after + least - 1), "auth_sequence");
    }
  });
}

Deno.test("the peer's number is forgotten after twice the detection time, so that it may start anew", async () => {
  using bfd = await library();
  using session = bfd.session({ ...TERMS, auth: 5 }, DISCR, 1n, NOW);
  session.receive(signed(5, 5000), NOW);
  const detect = session.look(NOW).detectNs;
  session.expire(NOW + 2 * detect);
  assert.equal(session.receive(signed(5, 17), NOW + 2 * detect), "auth_sequence");
  session.expire(NOW + 2 * detect + 1);
  assert.equal(session.receive(signed(5, 17), NOW + 2 * detect + 1), "taken");
});

Deno.test("authentication that does not fit is refused by name, and changes nothing", async () => {
  using bfd = await library();
  using session = bfd.session({ ...TERMS, auth: 5 }, DISCR, 1n, NOW);
  const refused: readonly (readonly [Uint8Array, string])[] = [
    [says("down"), "auth_absent"],
    [signed(4, 1), "auth_type"],
    [signed(5, 1, { auth: { type: 5, keyId: 8, sequence: 1, key: "swordfish" } }), "auth_key"],
    [signed(5, 1, {}, "sailfish"), "auth_digest"],
    [signed(5, 1).with(2, 9), "auth_digest"],
  ];
  const before = session.look(NOW);
  for (const [bytes, why] of refused) assert.equal(session.receive(bytes, NOW), why);
  assert.deepEqual(session.look(NOW), before);
  using open = bfd.session(TERMS, DISCR, 1n, NOW);
  assert.equal(open.receive(signed(5, 1), NOW), "auth_unasked");
});

Deno.test("meticulous numbers grow with each packet, keyed ones with what is new, and the digests fit", async () => {
  using bfd = await library();
  for (const auth of [4, 5]) {
    using session = bfd.session({ ...TERMS, auth }, DISCR, 3n, NOW);
    const sent = [2, 4, 6, 8].map((second) => readPacket(session.send(NOW + second * S)!));
    const numbers = sent.map((one) => {
      assert.ok(typeof one !== "string" && one.auth !== null && one.fits("swordfish"));
      return one.auth.sequence;
    });
    const steps = numbers.slice(1).map((number, i) => (number - numbers[i]!) >>> 0);
    assert.deepEqual(steps, auth === 5 ? [1, 1, 1] : [0, 0, 0]);
  }
});

Deno.test("echoes that stay away take the session down, others and old ones prove nothing", async () => {
  using bfd = await library();
  using session = bfd.session({ ...TERMS, echoUs: 10_000 }, DISCR, 1n, NOW);
  assert.equal(session.sendEcho(NOW), null, "not before it is up");
  for (const state of ["down", "up"] as const) session.receive(says(state, { requiredEchoUs: 5_000 }), NOW);
  assert.equal(session.look(NOW).echoUs, 10_000);
  const first = session.sendEcho(NOW)!, second = session.sendEcho(NOW + 10 * MS)!;
  assert.equal(session.takeEcho(first.with(16, first[16]! ^ 1), NOW + 11 * MS), false);
  assert.equal(session.takeEcho(second, NOW + 12 * MS), true);
  assert.equal(session.takeEcho(second, NOW + 12 * MS), false, "a second time");
  assert.equal(session.takeEcho(first, NOW + 12 * MS), false, "older than one that came back");
  // Control packets go on; the box no longer forwards.
  let down = 0;
  for (let now = NOW + 12 * MS; down === 0 && now < NOW + S; now += MS) {
    session.receive(says("up", { requiredEchoUs: 5_000 }), now);
    session.sendEcho(now);
    if (session.expire(now)) down = now;
  }
  assert.equal(down, NOW + 43 * MS);
  assert.equal(session.look(down).diag, "echo");
});

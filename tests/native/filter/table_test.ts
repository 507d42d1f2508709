/**
 * The flow table of the C core when it is too small, when flows age, and when somebody aims at it.
 */
import assert from "node:assert/strict";
import { type CoreResult, FilterCore, type FrameInput } from "../../../filter/core.ts";
import { type End, ethernet, ip, tcp, udp } from "../../../filter/frame.ts";
import { PROTO, TCP } from "../../../filter/packet.ts";
import { PRESETS } from "../../../filter/rule.ts";
import { AGES, LIBRARY, openCore } from "./library.ts";

const SECOND = 1_000_000_000n;
const SERVER: End = { mac: [2, 0, 0, 0, 2, 1], ip: [10, 2, 0, 1], port: 53 };

/** The frame of UDP flow number n. */
function frameOf(n: number, timeNs: bigint): FrameInput {
  const client: End = {
    mac: [2, 0, 0, 0, 1, 1],
    ip: [10, 1, (n >> 8) & 255, n & 255],
    port: 1024 + (n >> 16),
  };
  const { type, body } = ip([client, SERVER], PROTO.udp, udp([client, SERVER]));
  return { timeNs, bytes: ethernet([client, SERVER], type, body), observed: false };
}

async function openTable(slots: number): Promise<FilterCore> {
  const core = await openCore(slots);
  core.setRules([{ rule: PRESETS.nat[0], program: [] }], AGES);
  return core;
}

/** A packet of each flow, a millisecond apart. */
function feed(core: FilterCore, flows: readonly number[], fromNs: bigint): CoreResult[] {
  return core.decide(flows.map((n, i) => frameOf(n, fromNs + BigInt(i) * 1_000_000n)));
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const packets = (results: readonly CoreResult[]) => results.map((result) => result.field("half.packets"));

Deno.test("rm_flows_get() gives the place of the least recently used flow to a new one", async () => {
  // Sixteen slots are two buckets, and every flow may stand in both: the order is exact.
  using core = await openTable(16);
  // Two seconds apart: within a tick no order is kept.
  for (let n = 0; n < 16; n++) feed(core, [n], BigInt(1 + 2 * n) * SECOND);
  assert.deepEqual(core.counts(), { live: 16, evicted: 0, expired: 0, evictedLive: 0 });
  feed(core, [0, 1, 2], 40n * SECOND); // used again, so 3, 4 and 5 are the oldest
  feed(core, [100, 101, 102], 43n * SECOND);
  assert.deepEqual(core.counts(), { live: 16, evicted: 3, expired: 0, evictedLive: 0 });
  assert.deepEqual(packets(feed(core, [0, 1, 2, 6, 15], 46n * SECOND)), [3, 3, 3, 2, 2], "these stayed");
  assert.equal(core.counts().evicted, 3);
  assert.deepEqual(packets(feed(core, [3], 49n * SECOND)), [1], "this one had to go");
  assert.equal(core.counts().evicted, 4);
});

/** Frames of TCP connection number n, as flags: "S" from the client, "s" the answer, and so on. */
function talk(n: number, flags: string, timeNs: bigint): FrameInput[] {
  const client: End = { mac: [2, 0, 0, 0, 1, 1], ip: [10, 3, n >> 8, n & 255], port: 2000 };
  return [...flags].map((flag) => {
    const ends: [End, End] = flag === flag.toUpperCase() ? [client, SERVER] : [SERVER, client];
    const bits = { S: TCP.syn, s: TCP.syn | TCP.ack, A: TCP.ack, a: TCP.ack, R: TCP.rst }[flag] ?? 0;
    const { type, body } = ip(ends, PROTO.tcp, tcp(ends, { flags: bits, seq: 1, ack: 1 }));
    return { timeNs, bytes: ethernet(ends, type, body), observed: false };
  });
}

Deno.test("rm_flows_get() evicts closing flows first, then unanswered ones, then conversations", async () => {
  using core = await openTable(16);
  core.setRules([], { ...AGES, tcp_closing: 0, tcp_opening: 0 });
  const play = (n: number, flags: string, seconds: bigint) => core.decide(talk(n, flags, seconds * SECOND));
  for (let n = 0; n < 14; n++) play(n, "SsAa", SECOND + BigInt(n)); // the oldest, and worth most
  play(14, "S", 50n);
  play(15, "SsAR", 60n);
  const packetsOf = (n: number, seconds: bigint) => play(n, "A", seconds)[0]!.field("half.packets");
  play(100, "SsA", 70n);
  assert.deepEqual(core.counts(), { live: 16, evicted: 0, expired: 1, evictedLive: 0 }, "what is over");
  play(101, "SsA", 71n);
  assert.equal(core.counts().evictedLive, 0, "the one that was not answered");
  for (let n = 0; n < 14; n++) assert.equal(packetsOf(n, 72n), 3, `conversation ${n} is there`);
  play(102, "SsA", 73n);
  assert.deepEqual(core.counts(), { live: 16, evicted: 2, expired: 1, evictedLive: 1 });
  assert.equal(packetsOf(100, 74n), 1, "the conversation unused for longest had to go");
});

Deno.test("rm_flows_get() never fails and stays bounded under 64 times more flows than slots", async () => {
  using core = await openTable(1024);
  const flows = range(0, 65_536);
  const results = feed(core, flows, SECOND);
  assert.ok(results.every((result) => result.why === "handshake" && result.slot < 1024));
  const { live, evicted, expired } = core.counts();
  assert.ok(live <= 1024 && live > 1000, `${live} live`);
  assert.equal(live + evicted + expired, flows.length, "every flow lives, was evicted or has expired");
  const used = range(0, 1024).filter((slot) => core.flow(slot) !== undefined);
  assert.equal(used.length, live);
});

Deno.test("rm_flows_get() evicts nothing while the table is half full, and little at three quarters", async () => {
  using core = await openTable(65_536);
  feed(core, range(0, 32_768), SECOND);
  const { live, evicted } = core.counts();
  assert.deepEqual({ live, evicted }, { live: 32_768, evicted: 0 });
  feed(core, range(32_768, 49_152), 40n * SECOND);
  assert.ok(core.counts().evicted < 50, `${core.counts().evicted} evicted`);
});

Deno.test("rm_flows_get() starts an aged flow anew and prefers aged places to evicting", async () => {
  using core = await openTable(16);
  feed(core, range(0, 16), SECOND);
  assert.deepEqual(packets(feed(core, [7], 62n * SECOND)), [1], "61 s are more than the 60 s of UDP");
  assert.deepEqual(core.counts(), { live: 16, evicted: 0, expired: 1, evictedLive: 0 });
  feed(core, [200], 63n * SECOND);
  assert.deepEqual(core.counts(), { live: 16, evicted: 0, expired: 2, evictedLive: 0 });
  assert.deepEqual(packets(feed(core, [7], 64n * SECOND)), [2], "the young flow kept its place");
});

Deno.test("rm_flows_sweep() frees aged flows only, and all of them in one round", async () => {
  using core = await openTable(64);
  feed(core, range(0, 20), SECOND);
  feed(core, range(20, 30), 50n * SECOND);
  core.sweep(70n * SECOND, 3);
  core.sweep(70n * SECOND, 5); // 64 slots are 8 buckets: round
  assert.deepEqual(core.counts(), { live: 10, evicted: 0, expired: 20, evictedLive: 0 });
  assert.deepEqual(packets(feed(core, [25, 5], 71n * SECOND)), [2, 1]);
  core.sweep(1000n * SECOND, 1_000_000);
  assert.equal(core.counts().live, 0);
});

Deno.test("rm_flows_get() does not age flows of a class without an age, nor when the clock goes back", async () => {
  using core = await openCore(16);
  core.setRules([], { ...AGES, udp: 0 });
  feed(core, [1], SECOND);
  assert.deepEqual(packets(feed(core, [1], 1_000_000n * SECOND)), [2]);
  core.setRules([], AGES);
  assert.deepEqual(packets(feed(core, [1], 5n * SECOND)), [3]);
});

Deno.test("rm_flows_hash() gives flows that share a bucket under one secret different places under another", async () => {
  using core = await openTable(4096);
  const results = feed(core, range(0, 2000), SECOND);
  const crowded = range(0, 2000).filter((n) => results[n]!.slot < 8 * 32); // 32 of 512 buckets
  assert.ok(crowded.length > 60, `${crowded.length} flows in the first 32 buckets`);
  using other = new FilterCore(LIBRARY, 4096, [1n, 2n]);
  other.setRules([], AGES);
  const still = feed(other, crowded, SECOND).filter((result) => result.slot < 8 * 32);
  assert.ok(still.length < crowded.length / 4, `${still.length} of ${crowded.length} are still together`);
});

Deno.test("FilterCore() refuses slots that are no power of two, and rules that do not fit", async () => {
  await assert.rejects(openCore(100), /slots must be a power of two from 16 to 2\^28, not 100/);
  await assert.rejects(openCore(8), RangeError);
  using core = await openCore(16);
  const rule = { rule: PRESETS.nat[0], program: [] };
  assert.throws(() => core.setRules(new Array(17).fill(rule), AGES), /Cannot set 17 rules/);
});

/** Rules as bytes of struct rm_rule, what is refused, and the presets. */
import assert from "node:assert/strict";
import { LIMIT } from "../../../filter/names.ts";
import { encodeRule, filterRule, type GivenRule, PRESETS, type RuleLayout } from "../../../filter/rule.ts";

/** Not the real layout: offsets are the caller's business. */
const FIELDS = [
  "name",
  "bpf_count",
  "handshake",
  "teardown",
  "all",
  "none",
  "seed",
  "first_packets",
  "first_payload_packets",
  "acks",
  "plaintext",
  "keepalive_window",
  "first_bytes_up",
  "first_bytes_down",
  "turn_bytes_up",
  "turn_bytes_down",
  "turn_bytes_max",
  "sample",
  "keepalive_ns",
  "bpf",
];
const LAYOUT: RuleLayout = {
  offset: (name) => 40 * FIELDS.indexOf(name.replace("rule.", "")),
  bytes: 40 * FIELDS.length + 8 * LIMIT.bpf_max,
};
const encode = (given: Partial<GivenRule>) => encodeRule(filterRule({ name: "rule", ...given }), [], LAYOUT);

Deno.test("encodeRule() writes every field where the layout says", () => {
  const rule = filterRule({
    name: "web",
    handshake: true,
    none: true,
    firstPackets: 3,
    firstPayloadPackets: 4,
    firstBytes: 4_000_000_000,
    firstBytesDown: 7,
    turnBytesUp: 11,
    turnBytesDown: 12,
    turnBytesMax: 13,
    sample: 14,
    plaintext: true,
    keepaliveWindow: true,
    keepaliveMs: 10_000,
  });
  const program = [{ code: 0x28, jt: 1, jf: 2, k: 12 }, { code: 6, jt: 0, jf: 0, k: 0xffffffff }];
  const view = new DataView(encodeRule(rule, program, LAYOUT).buffer);
  const u32 = (name: string) => view.getUint32(LAYOUT.offset(`rule.${name}`), true);
  const u64 = (name: string) => view.getBigUint64(LAYOUT.offset(`rule.${name}`), true);
  assert.equal(new TextDecoder().decode(new Uint8Array(view.buffer, 0, 4)), "web\0");
  assert.deepEqual(["handshake", "teardown", "all", "none", "seed"].map(u32), [1, 0, 0, 1, 0]);
  assert.deepEqual(["bpf_count", "first_packets", "first_payload_packets"].map(u32), [2, 3, 4]);
  assert.deepEqual(["first_bytes_up", "first_bytes_down"].map(u32), [4_000_000_000, 7]);
  assert.deepEqual(["turn_bytes_up", "turn_bytes_down", "turn_bytes_max"].map(u32), [11, 12, 13]);
  assert.deepEqual(["acks", "plaintext", "keepalive_window", "sample"].map(u32), [0, 1, 1, 14]);
  assert.equal(u64("keepalive_ns"), 10_000_000_000n);
  const bpf = new Uint8Array(view.buffer, LAYOUT.offset("rule.bpf"), 16);
  assert.deepEqual([...bpf], [0x28, 0, 1, 2, 12, 0, 0, 0, 6, 0, 0, 0, 255, 255, 255, 255]);
});

Deno.test("encodeRule() refuses what does not fit, naming rule, field and value", () => {
  assert.throws(
    () => encode({ firstPackets: -1 }),
    /rule "rule": firstPackets must be a whole number .* not -1/,
  );
  assert.throws(() => encode({ firstBytes: 1.5 }), /firstBytesUp .* not 1.5/);
  assert.throws(() => encode({ keepaliveMs: Number.NaN }), /keepaliveMs .* not NaN/);
  assert.throws(() => encode({ firstPayloadPackets: 2 ** 32 }), /from 0 to 4294967295, not 4294967296/);
  assert.throws(() => encode({ name: "" }), /its name must have 1 to 31 bytes/);
  assert.throws(() => encode({ name: "ä".repeat(16) }), RangeError);
  assert.doesNotThrow(() => encode({ name: "ä".repeat(15) }));
  const long = new Array(LIMIT.bpf_max + 1).fill({ code: 6, jt: 0, jf: 0, k: 1 });
  assert.throws(
    () => encodeRule(filterRule({ name: "rule" }), long, LAYOUT),
    /has 129 instructions, at most 128 fit/,
  );
});

Deno.test("PRESETS seed connection state, and mirror content where content is the state", () => {
  for (const [name, rules] of Object.entries(PRESETS)) {
    assert.ok(rules.length >= 1 && rules.every((rule) => rule.name === name && rule.match === ""), name);
    rules.forEach((rule) => encodeRule(rule, [], LAYOUT));
  }
  for (const name of ["nat", "lb", "firewall"] as const) {
    const [rule] = PRESETS[name];
    assert.deepEqual([rule!.seed, rule!.handshake, rule!.teardown, rule!.keepaliveMs], [
      true,
      true,
      true,
      10_000,
    ]);
  }
  const [ids] = PRESETS.ids;
  assert.deepEqual([ids!.seed, ids!.firstBytesUp, ids!.turnBytesUp, ids!.plaintext], [
    false,
    4096,
    1,
    true,
  ]);
  assert.equal(PRESETS.none[0]!.none, true);
});

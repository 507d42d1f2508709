/** Seals: what is sealed opens once and in order, and whatever was done to it on the way is refused by name. */
import assert from "node:assert/strict";
import { importSecret, Opener, SEALED_BYTES_MAX, Sealer, type SealFault } from "../../../drivers/seal.ts";
import { type StateRecord, VALUE_BYTES_MAX } from "../../../drivers/record.ts";
import { Random } from "../../../filter/random.ts";
import { flowRecord } from "../../support/records.ts";

const SOURCE = "node/fw";
const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);

async function pair({ epoch = 1, salt = 1, sealKey = 7, openKey = 7 } = {}) {
  const secret = await importSecret(bytes(32, sealKey));
  const sealer = await Sealer.open({ secret, source: SOURCE, epoch, salt: bytes(16, salt) });
  return { sealer, opener: new Opener(await importSecret(bytes(32, openKey))) };
}

async function refused(opener: Opener, chunk: Uint8Array, sequence: number, fault: SealFault) {
  const before = opener.counters()[`seal_${fault}`]!;
  const opened = await opener.open(chunk, { source: SOURCE, sequence });
  assert.ok(!opened.ok, `taken in place of ${fault}`);
  assert.equal(opened.fault, fault, opened.reason);
  assert.equal(opener.counters()[`seal_${fault}`], before + 1);
}

async function taken(opener: Opener, chunk: Uint8Array, sequence: number): Promise<StateRecord> {
  const opened = await opener.open(chunk, { source: SOURCE, sequence });
  assert.ok(opened.ok, opened.ok ? "" : opened.reason);
  return opened.record;
}

Deno.test("Sealer, Opener: a record comes out as it went in, with every kind of field", async () => {
  const { sealer, opener } = await pair();
  const records = [
    flowRecord(1),
    flowRecord(2, { ttlMs: 1_500, version: 9, role: "reporting", merge: "sum" }),
    flowRecord(3, { ended: true, value: new Uint8Array() }),
    flowRecord(4, { partition: "shared", key: "Zähler\0π", fields: {} }),
    flowRecord(5, {
      fields: { source: "2001:db8::/32", sourcePort: [1, 9] },
      value: bytes(VALUE_BYTES_MAX, 3),
    }),
  ];
  for (const [index, record] of records.entries()) {
    assert.deepEqual(
      await taken(opener, await sealer.seal(record, index + 1), index + 1),
      record,
    );
  }
});

Deno.test("Sealer: the value cannot be read, and equal records look different", async () => {
  const { sealer } = await pair();
  const record = flowRecord(1, { value: new TextEncoder().encode("a secret of the box") });
  const [one, other] = [await sealer.seal(record, 1), await sealer.seal(record, 2)];
  assert.ok(!new TextDecoder().decode(one).includes("secret"));
  const tail = (chunk: Uint8Array) => chunk.slice(-35).toHex();
  assert.notEqual(tail(one), tail(other));
});

Deno.test("Sealer: no sequence comes twice, and a start has a key of its own", async () => {
  const { sealer, opener } = await pair();
  await taken(opener, await sealer.seal(flowRecord(1), 5), 5);
  for (const sequence of [5, 4, 0, 1.5]) {
    await assert.rejects(() => sealer.seal(flowRecord(1), sequence), /is not above 5/);
  }
  // The same epoch, as after the state directory was lost: only the salt differs, and so does all that is sealed.
  const again = (await pair({ salt: 2 })).sealer, first = (await pair()).sealer;
  const tail = async (one: Sealer) => (await one.seal(flowRecord(1), 6)).slice(-30).toHex();
  assert.notEqual(await tail(again), await tail(first));
});

Deno.test("Opener: replayed, reordered and misplaced ones are refused, a new start is taken", async () => {
  const { sealer, opener } = await pair();
  const chunks = [];
  for (const sequence of [1, 2, 3]) chunks.push(await sealer.seal(flowRecord(sequence), sequence));
  await taken(opener, chunks[1]!, 2);
  await refused(opener, chunks[1]!, 2, "replayed");
  await refused(opener, chunks[0]!, 1, "replayed");
  await refused(opener, chunks[2]!, 4, "place");
  const stranger = await opener.open(chunks[2]!, { source: "node/other", sequence: 3 });
  assert.ok(!stranger.ok && stranger.fault === "source");
  await taken(opener, chunks[2]!, 3);
  const next = (await pair({ epoch: 2, salt: 9 })).sealer;
  await taken(opener, await next.seal(flowRecord(1), 1), 1);
  const old = await sealer.seal(flowRecord(9), 900);
  await refused(opener, old, 900, "replayed");
  const opened = await opener.open(old, { source: SOURCE, sequence: 900, again: true });
  assert.ok(opened.ok, "of a snapshot it is taken");
  await refused(opener, old, 900, "replayed");
});

Deno.test("Opener: wrong keys, other forms, short and long chunks are refused by name", async () => {
  const { sealer, opener } = await pair({ openKey: 8 });
  const chunk = await sealer.seal(flowRecord(1), 1);
  await refused(opener, chunk, 1, "forged");
  for (const length of [0, 1, 35, 36, 50, chunk.length - 17]) {
    await refused(opener, chunk.slice(0, length), 1, length < 36 ? "truncated" : faultAt(chunk, length));
  }
  await refused(opener, chunk.slice(0, -1), 1, "forged");
  await refused(opener, bytes(SEALED_BYTES_MAX + 1, 1), 1, "oversized");
  const form = chunk.slice();
  form[0] = 2;
  await refused(opener, form, 1, "form");
});

/** A chunk that is cut within its readable part is too short; one cut in its value is changed. */
function faultAt(chunk: Uint8Array, length: number): SealFault {
  const view = new DataView(chunk.buffer);
  return length < 36 + view.getUint8(1) + view.getUint16(2) + 16 ? "truncated" : "forged";
}

Deno.test("Opener: whatever is changed in a chunk is refused and changes nothing (by seed)", async () => {
  const { sealer, opener } = await pair();
  const random = new Random(20_260);
  await taken(opener, await sealer.seal(flowRecord(1), 1), 1);
  const good = await sealer.seal(flowRecord(2), 2);
  const turns = 2_000;
  for (let turn = 0; turn < turns; turn++) {
    const chunk = mutated(good, random);
    if (chunk.length === good.length && chunk.every((byte, at) => byte === good[at])) continue;
    const opened = await opener.open(chunk, { source: SOURCE, sequence: 2 });
    assert.ok(!opened.ok, `turn ${turn}: a changed chunk was taken`);
  }
  // Nothing of it has moved what is expected next.
  assert.deepEqual(await taken(opener, good, 2), flowRecord(2));
});

function mutated(good: Uint8Array, random: Random): Uint8Array {
  const chunk = good.slice();
  switch (random.below(4)) {
    case 0:
      return chunk.slice(0, random.below(chunk.length));
    case 1:
      return Uint8Array.of(...chunk, ...bytes(1 + random.below(8), random.below(256)));
    default:
      for (let count = 1 + random.below(3); count > 0; count--) {
        chunk[random.below(chunk.length)]! ^= 1 << random.below(8);
      }
      return chunk;
  }
}

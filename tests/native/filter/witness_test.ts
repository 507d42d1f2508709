/**
 * Decisions with all they depended on, taken again: generated frames through the core, under the sanitizers.
 *
 * Each comes out the same from the witness alone; with another verdict in it, it does not; and no change of its bytes makes
 * the core touch what it should not.
 */
import assert from "node:assert/strict";
import { generateTraffic } from "../../../filter/generate.ts";
import { WHY, WITNESS } from "../../../filter/names.ts";
import { CORE, run, sanitized } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const FRAMES = 20_000;

/** In the form witness.c reads: length, bytes. */
function frames(): Uint8Array[] {
  const traffic = generateTraffic(SEED, { malformed: 0.05 });
  return Array.from({ length: FRAMES }, () => {
    const { bytes } = traffic.next().value;
    const record = new Uint8Array(4 + bytes.length);
    new DataView(record.buffer).setUint32(0, bytes.length, true);
    record.set(bytes, 4);
    return record;
  });
}

Deno.test(`rm_witness_retell() takes every decision again as it was, and finds each that was changed (seed ${SEED})`, async () => {
  await sanitized("witness", CORE, async ({ program, folder }) => {
    await Deno.writeFile(`${folder}/frames`, new Blob(frames() as BlobPart[]).stream());
    const report = await run("setarch", ["-R", program, `${folder}/frames`, `${SEED}`]);
    const numbers = (word: string) =>
      new RegExp(`^${word} (.*)$`, "m").exec(report)![1]!.split(" ").map(Number);
    const [same, ...others] = numbers("whole");
    assert.ok(same! > FRAMES / 2, report);
    assert.deepEqual(others, [0, 0, 0]);
    const [, other, cut, impossible] = numbers("cut");
    assert.deepEqual([other, impossible], [0, 0]);
    // Rare, but there: what was decided by lay behind the bytes that were kept.
    assert.ok(cut! > 0 && cut! < same! / 10, report);
    const copies = numbers("why");
    for (const why of WHY) {
      if (!["all", "none"].includes(why)) {
        assert.ok(copies[WHY.indexOf(why)]! > 0, `none was copied for ${why}`);
      }
    }
    const kinds = numbers("kind");
    for (const kind of WITNESS) {
      if (kind !== "shadow") assert.ok(kinds[WITNESS.indexOf(kind)]! > 0, `none was of kind ${kind}`);
    }
    const [shed, aged] = numbers("shed");
    assert.ok(shed! > 0 && aged! > 0, report);
    const [changed, found, broken] = numbers("changed");
    assert.equal(found, changed);
    assert.ok(broken! > changed! / 2, report);
  });
});

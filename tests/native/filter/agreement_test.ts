/**
 * The two implementations of the filter agree, on generated traffic and on real captures.
 *
 * REMEDIATE_PACKETS sets how many packets are generated (default a million), REMEDIATE_SEED where they start.
 */
import assert from "node:assert/strict";
import type { FrameInput } from "../../../filter/core.ts";
import { generateTraffic } from "../../../filter/generate.ts";
import { FilterModel } from "../../../filter/model.ts";
import { PARSE, WHY } from "../../../filter/names.ts";
import { Census, compareFrames } from "./compare.ts";
import { AGES, captureFolder, captures, mixedRules, openCore } from "./library.ts";

const PACKETS = Number(Deno.env.get("REMEDIATE_PACKETS") ?? 1_000_000);
const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const BATCH = 5_000;
/** Reasons the plane gives by itself, for frames without a flow. */
const NOT_OF_THE_FILTER = ["neighbour", "fragment"];

Deno.test(`FilterCore and FilterModel agree on ${PACKETS} generated packets (seed ${SEED})`, async () => {
  using core = await openCore(2 ** 17);
  const rules = mixedRules();
  core.setRules(rules[0], AGES);
  const model = new FilterModel(rules[0], AGES);
  const traffic = generateTraffic(SEED);
  const census = new Census();
  for (let batch = 0; census.frames < PACKETS; batch++) {
    const frames: FrameInput[] = [];
    while (frames.length < BATCH) frames.push(traffic.next().value);
    compareFrames(core, model, frames, { census, source: `seed ${SEED}, batch ${batch}` });
    if (batch % 20 === 19) {
      const changed = rules[(batch / 20) & 1]!;
      core.setRules(changed, AGES);
      model.setRules(changed);
    }
  }
  assert.equal(core.counts().evicted, 0, "the table is large enough that none but aged flows go");
  if (PACKETS < 100_000) return; // too few to meet everything
  assert.ok(core.counts().expired > PACKETS / 10_000, `${core.counts().expired} expired`);
  for (const why of WHY.filter((name) => !NOT_OF_THE_FILTER.includes(name))) {
    assert.ok((census.why.get(why) ?? 0) > PACKETS / 10_000, `too few packets with reason ${why}`);
  }
  for (const parse of PARSE) {
    assert.ok((census.parse.get(parse) ?? 0) > PACKETS / 50_000, `too few packets with verdict ${parse}`);
  }
});

const folder = captureFolder();
Deno.test({
  name: `FilterCore and FilterModel agree on all captures${folder ? "" : " (needs ../shared/data/captures)"}`,
  ignore: folder === undefined,
  async fn() {
    using core = await openCore(2 ** 17);
    const [rules] = mixedRules();
    const model = new FilterModel(rules, AGES);
    core.setRules(rules, AGES);
    const census = new Census();
    let files = 0;
    for await (const { path, frames } of captures(folder!)) {
      compareFrames(core, model, frames, { census, source: path });
      files++;
    }
    assert.ok(files > 0 && census.frames > files, `${census.frames} frames in ${files} files`);
    assert.equal(core.counts().evicted, 0);
  },
});

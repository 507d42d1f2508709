/**
 * The two implementations of the filter agree, on generated traffic and on real captures.
 *
 * REMEDIATE_PACKETS sets how many packets are generated (default a million), REMEDIATE_SEED where they start.
 */
import assert from "node:assert/strict";
import type { FilterCore, FrameInput } from "../../../filter/core.ts";
import { generateTraffic } from "../../../filter/generate.ts";
import { FilterModel, type FilterOptions } from "../../../filter/model.ts";
import { NATURE, PARSE, WHY } from "../../../filter/names.ts";
import { Census, compareFrames } from "./compare.ts";
import { AGES, captureFolder, captures, mixedRules, openCore } from "./library.ts";

const PACKETS = Number(Deno.env.get("REMEDIATE_PACKETS") ?? 1_000_000);
const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const BATCH = 5_000;
/** Reasons the plane gives by itself, for frames without a flow. */
const NOT_OF_THE_FILTER = ["neighbour"];
/** So that some are shed, of many kinds, and not most. */
const TIGHT: FilterOptions = { inner: true, budget: { bytesPerSecond: 60_000, packetsPerSecond: 500 } };
const BOUND_TO_BE_SHED = ["bytes", "turn", "sample", "all"] as const;

async function open(options: FilterOptions): Promise<[FilterCore, FilterModel]> {
  const core = await openCore(2 ** 19);
  const [rules] = mixedRules();
  core.setRules(rules, AGES);
  core.setOptions(options);
  return [core, new FilterModel(rules, AGES, options)];
}

async function compareGenerated(packets: number, options: FilterOptions): Promise<Census> {
  const [core, model] = await open(options);
  using _closing = core;
  const rules = mixedRules();
  const traffic = generateTraffic(SEED);
  const census = new Census();
  for (let batch = 0; census.frames < packets; batch++) {
    const frames: FrameInput[] = [];
    while (frames.length < BATCH) frames.push(traffic.next().value);
    compareFrames(core, model, frames, { census, source: `seed ${SEED}, batch ${batch}` });
    if (batch % 20 === 19) {
      const changed = rules[(batch / 20) & 1]!;
      core.setRules(changed, AGES);
      model.setRules(changed);
    }
  }
  assert.deepEqual(core.shed(), model.budget.shed);
  assert.equal(core.counts().evicted, 0, "the table is large enough that none but aged flows go");
  const { expired } = core.counts();
  assert.ok(packets < 100_000 || expired > packets / 10_000, `${expired} expired`);
  return census;
}

Deno.test(`FilterCore and FilterModel agree on ${PACKETS} generated packets (seed ${SEED})`, async () => {
  const census = await compareGenerated(PACKETS, {});
  if (PACKETS < 100_000) return; // too few to meet everything
  for (const why of WHY.filter((name) => !NOT_OF_THE_FILTER.includes(name))) {
    assert.ok((census.why.get(why) ?? 0) > PACKETS / 10_000, `too few packets with reason ${why}`);
  }
  for (const parse of PARSE) {
    assert.ok((census.parse.get(parse) ?? 0) > PACKETS / 50_000, `too few packets with verdict ${parse}`);
  }
  assert.ok(census.quiet > PACKETS / 20, `${census.quiet} quiet packets`);
  for (const nature of NATURE) {
    assert.ok((census.nature.get(nature) ?? 0) > PACKETS / 5_000, `too few packets of nature ${nature}`);
  }
});

Deno.test(`FilterCore and FilterModel agree inside tunnels and on a budget (seed ${SEED})`, async () => {
  const packets = Math.ceil(PACKETS / 4);
  const census = await compareGenerated(packets, TIGHT);
  if (PACKETS < 100_000) return;
  assert.ok((census.inner.get(1) ?? 0) > packets / 100, `${census.inner.get(1)} in tunnels`);
  for (const why of BOUND_TO_BE_SHED) {
    assert.ok((census.shed.get(why) ?? 0) > packets / 10_000, `${census.shed.get(why)} shed for ${why}`);
  }
  const shed = packets - (census.shed.get("none") ?? 0);
  assert.ok(shed < packets / 2, `${shed} shed`);
});

const folder = captureFolder();
for (const options of [{}, TIGHT]) {
  const how = options === TIGHT ? " inside tunnels and on a budget" : "";
  Deno.test({
    name: `FilterCore and FilterModel agree on all captures${how}${
      folder ? "" : " (needs captures: REMEDIATE_DATA)"
    }`,
    ignore: folder === undefined,
    async fn() {
      const [core, model] = await open(options);
      using _closing = core;
      const census = new Census();
      let files = 0;
      for await (const { path, frames } of captures(folder!)) {
        compareFrames(core, model, frames, { census, source: path });
        files++;
      }
      assert.ok(files > 0 && census.frames > files, `${census.frames} frames in ${files} files`);
      assert.equal(core.counts().evicted, 0);
      if (options === TIGHT) assert.ok((census.inner.get(1) ?? 0) > 100, `${census.inner.get(1)} in tunnels`);
    },
  });
}

/** The driver that keeps records in memory: the suite for all drivers, bounds and times to live. */
import assert from "node:assert/strict";
import { Changes } from "../../../drivers/changes.ts";
import { MEMORY } from "../../../drivers/memory.ts";
import { canBe, driverKind, takes } from "../../../drivers/registry.ts";
import { CONTEXT, driverConformance, held } from "../../support/driver_conformance.ts";
import { flowRecord } from "../../support/records.ts";

driverConformance("memory", {
  kind: MEMORY,
  open: () => MEMORY.open({ records_max: 100 }, CONTEXT),
  samples: [1, 2, 3].map((number) => flowRecord(number)),
});

Deno.test("memory: a record goes when its time is over, and none is taken beyond the bound", async () => {
  let nowMs = 1_000;
  const driver = await MEMORY.open({ records_max: 2 }, { ...CONTEXT, nowMs: () => nowMs });
  const { taken, refused } = await driver.put([
    flowRecord(1, { ttlMs: 500 }),
    flowRecord(2),
    flowRecord(3),
  ]);
  assert.equal(taken, 2);
  assert.deepEqual(refused, [{ key: flowRecord(3).key, reason: "there are 2 records already" }]);
  nowMs += 500;
  assert.deepEqual((await held(driver)).map(({ key }) => key), [flowRecord(2).key]);
});

Deno.test("memory: what ended is not given, and an older version does not bring it back", async () => {
  const driver = await MEMORY.open({ records_max: 10 }, CONTEXT);
  await driver.put([flowRecord(1)]);
  assert.equal(await driver.del("supporting", flowRecord(1).fields), 1);
  assert.deepEqual(await driver.put([flowRecord(1)]), { taken: 0, known: 1, refused: [] });
  assert.deepEqual(await held(driver), []);
});

Deno.test("Changes: who reads too slowly is told of a gap, and then what came after it", async () => {
  const changes = new Changes(3), stop = new AbortController();
  const watched = changes.watch(stop.signal)[Symbol.asyncIterator]();
  for (const number of [1, 2, 3, 4, 5]) changes.tell({ kind: "record", record: flowRecord(number) });
  const told = [await watched.next(), await watched.next(), await watched.next()].map(({ value }) =>
    value.kind === "record" ? value.record.key : value.kind
  );
  assert.deepEqual(told, ["gap", flowRecord(4).key, flowRecord(5).key]);
  stop.abort();
  assert.ok((await watched.next()).done);
});

Deno.test("driverKind() finds kinds by name; takes() and canBe() say what for", () => {
  assert.equal(driverKind("memory"), MEMORY);
  assert.equal(driverKind("no-such"), null);
  const abilities = { get: [], put: [], del: [], watch: true, codecs: ["conntrack/1"] };
  assert.ok(takes(abilities, "conntrack/1") && !takes(abilities, "conntrack/2"));
  assert.ok(canBe("source", abilities) && !canBe("replica", abilities));
});

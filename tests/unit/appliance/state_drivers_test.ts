/** The road from a source's driver by the repository into replicas: order, gaps, late joiners, refusals, restarts. */
import assert from "node:assert/strict";
import type { Entry } from "../../../appliance/repository/contract.ts";
import { EmbeddedRepository } from "../../../appliance/repository/embedded.ts";
import { ALL } from "../../../drivers/fields.ts";
import { Random } from "../../../filter/random.ts";
import { held } from "../../support/driver_conformance.ts";
import { flowRecord } from "../../support/records.ts";
import { BOUNDS } from "../../support/repository_conformance.ts";
import { driversFrom, memoryDriver, stateWorld, until } from "../../support/state_world.ts";

type World = Awaited<ReturnType<typeof stateWorld>>;
const PAIR = memoryDriver("a", "primary", "source") + memoryDriver("b", "redundant", "replica");

async function open({ drivers }: World, name: string) {
  await until(`driver ${name} open`, () => drivers.driver(name) !== null);
  return drivers.driver(name)!;
}

const contents = async (world: World, name: string) =>
  (await held(await open(world, name))).map(({ key, version, value }) =>
    `${key} ${version} ${new TextDecoder().decode(value)}`
  ).sort();

async function alike(world: World, source: string, replicas: readonly string[]) {
  for (const replica of replicas) {
    await until(
      `${replica} like ${source}`,
      async () =>
        JSON.stringify(await contents(world, replica)) === JSON.stringify(await contents(world, source)),
    );
  }
}

Deno.test("state: what a source has and what changes in it is in every replica, endings too", async () => {
  const world = await stateWorld();
  await world.drivers.configure(driversFrom(PAIR + memoryDriver("c", "redundant", "replica")));
  const source = await open(world, "a");
  await source.put([1, 2, 3].map((number) => flowRecord(number)));
  await alike(world, "a", ["b", "c"]);
  await source.put([flowRecord(2, { version: 2, value: new TextEncoder().encode("other") })]);
  await source.del("supporting", flowRecord(3).fields);
  await alike(world, "a", ["b", "c"]);
  assert.equal((await contents(world, "b")).length, 2);
  await world.close();
  assert.deepEqual(world.said, []);
});

Deno.test("state: a box that serves keeps what a dying source tells to have ended, and takes what is new", async () => {
  let serving = "primary";
  const world = await stateWorld({ serves: (box) => box === serving });
  await world.drivers.configure(driversFrom(PAIR));
  const source = await open(world, "a");
  await source.put([1, 2].map((number) => flowRecord(number)));
  await alike(world, "a", ["b"]);
  serving = "redundant";
  await source.del("supporting", flowRecord(1).fields);
  await source.put([flowRecord(3)]);
  await until("the new one in the replica", async () => (await contents(world, "b")).length === 3);
  serving = "primary";
  await source.del("supporting", flowRecord(2).fields);
  await until("the end in the replica", async () => (await contents(world, "b")).length === 2);
  const { counters } = world.drivers.report().drivers.find(({ name }) => name === "b")!;
  assert.equal(counters["ends_left_out"], 1);
  await world.close();
});

Deno.test("state: a replica that joins late, and one that is taken out and in again, have all", async () => {
  const world = await stateWorld();
  await world.drivers.configure(driversFrom(memoryDriver("a", "primary", "source")));
  const source = await open(world, "a");
  await source.put(Array.from({ length: 300 }, (_, number) => flowRecord(number)));
  await source.del("supporting", flowRecord(7).fields);
  await world.drivers.configure(driversFrom(PAIR));
  await alike(world, "a", ["b"]);
  await world.drivers.configure(driversFrom(memoryDriver("a", "primary", "source")));
  assert.equal(world.drivers.driver("b"), null);
  await source.put([flowRecord(400)]);
  await world.drivers.configure(driversFrom(PAIR));
  await alike(world, "a", ["b"]);
  assert.equal(world.drivers.driver("a"), source, "what is configured alike goes on undisturbed");
  await world.close();
});

Deno.test("state: a flood beyond every bound ends in the same state (by seed)", async () => {
  const small = { ...BOUNDS, logMax: 200, path: ":memory:", nowMs: Date.now };
  const repository = new EmbeddedRepository(small);
  const world = await stateWorld({ repository });
  await world.drivers.configure(driversFrom(PAIR));
  const source = await open(world, "a"), random = new Random(4), versions = new Map<number, number>();
  for (let turn = 0; turn < 60; turn++) {
    await source.put(Array.from({ length: 300 }, () => {
      const number = random.below(500), version = (versions.get(number) ?? 0) + 1;
      versions.set(number, version);
      return flowRecord(number, { version, value: new TextEncoder().encode(`${turn}`) });
    }));
    if (turn % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await alike(world, "a", ["b"]);
  await world.close();
  await repository.close();
});

Deno.test("state: a source that starts anew tells what ended meanwhile, and its versions go on", async () => {
  const repository = new EmbeddedRepository({ ...BOUNDS, path: ":memory:", nowMs: Date.now });
  const before = await stateWorld({ repository });
  await before.drivers.configure(driversFrom(PAIR));
  await (await open(before, "a")).put([flowRecord(1, { version: 9 }), flowRecord(2, { version: 5 })]);
  await alike(before, "a", ["b"]);
  const replica = await open(before, "b");
  await before.drivers.configure(driversFrom(memoryDriver("b", "redundant", "replica", 'from = "node/a"')));
  // Another process, whose driver counts from 1 again; flow 1 is gone meanwhile.
  const after = await stateWorld({ repository });
  await after.drivers.configure(driversFrom(memoryDriver("a", "primary", "source")));
  const changed = flowRecord(2, { version: 1, value: new TextEncoder().encode("new") });
  await (await open(after, "a")).put([changed]);
  const fresh = await open(before, "b");
  assert.notEqual(fresh, replica);
  await until("the new state", async () => {
    const now = await held(fresh);
    return now.length === 1 && now[0]!.version > 5 && new TextDecoder().decode(now[0]!.value) === "new";
  });
  await Promise.all([before.close(), after.close()]);
  await repository.close();
});

/** A repository that changes what it gives out. */
class Tampering extends EmbeddedRepository {
  change: (entry: Entry) => Entry = (entry) => entry;

  override read(name: string, after: number, limit?: number): readonly Entry[] {
    return super.read(name, after, limit).map(this.change);
  }
}

Deno.test("state: what was changed on the way is refused by name and counted, and what is behind it put", async () => {
  const repository = new Tampering({ ...BOUNDS, path: ":memory:", nowMs: Date.now });
  const world = await stateWorld({ repository });
  await world.drivers.configure(driversFrom(PAIR));
  const source = await open(world, "a");
  await open(world, "b");
  const reportOf = () => world.drivers.report().drivers.find(({ name }) => name === "b")!;
  await until("the replica at the log", () => reportOf().counters.snapshots === 1);
  repository.change = (entry) => {
    if (entry.sequence !== 2) return entry;
    const chunk = entry.chunk.slice();
    chunk[chunk.length - 1]! ^= 1;
    return { ...entry, chunk };
  };
  for (const number of [1, 2, 3]) await source.put([flowRecord(number)]);
  await until("the third record", async () => (await contents(world, "b")).length === 2);
  assert.equal(reportOf().counters.seal_forged, 1);
  assert.ok(world.said.some((text) => /entry 2 is refused \(forged\)/.test(text)), world.said.join("; "));
  await world.close();
  await repository.close();
});

Deno.test("state: a repository that lost all is given all again, and late joiners have it", async () => {
  const repository = new EmbeddedRepository({ ...BOUNDS, path: ":memory:", nowMs: Date.now });
  const world = await stateWorld({ repository });
  await world.drivers.configure(driversFrom(PAIR));
  const source = await open(world, "a");
  await source.put([1, 2, 3].map((number) => flowRecord(number)));
  await alike(world, "a", ["b"]);
  await repository.begin("node/a", 1);
  await source.put([flowRecord(4)]);
  await world.drivers.configure(driversFrom(PAIR + memoryDriver("c", "redundant", "replica")));
  await alike(world, "a", ["b", "c"]);
  assert.equal((await contents(world, "c")).length, 4);
  assert.equal(world.drivers.report().drivers[0]!.counters.lost, 1);
  await world.close();
  await repository.close();
});

/** A repository that is out of reach until it is not. */
class Away extends EmbeddedRepository {
  isAway = true;

  override last(source: string): Promise<number> {
    return this.isAway ? Promise.reject(new Error("no route to host")) : super.last(source);
  }
}

Deno.test("state: a source that starts while its repository is away waits, says so once, and sends all", async () => {
  const repository = new Away({ ...BOUNDS, path: ":memory:", nowMs: Date.now });
  const world = await stateWorld({ repository });
  await world.drivers.configure(driversFrom(PAIR));
  const source = await open(world, "a");
  await source.put([flowRecord(1)]);
  await until("that it waits", () => world.drivers.report().drivers[0]!.counters.waits! >= 2);
  await source.put([flowRecord(2)]);
  repository.isAway = false;
  await alike(world, "a", ["b"]);
  assert.equal((await contents(world, "b")).length, 2);
  assert.deepEqual(world.said.filter((text) => text.startsWith("node/a waits")), [
    "node/a waits for the repository: no route to host",
  ]);
  await world.close();
  await repository.close();
});

Deno.test("state: what a box refuses is counted and told once, and the rest is taken", async () => {
  const world = await stateWorld();
  await world.drivers.configure(
    driversFrom(
      memoryDriver("a", "primary", "source") + memoryDriver("b", "redundant", "replica", "records_max = 2"),
    ),
  );
  await (await open(world, "a")).put([1, 2, 3, 4].map((number) => flowRecord(number)));
  await until("refusals", () => world.drivers.report().drivers[1]!.counters.refused === 2);
  assert.equal((await contents(world, "b")).length, 2);
  assert.equal(world.said.filter((text) => /is refused: there are 2 records already/.test(text)).length, 1);
  await world.close();
});

Deno.test("state: people get, put and delete by name, and hear why not", async () => {
  const world = await stateWorld();
  await world.drivers.configure(driversFrom(PAIR));
  await open(world, "a");
  const put = await world.drivers.put("a", [flowRecord(1), flowRecord(2)]);
  assert.deepEqual(put, { ok: true, value: { taken: 2, known: 0, refused: [] } });
  const got = world.drivers.get({ driver: "a", role: null, fields: flowRecord(1).fields });
  assert.ok(got.ok);
  assert.deepEqual((await Array.fromAsync(got.value)).map(({ key }) => key), [flowRecord(1).key]);
  assert.deepEqual(await world.drivers.del({ driver: "a", role: "supporting", fields: ALL }), {
    ok: true,
    value: 2,
  });
  const none = world.drivers.get({ driver: "x", role: null, fields: ALL });
  assert.deepEqual(none, { ok: false, text: 'there is no driver "x"; there are a, b' });
  await world.close();
});

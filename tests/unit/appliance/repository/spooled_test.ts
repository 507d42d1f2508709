/** The spool before a repository elsewhere: outages of any kind, in order and with nothing lost, all in one's own time. */
import assert from "node:assert/strict";
import type { Appended, Entry, Repository } from "../../../../appliance/repository/contract.ts";
import { EmbeddedRepository } from "../../../../appliance/repository/embedded.ts";
import { type RepositoryEvent, SpooledRepository } from "../../../../appliance/repository/spooled.ts";
import { Random } from "../../../../filter/random.ts";
import { BOUNDS, entries, entry, follow } from "../../../support/repository_conformance.ts";

const nowMs = () => 1_000_000;
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** A repository that fails when it is told to, before or after it did what was asked. */
class Fickle extends EmbeddedRepository {
  mood: "well" | "away" | "answers late" = "well";

  override async append(source: string, given: readonly Entry[]): Promise<Appended> {
    if (this.mood === "away") throw new Error("connection refused");
    const appended = await super.append(source, given);
    if (this.mood === "answers late") throw new Error("no answer in time");
    return appended;
  }
}

function world({ entriesMax = 1_000, path = ":memory:" } = {}) {
  const told: RepositoryEvent[] = [];
  const bounds = { ...BOUNDS, nowMs };
  const remote = new Fickle({ ...bounds, logMax: 10_000, path: ":memory:" });
  const spool = new EmbeddedRepository({ ...bounds, logMax: entriesMax, keepsAll: true, path });
  const repository = new SpooledRepository({
    remote,
    spool,
    entriesMax,
    bytesMax: BOUNDS.bytesMax,
    nowMs,
    sleep: pause,
    tell: (event) => told.push(event),
  });
  const settle = async () => {
    while (repository.health().spooled > 0) await pause();
  };
  return { told, remote, spool, repository, settle, kinds: () => told.map(({ kind }) => kind) };
}

const sequences = async (repository: Repository, count: number) => {
  const got = await follow(repository, { count });
  assert.ok(typeof got !== "string", String(got));
  return got.map(({ sequence }: Entry) => sequence);
};
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

Deno.test("SpooledRepository: an outage loses nothing and changes no order", async () => {
  const { repository, remote, settle, kinds } = world();
  await repository.append("s", entries(1, 5));
  remote.mood = "away";
  for (let at = 6; at <= 95; at += 10) {
    assert.deepEqual(await repository.append("s", entries(at, at + 9)), { ok: true, last: at + 9 });
  }
  assert.equal(await repository.last("s"), 95);
  assert.deepEqual([repository.health().ok, repository.health().spooled], [false, 90]);
  remote.mood = "well";
  await repository.append("s", entries(96, 100));
  await settle();
  await repository.append("s", entries(101, 110));
  assert.deepEqual(await sequences(remote, 110), upTo(110));
  assert.deepEqual(kinds(), ["down", "up"]);
  await repository.close();
});

Deno.test("SpooledRepository: what was written although it seemed not is written once", async () => {
  const { repository, remote, settle } = world();
  remote.mood = "answers late";
  await repository.append("s", entries(1, 10));
  await pause();
  remote.mood = "well";
  await settle();
  await repository.append("s", [entry(11)]);
  assert.deepEqual(await sequences(remote, 11), upTo(11));
  await repository.close();
});

Deno.test("SpooledRepository: moods that change at any moment lose nothing (by seed)", async () => {
  const { repository, remote, settle } = world();
  const random = new Random(99);
  let last = 0;
  for (let turn = 0; turn < 300; turn++) {
    remote.mood = random.pick(["well", "well", "away", "answers late"]);
    const count = 1 + random.below(5);
    const { ok } = await repository.append("s", entries(last + 1, last + count));
    if (ok) last += count;
    if (random.chance(0.3)) await pause();
  }
  remote.mood = "well";
  await settle();
  assert.deepEqual(await sequences(remote, last), upTo(last));
  await repository.close();
});

Deno.test("SpooledRepository: a spool that fills says so, refuses when it is full, and takes again after", async () => {
  const { repository, remote, settle, kinds, told } = world({ entriesMax: 100 });
  remote.mood = "away";
  for (let at = 1; at <= 91; at += 10) await repository.append("s", entries(at, at + 9));
  assert.deepEqual(await repository.append("s", entries(101, 110)), { ok: false, fault: "full" });
  assert.deepEqual(await repository.append("s", entries(101, 110)), { ok: false, fault: "full" });
  assert.deepEqual(kinds(), ["down", "filling", "filling", "filling", "full"]);
  assert.match(told[1]!.text, /50 % full, and lasts another \d+ s/);
  remote.mood = "well";
  await settle();
  assert.deepEqual(await repository.append("s", entries(101, 110)), { ok: true, last: 110 });
  assert.deepEqual(await sequences(remote, 110), upTo(110));
  await repository.close();
});

Deno.test("SpooledRepository: a server that lost its last entries is given them again", async () => {
  const { repository, remote, kinds } = world();
  for (let at = 1; at <= 41; at += 10) await repository.append("s", entries(at, at + 9));
  // As a server that was killed before it wrote its last second to disk.
  await remote.begin("s", 31);
  assert.deepEqual(await repository.append("s", entries(51, 60)), { ok: true, last: 60 });
  assert.equal(repository.counters().repaired, 20);
  assert.deepEqual(kinds(), []);
  await repository.close();
});

Deno.test("SpooledRepository: a server that lost all begins anew, and the source is told to read anew", async () => {
  const { repository, remote, settle, told } = world();
  await repository.append("s", entries(1, 3));
  remote.mood = "away";
  for (let at = 4; at <= 2_503; at += 500) await repository.append("s", entries(at, at + 499));
  await remote.begin("s", 1);
  remote.mood = "well";
  await settle();
  assert.deepEqual(told.filter(({ kind }) => kind === "lost").map(({ source }) => source), []);
  assert.equal(await remote.last("s"), 1_003, "what it lost came from memory, and the spool behind it");
  await repository.close();

  const other = world();
  await other.repository.append("s", entries(1, 2_000));
  await other.repository.append("s", entries(2_001, 5_000));
  await other.remote.begin("s", 1);
  other.remote.mood = "away";
  await other.repository.append("s", [entry(5_001)]);
  other.remote.mood = "well";
  await other.settle();
  assert.deepEqual(other.told.find(({ kind }) => kind === "lost")?.source, "s");
  assert.equal(await other.remote.last("s"), 5_001);
  await other.repository.close();
});

Deno.test("SpooledRepository: a process that died in an outage left its spool to the next one", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/spool.db`;
    const before = world({ path });
    before.remote.mood = "away";
    await before.repository.append("s", entries(1, 50));
    await before.repository.close();
    const after = world({ path });
    after.repository.resume(["s"]);
    assert.equal(await after.repository.last("s"), 50);
    await after.settle();
    await after.repository.append("s", entries(51, 60));
    assert.deepEqual(await sequences(after.remote, 60), upTo(60));
    await after.repository.close();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** The embedded repository: the suite for all repositories, a file that is opened again, bounds of its own. */
import assert from "node:assert/strict";
import { EmbeddedRepository } from "../../../../appliance/repository/embedded.ts";
import {
  BOUNDS,
  entries,
  entry,
  follow,
  repositoryConformance,
} from "../../../support/repository_conformance.ts";

const nowMs = () => 1_000_000;

repositoryConformance("embedded", {
  open: (opening) => Promise.resolve(new EmbeddedRepository({ ...opening, path: ":memory:" })),
});

async function inFile(work: (path: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(`${directory}/state.db`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("embedded: another process finds what was appended, and goes on", () =>
  inFile(async (path) => {
    const before = new EmbeddedRepository({ ...BOUNDS, path, nowMs });
    await before.append("s", entries(1, 500));
    await before.acknowledge("s", { replica: "r", sequence: 200 });
    const epochs = [before.epoch(), before.epoch()];
    await before.close();
    const after = new EmbeddedRepository({ ...BOUNDS, path, nowMs });
    assert.deepEqual(await after.append("s", [entry(501)]), { ok: true, last: 501 });
    const got = await follow(after, { after: 200, count: 301 });
    assert.deepEqual(Array.isArray(got) && [got[0]?.sequence, got.at(-1)?.sequence], [201, 501]);
    assert.equal((await after.replicas("s"))[0]?.sequence, 200);
    assert.ok(epochs[0]! >= 1_000_000 && epochs[1]! > epochs[0]! && after.epoch() > epochs[1]!);
    await after.close();
  }));

Deno.test("embedded: a file that is none is refused in one sentence", () =>
  inFile(async (path) => {
    await Deno.writeTextFile(path, "no database ".repeat(1_000));
    assert.throws(
      () => new EmbeddedRepository({ ...BOUNDS, path, nowMs }),
      /^Error: Cannot open the state repository .*state\.db: /,
    );
  }));

Deno.test("embedded: bytes are bounded over all sources, and what goes is counted", async () => {
  const repository = new EmbeddedRepository({ ...BOUNDS, bytesMax: 100_000, path: ":memory:", nowMs });
  const chunk = new Uint8Array(1_000);
  for (let at = 1; at <= 300; at += 10) {
    await repository.append(at % 20 === 1 ? "s" : "other", []);
    await repository.append("s", entries(at, at + 9, () => ({ chunk })));
    assert.ok(repository.bytes <= 100_000, `${repository.bytes} bytes after ${at}`);
  }
  const { evicted, log_dropped, bytes } = repository.counters();
  assert.ok(evicted! > 0 && log_dropped! > 0);
  const { entries: held } = await repository.snapshot("s");
  assert.equal(held.at(-1)?.sequence, 300);
  assert.ok(held.length * 1_000 <= bytes!);
  await repository.close();
});

Deno.test("embedded: one that keeps all refuses what would push out what nobody has taken", async () => {
  const repository = new EmbeddedRepository({
    ...BOUNDS,
    logMax: 10,
    keepsAll: true,
    path: ":memory:",
    nowMs,
  });
  await repository.append("s", entries(1, 8));
  assert.deepEqual(await repository.append("s", entries(9, 11)), { ok: false, fault: "full" });
  assert.equal(await repository.last("s"), 8);
  repository.discard("s", 5);
  assert.deepEqual(await repository.append("s", entries(9, 11)), { ok: true, last: 11 });
  await repository.close();
});

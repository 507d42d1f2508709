/** The lock beside a board: who holds it, who may ask, and who may tidy up. */
import assert from "node:assert/strict";
import { openNative } from "../../../filter/dpdk.ts";

/** Loaded once: it stays loaded in a node, too. */
const native = openNative();

async function place() {
  const directory = await Deno.makeTempDir();
  return {
    path: `${directory}/board`,
    names: () => [...Deno.readDirSync(directory)].map(({ name }) => name).sort(),
    [Symbol.asyncDispose]: () => Deno.remove(directory, { recursive: true }),
  };
}

Deno.test("a board is held by who made it, however often somebody asks, and is not removed meanwhile", async () => {
  await using here = await place();
  assert.equal(native.held(here.path), false);
  const board = native.createBoard(here.path, { slots: 1024, version: "1" });
  for (let asked = 0; asked < 100; asked++) assert.equal(native.held(here.path), true);
  assert.throws(() => native.createBoard(here.path, { slots: 1024, version: "2" }), /one is running already/);
  native.removeBoard(here.path);
  assert.deepEqual(here.names(), ["board", "board.lock"]);
  assert.equal(native.openBoard(here.path).board.text("header.version"), "1");
  board.close();
});

Deno.test("what a dead plane left is held by nobody, and is removed or taken over", async () => {
  await using here = await place();
  for (const name of ["board", "board.lock"]) await Deno.writeTextFile(here.path.replace("board", name), "");
  assert.equal(native.held(here.path), false);
  native.removeBoard(here.path);
  assert.deepEqual(here.names(), []);
  native.removeBoard(here.path); // nothing there is nothing to do
  await Deno.writeTextFile(`${here.path}.lock`, "");
  native.createBoard(here.path, { slots: 1024, version: "1" }).close();
  assert.equal(native.held(here.path), true);
});

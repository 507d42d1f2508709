/** The desk of the configuration file: what is refused leaves the file as it was. */
import assert from "node:assert/strict";
import { fileDesk } from "../../../ui/page/desk.ts";
import { CONFIG_TEXT } from "../../support/page_means.ts";

const FRESH = CONFIG_TEXT.replace("silence_ms = 10", "silence_ms = 20");

async function deskOf(work: (path: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/node.toml`, CONFIG_TEXT, { mode: 0o640 });
    await work(`${directory}/node.toml`);
    assert.deepEqual(Array.from(Deno.readDirSync(directory), ({ name }) => name), ["node.toml"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const wish = (text: string, etag: string | null) => ({ text, etag, who: "ada", note: "", confirmS: 90 });
const taken = { reload: () => Promise.resolve({ ok: true, text: "in force" }) };

Deno.test("fileDesk() writes a good text with the rights of the file, and has the node take it", async () => {
  await deskOf(async (path) => {
    const desk = fileDesk({ path, control: taken });
    const { etag } = desk.current();
    assert.deepEqual(await desk.apply(wish(FRESH, etag)), { ok: true, text: "in force" });
    assert.equal(await Deno.readTextFile(path), FRESH);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o640);
    assert.notEqual(desk.current().etag, etag);
  });
});

Deno.test("fileDesk() puts the old text back where the node refuses the new one", async () => {
  await deskOf(async (path) => {
    const control = { reload: () => Promise.resolve({ ok: false, text: "plane.cores cannot change" }) };
    const { ok, text } = await fileDesk({ path, control }).apply(wish(FRESH, null));
    assert.deepEqual([ok, text], [false, "The old configuration stays in force: plane.cores cannot change"]);
    assert.equal(await Deno.readTextFile(path), CONFIG_TEXT);
  });
});

Deno.test("fileDesk() refuses problems, a text made from another one, and one without end, before it writes", async () => {
  await deskOf(async (path) => {
    const control = { reload: () => assert.fail("the node was asked") };
    const desk = fileDesk({ path, control });
    const refusals: readonly [string, string | null, RegExp][] = [
      ["nonsense", null, /it has problems/],
      [FRESH, '"old"', /node\.toml has been changed meanwhile/],
      [`${CONFIG_TEXT}#${"x".repeat(128 * 1024)}`, null, /longer than 128 KiB/],
    ];
    for (const [text, etag, reason] of refusals) {
      const answer = await desk.apply(wish(text, etag));
      assert.equal(answer.ok, false);
      assert.match(answer.text, reason);
    }
    assert.equal(await Deno.readTextFile(path), CONFIG_TEXT);
    const { problems } = desk.check(CONFIG_TEXT.replace("silence_ms = 10", "silence_ms = -1"));
    assert.deepEqual(problems.map(({ line, key }) => [line, key]), [[21, "failover.silence_ms"]]);
  });
});

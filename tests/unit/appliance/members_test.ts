/** Who has left, in its file: kept whole, and nobody has left where it cannot be read. */
import assert from "node:assert/strict";
import type { Config } from "../../../appliance/config.ts";
import { readLeft, writeLeft } from "../../../appliance/members.ts";

Deno.test("writeLeft() keeps who has left, and readLeft() takes only boxes there may be", async () => {
  const stateDirectory = await Deno.makeTempDir();
  try {
    const config = { node: { stateDirectory } } as Config;
    assert.deepEqual(readLeft(config), []);
    writeLeft(config, ["redundant-2", "redundant"]);
    assert.deepEqual(readLeft(config), ["redundant", "redundant-2"]);
    assert.deepEqual([...Deno.readDirSync(stateDirectory)].map(({ name }) => name), ["boxes.json"]);
    for (const text of ['{"left":["fw-c",3]}', '{"left":"redundant"}', "[]", "null", "{"]) {
      Deno.writeTextFileSync(`${stateDirectory}/boxes.json`, text);
      assert.deepEqual(readLeft(config), [], text);
    }
    const nowhere = { node: { stateDirectory: `${stateDirectory}/none` } } as Config;
    assert.throws(() => writeLeft(nowhere, []), /^Error: Cannot write .*boxes\.json: /);
  } finally {
    await Deno.remove(stateDirectory, { recursive: true });
  }
});

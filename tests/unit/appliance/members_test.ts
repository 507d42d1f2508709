/** Who has left and why traffic was moved, in its file: kept whole, and nothing where it cannot be read. */
import assert from "node:assert/strict";
import type { Config } from "../../../appliance/config.ts";
import { readMembers, writeMembers } from "../../../appliance/members.ts";

const NOTHING = { left: [], relieved: false };

Deno.test("writeMembers() keeps who has left, and readMembers() takes only boxes there may be", async () => {
  const stateDirectory = await Deno.makeTempDir();
  try {
    const config = { node: { stateDirectory } } as Config;
    assert.deepEqual(readMembers(config), NOTHING);
    writeMembers(config, { left: ["redundant-2", "redundant"], relieved: true });
    assert.deepEqual(readMembers(config), { left: ["redundant", "redundant-2"], relieved: true });
    assert.deepEqual([...Deno.readDirSync(stateDirectory)].map(({ name }) => name), ["boxes.json"]);
    for (const text of ['{"left":["fw-c",3],"relieved":1}', '{"left":"redundant"}', "[]", "null", "{"]) {
      Deno.writeTextFileSync(`${stateDirectory}/boxes.json`, text);
      assert.deepEqual(readMembers(config), NOTHING, text);
    }
    const nowhere = { node: { stateDirectory: `${stateDirectory}/none` } } as Config;
    assert.throws(() => writeMembers(nowhere, NOTHING), /^Error: Cannot write .*boxes\.json: /);
  } finally {
    await Deno.remove(stateDirectory, { recursive: true });
  }
});

/**
 * What a reset forgets and what it keeps, and that a power cut in between only delays it.
 */
import assert from "node:assert/strict";
import { type Config, parseConfig } from "../../../appliance/config.ts";
import { exampleConfig } from "../../../appliance/config_text.ts";
import { carryOutReset, forgotten, resetPath, wishReset } from "../../../appliance/reset.ts";

function configAt(directory: string): Config {
  const text = exampleConfig().replace(/^#state_directory = .*$/m, `state_directory = "${directory}"`);
  const { config, problems } = parseConfig(text, "test.toml");
  assert.deepEqual(problems, []);
  return config!;
}

const KEPT = ["last_path", "boxes.json", "reset", "etc", "update.json", "access", "somebody's file"];
const GONE = [
  ...[
    "access.json",
    "access.json.new",
    "api.pem",
    "audit.jsonl",
    "audit.jsonl.1",
    "drill.key",
    "events.jsonl",
  ],
  ...["events.jsonl.1", "state.db", "state.db-wal", "state.key", "config", "drills", "capture", "recorder"],
];

Deno.test("forgotten() names the node's own records, and neither the path of the traffic nor others' files", () => {
  assert.deepEqual(forgotten(configAt("/data/state"), [...KEPT, ...GONE]), GONE);
});

Deno.test("carryOutReset() forgets once, and keeps the configuration unless it is meant too", () => {
  const home = Deno.makeTempDirSync();
  try {
    const config = configAt(home), file = `${home}/remediate.toml`;
    for (const configuration of [false, true]) {
      for (const name of ["access.json", "last_path"]) Deno.writeTextFileSync(`${home}/${name}`, "x");
      Deno.mkdirSync(`${home}/config`);
      Deno.writeTextFileSync(file, "x");
      assert.equal(carryOutReset(config, file), null, "nothing was wished");
      wishReset(config, { configuration });
      assert.match(carryOutReset(config, file)!, /the plane forwarded on/);
      const left = [...Deno.readDirSync(home)].map(({ name }) => name).sort();
      assert.deepEqual(left, configuration ? ["last_path"] : ["last_path", "remediate.toml"]);
      assert.equal(carryOutReset(config, file), null);
    }
    assert.equal(resetPath(config), `${home}/reset`);
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
});

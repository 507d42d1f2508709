/** What is derived from the key table: the example is a good file, and the page is up to date. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { SECTIONS } from "../../../appliance/config_keys.ts";
import { configurationPage, exampleConfig } from "../../../appliance/config_text.ts";

function good(text: string) {
  const { config, problems } = parseConfig(text, "example.toml");
  assert.deepEqual(problems, []);
  return config!;
}

/** The example without its last part, the tables of external switches, and that part alone. */
function parts(): [most: string, switches: string] {
  const text = exampleConfig();
  const at = text.indexOf("#[[switch]]");
  return [text.slice(0, at), text.slice(at)];
}

Deno.test("exampleConfig() is a good configuration, with and without its comments taken away", () => {
  const [text] = parts();
  const withDefaults = good(exampleConfig());
  // Keys that exclude each other, or have no default, are examples; everything else must be the default.
  const uncommented = text.replace(/^#(?=[a-z_]+ = )/gm, "").replace(
    /^(core|socket|listen|certificate|key|hold_ring_ms|failback_window|client|server|gateway) = .*$/gm,
    "",
  );
  const withoutLists = uncommented.replace(/^#\[\[[^]*?(?=^\[)/gm, "");
  assert.deepEqual(good(withoutLists), withDefaults);
});

Deno.test("exampleConfig() gives a table of each list whose every value is of its key's type", () => {
  const text = parts()[0].replaceAll("#[[", "[[").replace(
    /^#(?=[a-z_]+ = )/gm,
    "",
  );
  const { problems } = parseConfig(text, "example.toml");
  // The example shows both `all` and `none`, and what each kind of check needs; only that is contradictory.
  for (const { reason } of problems) assert.match(reason, /contradicts none = true|has no use in a check/);
  assert.ok(problems.length > 0);
});

Deno.test("exampleConfig() gives a switch whose every value is of its key's type", () => {
  const [most, switches] = parts();
  const { problems } = parseConfig(most + switches.replace(/^#(?=\[\[|[a-z_]+ = )/gm, ""), "example.toml");
  // It shows both ways to connect, a way around beside both sides, and files of TLS for the one that has none.
  for (const { reason } of problems) assert.match(reason, /either end dials|has no effect/);
  assert.equal(problems.length, 5);
});

Deno.test("exampleConfig() and configurationPage() tell every key and its help", () => {
  const example = exampleConfig().replace(/\n# /g, " ");
  const page = configurationPage().replace(/\s+/g, " ");
  for (const { path, keys } of SECTIONS) {
    assert.ok(page.includes(`${path}]`), path);
    for (const [name, key] of Object.entries(keys)) {
      assert.ok(example.includes(`${name} = `), name);
      assert.ok(example.includes(key.help.replaceAll("`", "")), key.help);
      assert.ok(page.includes(`\`${name}\` (`) && page.includes(key.help), name);
    }
  }
});

Deno.test("docs/configuration.md is what the key table says (else run scripts/docs.ts)", () => {
  const page = Deno.readTextFileSync(new URL("../../../docs/configuration.md", import.meta.url));
  assert.equal(page, configurationPage());
});

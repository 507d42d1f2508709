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

Deno.test("exampleConfig() is a good configuration, with and without its comments taken away", () => {
  const text = exampleConfig();
  const withDefaults = good(text);
  // Keys that exclude each other, or have no default, are examples; everything else must be the default.
  const uncommented = text.replace(/^#(?=[a-z_]+ = )/gm, "").replace(
    /^(core|socket|hold_ring_ms) = .*$/gm,
    "",
  );
  const beforeRule = uncommented.slice(0, uncommented.indexOf("#[[filter.rules]]"));
  const afterRule = uncommented.slice(uncommented.indexOf("[filter.ages]"));
  assert.deepEqual(good(beforeRule + afterRule), withDefaults);
});

Deno.test("exampleConfig() gives a rule whose every value is of its key's type", () => {
  const text = exampleConfig().replace("#[[filter.rules]]", "[[filter.rules]]").replace(
    /^#(?=[a-z_]+ = )/gm,
    "",
  );
  const { problems } = parseConfig(text, "example.toml");
  // The example shows both `all` and `none`; only that is contradictory.
  for (const { reason } of problems) assert.match(reason, /contradicts none = true/);
  assert.ok(problems.length > 0);
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

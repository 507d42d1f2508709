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

/** The example without its last parts, and these alone: state drivers with their repository, external switches. */
function parts(): [most: string, switches: string, state: string] {
  const text = exampleConfig();
  const state = text.indexOf("#[driver.NAME]"), at = text.indexOf("#[[switch]]");
  return [text.slice(0, state), text.slice(at), text.slice(state, at)];
}

Deno.test("exampleConfig() is a good configuration, with and without its comments taken away", () => {
  const [text] = parts();
  const withDefaults = good(exampleConfig());
  // Keys that exclude each other, or have no default, are examples; everything else must be the default.
  const uncommented = text.replace(/^#(?=[a-z_]+ = )/gm, "").replace(
    /^(core|socket|listen|certificate|key|hold_ring_ms|failback_window|client|server|gateway|url|fingerprint|ca|proxy|token_file) = .*$/gm,
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

const uncomment = (text: string) =>
  text.replace("#[driver.NAME]", "[driver.fw]").replace(/^#(?=[a-z_]+ = )/gm, "");

Deno.test("exampleConfig() gives settings of each kind of driver, of the type they have", () => {
  const [most, , state] = parts();
  const [common = "", ...kinds] = state.replace(/^\S*\[repository\][^]*/gm, "").split(/^(?=# Of kind )/gm);
  assert.ok(kinds.length > 3);
  for (const text of kinds) {
    const [, kind = ""] = /^# Of kind "(.*)":/.exec(text)!;
    const own = uncomment(common + text).replace(/^kind = .*$/m, `kind = "${kind}"`);
    const { problems } = parseConfig(most + own, "example.toml");
    for (const { key, reason } of problems) {
      assert.doesNotMatch(reason, /TOML|is no key|, not an? /, `${kind}: ${key}`);
    }
  }
});

Deno.test("exampleConfig() gives a driver and a repository whose every value is of its key's type", () => {
  const [most, , state] = parts();
  const text = uncomment(state.replace(/^# Of kind [^]*?(?=^\S*\[)/gm, ""));
  const { problems } = parseConfig(
    most + text.replace('kind = "embedded"', 'kind = "redis"'),
    "example.toml",
  );
  // It shows what only a replica has, and files of TLS for an address without it.
  for (const { reason } of problems) assert.match(reason, /has no effect/);
  assert.deepEqual(problems.map(({ key }) => key), [
    "driver.fw.from",
    "repository.ca",
    "repository.certificate",
    "repository.key",
  ]);
});

Deno.test("exampleConfig() and configurationPage() tell every key and its help", () => {
  const example = exampleConfig().replace(/\n# /g, " ");
  const page = configurationPage().replace(/\s+/g, " ");
  for (const { path, keys, named } of SECTIONS) {
    assert.ok(page.includes(`${path}${named ? ".NAME" : ""}]`), path);
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

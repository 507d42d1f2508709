/** Changes of the filter as changes of text, and the diff that shows them. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../appliance/config.ts";
import { gridRules } from "../../../appliance/mirror_tune.ts";
import { ruleToml } from "../../../ui/mirror_text.ts";
import {
  ruleOfForm,
  withoutRule,
  withPreset,
  withRule,
  withRuleLines,
} from "../../../ui/page/filter_edit.ts";
import { CONFIG_TEXT } from "../../support/page_means.ts";

const filterOf = (text: string) => {
  const { config, problems } = parseConfig(text, "a test");
  assert.deepEqual(problems, []);
  return config!.filter;
};

Deno.test("withRule() puts a rule behind those of the file, and nothing else changes", () => {
  const rule = ruleOfForm({
    name: "dns",
    match: 'udp port 53 and not host "x"',
    all: "true",
    keepalive_s: "9",
  });
  if (typeof rule === "string") assert.fail(rule);
  const text = withRule(CONFIG_TEXT, rule);
  assert.deepEqual(filterOf(text).rules.map(({ name }) => name), ["sip", "dns", "nat"]);
  assert.equal(filterOf(text).rules[1]!.match, 'udp port 53 and not host "x"');
  assert.equal(filterOf(text).rules[1]!.keepaliveMs, 9000);
  assert.equal(text.split("\n").filter((line) => CONFIG_TEXT.split("\n").includes(line)).length, 25);
  assert.equal(withoutRule(text, 1), CONFIG_TEXT);
});

Deno.test("withRule() begins the list where there is none", () => {
  const bare = CONFIG_TEXT.replace(/\[\[filter.rules\]\][^[]*/, "");
  const text = withRule(bare, { name: "dns", match: "", numbers: { sample: 3, first_bytes: 0 }, flags: [] });
  assert.deepEqual(filterOf(text).rules.map(({ name, sample }) => [name, sample]), [["dns", 3], ["nat", 0]]);
});

Deno.test("withoutRule() takes the one of that number, and none where there is none", () => {
  assert.deepEqual(filterOf(withoutRule(CONFIG_TEXT, 0)).rules.map(({ name }) => name), ["nat"]);
  assert.equal(withoutRule(CONFIG_TEXT, 7), CONFIG_TEXT);
});

Deno.test("withPreset() changes the line, the section, or makes one", () => {
  const without = CONFIG_TEXT.replace('preset = "nat"\n', "");
  const bare = without.replace("[filter]\n", "").replace(/\[\[filter.rules\]\][^[]*/, "");
  for (const text of [CONFIG_TEXT, without, bare]) {
    assert.equal(filterOf(withPreset(text, "firewall")).preset, "firewall");
  }
});

Deno.test("ruleOfForm() names the field and the value that are wrong", () => {
  assert.equal(
    ruleOfForm({ name: "x", sample: "many" }),
    'sample is "many"; accepted: an integer from 0 to 4294967295',
  );
});

Deno.test("withRuleLines() takes every rule of the tuning's grid as it is printed, and the configuration stays good", () => {
  for (const rule of gridRules()) {
    const text = withRuleLines(CONFIG_TEXT, ruleToml({ rule }).split("\n"));
    const { config, problems } = parseConfig(text, "a test");
    assert.deepEqual(problems, [], rule.name);
    assert.deepEqual(config?.filter.rules.find(({ name }) => name === rule.name), rule);
  }
});

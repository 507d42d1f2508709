/** The keys of [fleet], and addresses to listen on. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../../appliance/config.ts";
import { endpointOf } from "../../../../appliance/config_keys_api.ts";
import { labelsOf } from "../../../../appliance/config_keys_fleet.ts";
import { exampleConfig } from "../../../../appliance/config_text.ts";

function problems(...lines: readonly string[]): string[] {
  const text = `${exampleConfig()}\n`.replace(/^\[fleet\]$/m, ["[fleet]", ...lines].join("\n"));
  return parseConfig(text, "x.toml").problems.map(({ key, reason }) => `${key} ${reason}`);
}

Deno.test("[fleet] takes a controller, and names what is wrong with one", () => {
  assert.deepEqual(problems(), []);
  assert.deepEqual(problems('url = "wss://fleet.example:8444"', 'proxy = "http://a:b@p.example:3128"'), []);
  assert.deepEqual(problems('url = "https://fleet.example"'), ["fleet.url is no such address"]);
  assert.deepEqual(problems('url = "wss://fleet.example/x"'), ["fleet.url is no such address"]);
  assert.deepEqual(problems('proxy = "http://p.example"'), ["fleet.url is missing: fleet.proxy is given"]);
  const fingerprint = "ab:cd";
  assert.deepEqual(problems('url = "wss://a"', `fingerprint = "${fingerprint}"`), [
    "fleet.fingerprint is no fingerprint",
  ]);
});

Deno.test("labelsOf() reads pairs, and refuses what is none or comes twice", () => {
  assert.deepEqual(labelsOf(""), {});
  assert.deepEqual(labelsOf("site=berlin, pair=b1"), { site: "berlin", pair: "b1" });
  for (const text of ["site", "=x", "a=1,a=2", "a=b c", "A=1"]) assert.equal(labelsOf(text), null, text);
});

Deno.test("endpointOf() takes all addresses of the machine", () => {
  assert.deepEqual(endpointOf("0.0.0.0:8444"), { host: "0.0.0.0", port: 8444 });
  assert.deepEqual(endpointOf("[::]:8444"), { host: "::", port: 8444 });
  assert.equal(endpointOf("224.0.0.1:8444"), null);
});

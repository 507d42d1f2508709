/**
 * Places of files: layers of the chain, edges, and how a relative import is resolved.
 */
import assert from "node:assert/strict";
import { fromTop, isPure, type Layer, layerOf, mayImport, resolve } from "../../../scripts/lint/place.ts";
import edges from "../../../scripts/lint/edges.json" with { type: "json" };

Deno.test("mayImport() agrees with the chain for all pairs of layers", () => {
  const layers: Layer[] = ["filter", "drivers", "appliance", "ui", "mod.ts", "scripts", "tests", "elsewhere"];
  const allowed: Record<string, string> = {
    filter: "filter",
    drivers: "filter drivers",
    appliance: "filter drivers appliance",
    ui: "filter drivers appliance ui",
    "mod.ts": "filter drivers appliance ui mod.ts",
    scripts: layers.join(" "),
    tests: layers.join(" "),
    elsewhere: layers.join(" "),
  };
  for (const from of layers) {
    const targets = layers.filter((to) => mayImport(from, to));
    assert.equal(targets.join(" "), allowed[from], from);
  }
});

Deno.test("layerOf() goes by the first part of the path", () => {
  assert.equal(layerOf("filter/native/abi.h"), "filter");
  assert.equal(layerOf("mod.ts"), "mod.ts");
  assert.equal(layerOf("filters/a.ts"), "elsewhere");
  assert.equal(layerOf("scripts/filter/a.ts"), "scripts");
});

Deno.test("fromTop() strips the checkout's place and nothing else", () => {
  assert.equal(fromTop("/src/r/filter/a.ts", "/src/r/"), "filter/a.ts");
  assert.equal(fromTop("./filter/a.ts", "/src/r/"), "filter/a.ts");
  assert.equal(fromTop("filter/a.ts", "/src/r/"), "filter/a.ts");
});

Deno.test("resolve() walks relative specifiers and leaves bare ones alone", () => {
  assert.equal(resolve("appliance/failover/bfd.ts", "../../filter/a.ts"), "filter/a.ts");
  assert.equal(resolve("mod.ts", "./ui/a.ts"), "ui/a.ts");
  assert.equal(resolve("mod.ts", "hono"), null);
});

Deno.test("isPure() is false for edges, for folders that are edges, and outside the chain", () => {
  const listed = { "ui/static/": "runs in a browser", "filter/dpdk.ts": "dlopen" };
  assert.equal(isPure("filter/model.ts", listed), true);
  assert.equal(isPure("filter/dpdk.ts", listed), false);
  assert.equal(isPure("ui/static/app.ts", listed), false);
  assert.equal(isPure("tests/unit/a_test.ts", listed), false);
});

Deno.test("edges.json gives a reason for every edge", () => {
  for (const [path, reason] of Object.entries(edges)) assert.match(reason, /\w{3}/, path);
});

/** Every package is named with its licence, and nothing is shipped that nobody agreed to. */
import assert from "node:assert/strict";
import { licencesPage, nameOf, packages, reached, strangers } from "../../../scripts/licences.ts";

Deno.test("docs/licences.md is what the lock file says (else run the task licences), and all licences are agreed to", async () => {
  const list = await packages();
  assert.deepEqual(strangers(list), []);
  assert.equal(
    await Deno.readTextFile(new URL("../../../docs/licences.md", import.meta.url)),
    licencesPage(list),
  );
  const shipped = (name: string) => list.find((one) => one.name === name)?.shipped;
  assert.deepEqual([shipped("hono"), shipped("playwright-core")], [true, false]);
});

Deno.test("strangers() finds a licence nobody agreed to, and one that is only for tools in what is shipped", () => {
  const one = { name: "x", version: "1", shipped: true };
  assert.equal(strangers([{ ...one, licence: "GPL-3.0" }]).length, 1);
  assert.equal(strangers([{ ...one, licence: "MPL-2.0" }]).length, 1);
  assert.equal(strangers([{ ...one, licence: "MPL-2.0", shipped: false }]).length, 0);
});

Deno.test("reached() follows dependencies, by scope and version", () => {
  const npm = { "@a/b@1.0.0_c@2": { dependencies: ["c"] }, "c@2.0.0": {}, "d@1.0.0": {} };
  assert.deepEqual([...reached({ npm }, ["@a/b"])], ["@a/b@1.0.0_c@2", "c@2.0.0"]);
  assert.deepEqual(nameOf("@a/b@1.0.0_c@2"), { name: "@a/b", version: "1.0.0" });
});

/**
 * Every rule of scripts/lint/plugin.ts: what it reports, what it lets pass, and that it gives a hint.
 */
import assert from "node:assert/strict";
import plugin from "../../../scripts/lint/plugin.ts";

/** Rule names reported for a file, without the plugin's name; every report must carry a hint. */
function reported(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map((diagnostic) => {
    assert.ok((diagnostic.hint ?? "").length > 20, `${diagnostic.id} has no hint`);
    return diagnostic.id.replace("remediate/", "");
  });
}

/** The same with a header comment in front, so that only the rule in question speaks. */
function rules(path: string, body: string): string[] {
  return reported(path, `/** Duty. */\n${body}\n`);
}

function lines(count: number): string {
  return Array.from({ length: count }, (_, index) => `  use(${index});`).join("\n");
}

Deno.test("import-direction lets a layer import itself and what is left of it", () => {
  assert.deepEqual(rules("appliance/failover/bfd.ts", `import "../clock.ts";`), []);
  assert.deepEqual(rules("appliance/node.ts", `import "../filter/model.ts";\nimport "../drivers/x.ts";`), []);
  assert.deepEqual(rules("mod.ts", `import "./ui/server.ts";\nimport "./filter/dpdk.ts";`), []);
  assert.deepEqual(
    rules("tests/unit/a_test.ts", `import "../../scripts/ok.ts";\nimport "../../mod.ts";`),
    [],
  );
  assert.deepEqual(rules("scripts/ok.ts", `import "../appliance/view.ts";`), []);
  assert.deepEqual(rules("filter/a.ts", `import manifest from "../deno.json" with { type: "json" };`), []);
});

Deno.test("import-direction reports an arrow to the right, static, dynamic or re-exported", () => {
  const wrong = ["import-direction"];
  assert.deepEqual(rules("filter/model.ts", `import "../drivers/record.ts";`), wrong);
  assert.deepEqual(rules("drivers/a.ts", `export * from "../appliance/view.ts";`), wrong);
  assert.deepEqual(rules("appliance/a.ts", `export { x } from "../ui/view.ts";`), wrong);
  assert.deepEqual(rules("ui/a.ts", `await import("../mod.ts");`), wrong);
  assert.deepEqual(rules("appliance/a.ts", `import type { A } from "../ui/view.ts";`), wrong);
});

Deno.test("import-direction keeps scripts/ and tests/ out of the product", () => {
  assert.deepEqual(rules("mod.ts", `import "./scripts/ok.ts";`), ["import-direction"]);
  assert.deepEqual(rules("filter/a.ts", `import "../tests/support/a.ts";`), ["import-direction"]);
});

Deno.test("import-source reports a package that deno.json does not name", () => {
  assert.deepEqual(rules("ui/a.ts", `import "npm:hono@4";`), ["import-source"]);
  assert.deepEqual(rules("tests/unit/a_test.ts", `import "jsr:@std/assert";`), ["import-source"]);
  assert.deepEqual(rules("ui/a.ts", `await import("https://example.com/a.js");`), ["import-source"]);
  assert.deepEqual(rules("ui/a.ts", `import "hono";\nimport "node:path";`), []);
});

Deno.test("function-lines allows 60 lines and reports 61, in tests too", () => {
  assert.deepEqual(rules("filter/a.ts", `function a() {\n${lines(58)}\n}`), []);
  assert.deepEqual(rules("filter/a.ts", `function a() {\n${lines(59)}\n}`), ["function-lines"]);
  assert.deepEqual(rules("filter/a.ts", `const a = () => {\n${lines(59)}\n};`), ["function-lines"]);
  assert.deepEqual(rules("filter/a.ts", `class A {\n  a() {\n${lines(59)}\n  }\n}`), ["function-lines"]);
  assert.deepEqual(rules("tests/a_test.ts", `Deno.test("a", () => {\n${lines(59)}\n});`), ["function-lines"]);
});

Deno.test("function-lines does not count a function that only groups tests", () => {
  const step = `  await t.step("s", () => {\n${lines(20)}\n  });\n`;
  assert.deepEqual(rules("tests/a_test.ts", `Deno.test("a", async (t) => {\n${step.repeat(4)}});`), []);
  assert.deepEqual(rules("tests/a_test.ts", `describe("a", () => {\n${lines(80)}\n});`), []);
  const mixed = `Deno.test("a", async (t) => {\n  use(1);\n${step.repeat(4)}});`;
  assert.deepEqual(rules("tests/a_test.ts", mixed), ["function-lines"]);
});

Deno.test("function-lines counts lines right in a text with wide characters", () => {
  const wide = `const s = "ünïcödé 🛡️";\n`.repeat(40);
  assert.deepEqual(rules("filter/a.ts", `${wide}function a() {\n${lines(58)}\n}`), []);
  assert.deepEqual(rules("filter/a.ts", `${wide}function a() {\n${lines(59)}\n}`), ["function-lines"]);
});

Deno.test("file-lines allows 400 lines and reports 401", () => {
  assert.deepEqual(rules("filter/a.ts", Array(399).fill("use();").join("\n")), []);
  assert.deepEqual(rules("filter/a.ts", Array(400).fill("use();").join("\n")), ["file-lines"]);
});

Deno.test("parameters allows four and reports five", () => {
  assert.deepEqual(rules("filter/a.ts", `function a(b, c, d, e) {}`), []);
  assert.deepEqual(rules("filter/a.ts", `function a(b, c, d, e, f) {}`), ["parameters"]);
  assert.deepEqual(rules("filter/a.ts", `const a = (b, c, d, e, f) => b;`), ["parameters"]);
  assert.deepEqual(rules("filter/a.ts", `class A { a(b, c, d, e, f) {} }`), ["parameters"]);
});

Deno.test("pure reports clocks, timers, chance and Deno in files that are not edges", () => {
  const touches = [
    "Deno.readTextFileSync(path);",
    "Date.now();",
    "new Date();",
    "performance.now();",
    "setTimeout(use, 1);",
    "Math.random();",
    "crypto.randomUUID();",
    "fetch(url);",
    "new Worker(url);",
    `import "node:fs";`,
    `import { setTimeout as wait } from "node:timers/promises";`,
  ];
  for (const source of touches) assert.deepEqual(rules("appliance/failover/a.ts", source), ["pure"], source);
  for (const source of touches) assert.deepEqual(rules("appliance/node.ts", source), [], source);
  for (const source of touches) assert.deepEqual(rules("tests/unit/a_test.ts", source), [], source);
});

Deno.test("pure lets values, types and names of its own pass", () => {
  const fine = [
    "new Date(ms);",
    "Math.max(a, b);",
    "let pointer: Deno.PointerValue;",
    `import { join } from "node:path";`,
    "function ask(fetch: Ask) { return fetch(url); }",
    "const setTimeout = schedule; setTimeout(use, 1);",
    "clock.now();",
  ];
  for (const source of fine) assert.deepEqual(rules("filter/a.ts", source), [], source);
});

Deno.test("header reports a file without a word about its duty, and one with too many", () => {
  assert.deepEqual(reported("filter/a.ts", `const a = 1;\n/** late */\n`), ["header"]);
  assert.deepEqual(reported("filter/a.ts", `/**\n${" * word\n".repeat(13)} */\nuse();\n`), ["header"]);
  assert.deepEqual(reported("filter/a.ts", `/**\n${" * word\n".repeat(12)} */\nuse();\n`), []);
  assert.deepEqual(reported("scripts/a.ts", `#!/usr/bin/env -S deno run\n// Duty.\nuse();\n`), []);
});

Deno.test("empty-catch wants a deed or a reason", () => {
  assert.deepEqual(rules("filter/a.ts", `try { use(); } catch { }`), ["empty-catch"]);
  assert.deepEqual(rules("filter/a.ts", `try { use(); } catch (error) { }`), ["empty-catch"]);
  assert.deepEqual(rules("filter/a.ts", `try { use(); } catch {\n  // Gone already.\n}`), []);
  assert.deepEqual(rules("filter/a.ts", `try { use(); } catch (error) { report(error); }`), []);
});

Deno.test("ignored-test wants the reason in the name", () => {
  const path = "tests/unit/a_test.ts";
  assert.deepEqual(rules(path, `Deno.test({ name: "a() b", ignore: !root, fn });`), ["ignored-test"]);
  assert.deepEqual(rules(path, `Deno.test("a() b", { ignore: !root }, fn);`), ["ignored-test"]);
  assert.deepEqual(rules(path, `Deno.test.ignore("a() b", fn);`), ["ignored-test"]);
  assert.deepEqual(rules(path, `Deno.test.only("a() b", fn);`), ["ignored-test"]);
  assert.deepEqual(rules(path, `await t.step({ name: "b", ignore: true, fn });`), ["ignored-test"]);
  assert.deepEqual(rules(path, `Deno.test({ name: "a() b (needs root)", ignore: !root, fn });`), []);
  assert.deepEqual(rules(path, `Deno.test("a() b (needs root)", { ignore: !root }, fn);`), []);
  assert.deepEqual(rules(path, `Deno.test("a() b", { permissions: "none" }, fn);`), []);
});

/**
 * Checks of the repository: each with a file it must report and one it must let pass.
 */
import assert from "node:assert/strict";
import { anchorOf, REPO_CHECKS, type RepoFile, staleEdges } from "../../../scripts/lint/repo.ts";

function file(path: string, text: string | null, more: Partial<RepoFile> = {}): RepoFile {
  return { path, text, bytes: text?.length ?? 0, executable: false, ...more };
}

function run(name: string, ...files: RepoFile[]): string[] {
  const check = REPO_CHECKS.find((candidate) => candidate.name === name);
  assert.ok(check, `there is no check "${name}"`);
  return check.run(files);
}

const joined = (...parts: string[]) => parts.join("");

Deno.test("nothing left behind: reports notes and conflicts with their line", () => {
  const note = joined("TO", "DO");
  assert.deepEqual(run("nothing left behind", file("a.ts", `one\n// ${note}: two\n`)), [
    "a.ts:2 has a note to do something later",
  ]);
  assert.equal(run("nothing left behind", file("a.md", `${"<".repeat(7)} ours\n`)).length, 1);
  assert.deepEqual(run("nothing left behind", file("a.ts", "toDoList MYTODOS todo\n")), []);
});

Deno.test("nothing of one machine: reports paths, tools and addresses of persons", () => {
  const check = "nothing of one machine";
  assert.equal(run(check, file("a.ts", joined(`open("/`, `work/main/a")\n`))).length, 1);
  assert.equal(run(check, file("a.ts", joined("cd /", "root/x\n"))).length, 1);
  assert.equal(run(check, file("a.md", joined("made with Clau", "de\n"))).length, 1);
  assert.equal(run(check, file("a.md", joined("ask someone@", "mail.com\n"))).length, 1);
  assert.deepEqual(run(check, file("a.md", "someone@example.com, someone@lab.example.org, /var/lib\n")), []);
  assert.deepEqual(run(check, file("a.ts", "fetch(`/api/v1/work/list`), src/root/x\n")), []);
  assert.deepEqual(run(check, file("a.pcap", null)), []);
});

Deno.test("execute bits: scripts have them, nothing else has", () => {
  const script = "#!/usr/bin/env bash\n# Duty.\n";
  assert.deepEqual(
    run("execute bits", file("scripts/a", script, { executable: true }), file("a.ts", "")),
    [],
  );
  assert.equal(run("execute bits", file("scripts/a", script)).length, 1);
  assert.equal(run("execute bits", file("a.ts", "//\n", { executable: true })).length, 1);
});

Deno.test("header comments: wanted in C and in shell scripts", () => {
  const check = "header comments";
  assert.deepEqual(run(check, file("a.c", "/* Duty. */\nint a;\n"), file("a.json", "{}\n")), []);
  assert.deepEqual(run(check, file("a.h", "int a; /* late */\n")), ["a.h has no header comment"]);
  assert.deepEqual(run(check, file("scripts/a", "#!/bin/sh\n# Duty.\ntrue\n")), []);
  assert.deepEqual(run(check, file("scripts/a", "#!/bin/sh\ntrue\n")), ["scripts/a has no header comment"]);
});

Deno.test("sizes: limits hold for C, for scripts and for data", () => {
  const check = "sizes of C, scripts and data";
  assert.equal(run(check, file("a.c", "int a;\n".repeat(401))).length, 1);
  assert.equal(run(check, file("scripts/a", `#!/bin/sh\n${"true\n".repeat(400)}`)).length, 1);
  assert.equal(run(check, file("a.pcap", null, { bytes: 1024 * 1024 + 1 })).length, 1);
  assert.deepEqual(
    run(check, file("a.pcap", null, { bytes: 1024 * 1024 }), file("a.md", "\n".repeat(900))),
    [],
  );
});

Deno.test("ends of files: exactly one line break", () => {
  assert.deepEqual(run("ends of files", file("a", "x\n"), file("b", ""), file("c", null)), []);
  assert.equal(run("ends of files", file("a", "x")).length, 1);
  assert.equal(run("ends of files", file("a", "x\n\n")).length, 1);
});

Deno.test("links in documents: files, folders and headings must be there", () => {
  const check = "links in documents";
  const terms = file("docs/terms.md", "# Terms\n\n## Point of failover\n");
  const good =
    "[a](docs/terms.md) [b](docs/terms.md#point-of-failover) [c](docs) [d](https://example.com/x) [e](#top-of-it)";
  assert.deepEqual(run(check, file("README.md", `# Top of it\n${good}\n`), terms), []);
  assert.deepEqual(
    run(check, file("docs/a.md", "[a](../README.md) [b](terms.md)\n"), terms, file("README.md", "")),
    [],
  );
  assert.deepEqual(run(check, file("README.md", "[a](docs/none.md)\n"), terms), [
    "README.md links to docs/none.md, which is not there",
  ]);
  assert.deepEqual(run(check, file("README.md", "[a](docs/terms.md#none)\n"), terms), [
    "README.md links to docs/terms.md#none, which has no such heading",
  ]);
  assert.deepEqual(run(check, file("README.md", "```\n[a](none.md)\n```\n")), []);
});

Deno.test("staleEdges() reports exceptions for files and folders that are gone", () => {
  const files = [file("filter/dpdk.ts", ""), file("ui/static/app.ts", "")];
  assert.deepEqual(staleEdges(files, { "filter/dpdk.ts": "dlopen", "ui/static/": "a browser" }), []);
  assert.equal(staleEdges(files, { "filter/dpd.ts": "x", "ui/stat/": "y" }).length, 2);
});

Deno.test("anchorOf() makes the anchors that renderers make", () => {
  assert.equal(anchorOf("Point of failover"), "point-of-failover");
  assert.equal(anchorOf("`status` & what it says"), "status--what-it-says");
});

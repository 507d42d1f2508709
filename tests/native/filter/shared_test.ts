/**
 * What workers of the plane read of each other: an entry that its worker begins anew, and aliases that it learns and drops. No copy
 * is of two moments. ThreadSanitizer judges the aliases; a worker writes to its own entries without atomics, on the way of every
 * packet, so of these the copies themselves are judged.
 */
import assert from "node:assert/strict";
import { CORE, run, TOP } from "./library.ts";

const READS = 20_000;

async function shared(what: string, ...sanitizers: string[]): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "remediate-shared-" });
  try {
    const program = `${folder}/shared`;
    const strict = ["-std=gnu11", "-O2", "-g", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread"];
    const sources = [...CORE, "entry", "alias", "association", "translate", "twin"].map((name) =>
      `${TOP}/filter/native/${name}.c`
    );
    const all = [`${TOP}/tests/native/filter/shared.c`, ...sources];
    await run("gcc", [...strict, ...sanitizers, `-I${TOP}/filter/native`, ...all, "-o", program]);
    // With random addresses the sanitizer may find no room for its shadow.
    return (await run("setarch", ["-R", program, what, String(READS)])).trim();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("entry_copy() copies no entry that is being made, while its worker makes one after the other", async () => {
  assert.equal(await shared("entries"), "torn 0");
});

Deno.test("aliases_read() finds whole aliases while another worker learns and drops them, without a race", async () => {
  assert.equal(await shared("aliases", "-fsanitize=thread", "-Wno-tsan"), `found ${READS} torn 0`);
});

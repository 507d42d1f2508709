/** Traces: a frame is known again behind a NAT, and not taken for another. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const CORE = "parse peek look tunnel flows nature decide fragment witness budget bpf trace".split(" ");

Deno.test("a frame that a NAT has changed has the same trace but for one end, another payload has not", async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-trace-" });
  try {
    const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"];
    const sources = CORE.map((name) => `${TOP}/filter/native/${name}.c`);
    const main = `${TOP}/tests/native/filter/trace.c`, program = `${folder}/trace`;
    await run("gcc", [...strict, `-I${TOP}/filter/native`, main, ...sources, "-o", program]);
    const told = (await run("setarch", ["-R", program])).trim().split("\n");
    // Print and the far end stay; another payload differs; the peek and the parser agree.
    assert.deepEqual(told, [
      ...["tcp4", "tcp6", "udp4", "udp6", "bare", "icmp4", "icmp6"].map((kind) => `${kind} 11 1 1`),
      "none arp",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Probes and grey failure under the address and undefined-behaviour sanitizers. Any finding ends the program. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const ROUNDS = 200_000;
const SOURCES = ["probe_core", "probe_frame", "grey_marks", "grey_judge"].map((name) =>
  `${TOP}/filter/native/${name}.c`
);
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

Deno.test("probes and grey failure touch no byte they should not, whatever comes", async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-probe-" });
  try {
    const program = `${folder}/probe`;
    const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", `-I${TOP}/filter/native`];
    const main = `${TOP}/tests/native/filter/probe.c`;
    await run("gcc", [...strict, ...SANITIZERS, main, ...SOURCES, "-lm", "-o", program]);
    const told = await run(program, [String(ROUNDS), String(SEED)]);
    for (const word of ["frames", "reds", "lights"]) {
      const count = Number(new RegExp(`^${word} (\\d+)$`, "m").exec(told)?.[1]);
      assert.ok(count > 0, `${word}: ${told}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

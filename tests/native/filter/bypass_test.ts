/** The bypass relay's policy against a NIC that is made up: what it is told, and in which order. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

Deno.test("the relay is open and watched while the plane runs, and closed when it ends", async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-bypass-" });
  try {
    const strict = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", `-I${TOP}/filter/native`];
    const sources = [`${TOP}/tests/native/filter/bypass.c`, `${TOP}/filter/native/bypass.c`];
    await run("gcc", [...strict, ...sources, "-o", `${folder}/bypass`]);
    const told = (await run(`${folder}/bypass`, [])).trim().split("\n");
    const [none, normal] = ["= 0", "= 1"];
    assert.deepEqual(told, [
      none, // no relay: nothing is ever told
      "refuses",
      none, // not wanted: left alone
      "set normal",
      none, // and not armed, so not fed either
      "obeys",
      ...["set normal", "watch 1", "feed", normal],
      normal, // fed a moment ago
      ...["feed", normal],
      ...["watch 0", none], // no longer wanted: the watchdog first
      "ends", // unarmed, so the end tells nothing
      ...["set normal", "watch 1", "feed", normal],
      ...["set on", "watch 0"],
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The command `replay` with the real core, on what is no recording. */
import assert from "node:assert/strict";
import { type Invocation, parseArguments } from "../../../ui/arguments.ts";
import type { Terminal } from "../../../ui/cli.ts";
import { replay } from "../../../ui/replay.ts";
import { run, TOP } from "../filter/library.ts";

Deno.test("replay names the file that is no recording", async () => {
  await run(`${TOP}/scripts/native`, ["filter"]);
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, new Uint8Array(3_000).fill(7));
    const parsed = parseArguments(["replay", path]) as Invocation;
    await assert.rejects(
      replay(parsed, {} as Terminal),
      (error: Error) => error.message === `Cannot read ${path}: it is no little-endian pcapng file`,
    );
  } finally {
    await Deno.remove(path);
  }
});

/** The embedded repository when its process is killed in the middle of writing: what was acknowledged is there. */
import assert from "node:assert/strict";
import { EmbeddedRepository } from "../../appliance/repository/embedded.ts";
import { end } from "../../scripts/lab/process.ts";
import { BOUNDS, entry, follow } from "../support/repository_conformance.ts";
import { TOP } from "../support/programs.ts";

/** Writes until it has said `enough` lines, and is killed at once. Returns the last one that was acknowledged. */
async function writeAndKill(path: string, enough: number): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `${TOP}/tests/support/state_writer.ts`, path],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const watchdog = setTimeout(() => end(child, "SIGKILL"), 60_000);
  let text = "";
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.split("\n").length > enough) end(child, "SIGKILL");
  }
  clearTimeout(watchdog);
  await child.status;
  return Number(text.split("\n").at(-2));
}

Deno.test("embedded: a kill in the middle of writes loses nothing that was acknowledged, again and again", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/state.db`;
    for (const enough of [20, 35, 50]) {
      const acknowledged = await writeAndKill(path, enough);
      const repository = new EmbeddedRepository({
        ...BOUNDS,
        logMax: 1e6,
        recordsMax: 1e6,
        path,
        nowMs: Date.now,
      });
      const last = await repository.last("s");
      assert.ok(last >= acknowledged, `${last} is there, ${acknowledged} was acknowledged`);
      assert.equal(last % 5, 0, "an append is there whole or not at all");
      const got = await follow(repository, { count: last });
      assert.ok(typeof got !== "string", String(got));
      assert.ok(got.every(({ sequence }, index) => sequence === index + 1));
      assert.equal((await repository.snapshot("s")).entries.length, last);
      assert.deepEqual(
        await repository.append("s", Array.from({ length: 5 }, (_, at) => entry(last + 1 + at))),
        {
          ok: true,
          last: last + 5,
        },
      );
      await repository.close();
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

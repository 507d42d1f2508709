/** A plane that ends without a word while it starts: others are tried, and then it is said how they ended. */
import assert from "node:assert/strict";
import { PlaneKeeper, PlaneStartError } from "../../appliance/plane_keeper.ts";
import { parseConfig } from "../../appliance/config.ts";
import type { Native } from "../../filter/dpdk.ts";
import { nodeToml } from "../support/node.ts";

/** Says nothing of any board: no plane ever lives. */
const NOTHING = {
  held: () => false,
  removeBoard: () => {},
  openBoard: () => {
    throw new Error("Cannot open the board: no such file");
  },
} as unknown as Native;

/** A program in the plane's place, which notes each of its starts. */
async function startedAs(
  script: string,
): Promise<{ starts: number; log: string[]; error: unknown; restarts: number }> {
  const directory = await Deno.makeTempDir();
  const self = Deno.env.get("REMEDIATE_SELF");
  try {
    await Deno.mkdir(`${directory}/run`);
    await Deno.writeTextFile(
      `${directory}/self`,
      `#!/bin/sh\necho start >> ${directory}/starts\n${script}\n`,
      {
        mode: 0o755,
      },
    );
    Deno.env.set("REMEDIATE_SELF", `${directory}/self`);
    const { config } = parseConfig(nodeToml(directory), "a test");
    const log: string[] = [];
    const keeper = new PlaneKeeper({ native: NOTHING, config: config!, log: (text) => log.push(text) });
    const error = await keeper.begin().then(() => null, (error) => error);
    const starts = (await Deno.readTextFile(`${directory}/starts`)).trim().split("\n").length;
    return { starts, log, error, restarts: keeper.restarts };
  } finally {
    if (self === undefined) Deno.env.delete("REMEDIATE_SELF");
    else Deno.env.set("REMEDIATE_SELF", self);
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("one that is killed while it starts is followed by others, and in the end its signal is named", async () => {
  const { starts, log, error, restarts } = await startedAs("echo 'a line of a library' >&2; kill -SEGV $$");
  assert.equal(starts, 3);
  assert.equal(restarts, 2);
  assert.ok(error instanceof PlaneStartError);
  assert.equal(
    error.reason,
    "Cannot start the plane: it ended by SIGSEGV; the last line of its log: a line of a library",
  );
  assert.equal(log.filter((line) => line === `${error.reason}; another one is started`).length, 2);
});

Deno.test("one that says why it cannot start is not asked again", async () => {
  const { starts, error } = await startedAs("echo 'plane: Cannot open eth7: no such port' >&2; exit 3");
  assert.equal(starts, 1);
  assert.ok(error instanceof PlaneStartError);
  assert.equal(error.reason, "Cannot open eth7: no such port");
});

/** Heartbeats of SCTP, made and read: checksum by its definition, random packets, and those that are cut short. */
import assert from "node:assert/strict";
import { run, sanitized } from "./library.ts";

const PACKETS = 50_000;

Deno.test("association_beat() makes heartbeats that association_info() knows, and nothing is read that is not there", async () => {
  await sanitized("association", ["association"], async ({ program }) => {
    const told = (await run("setarch", ["-R", program, String(PACKETS), "1"])).trim();
    assert.equal(told, `${PACKETS} made, many heartbeats among random ones`);
  });
});

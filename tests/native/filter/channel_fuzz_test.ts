/** A channel's readers, seals and sessions under sanitizers, fed with broken, forged and recorded datagrams. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const RUNS = 100_000;
const SOURCES = ["channel_wire", "channel_seal", "channel_session"];

Deno.test(`a channel takes ${RUNS} datagrams once each and refuses what is broken or replayed (seed ${SEED})`, async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-channel-" });
  try {
    const program = `${folder}/channel_fuzz`;
    const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", `-I${TOP}/filter/native`];
    const sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    const sources = [
      `${TOP}/tests/native/filter/channel_fuzz.c`,
      ...SOURCES.map((name) => `${TOP}/filter/native/${name}.c`),
    ];
    await run("gcc", [...strict, ...sanitizers, ...sources, "-lcrypto", "-o", program]);
    assert.equal(await run(program, [`${RUNS}`, `${SEED}`]), `runs ${RUNS}\n`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

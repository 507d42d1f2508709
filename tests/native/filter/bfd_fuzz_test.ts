/** BFD's readers and its session under the address and undefined-behaviour sanitizers, fed with broken frames. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const RUNS = 300_000;
const SOURCES = ["bfd_sha1", "bfd_packet", "bfd_session", "bfd_frame"];

Deno.test(`bfd_read_frame(), bfd_parse() and bfd_receive() survive ${RUNS} broken frames (seed ${SEED})`, async () => {
  const folder = await Deno.makeTempDir({ prefix: "remediate-bfd-" });
  try {
    const program = `${folder}/bfd_fuzz`;
    const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", `-I${TOP}/filter/native`];
    const sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DFUZZ_MAIN"];
    const sources = [
      `${TOP}/tests/native/filter/bfd_fuzz.c`,
      ...SOURCES.map((name) => `${TOP}/filter/native/${name}.c`),
    ];
    await run("gcc", [...strict, ...sanitizers, ...sources, "-o", program]);
    assert.equal(await run(program, [`${RUNS}`, `${SEED}`]), `runs ${RUNS} udp some taken some\n`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

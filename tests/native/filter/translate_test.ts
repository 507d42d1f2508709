/** Translation and the table of aliases, alone, under the sanitizers. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SEED = Deno.env.get("REMEDIATE_SEED") ?? "1";
const STRICT = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"];
const NATIVE = `${TOP}/filter/native`;

async function built(name: string, parts: readonly string[], work: (program: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: `remediate-${name}-` });
  try {
    const program = `${folder}/${name}`;
    const sources = [
      `${TOP}/tests/native/filter/${name}.c`,
      ...parts.map((part) => `${NATIVE}/${part}.c`),
    ];
    await run("gcc", [...STRICT, "-fno-sanitize-recover=all", `-I${NATIVE}`, ...sources, "-o", program]);
    await work(program);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(`a packet of any kind that is translated and back is what it was, and its checksums hold (seed ${SEED})`, async () => {
  const runs = 16_000;
  const parts = ["translate", "twin", "quote", "parse", "tunnel"];
  await built("translate", parts, async (program) => {
    const told = (await run("setarch", ["-R", program, `${runs}`, SEED])).trim().split("\n");
    const kinds = [
      "tcp",
      "udp",
      "udp without checksum",
      "echo",
      "other",
      "first fragment",
      "later fragment",
      "error",
    ];
    assert.deepEqual(told, kinds.map((kind) => `${kind} ${runs / kinds.length}`));
  });
});

Deno.test(`the table of aliases says what a plain list says (seed ${SEED})`, async () => {
  await built("alias", ["alias", "twin"], async (program) => {
    assert.equal(
      await run("setarch", ["-R", program, "4000", SEED]),
      "learnt many, full now and then\n",
    );
  });
});

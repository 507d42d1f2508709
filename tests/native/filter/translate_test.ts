/** Translation and the table of aliases, alone, under the sanitizers. */
import assert from "node:assert/strict";
import { run, sanitized } from "./library.ts";

const SEED = Deno.env.get("REMEDIATE_SEED") ?? "1";

Deno.test(`a packet of any kind that is translated and back is what it was, and its checksums hold (seed ${SEED})`, async () => {
  const runs = 18_000;
  const parts = ["translate", "association", "twin", "quote", "parse", "tunnel"];
  await sanitized("translate", parts, async ({ program }) => {
    const told = (await run("setarch", ["-R", program, `${runs}`, SEED])).trim().split("\n");
    const kinds = [
      "tcp",
      "udp",
      "udp without checksum",
      "echo",
      "other",
      "sctp",
      "first fragment",
      "later fragment",
      "error",
    ];
    assert.deepEqual(told, [
      ...kinds.map((kind) => `${kind} ${runs / kinds.length}`),
      "edges many",
      "plans many",
    ]);
  });
});

Deno.test(`the table of aliases says what a plain list says (seed ${SEED})`, async () => {
  await sanitized("alias", ["alias", "association", "translate", "twin"], async ({ program }) => {
    assert.equal(
      await run("setarch", ["-R", program, "4000", SEED]),
      "learnt many, full now and then\nhastened many, planned many\n",
    );
  });
});

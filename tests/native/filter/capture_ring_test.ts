/** The capture ring of the plane: what a reader gets while threads overtake it, under the sanitizers. */
import assert from "node:assert/strict";
import { run, TOP } from "./library.ts";

const SOURCES = ["capture", "board", "describe", "bpf"].map((name) => `${TOP}/filter/native/${name}.c`);
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

interface Counts {
  readonly taken: number;
  readonly missed: number;
  readonly of: number;
}

/** What the program reports of each of its parts. */
async function runRing(slots: number): Promise<Map<string, Counts>> {
  const folder = await Deno.makeTempDir({ prefix: "remediate-capture-" });
  try {
    const program = `${folder}/capture_ring`;
    const strict = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror"];
    const main = `${TOP}/tests/native/filter/capture_ring.c`;
    await run("gcc", [
      ...strict,
      ...SANITIZERS,
      `-I${TOP}/filter/native`,
      main,
      ...SOURCES,
      "-o",
      program,
      "-lpthread",
    ]);
    const report = await run(program, [`${folder}/ring`, `${slots}`]);
    return new Map(
      [...report.matchAll(/^(\w+) (\d+) (\d+) (\d+)$/gm)].map(([, name, taken, missed, of]) => [
        name!,
        { taken: Number(taken), missed: Number(missed), of: Number(of) },
      ]),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const slots of [64, 1024]) {
  Deno.test(`rm_capture_take() gives no torn record and counts every missed one, ${slots} slots`, async () => {
    const counts = await runRing(slots);
    const { taken, missed, of } = counts.get("stress")!;
    assert.equal(taken + missed, of);
    assert.ok(taken > 0 && missed > 0, "it was overtaken, and not all the time");
    assert.deepEqual(counts.get("until"), { taken: slots / 2, missed: 0, of: slots / 2 });
    assert.deepEqual(counts.get("all"), { taken: slots, missed: 0, of: slots });
    const overtaken = counts.get("overtaken")!;
    assert.equal(overtaken.taken + overtaken.missed, overtaken.of);
    // Three rings full were written: one is there, less what it goes ahead so as not to be overtaken again.
    assert.equal(overtaken.taken, slots + slots - slots / 8);
    assert.deepEqual(counts.get("chosen"), { taken: 5, missed: 0, of: 5 });
  });
}

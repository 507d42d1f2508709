/**
 * The fuzz target of the filter core: every input that once broke it, seeded mutations in any case, and libFuzzer where
 * clang has it.
 *
 * REMEDIATE_FUZZ_S says how long libFuzzer runs, REMEDIATE_SEED where mutations start.
 */
import assert from "node:assert/strict";
import { buildFuzzer, fixtures, fuzz, inputFrames, seedInput, writeSeeds } from "../../../scripts/fuzz.ts";
import { generateTraffic } from "../../../filter/generate.ts";
import { findClang } from "../../support/clang.ts";
import { run } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const SECONDS = Number(Deno.env.get("REMEDIATE_FUZZ_S") ?? 60);
const RUNS = 100_000;
const CLANG = findClang();

/** Whether clang can link libFuzzer: its runtime is a package of its own. */
function hasLibFuzzer(): boolean {
  if (CLANG === undefined) return false;
  const { stdout } = new Deno.Command(CLANG, { args: ["--print-runtime-dir"] }).outputSync();
  const folder = new TextDecoder().decode(stdout).trim();
  const names = [
    "libclang_rt.fuzzer-x86_64.a",
    "../linux/libclang_rt.fuzzer-x86_64.a",
    "libclang_rt.fuzzer.a",
  ];
  return names.map((name) => `${folder}/${name}`).some((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "remediate-fuzz-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(`rm_decide() survives every fixture and ${RUNS} mutations, and changes no byte (seed ${SEED})`, async () => {
  await inFolder(async (folder) => {
    assert.equal(await buildFuzzer("gcc", "main", `${folder}/fuzz`), null);
    const files = [...fixtures(), ...await writeSeeds(`${folder}/seeds`, 32)];
    assert.ok(files.length > 32, "there are fixtures");
    const report = await run(`${folder}/fuzz`, [`${RUNS}`, `${SEED}`, ...files]);
    assert.equal(report, `files ${files.length} runs ${RUNS}\n`);
  });
});

Deno.test("seedInput() is the same for the same seed and another for another", () => {
  assert.deepEqual(seedInput(3), seedInput(3));
  assert.notDeepEqual(seedInput(3), seedInput(4));
});

Deno.test("inputFrames() gives the frames that an input was made of", () => {
  const traffic = generateTraffic(3, { conversations: 3, malformed: 0.1 });
  const made = Array.from({ length: 12 }, () => traffic.next().value.bytes.subarray(0, 4095));
  assert.deepEqual(inputFrames(seedInput(3)).map((frame) => [...frame]), made.map((frame) => [...frame]));
  assert.deepEqual(inputFrames(new Uint8Array(0)), []);
  assert.deepEqual(
    inputFrames(seedInput(3).subarray(0, 60)).length,
    1,
    "a frame that is cut counts as far as it goes",
  );
});

Deno.test({
  name: `rm_decide() survives ${SECONDS} s of libFuzzer${
    hasLibFuzzer() ? "" : " (needs clang with libFuzzer)"
  }`,
  ignore: !hasLibFuzzer(),
  fn: async () => {
    await inFolder(async (folder) => {
      assert.equal(await buildFuzzer(CLANG!, "libfuzzer", `${folder}/fuzz`), null);
      await writeSeeds(`${folder}/corpus`, 64);
      await Deno.mkdir(`${folder}/crashes`);
      const { code, text } = await fuzz(`${folder}/fuzz`, SECONDS, `${folder}/corpus`, `${folder}/crashes`);
      assert.equal(code, 0, text.slice(-4000));
      const executed = Number(/number_of_executed_units: (\d+)/.exec(text)?.[1]);
      assert.ok(executed > 1_000, `${executed} inputs`);
    });
  },
});

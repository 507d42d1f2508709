/**
 * The filter core under the address and undefined-behaviour sanitizers: captures, generated frames, every cut, flipped
 * bits. Any finding aborts the program and so fails the test.
 */
import assert from "node:assert/strict";
import { generateTraffic } from "../../../filter/generate.ts";
import { PARSE, WHY } from "../../../filter/names.ts";
import { captureFolder, captures, CORE, run, TOP } from "./library.ts";

const SEED = Number(Deno.env.get("REMEDIATE_SEED") ?? 1);
const FLIPPED = 1_000_000;
const COPIED = WHY.filter((why) => !["none", "neighbour", "all"].includes(why));
const SOURCES = CORE.map((name) => `${TOP}/filter/native/${name}.c`);
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

async function build(folder: string): Promise<string> {
  const program = `${folder}/sanitize`;
  const strict = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", `-I${TOP}/filter/native`];
  const main = `${TOP}/tests/native/filter/sanitize.c`;
  await run("gcc", [...strict, ...SANITIZERS, main, ...SOURCES, "-o", program]);
  return program;
}

/** In the form sanitize.c reads: length, bytes. */
async function writeFrames(path: string, frames: AsyncIterable<Uint8Array>): Promise<number> {
  using file = await Deno.open(path, { write: true, create: true });
  const writer = file.writable.getWriter();
  let count = 0;
  for await (const frame of frames) {
    const record = new Uint8Array(4 + frame.length);
    new DataView(record.buffer).setUint32(0, frame.length, true);
    record.set(frame, 4);
    await writer.write(record);
    count++;
  }
  await writer.close();
  return count;
}

async function* generated(count: number): AsyncGenerator<Uint8Array> {
  const traffic = generateTraffic(SEED, { malformed: 0.2 });
  for (let i = 0; i < count; i++) yield traffic.next().value.bytes;
}

async function* captured(folder: string): AsyncGenerator<Uint8Array> {
  for await (const { frames } of captures(folder)) yield* frames.map(({ bytes }) => bytes);
}

/** Lines "verdict 3 120" of the report as numbers. */
function counts(report: string, word: string): number[] {
  return [...report.matchAll(new RegExp(`^${word} \\d+ (\\d+)$`, "gm"))].map((found) => Number(found[1]));
}

/** Feed the frames; returns how often each verdict was given. */
async function sanitize(frames: AsyncIterable<Uint8Array>): Promise<number[]> {
  const folder = await Deno.makeTempDir({ prefix: "remediate-sanitize-" });
  try {
    const program = await build(folder);
    const count = await writeFrames(`${folder}/frames`, frames);
    const report = await run(program, [`${folder}/frames`, `${SEED}`, `${FLIPPED}`]);
    assert.match(report, new RegExp(`^frames ${count} `));
    const verdicts = counts(report, "verdict");
    const copies = counts(report, "why");
    assert.equal(verdicts.length, PARSE.length);
    assert.ok(verdicts.reduce((sum, n) => sum + n) >= count + FLIPPED);
    for (const name of COPIED) {
      assert.ok(copies[WHY.indexOf(name)]! > 0, `no frame was copied for ${name}`);
    }
    return verdicts;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("rm_decide() touches no byte it should not on generated and broken frames", async () => {
  const verdicts = await sanitize(generated(40_000));
  PARSE.forEach((name, i) => assert.ok(verdicts[i]! > 0, `no frame had the verdict ${name}`));
});

const folder = captureFolder();
Deno.test({
  name: `rm_decide() touches no byte it should not on captures${
    folder ? "" : " (needs captures: REMEDIATE_DATA)"
  }`,
  ignore: folder === undefined,
  fn: async () => void (await sanitize(captured(folder!))),
});

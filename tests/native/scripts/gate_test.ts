/**
 * The gate against real processes: a hanging test is stopped and named, bad usage is told.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { runLimited } from "../../../scripts/gate/limited.ts";
import { Pauses } from "../../../scripts/gate/pauses.ts";
import { judge } from "../../../scripts/gate/tally.ts";

const TOP = decodeURIComponent(new URL("../../..", import.meta.url).pathname).replace(/\/$/, "");

/** Time enough for a busy machine to begin the test that hangs. */
const LIMIT_S = 10;

async function run(script: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(`${TOP}/scripts/${script}`, { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("runLimited() stops a hanging test with what it started, and judge() names it", async () => {
  const folder = await Deno.makeTempDir();
  const hang = `Deno.test("quick() ends", () => {});
    Deno.test("slow() hangs", async () => {
      const child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
      await Deno.writeTextFile("${folder}/pid", String(child.pid));
      await child.status;
    });`;
  await Deno.writeTextFile(`${folder}/a_test.ts`, hang);
  const ended = await runLimited({
    command: [Deno.execPath(), "test", "--no-config", "--no-check", "-A", "a_test.ts"],
    cwd: folder,
    limitS: LIMIT_S,
    env: { NO_COLOR: "1" },
    show: false,
  });
  assert.equal(ended.timedOut, true);
  const tally = judge({
    name: "group x",
    code: ended.code,
    limitS: LIMIT_S,
    junit: null,
    output: ended.output,
  });
  assert.equal(tally.passed, 1);
  assert.match(
    tally.failed.at(-1) ?? "",
    new RegExp(`^group x: not done after ${LIMIT_S} s, stopped in a_test\\.ts: slow\\(\\) hangs$`),
  );
  const pid = Number(await Deno.readTextFile(`${folder}/pid`));
  // It is killed by now, but on a busy machine it takes its time to be gone.
  const there = () => Deno.lstat(`/proc/${pid}/cwd`).then(() => true, () => false);
  for (let tries = 0; tries < 600 && await there(); tries++) await delay(50);
  assert.equal(await there(), false, "the child of the test is still there");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("runLimited() tells a failure from a passed limit", async () => {
  const ended = await runLimited({
    command: ["sh", "-c", "echo out; exit 124"],
    cwd: TOP,
    limitS: 60,
    show: false,
  });
  assert.deepEqual(ended, { code: 124, timedOut: false, output: "out\n" });
});

Deno.test("Pauses reads what this version of `deno test` prints: helpers, steps, output, and words of children", async () => {
  const folder = await Deno.makeTempDir();
  const helper = `export const make = () => Deno.test("from a helper", () => { throw new Error("x"); });`;
  const tests = `import { make } from "./helper.ts";
    make();
    Deno.test("with steps", async (t) => {
      await t.step("one", () => console.log("with steps ... ok\\nnobody ... FAILED (1ms)"));
      await t.step("two", () => { throw new Error("x"); });
    });
    Deno.test("with a child", async () => {
      await new Deno.Command("sh", { args: ["-c", "echo word; echo complaint >&2"], stdout: "inherit", stderr: "inherit" }).spawn().status;
      throw new Error("x");
    });
    Deno.test("good", () => console.log("said"));
    Deno.test("last [x] (y) / z", () => { throw new Error("x"); });`;
  await Deno.writeTextFile(`${folder}/helper.ts`, helper);
  await Deno.writeTextFile(`${folder}/a_test.ts`, tests);
  const pauses = new Pauses();
  await runLimited({
    command: [Deno.execPath(), "test", "--no-config", "--no-check", "-A", "a_test.ts"],
    cwd: folder,
    limitS: 60,
    env: { NO_COLOR: "1" },
    show: false,
    hear: (text, from) => {
      if (from === "stdout") pauses.printed(text);
      pauses.note({ pausedMs: 50 });
    },
  });
  assert.deepEqual(pauses.failed.map(({ file, name }) => [file, name]), [
    ["a_test.ts", "from a helper"],
    ["a_test.ts", "with steps"],
    ["a_test.ts", "with a child"],
    ["a_test.ts", "last [x] (y) / z"],
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("scripts/test tells bad usage and ends with 2", async () => {
  const group = await run("test", "unit", "nonsense");
  assert.equal(group.code, 2);
  assert.match(group.err, /^Cannot run group "nonsense": there are checks, native/m);
  assert.equal((await run("test", "unit", "--nonsense")).code, 2);
});

Deno.test("scripts/test ends with one line of totals, for one group and a filter", async () => {
  const { code, out } = await run("test", "sim", "--filter", "the lowest rank takes over");
  assert.equal(code, 0);
  assert.match(out, /\n1 passed, 0 failed, 0 skipped\n$/);
  const nothing = await run("test", "browser", "--filter", "no test has this name");
  assert.equal(nothing.code, 1);
  assert.match(nothing.out, /\nfailed: no test matches .*\n0 passed, 1 failed, 0 skipped\n$/);
});

Deno.test("scripts/setup tells bad usage and ends with 2", async () => {
  const option = await run("setup", "--nonsense");
  assert.equal(option.code, 2);
  assert.match(option.err, /^Cannot use option "--nonsense"/);
  const part = await run("setup", "--only", "nonsense");
  assert.equal(part.code, 2);
  assert.match(part.err, /^Cannot prepare part "nonsense": there are deno, build, run, lab/);
});

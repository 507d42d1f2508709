/** The command line as a whole, as far as it needs neither node nor plane. */
import assert from "node:assert/strict";
import { main } from "../../mod.ts";
import type { Terminal } from "../../ui/cli.ts";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function remediate(...args: string[]): Promise<Ran> {
  let stdout = "";
  let stderr = "";
  const terminal: Terminal = {
    out: (text) => stdout += text,
    err: (text) => stderr += text,
    colours: false,
    now: () => 0,
    sleep: () => Promise.resolve(),
    interrupted: () => true,
  };
  return { code: await main(args, terminal), stdout, stderr };
}

function fixture(name: string): string {
  return decodeURIComponent(new URL(`../fixtures/config/${name}`, import.meta.url).pathname);
}

Deno.test("remediate check tells ten mistakes as ten problems and ends with 2", async () => {
  const { code, stdout, stderr } = await remediate("check", "--config", fixture("ten_mistakes.toml"));
  assert.equal(code, 2);
  assert.equal(stdout, "");
  const lines = stderr.trim().split("\n");
  assert.equal(lines.length, 11);
  assert.equal(lines.at(-1), "10 problems");
  for (const line of lines.slice(0, 10)) {
    assert.match(line, /ten_mistakes\.toml:\d+: [a-z_.0-9[\]]+ (is|holds|has|contradicts) /);
  }
});

Deno.test("remediate check --json says the same to machines", async () => {
  const { code, stdout } = await remediate("check", "--json", "--config", fixture("ten_mistakes.toml"));
  assert.equal(code, 2);
  const { ok, problems } = JSON.parse(stdout);
  assert.equal(ok, false);
  assert.equal(problems.length, 10);
});

Deno.test("remediate check takes a good file", async () => {
  const { code, stdout } = await remediate("check", "--config", fixture("minimal.toml"));
  assert.equal(code, 0);
  assert.match(stdout, /minimal\.toml is good\.\n$/);
});

Deno.test("remediate run, check, status and doctor end with 2 when the named file is not there", async () => {
  for (const command of ["run", "plane", "check", "status", "doctor", "reload"]) {
    const { code, stderr } = await remediate(command, "--config", "/nowhere/c.toml");
    assert.equal(code, 2, command);
    assert.match(stderr, /^Cannot read the configuration \/nowhere\/c\.toml: there is no such file; /);
  }
});

Deno.test("remediate run ends with 2 and every problem before it touches anything", async () => {
  const { code, stderr } = await remediate("run", "--config", fixture("ten_mistakes.toml"));
  assert.equal(code, 2);
  assert.equal(stderr.trim().split("\n").length, 10);
});

Deno.test("remediate config example prints a file that check takes", async () => {
  const { code, stdout } = await remediate("config", "example");
  assert.equal(code, 0);
  const file = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(file, stdout);
    assert.equal((await remediate("check", "--config", file)).code, 0);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("remediate tells its version, and help for everything", async () => {
  const { stdout } = await remediate("version", "--json");
  assert.match(JSON.parse(stdout).version, /^\d+\.\d+\.\d+$/);
  assert.match((await remediate("--help")).stdout, /^remediate \d/);
  assert.match((await remediate("switchover", "--help")).stdout, /--force/);
});

Deno.test("remediate ends with 2 for what it does not know, and with the overview for nothing", async () => {
  const unknown = await remediate("statsu");
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /did you mean "status"\?\n$/);
  const nothing = await remediate();
  assert.equal(nothing.code, 2);
  assert.match(nothing.stderr, /Commands:/);
});

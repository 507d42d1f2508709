/** `drivers try` and `drivers formats`: what they print of vendors' lines, and how they end. */
import assert from "node:assert/strict";
import { BUILTIN_FORMATS } from "../../../drivers/formats/builtin.ts";
import { parseArguments } from "../../../ui/arguments.ts";
import type { Terminal } from "../../../ui/cli.ts";
import { driversFormats, driversTry } from "../../../ui/drivers_try.ts";
import { TextLineStream } from "../../../ui/text_lines.ts";
import { expectedText, logLines } from "../../support/log_fixtures.ts";

function terminal() {
  const printed = { out: "", err: "" };
  const made: Terminal = {
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    colours: false,
    now: () => 1000,
    sleep: () => Promise.resolve(),
    interrupted: () => false,
  };
  return { made, printed };
}

function invocation(...words: string[]) {
  const parsed = parseArguments(["drivers", ...words]);
  assert.ok(parsed.kind === "command");
  return parsed;
}

async function attempt(words: readonly string[], log: readonly string[], files: Record<string, string> = {}) {
  const { made, printed } = terminal();
  const code = await driversTry(invocation("try", ...words), {
    terminal: made,
    readText: (path) => Promise.resolve(files[path]!),
    lines: ReadableStream.from(log),
  });
  return { code, ...printed };
}

for (const name of Object.keys(BUILTIN_FORMATS)) {
  Deno.test(`drivers try ${name} says of vendors' lines what they say`, async () => {
    assert.equal((await attempt([name], logLines(name))).out, expectedText(name));
  });
}

Deno.test("drivers try ends with 1 where a line is not understood, with 0 where none is", async () => {
  assert.equal((await attempt(["conntrack"], ["x"])).code, 1);
  assert.equal((await attempt(["conntrack"], logLines("conntrack").slice(0, 1))).code, 0);
});

Deno.test("drivers try --json has a line of JSON for each line, and the totals", async () => {
  const { out } = await attempt(["conntrack", "--json"], [...logLines("conntrack").slice(0, 1), "", "x"]);
  const [first, second, last] = out.trimEnd().split("\n").map((one) => JSON.parse(one));
  assert.deepEqual([first.line, first.kind, first.entry.original.sourcePort], [1, "entry", 40_000]);
  assert.deepEqual([second.line, second.kind, typeof second.why], [2, "unknown", "string"]);
  assert.deepEqual(last.totals, { lines: 2, entries: 1, passed_over: 0, not_understood: 1 });
  assert.equal(last.state.alive, 1);
});

Deno.test("drivers try reads a format file, and names what is wrong with one", async () => {
  const mine = `name = "mine"
[[rule]]
name = "gone"
match = "gone <id>"
event = "close"
session = "<id>"
`;
  const { out } = await attempt(["./mine.toml", "--odd"], ["gone 5", "come 5"], { "./mine.toml": mine });
  assert.match(
    out,
    /^ {4}2 {2}not understood: [^\n]+\n2 lines: 1 understood, 0 passed over, 1 not understood\n/,
  );
  await assert.rejects(
    attempt(["./bad.toml"], [], { "./bad.toml": 'name = "x"' }),
    /bad.toml: rule is missing/,
  );
  await assert.rejects(attempt(["nonsense"], []), /Cannot find the format "nonsense": there is cisco-asa/);
});

Deno.test("drivers formats lists every format, and prints one as a file that works", () => {
  const { made, printed } = terminal();
  assert.equal(driversFormats(invocation("formats"), made), 0);
  assert.deepEqual(
    printed.out.trimEnd().split("\n").map((one) => one.split(" ")[0]),
    Object.keys(BUILTIN_FORMATS),
  );
  printed.out = "";
  driversFormats(invocation("formats", "haproxy"), made);
  assert.equal(printed.out, BUILTIN_FORMATS["haproxy"]);
  assert.equal(driversFormats(invocation("formats", "none"), made), 1);
});

Deno.test("TextLineStream cuts text into lines, however it comes", async () => {
  const lines = ReadableStream.from(["a\r", "\nb\n\nc", "d"]).pipeThrough(new TextLineStream());
  assert.deepEqual(await Array.fromAsync(lines), ["a", "b", "", "cd"]);
});

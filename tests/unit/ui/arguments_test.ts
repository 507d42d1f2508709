/** Command lines: what is understood, and how what is not is refused. */
import assert from "node:assert/strict";
import { type Invocation, parseArguments } from "../../../ui/arguments.ts";

function understood(line: string): Invocation {
  const parsed = parseArguments(line.split(" "));
  assert.equal(parsed.kind, "command", "text" in parsed ? parsed.text : line);
  return parsed as Invocation;
}

function refusal(line: string): string {
  const parsed = parseArguments(line.split(" ").filter((word) => word !== ""));
  assert.ok(parsed.kind === "refusal", `${line} was taken`);
  return parsed.text;
}

function helpOf(line: string): string {
  const parsed = parseArguments(line.split(" "));
  assert.ok(parsed.kind === "help", line);
  return parsed.command?.name ?? "everything";
}

Deno.test("parseArguments() reads flags, texts and numbers, and fills in defaults", () => {
  const { command, options } = understood("flows --json --limit 7 --side=upstream --search 10.1.0.1:80");
  assert.equal(command.name, "flows");
  assert.equal(options.flag("json"), true);
  assert.equal(options.number("limit"), 7);
  assert.equal(options.text("side"), "upstream");
  assert.equal(options.text("search"), "10.1.0.1:80");
  assert.equal(options.text("config"), "/etc/remediate/remediate.toml");
  assert.deepEqual([options.given("limit"), options.given("config")], [true, false]);
  assert.equal(understood("flows").options.number("limit"), 50);
  assert.equal(understood("flows").options.text("socket"), null);
  assert.equal(understood("status").options.flag("watch"), false);
});

Deno.test("parseArguments() reads commands of two words", () => {
  assert.equal(understood("config example").command.name, "config example");
  assert.match(refusal("config"), /needs a second word: did you mean "config example"\?/);
  assert.match(refusal("config exmaple"), /"config exmaple" is not known: did you mean "config example"\?/);
});

Deno.test("parseArguments() gives help wherever it is asked for", () => {
  for (const line of ["--help", "-h", "help"]) assert.equal(helpOf(line), "everything");
  for (
    const line of ["status --help", "help status", "--help status", "status --json -h", "status help --help"]
  ) {
    assert.equal(helpOf(line), "status");
  }
  assert.equal(helpOf("help config example"), "config example");
  assert.equal(helpOf("config --help"), "config example");
  assert.match(refusal("help statsu"), /did you mean "status"/);
});

Deno.test("parseArguments() takes --version for the command", () => {
  assert.equal(understood("--version").command.name, "version");
  assert.equal(understood("-V --json").options.flag("json"), true);
});

Deno.test("parseArguments() offers the nearest command or option", () => {
  assert.equal(refusal(""), "Cannot run: no command given");
  assert.match(refusal("switch-over"), /there is no such command: did you mean "switchover"\?/);
  assert.match(refusal("frobnicate"), /there is no such command: see `remediate --help`/);
  assert.match(refusal("status --jsno"), /did you mean --json\?/);
  assert.match(refusal("status --limit 3"), /"status" has no such option: see `remediate status --help`/);
  assert.match(refusal("status -j"), /Cannot read option -j/);
  assert.match(refusal("--config x status"), /options come after the command/);
});

Deno.test("parseArguments() refuses values that do not fit", () => {
  assert.match(refusal("flows --limit x"), /"x" is not an integer from 1 to 10000/);
  assert.match(refusal("flows --limit 0"), /not an integer from 1 to 10000/);
  assert.match(refusal("flows --limit 1.5"), /not an integer/);
  assert.match(refusal("flows --limit"), /it needs a value, N/);
  assert.match(refusal("flows --limit --json"), /it needs a value, N/);
  assert.match(refusal("flows --search="), /it needs a value, TEXT/);
  assert.match(refusal("flows --side up"), /"up" is not one of upstream, downstream/);
  assert.match(refusal("status --json=yes"), /it takes no value, and got "yes"/);
  assert.match(refusal("status --json --json"), /it is given twice/);
  assert.match(refusal("status now"), /it takes no argument "now"/);
});

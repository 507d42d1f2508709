/** Help is complete: every command, option and exit code of the table is on its page. */
import assert from "node:assert/strict";
import { COMMANDS } from "../../../ui/commands.ts";
import { commandHelp, overview } from "../../../ui/help.ts";
import { parseArguments } from "../../../ui/arguments.ts";

Deno.test("overview() names every command with its summary", () => {
  const text = overview("1.2.3");
  assert.match(text, /remediate 1\.2\.3/);
  for (const { name, summary } of COMMANDS) {
    assert.ok(text.includes(`  ${name} `), name);
    assert.ok(text.replace(/\s+/g, " ").includes(summary), summary);
  }
});

Deno.test("commandHelp() tells every option, argument and exit code", () => {
  for (const command of COMMANDS) {
    const text = commandHelp(command).replace(/\s+/g, " ");
    assert.ok(text.includes(`Usage: remediate ${command.name}`));
    for (const option of command.options) {
      assert.ok(text.includes(`--${option.name}${option.value ? ` ${option.value}` : ""} `), option.name);
      assert.ok(text.includes(option.help), option.help);
      if (option.default !== undefined) assert.ok(text.includes(`default ${option.default}`), option.name);
    }
    for (const [code, meaning] of Object.entries(command.exits)) {
      assert.ok(text.includes(`${code} ${meaning}`));
    }
  }
});

Deno.test("help pages fit into 80 columns, but for words that are longer", () => {
  for (const page of [overview("1.2.3"), ...COMMANDS.map(commandHelp)]) {
    for (const line of page.split("\n")) assert.ok(line.length <= 82, line);
  }
});

Deno.test("examples of the help are understood", () => {
  for (const { line } of COMMANDS.flatMap(({ examples }) => examples)) {
    for (const part of line.split("&&")) {
      // What stands in quotes is one word, as to a shell.
      const words = [...part.matchAll(/"([^"]*)"|[|>]|[^\s"|>]+/g)].map(([word, quoted]) => quoted ?? word);
      const end = words.findIndex((word) => word === "|" || word === ">");
      const command = words.slice(1, end < 0 ? undefined : end);
      assert.equal(parseArguments(command).kind, "command", part);
    }
  }
});

/** Completion offers every command and option, by the shells themselves. */
import assert from "node:assert/strict";
import { COMMANDS } from "../../../ui/commands.ts";
import { completionText, SHELLS } from "../../../ui/completion.ts";

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("completionText() has every command and option, for every shell", () => {
  for (const shell of SHELLS) {
    const text = completionText(shell);
    for (const { name, options } of COMMANDS) {
      for (const word of name.split(" ")) assert.ok(text.includes(word), `${shell}: ${name}`);
      for (const option of options) assert.ok(text.includes(option.name), `${shell}: ${name} ${option.name}`);
    }
  }
});

Deno.test("bash completes commands, their second words, options and choices", async () => {
  const complete = async (...words: string[]) => {
    const script = `${completionText("bash")}
COMP_WORDS=(remediate ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}; _remediate
echo "\${COMPREPLY[@]}"`;
    return (await run("bash", ["-c", script])).split(" ");
  };
  assert.deepEqual(await complete("switchov"), ["switchover"]);
  assert.ok((await complete("config", "")).includes("rollback"));
  assert.deepEqual(await complete("user", "add", "--ro"), ["--role"]);
  assert.ok((await complete("flows", "--")).includes("--unlike"));
  const all = await complete("");
  for (const { name } of COMMANDS) assert.ok(all.includes(name.split(" ")[0]!), name);
});

Deno.test("zsh and fish read what is made for them", async () => {
  for (const [shell, args] of [["zsh", ["-n"]], ["fish", ["--no-execute"]]] as const) {
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, completionText(shell));
    await run(shell, [...args, file]).finally(() => Deno.remove(file));
  }
});

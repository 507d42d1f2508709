/** The command that prints a shell's completion: a part of the table in commands.ts. */
import type { Command } from "./commands.ts";

export const completionCommand: Command = {
  name: "completion",
  summary: "Print completion for a shell: bash, zsh or fish",
  text: "Offers commands, options and the words that an option takes.",
  arguments: [{ name: "SHELL", help: "bash, zsh or fish." }],
  options: [],
  examples: [{
    line: "remediate completion bash > /etc/bash_completion.d/remediate",
    help: "For everybody on this machine.",
  }],
  exits: { 0: "printed", 2: "bad arguments" },
};

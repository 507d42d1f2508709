/**
 * Help pages, drawn from the table of commands.
 *
 * Pure. Plain text of at most 80 columns, so that it reads the same on a serial console.
 */
import { wrap } from "../filter/lines.ts";
import { type Command, COMMANDS, DEFAULT_CONFIG, EXIT_MEANING, type Option } from "./commands.ts";

const WIDTH = 80;

/** `remediate --help`. */
export function overview(version: string): string {
  const lines = [
    `remediate ${version}: keeps connections alive when a middlebox fails`,
    "",
    "Usage: remediate COMMAND [OPTIONS]",
    "",
    "Commands:",
    ...columns(COMMANDS.map(({ name, summary }) => [name, summary])),
    "",
    "Exit codes:",
    ...columns(Object.entries(EXIT_MEANING)),
    "",
    `The configuration is ${DEFAULT_CONFIG} unless --config names another.`,
    "`remediate COMMAND --help` tells the options of a command, with examples.",
  ];
  return lines.join("\n") + "\n";
}

/** `remediate COMMAND --help`. */
export function commandHelp(command: Command): string {
  const words = command.arguments.map(({ name, optional }) => optional ? ` [${name}]` : ` ${name}`).join("");
  const lines = [
    ...wrap(`remediate ${command.name}: ${command.summary}`, { width: WIDTH }),
    "",
    `Usage: remediate ${command.name}${words} [OPTIONS]`,
    "",
    ...wrap(command.text, { width: WIDTH }),
    ...titled("Arguments", columns(command.arguments.map(({ name, help }) => [name, help]))),
    ...titled("Options", columns([...command.options.map(optionRow), ["--help", "Print this page."]])),
    ...titled("Examples", command.examples.flatMap(({ line, help }) => [`  ${line}`, `      ${help}`])),
    ...titled("Exit codes", columns(Object.entries(command.exits))),
  ];
  return lines.join("\n") + "\n";
}

function optionRow(option: Option): [string, string] {
  const left = option.value ? `--${option.name} ${option.value}` : `--${option.name}`;
  const facts: string[] = [];
  if (option.choices) facts.push(`one of ${option.choices.join(", ")}`);
  if (option.min !== undefined) facts.push(`${option.min} to ${option.max}`);
  if (option.default !== undefined) facts.push(`default ${option.default}`);
  return [left, facts.length === 0 ? option.help : `${option.help} (${facts.join("; ")})`];
}

function titled(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", `${title}:`, ...lines];
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.flatMap(([name, text]) => {
    const first = `  ${name.padEnd(left)}  `;
    return wrap(text, { width: WIDTH, first, rest: " ".repeat(left + 4) });
  });
}

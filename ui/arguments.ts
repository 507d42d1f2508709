/**
 * From the words of a command line to a command and its options.
 *
 * Pure. Whatever is not in the table of commands is refused with the nearest thing that is.
 */
import { parseArgs } from "node:util";
import { suggest } from "../appliance/suggest.ts";
import { type Command, COMMANDS, type Option } from "./commands.ts";

export interface Invocation {
  readonly kind: "command";
  readonly command: Command;
  /** Values by option name; a flag is true or absent; defaults are filled in. */
  readonly options: Options;
  readonly arguments: readonly string[];
}
export interface Help {
  readonly kind: "help";
  /** Null: of everything. */
  readonly command: Command | null;
}
export interface Refusal {
  readonly kind: "refusal";
  /** One sentence. */
  readonly text: string;
  readonly command: Command | null;
}

export class Options {
  readonly #values: ReadonlyMap<string, string | number | true>;
  readonly #given: ReadonlySet<string>;

  constructor(values: ReadonlyMap<string, string | number | true>, given: ReadonlySet<string>) {
    this.#values = values;
    this.#given = given;
  }

  flag(name: string): boolean {
    return this.#values.get(name) === true;
  }

  text(name: string): string | null {
    const value = this.#values.get(name);
    return typeof value === "string" ? value : null;
  }

  /** Only for an option that has a default. */
  number(name: string): number {
    const value = this.#values.get(name);
    if (typeof value !== "number") throw new TypeError(`Cannot read option --${name}: it has no number`);
    return value;
  }

  /** Whether the person gave it, as opposed to its default. */
  given(name: string): boolean {
    return this.#given.has(name);
  }
}

const HELP_WORDS = ["help", "--help", "-h"];

export function parseArguments(args: readonly string[]): Invocation | Help | Refusal {
  const [first, ...rest] = args;
  if (first === undefined) return refuse("Cannot run: no command given", null);
  if (first === "--version" || first === "-V") return parseArguments(["version", ...rest]);
  if (HELP_WORDS.includes(first)) return helpFor(rest.filter((word) => !HELP_WORDS.includes(word)));
  const command = findCommand(args);
  if (command === null) {
    // `remediate config --help`: half of a name of two words.
    const half = rest.some((word) => HELP_WORDS.includes(word)) && groupOf(first)[0];
    return half ? { kind: "help", command: half } : unknownCommand(args);
  }
  const words = args.slice(command.name.split(" ").length);
  const end = words.indexOf("--");
  const beforeEnd = end < 0 ? words : words.slice(0, end);
  if (beforeEnd.some((word) => word === "--help" || word === "-h")) return { kind: "help", command };
  return parseOptions(command, words);
}

function helpFor(words: readonly string[]): Help | Refusal {
  if (words.length === 0) return { kind: "help", command: null };
  const command = findCommand(words);
  return command === null ? unknownCommand(words) : { kind: "help", command };
}

function findCommand(words: readonly string[]): Command | null {
  return COMMANDS.find(({ name }) => name.split(" ").every((part, index) => words[index] === part)) ?? null;
}

/** Commands of two words that begin with this one. */
function groupOf(first: string): Command[] {
  return COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
}

function unknownCommand(words: readonly string[]): Refusal {
  const [first = "", second] = words;
  if (first.startsWith("-")) {
    return refuse(`Cannot read option ${first}: options come after the command`, null);
  }
  const [only] = groupOf(first);
  if (only) {
    const said = second === undefined
      ? `"${first}" needs a second word`
      : `"${first} ${second}" is not known`;
    return refuse(`Cannot run "${first}": ${said}: did you mean "${only.name}"?`, only);
  }
  const near = suggest(first, COMMANDS.map(({ name }) => name));
  const advice = near === null ? "see `remediate --help`" : `did you mean "${near}"?`;
  return refuse(`Cannot run "${first}": there is no such command: ${advice}`, null);
}

function parseOptions(command: Command, words: readonly string[]): Invocation | Refusal {
  const declared = Object.fromEntries(
    command.options.map((option) => [option.name, { type: option.value ? "string" : "boolean" } as const]),
  );
  const { tokens } = parseArgs({
    args: [...words],
    options: declared,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | number | true>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const option = command.options.find(({ name }) => name === token.name && token.rawName === `--${name}`);
    if (!option) return unknownOption(command, token.rawName);
    if (values.has(option.name)) {
      return refuse(`Cannot read option --${option.name}: it is given twice`, command);
    }
    // `--limit --json` is a forgotten number, not a strange one.
    const forgotten = !token.inlineValue && token.value?.startsWith("--");
    const value = readValue(option, forgotten ? "" : token.value);
    if (typeof value === "object") {
      return refuse(`Cannot read option --${option.name}: ${value.reason}`, command);
    }
    values.set(option.name, value);
  }
  const wrong = countArguments(command, positionals);
  if (wrong !== null) return refuse(wrong, command);
  const given = new Set(values.keys());
  for (const option of command.options) {
    if (option.default !== undefined && !values.has(option.name)) values.set(option.name, option.default);
  }
  return { kind: "command", command, options: new Options(values, given), arguments: positionals };
}

function unknownOption(command: Command, shown: string): Refusal {
  const names = command.options.map(({ name }) => name);
  const near = suggest(shown.replace(/^-+/, ""), names);
  const advice = near === null ? `see \`remediate ${command.name} --help\`` : `did you mean --${near}?`;
  return refuse(`Cannot read option ${shown}: "${command.name}" has no such option: ${advice}`, command);
}

function readValue(option: Option, value: string | undefined): string | number | true | { reason: string } {
  if (!option.value) return value === undefined ? true : { reason: `it takes no value, and got "${value}"` };
  if (value === undefined || value === "") return { reason: `it needs a value, ${option.value}` };
  if (option.choices && !option.choices.includes(value)) {
    return { reason: `"${value}" is not one of ${option.choices.join(", ")}` };
  }
  if (option.min === undefined || option.max === undefined) return value;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
  const fits = number >= option.min && number <= option.max;
  return fits ? number : { reason: `"${value}" is not an integer from ${option.min} to ${option.max}` };
}

function countArguments(command: Command, positionals: readonly string[]): string | null {
  const missing = command.arguments[positionals.length];
  if (missing && !missing.optional) return `Cannot run "${command.name}": ${missing.name} is missing`;
  const extra = positionals[command.arguments.length];
  return extra === undefined ? null : `Cannot run "${command.name}": it takes no argument "${extra}"`;
}

function refuse(text: string, command: Command | null): Refusal {
  return { kind: "refusal", text, command };
}

/**
 * Completion for shells, drawn from the table of commands, so that it offers what is accepted and nothing else. Pure.
 *
 * One list of lines "words of a command", "its options" and "choices of an option" is all that each shell's few lines look
 * into; names of boxes and files are left to people and to the shell.
 */
import { type Command, COMMANDS, type Option } from "./commands.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export function completionText(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

const HELP: Option = { name: "help", help: "Print the help page." };
const optionsOf = (command: Command): readonly Option[] => [...command.options, HELP];
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** First words, and for each the second ones. */
function words(): {
  readonly first: readonly string[];
  readonly second: ReadonlyMap<string, readonly string[]>;
} {
  const second = new Map<string, string[]>();
  for (const { name } of COMMANDS) {
    const [head = "", next] = name.split(" ");
    const list = second.get(head) ?? [];
    second.set(head, next === undefined || list.includes(next) ? list : [...list, next]);
  }
  return { first: [...second.keys()], second };
}

/** The cases of bash, which zsh understands as well. */
function cases(): string[] {
  const { first, second } = words();
  const choices = (command: Command) =>
    optionsOf(command).flatMap(({ name, choices }) =>
      choices === undefined ? [] : [`    "${command.name} --${name}") words="${choices.join(" ")}" ;;`]
    );
  return [
    "  # What stands between the program and the cursor, without options.",
    '  case "$command $previous" in',
    ...COMMANDS.flatMap(choices),
    "    *)",
    '      case "$current" in',
    '        -*) case "$command" in',
    ...COMMANDS.map((command) =>
      `          "${command.name}") words="${optionsOf(command).map(({ name }) => `--${name}`).join(" ")}" ;;`
    ),
    "        esac ;;",
    '        *) case "$command" in',
    `          "") words="${first.join(" ")}" ;;`,
    ...[...second].filter(([, list]) => list.length > 0).map(([head, list]) =>
      `          "${head}") words="${list.join(" ")}" ;;`
    ),
    "        esac ;;",
    "      esac ;;",
    "  esac",
  ];
}

function bash(): string {
  return [
    "# Completion of remediate for bash: source it, or put it into /etc/bash_completion.d.",
    "_remediate() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words="" command="" word i',
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    '    word="${COMP_WORDS[i]}"',
    '    [[ "$word" == -* ]] && break',
    '    command="${command:+$command }$word"',
    "  done",
    ...cases(),
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '  [[ -z "$words" ]] && COMPREPLY=($(compgen -f -- "$current"))',
    "}",
    "complete -F _remediate remediate",
  ].join("\n") + "\n";
}

function zsh(): string {
  return [
    "#compdef remediate",
    "# Completion of remediate for zsh: put it into a directory of $fpath as _remediate.",
    "_remediate() {",
    '  local current="${words[CURRENT]}" previous="${words[CURRENT-1]}" command="" word i list',
    "  for ((i = 2; i < CURRENT; i++)); do",
    '    word="${words[i]}"',
    '    [[ "$word" == -* ]] && break',
    '    command="${command:+$command }$word"',
    "  done",
    "  local -a found",
    ...cases().map((line) => line.replaceAll('words="', 'list="')),
    '  if [[ -n "$list" ]]; then found=(${=list}); compadd -a found; else _files; fi',
    "}",
    "compdef _remediate remediate",
  ].join("\n") + "\n";
}

function fish(): string {
  const { first, second } = words();
  const no = `not __fish_seen_subcommand_from ${first.join(" ")}`;
  const summary = (head: string) => COMMANDS.find(({ name }) => name === head)?.summary ?? `${head} ...`;
  const lines = first.map((head) =>
    `complete -c remediate -f -n ${quoted(no)} -a ${head} -d ${quoted(summary(head))}`
  );
  for (const [head, list] of second) {
    for (const next of list) {
      const when = `__fish_seen_subcommand_from ${head}; and not __fish_seen_subcommand_from ${
        list.join(" ")
      }`;
      lines.push(
        `complete -c remediate -f -n ${quoted(when)} -a ${next} -d ${quoted(summary(`${head} ${next}`))}`,
      );
    }
  }
  for (const command of COMMANDS) {
    const when = command.name.split(" ").map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    for (const { name, help, value, choices } of optionsOf(command)) {
      const takes = choices ? ` -x -a ${quoted(choices.join(" "))}` : value ? " -r" : "";
      lines.push(`complete -c remediate -n ${quoted(when)} -l ${name}${takes} -d ${quoted(help)}`);
    }
  }
  return ["# Completion of remediate for fish: put it into ~/.config/fish/completions.", ...lines].join(
    "\n",
  ) + "\n";
}

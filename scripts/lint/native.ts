/**
 * Sizes of C: the lines of a file and of each function, by counting braces.
 *
 * Comments, strings and character constants are blanked first, so a brace in them does not count. A function is
 * a block that opens at the top level after a closing parenthesis; `struct x {` and `= {` are not.
 */
import { FILE_LINES_MAX, FUNCTION_LINES_MAX, lineCount } from "./sizes.ts";

export interface NativeFunction {
  readonly name: string;
  /** Of the line its head starts on, from 1. */
  readonly line: number;
  readonly lines: number;
}

/** The text with comments, strings and directives replaced by blanks; line breaks stay. */
export function blank(text: string): string {
  const skip =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:\\\n|[^\n])*/gm;
  return text.replace(skip, (found) => found.replace(/[^\n]/g, " "));
}

const ATTRIBUTE = /__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)/g;

/** Functions defined in a C text, in order. */
export function nativeFunctions(text: string): NativeFunction[] {
  const plain = blank(text);
  const found: NativeFunction[] = [];
  let depth = 0;
  let head = 0; // where the current top-level declaration starts
  let open: { name: string; line: number } | null = null;
  const lineAt = (index: number) => plain.slice(0, index).split("\n").length;
  for (let index = 0; index < plain.length; index++) {
    const letter = plain[index];
    if (letter === "{" && depth++ === 0) {
      const words = plain.slice(head, index).replace(ATTRIBUTE, (found) => found.replace(/[^\n]/g, " "));
      const name = /(\w+)\s*\([\s\S]*\)[\s\w]*$/.exec(words)?.[1];
      const start = head + plain.slice(head, index).search(/\S|$/);
      open = name === undefined || words.includes("=") ? null : { name, line: lineAt(start) };
    } else if (letter === "}" && --depth === 0) {
      if (open !== null) found.push({ ...open, lines: lineAt(index) - open.line + 1 });
      open = null;
      head = index + 1;
    } else if (letter === ";" && depth === 0) head = index + 1;
  }
  return found;
}

/** What is wrong with the sizes of a C file, one sentence each. */
export function nativeProblems(path: string, text: string): string[] {
  const problems: string[] = [];
  const total = lineCount(text);
  if (total > FILE_LINES_MAX) problems.push(`${path} has ${total} lines, the limit is ${FILE_LINES_MAX}`);
  for (const { name, line, lines } of nativeFunctions(text)) {
    if (lines <= FUNCTION_LINES_MAX) continue;
    problems.push(`${path}:${line} ${name}() has ${lines} lines, the limit is ${FUNCTION_LINES_MAX}`);
  }
  return problems;
}

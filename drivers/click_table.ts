/**
 * Duty: the table that says which handlers of a Click router are state, and what is read and written by them. Pure.
 *
 * One row a line, words with blanks between: a name, then what is known of it as WORD=VALUE. A row is one piece of state,
 * or, with each=line, as many as its read handler prints lines.
 */
import type { MergeKind, StateRole } from "./record.ts";

export interface ClickRow {
  readonly name: string;
  readonly role: StateRole;
  /** ELEMENT.HANDLER */
  readonly read: string;
  /** Null: what is read here cannot be put. */
  readonly write: string | null;
  readonly remove: string | null;
  readonly each: "whole" | "line";
  /** How many words at the beginning of a line tell it from the others; they are what `remove` is given. */
  readonly keyWords: number;
  readonly merge: MergeKind | null;
}

const ROLES: readonly string[] = ["configuration", "supporting", "reporting"];
const MERGES: readonly string[] = ["sum", "max", "union"];
const WORDS = ["role", "read", "write", "remove", "each", "key", "merge"];
const ROWS_MAX = 256;
/** Element names may have slashes: elements inside compound elements. */
const HANDLER = /^[A-Za-z0-9_@/]+\.[A-Za-z0-9_]+$/;

function readRow(line: string, at: number): ClickRow {
  const fail = (reason: string): never => {
    throw new SyntaxError(`line ${at} "${line}": ${reason}`);
  };
  const [name = "", ...rest] = line.split(/\s+/);
  if (!/^[a-z][a-z0-9_-]{0,31}$/.test(name)) {
    fail(`"${name}" is no name: letters, digits, - and _, a letter first`);
  }
  const words = new Map<string, string>();
  for (const word of rest) {
    const [key = "", value = ""] = word.split("=", 2);
    if (!WORDS.includes(key) || value === "") fail(`"${word}" is none of ${WORDS.join(", ")} with a value`);
    if (words.has(key)) fail(`${key} is there twice`);
    words.set(key, value);
  }
  const handler = (key: string) => {
    const value = words.get(key) ?? null;
    return value === null || HANDLER.test(value) ? value : fail(`${key} "${value}" is no ELEMENT.HANDLER`);
  };
  const one = (key: string, among: readonly string[], usual: string) => {
    const value = words.get(key) ?? usual;
    return among.includes(value) ? value : fail(`${key} "${value}" is none of ${among.join(", ")}`);
  };
  const [role, each] = [
    one("role", ROLES, "supporting") as StateRole,
    one("each", ["whole", "line"], "whole"),
  ];
  const merge = words.has("merge") ? one("merge", MERGES, "") as MergeKind : null;
  if (merge !== null && role !== "reporting") fail(`only reporting state is merged, and this is ${role}`);
  const keyWords = Number(words.get("key") ?? 1);
  if (!(Number.isInteger(keyWords) && keyWords >= 1 && keyWords <= 16)) fail("key is no number from 1 to 16");
  const read = handler("read") ?? fail("read is missing");
  const handlers = { read, write: handler("write"), remove: handler("remove") };
  return { name, role, ...handlers, each: each as ClickRow["each"], keyWords, merge };
}

/** Lines that are empty or begin with # are left out. @throws SyntaxError that names the line */
export function parseClickTable(text: string): ClickRow[] {
  const rows = text.split("\n").map((line, index) => [line.trim(), index + 1] as const)
    .filter(([line]) => line !== "" && !line.startsWith("#")).map(([line, at]) => readRow(line, at));
  const twice = rows.find(({ name }, index) => rows.findIndex((row) => row.name === name) !== index);
  if (twice !== undefined) throw new SyntaxError(`there are two rows "${twice.name}"`);
  if (rows.length === 0 || rows.length > ROWS_MAX) {
    throw new SyntaxError(`${rows.length} rows, not 1 to ${ROWS_MAX}`);
  }
  return rows;
}

/** What a read handler printed, as pieces: the key behind the row's name, and the text. */
export function clickPieces(row: ClickRow, text: string): { readonly key: string; readonly text: string }[] {
  if (row.each === "whole") return [{ key: row.name, text }];
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.map((line) => ({ key: `${row.name} ${lineKey(row, line)}`, text: line }));
}

export function lineKey({ keyWords }: ClickRow, line: string): string {
  return line.split(/\s+/).slice(0, keyWords).join(" ");
}

/** What is written where `there` is and `came` arrives. @throws SyntaxError where they cannot be merged */
export function mergeTexts(merge: MergeKind | null, there: string, came: string): string {
  if (merge === null) return came;
  if (merge === "union") return [...new Set([...there.split("\n"), ...came.split("\n")])].join("\n").trim();
  const [a, b] = [there, came].map((text) => text.trim());
  if (!/^\d+$/.test(a!) || !/^\d+$/.test(b!)) {
    throw new SyntaxError(`"${a}" and "${b}" are no two whole numbers`);
  }
  const [x, y] = [BigInt(a!), BigInt(b!)];
  return String(merge === "sum" ? x + y : x > y ? x : y);
}

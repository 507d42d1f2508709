/**
 * Duty: a log line into named values, for formats that name or number them: key=value, comma separated, JSON.
 *
 * Nothing here fails: a line that is none of its form has no values. What stands before the first value (a syslog header)
 * is passed over. Surprises: netfilter writes a name twice (both directions of a flow), the second one is "NAME.2"; and it
 * has ACK as a number and as a flag, so a word by itself is "flag.WORD".
 */

/** A named value of a line; undefined: it has none of that name. */
export type Values = (name: string) => string | undefined;

const QUOTE = 34, EQUALS = 61, BACKSLASH = 92, COMMA = 44;
const isSpace = (code: number) => code === 32 || code === 9;

/** Where the quoted text that begins at `at` ends: at its closing quote, or with the line. */
function quoteEnd(line: string, at: number): number {
  let end = at + 1;
  while (end < line.length && line.charCodeAt(end) !== QUOTE) {
    end += line.charCodeAt(end) === BACKSLASH ? 2 : 1;
  }
  return Math.min(end, line.length);
}

const unescaped = (text: string) => text.includes("\\") ? text.replace(/\\(.)/g, "$1") : text;

/** Of the names that somebody asks for. */
export function splitPairs(line: string, wanted: ReadonlySet<string>): Values {
  const found = new Map<string, string>();
  const note = (name: string, from: number, to: number) => {
    if (!wanted.has(name)) return;
    const key = found.has(name) ? `${name}.2` : name;
    if (!found.has(key)) found.set(key, from < to ? line.slice(from, to) : "");
  };
  const { length } = line;
  let at = 0;
  while (at < length) {
    while (at < length && isSpace(line.charCodeAt(at))) at++;
    const start = at;
    let code = 0;
    while (at < length && !isSpace(code = line.charCodeAt(at)) && code !== EQUALS) at++;
    const name = line.slice(start, at);
    if (at === length || code !== EQUALS) {
      if (name !== "") note(`flag.${name}`, 0, 0);
      continue;
    }
    const from = ++at;
    if (line.charCodeAt(at) === QUOTE) {
      at = quoteEnd(line, at) + 1;
      note(keyOf(name), from + 1, at - 1);
      continue;
    }
    while (at < length && !isSpace(line.charCodeAt(at))) at++;
    note(keyOf(name), from, at);
  }
  return (name) => {
    const value = found.get(name);
    return value === undefined ? undefined : unescaped(value);
  };
}

/** "<189>date" is "date": a priority stands directly before the first name. */
const keyOf = (name: string) => name.startsWith("<") ? name.slice(name.indexOf(">") + 1) : name;

/** By the names of columns; a quoted value may have commas, and a quote that is doubled. */
export function splitColumns(line: string, columns: ReadonlyMap<string, number>): Values {
  const cells: string[] = [];
  const most = Math.max(...columns.values());
  let at = 0;
  while (cells.length <= most && at <= line.length) {
    let end = at;
    if (line.charCodeAt(at) === QUOTE) {
      end = at + 1;
      while (end < line.length && (line.charCodeAt(end) !== QUOTE || line.charCodeAt(++end) === QUOTE)) end++;
      cells.push(line.slice(at + 1, end - 1).replaceAll('""', '"'));
      while (end < line.length && line.charCodeAt(end) !== COMMA) end++;
    } else {
      end = line.indexOf(",", at);
      if (end < 0) end = line.length;
      cells.push(line.slice(at, end));
    }
    at = end + 1;
  }
  return (name) => cells[columns.get(name) ?? -1];
}

/** By paths: "flow.start". The object begins at the first brace. */
export function splitJson(line: string): Values {
  let root: unknown = null;
  try {
    root = JSON.parse(line.slice(Math.max(line.indexOf("{"), 0)));
  } catch {
    // No JSON, or cut off: it has no values.
  }
  return (name) => {
    let value = root;
    for (const part of name.split(".")) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
      value = (value as Record<string, unknown>)[part];
    }
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : undefined;
  };
}

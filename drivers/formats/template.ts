/**
 * Duty: patterns of log lines that people can read: "Built <way:(inbound|outbound)> TCP connection <id:integer> for".
 *
 * A space stands for any white space, `<name:type>` for a value (without a type: a word), `_` for one nobody asks for,
 * `{...}` for a part that may be missing; `<<` and `{{` stand for themselves. A pattern is found anywhere in a line and
 * becomes one regular expression, in which no repetition contains another, so that a line takes it a bounded time. The pieces
 * are kept to tell a person how far a line went along with it.
 */

/** Types of values, as sources of regular expressions. */
const TYPES: Readonly<Record<string, string>> = {
  word: "\\S+",
  name: "[\\w.@-]+",
  integer: "\\d{1,15}(?!\\d)",
  port: "\\d{1,5}(?!\\d)",
  ip: "[0-9A-Fa-f:.]{2,45}",
  interface: "[^\\s:()][^:()]{0,80}?",
  text: ".{1,200}?",
  any: ".{0,200}?",
};
export const TYPE_NAMES = Object.keys(TYPES);
const PIECES_MAX = 100;

interface Piece {
  readonly source: string;
  /** As written. */
  readonly shown: string;
}

export interface Template {
  /** Its groups are the names, in their order. */
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly pieces: readonly Piece[];
}

export interface Progress {
  /** The part of the pattern that fits. */
  readonly matched: string;
  /** What the pattern wants next; empty where all of it fits. */
  readonly wanted: string;
  /** Where in the line the fitting part ends. */
  readonly at: number;
}

const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");

class Reader {
  readonly names: string[] = [];
  #at = 0;
  constructor(readonly text: string) {}

  pieces(inside: boolean): Piece[] {
    const found: Piece[] = [];
    while (this.#at < this.text.length && !(inside && this.text[this.#at] === "}")) {
      const start = this.#at;
      const source = this.#piece();
      found.push({ source, shown: this.text.slice(start, this.#at) });
      if (found.length > PIECES_MAX) throw new SyntaxError(`it has more than ${PIECES_MAX} pieces`);
    }
    return found;
  }

  #piece(): string {
    const [first, second] = [this.text[this.#at]!, this.text[this.#at + 1]];
    if ((first === "<" || first === "{") && second === first) {
      this.#at += 2;
      return escape(first);
    }
    if (first === "<") return this.#value();
    if (first === "{") return this.#optional();
    const literal = /\s+|[^\s<{}]+|\}/y;
    literal.lastIndex = this.#at;
    const [found = first] = literal.exec(this.text) ?? [];
    this.#at += found.length;
    return found.trim() === "" ? "\\s+" : escape(found);
  }

  #optional(): string {
    const start = this.#at++;
    const inner = this.pieces(true);
    if (this.text[this.#at] !== "}") {
      throw new SyntaxError(`"${this.text.slice(start)}" has no closing brace`);
    }
    this.#at++;
    return `(?:${inner.map(({ source }) => source).join("")})?`;
  }

  #value(): string {
    const end = this.text.indexOf(">", this.#at);
    const written = this.text.slice(this.#at, end + 1);
    if (end < 0) throw new SyntaxError(`"${this.text.slice(this.#at)}" has no closing ">"`);
    this.#at = end + 1;
    const [, name, type = "word"] = /^<([A-Za-z_]\w*)(?::(.+))?>$/.exec(written) ?? [];
    if (name === undefined) throw new SyntaxError(`"${written}" is no <name> or <name:type>`);
    const choices = /^\(([^()]+)\)$/.exec(type)?.[1]?.split("|").map(escape).join("|");
    const source = choices ?? TYPES[type];
    if (source === undefined) {
      throw new SyntaxError(`"${written}" has no such type: ${TYPE_NAMES.join(", ")}, or (one|another)`);
    }
    if (name === "_") return `(?:${source})`;
    if (this.names.includes(name)) throw new SyntaxError(`it has "${name}" twice`);
    this.names.push(name);
    return `(${source})`;
  }
}

/** Throws a SyntaxError whose message is the end of a sentence: what of the text is no pattern. */
export function compileTemplate(text: string): Template {
  const reader = new Reader(text.trim());
  const pieces = reader.pieces(false);
  if (pieces.length === 0) throw new SyntaxError("it is empty");
  return { pattern: new RegExp(pieces.map(({ source }) => source).join("")), names: reader.names, pieces };
}

/** How far a line goes along with the pattern: the longest beginning of the pattern that is found in it. */
export function progressOf({ pieces }: Template, line: string): Progress {
  for (let count = pieces.length; count > 0; count--) {
    const found = new RegExp(pieces.slice(0, count).map(({ source }) => source).join("")).exec(line);
    if (found === null) continue;
    return {
      matched: pieces.slice(0, count).map(({ shown }) => shown).join(""),
      wanted: pieces[count]?.shown ?? "",
      at: found.index + found[0].length,
    };
  }
  return { matched: "", wanted: pieces[0]?.shown ?? "", at: 0 };
}

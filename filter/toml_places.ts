/**
 * Where each key of a TOML text stands: key path -> line and column.
 *
 * smol-toml gives values without places, and a person who is told of a wrong value wants the line. This is no
 * second parser: it only follows the outline of a text that has already been parsed (headers, dotted and
 * quoted keys, inline tables, arrays), so on a text that is not TOML it may be wrong, but it always ends and
 * never throws.
 */

/** Both count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/**
 * Places by path: "failover", "failover.silence_ms", "filter.rules[1].match". A table stands at its first
 * header.
 */
export function placeKeys(text: string): ReadonlyMap<string, Place> {
  const outline = new Outline(text);
  outline.run();
  return outline.places;
}

/** "filter" + "rules" -> "filter.rules". */
export function joinKey(parent: string, key: string): string {
  const shown = /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
  return parent === "" ? shown : `${parent}.${shown}`;
}

class Outline {
  readonly places = new Map<string, Place>();
  readonly #text: string;
  readonly #arrays = new Map<string, number>();
  #at = 0;
  #line = 1;
  #lineStart = 0;
  #table = "";

  constructor(text: string) {
    this.#text = text;
  }

  run(): void {
    while (this.#skipBlank(), this.#at < this.#text.length) {
      const before = this.#at;
      if (this.#peek() === "[") this.#header();
      else this.#pair(this.#table);
      if (this.#at === before) this.#step();
    }
  }

  #header(): void {
    const place = this.#here();
    this.#step();
    const list = this.#peek() === "[";
    if (list) this.#step();
    const keys = this.#keys("]");
    let path = "";
    keys.forEach((key, index) => {
      path = joinKey(path, key);
      const last = index === keys.length - 1;
      if (last && list) this.#arrays.set(path, (this.#arrays.get(path) ?? -1) + 1);
      this.#note(path, place);
      const element = this.#arrays.get(path);
      if (element !== undefined) path = `${path}[${element}]`;
      this.#note(path, place);
    });
    this.#table = path;
    this.#skipLine();
  }

  #pair(table: string): void {
    const place = this.#here();
    let path = table;
    for (const key of this.#keys("=")) {
      path = joinKey(path, key);
      this.#note(path, place);
    }
    this.#skipSpace();
    this.#value(path);
  }

  #value(path: string): void {
    const first = this.#peek();
    if (first === "{") this.#group("}", () => this.#pair(path));
    else if (first === "[") {
      let element = 0;
      this.#group("]", () => {
        const inner = `${path}[${element++}]`;
        this.#note(inner, this.#here());
        this.#value(inner);
      });
    } else if (first === '"' || first === "'") this.#string();
    else while (this.#at < this.#text.length && !/[\n,\]}#]/.test(this.#peek())) this.#step();
  }

  /** The members of an inline table or an array, up to `close`. */
  #group(close: string, member: () => void): void {
    this.#step();
    while (this.#skipBlank(), this.#at < this.#text.length && this.#peek() !== close) {
      const before = this.#at;
      if (this.#peek() === ",") this.#step();
      else member();
      if (this.#at === before) this.#step();
    }
    this.#step();
  }

  /** The parts of a dotted key; ends after `close`, or at the end of the line if that is missing. */
  #keys(close: string): string[] {
    const keys: string[] = [];
    while (this.#at < this.#text.length && this.#peek() !== "\n") {
      this.#skipSpace();
      const next = this.#peek();
      if (next === close) {
        this.#step();
        break;
      }
      if (next === '"' || next === "'") keys.push(this.#string());
      else if (/[A-Za-z0-9_-]/.test(next)) keys.push(this.#bare());
      else this.#step();
    }
    return keys;
  }

  #bare(): string {
    const start = this.#at;
    while (/[A-Za-z0-9_-]/.test(this.#peek())) this.#step();
    return this.#text.slice(start, this.#at);
  }

  #string(): string {
    const quote = this.#peek();
    const triple = quote.repeat(3);
    const close = this.#text.startsWith(triple, this.#at) ? triple : quote;
    this.#step(close.length);
    const start = this.#at;
    while (this.#at < this.#text.length && !this.#text.startsWith(close, this.#at)) {
      if (close === quote && this.#peek() === "\n") break;
      this.#step(quote === '"' && this.#peek() === "\\" ? 2 : 1);
    }
    const inner = this.#text.slice(start, this.#at);
    this.#step(close.length);
    // A multi-line string may end in up to five quotes; the first two belong to its text.
    while (close === triple && this.#peek() === quote) this.#step();
    return quote === '"' ? unescape(inner) : inner;
  }

  #note(path: string, place: Place): void {
    if (!this.places.has(path)) this.places.set(path, place);
  }

  #here(): Place {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #step(count = 1): void {
    for (; count > 0 && this.#at < this.#text.length; count--) {
      if (this.#text.charAt(this.#at++) !== "\n") continue;
      this.#line++;
      this.#lineStart = this.#at;
    }
  }

  #skipSpace(): void {
    while (this.#peek() === " " || this.#peek() === "\t") this.#step();
  }

  #skipLine(): void {
    while (this.#at < this.#text.length && this.#peek() !== "\n") this.#step();
  }

  /** Spaces, line ends and comments. */
  #skipBlank(): void {
    while (this.#at < this.#text.length) {
      if (this.#peek() === "#") this.#skipLine();
      else if (/\s/.test(this.#peek())) this.#step();
      else return;
    }
  }
}

function unescape(inner: string): string {
  try {
    return JSON.parse(`"${inner}"`);
  } catch {
    return inner;
  }
}

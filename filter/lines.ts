/** Words into lines of a bounded width. Pure. */

export interface WrapOptions {
  readonly width: number;
  /** Before the first line, and before every other; both count as part of the width. */
  readonly first?: string;
  readonly rest?: string;
}

/** Lines of at most `width` columns; a word that is longer stands alone. */
export function wrap(text: string, { width, first = "", rest = first }: WrapOptions): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of text.split(" ")) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

/**
 * The difference of two texts, line by line, as a unified diff.
 *
 * Pure. Myers' greedy algorithm on the lines that differ at all: what both texts begin and end with is taken off first,
 * so that a change in a long file costs little. Bounded: texts that have next to nothing in common are told as a whole.
 */
const CONTEXT = 3;
const EDITS_MAX = 1000;

interface Edit {
  readonly sign: " " | "-" | "+";
  readonly line: string;
}

/** Empty: the texts are the same. `names`: of the one before and the one after. */
export function unifiedDiff(before: string, after: string, names: readonly [string, string]): string {
  if (before === after) return "";
  const edits = editsOf(linesOf(before), linesOf(after));
  const hunks = hunksOf(edits);
  return `--- ${names[0]}\n+++ ${names[1]}\n${hunks.join("")}`;
}

/** A last line without an end is another line than one with it. */
function linesOf(text: string): string[] {
  const lines = text.split("\n");
  const last = lines.pop()!;
  return last === "" ? lines : [...lines, `${last}\n\\ No newline at end of file`];
}

function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  let head = 0, tail = 0;
  const least = Math.min(before.length, after.length);
  while (head < least && before[head] === after[head]) head++;
  while (tail < least - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const same = (line: string): Edit => ({ sign: " ", line });
  const a = before.slice(head, before.length - tail), b = after.slice(head, after.length - tail);
  return [
    ...before.slice(0, head).map(same),
    ...(middle(a, b) ?? [
      ...a.map((line): Edit => ({ sign: "-", line })),
      ...b.map((line): Edit => ({ sign: "+", line })),
    ]),
    ...before.slice(before.length - tail).map(same),
  ];
}

/** Shortest edits (Myers 1986); null: there are more than the bound. */
function middle(a: readonly string[], b: readonly string[]): Edit[] | null {
  const most = Math.min(a.length + b.length, EDITS_MAX);
  let reached = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let d = 0; d <= most; d++) {
    trace.push(reached);
    reached = new Map(reached);
    for (let k = -d; k <= d; k += 2) {
      let x = goesDown(reached, k, d) ? reached.get(k + 1)! : reached.get(k - 1)! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reached.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkBack(trace, a, b);
    }
  }
  return null;
}

function goesDown(reached: ReadonlyMap<number, number>, k: number, d: number): boolean {
  return k === -d || (k !== d && (reached.get(k - 1) ?? -1) < (reached.get(k + 1) ?? -1));
}

function walkBack(trace: readonly Map<number, number>[], a: readonly string[], b: readonly string[]): Edit[] {
  const edits: Edit[] = [];
  let x = a.length, y = b.length;
  for (let d = trace.length - 1; d >= 0; d--) {
    const reached = trace[d]!, k = x - y;
    const from = goesDown(reached, k, d) ? k + 1 : k - 1;
    const fromX = reached.get(from) ?? 0, fromY = fromX - from;
    for (; x > fromX && y > fromY && x > 0 && y > 0; y--) edits.push({ sign: " ", line: a[--x]! });
    if (d === 0) break;
    if (x === fromX) edits.push({ sign: "+", line: b[--y]! });
    else edits.push({ sign: "-", line: a[--x]! });
  }
  return edits.reverse();
}

function hunksOf(edits: readonly Edit[]): string[] {
  const hunks: string[] = [];
  let start = 0, oldLine = 1, newLine = 1;
  while (start < edits.length) {
    const first = edits.findIndex(({ sign }, index) => index >= start && sign !== " ");
    if (first < 0) break;
    const begin = Math.max(start, first - CONTEXT);
    let end = first, quiet = 0;
    while (end < edits.length && quiet <= 2 * CONTEXT) quiet = edits[end++]!.sign === " " ? quiet + 1 : 0;
    if (quiet > CONTEXT) end -= quiet - CONTEXT;
    for (; start < begin; start++) {
      oldLine++;
      newLine++;
    }
    const hunk = edits.slice(begin, end);
    const olds = hunk.filter(({ sign }) => sign !== "+").length,
      news = hunk.filter(({ sign }) => sign !== "-").length;
    const place = (line: number, count: number) => `${count === 0 ? line - 1 : line},${count}`;
    hunks.push(
      `@@ -${place(oldLine, olds)} +${place(newLine, news)} @@\n` +
        hunk.map(({ sign, line }) => `${sign}${line}\n`).join(""),
    );
    [start, oldLine, newLine] = [end, oldLine + olds, newLine + news];
  }
  return hunks;
}

/**
 * What changes from one text to another, by lines. Pure.
 *
 * The longest common lines (Myers' bound is not needed: configurations are short); texts too long for that are told as
 * one change between what they have in common at both ends.
 */
export interface DiffLine {
  readonly kind: "same" | "out" | "in";
  readonly text: string;
}

const CELLS_MAX = 4_000_000;
const AROUND = 2;

/** Changed lines with two around each; "…" stands for what is left out. Empty: nothing changes. */
export function diffText(before: string, after: string): string {
  const lines = diffLines(before.split("\n"), after.split("\n"));
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(({ kind }) => kind !== "same")
  );
  if (!near.includes(true)) return "";
  const sign = { same: " ", out: "-", in: "+" };
  return lines.flatMap(({ kind, text }, at) => {
    if (near[at]) return [`${sign[kind]}${text}`];
    return at === 0 || near[at - 1] ? ["…"] : [];
  }).join("\n");
}

export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  let head = 0, tail = 0;
  while (head < Math.min(before.length, after.length) && before[head] === after[head]) head++;
  const room = Math.min(before.length, after.length) - head;
  while (tail < room && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const same = (texts: readonly string[]) => texts.map((text): DiffLine => ({ kind: "same", text }));
  return [
    ...same(before.slice(0, head)),
    ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(tail === 0 ? [] : before.slice(-tail)),
  ];
}

function middle(before: readonly string[], after: readonly string[]): DiffLine[] {
  const rest = (i: number, j: number): DiffLine[] => [
    ...before.slice(i).map((text): DiffLine => ({ kind: "out", text })),
    ...after.slice(j).map((text): DiffLine => ({ kind: "in", text })),
  ];
  const wide = after.length + 1;
  if ((before.length + 1) * wide > CELLS_MAX) return rest(0, 0);
  // common[i * wide + j]: lines that before from i on and after from j on have in common.
  const common = new Uint32Array((before.length + 1) * wide);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * wide + j] = before[i] === after[j]
        ? common[(i + 1) * wide + j + 1]! + 1
        : Math.max(common[(i + 1) * wide + j]!, common[i * wide + j + 1]!);
    }
  }
  const lines: DiffLine[] = [];
  let i = 0, j = 0;
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      lines.push({ kind: "same", text: before[i++]! });
      j++;
    } else if (common[(i + 1) * wide + j]! >= common[i * wide + j + 1]!) {
      lines.push({ kind: "out", text: before[i++]! });
    } else lines.push({ kind: "in", text: after[j++]! });
  }
  return [...lines, ...rest(i, j)];
}

/**
 * "Did you mean": the known word nearest to one a person typed.
 *
 * Pure. The distance is the number of single slips (a letter missing, added, wrong, or two swapped: optimal
 * string alignment). A word is only offered when it is near enough that the offer is more likely right than
 * noise.
 */

/** Slips that turn `a` into `b`. */
export function slips(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      let best = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + same);
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (row > 1 && column > 1 && swapped) best = Math.min(best, at(before, column - 2) + 1);
      current.push(best);
    }
    before = last;
    last = current;
  }
  return at(last, b.length);
}

/**
 * The one of `known` that `word` was most likely meant to be, or null. A left-out ending (a unit) is
 * forgiven.
 */
export function suggest(word: string, known: readonly string[]): string | null {
  const plain = word.toLowerCase().replaceAll("-", "_");
  const allowed = Math.max(1, Math.floor(plain.length / 3));
  let best: string | null = null;
  let bestSlips = allowed + 1;
  for (const candidate of known) {
    const target = candidate.toLowerCase().replaceAll("-", "_");
    const ending = target.startsWith(plain + "_") || plain.startsWith(target + "_");
    const distance = ending ? Math.min(1, slips(plain, target)) : slips(plain, target);
    if (distance < bestSlips) [best, bestSlips] = [candidate, distance];
  }
  return best;
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}

/**
 * Duty: lines of a journal that show whether they are whole. Pure.
 *
 * One JSON value, a space, a digest. A crash can only cut the last line, and what a cut line was to announce was not begun.
 */

/** FNV-1a: tells a cut line from a whole one, and two values apart; against nobody who means harm. */
export function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

export function wholeLine(value: object): string {
  const text = JSON.stringify(value);
  return `${text} ${digest(text)}\n`;
}

/** The values of whole lines in their order, and how many others stand before the last. */
export function wholeLines<T>(text: string): { readonly values: readonly T[]; readonly unreadable: number } {
  const lines = text.split("\n").filter((line) => line !== "");
  let unreadable = 0;
  const values = lines.flatMap((line, index): T[] => {
    const at = line.lastIndexOf(" "), json = line.slice(0, at);
    if (at >= 0 && line.slice(at + 1) === digest(json)) return [JSON.parse(json) as T];
    unreadable += index < lines.length - 1 ? 1 : 0;
    return [];
  });
  return { values, unreadable };
}

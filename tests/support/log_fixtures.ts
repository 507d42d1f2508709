/** Lines of logs as vendors' documentation has them, and what each says: tests/fixtures/logs. */
const FOLDER = new URL("../fixtures/logs/", import.meta.url);

/** Without the first line, which names the source. */
export function logLines(format: string): string[] {
  return Deno.readTextFileSync(new URL(`${format}.log`, FOLDER)).trimEnd().split("\n").slice(1);
}

/** What `remediate drivers try` says of them. */
export const expectedText = (format: string) => Deno.readTextFileSync(new URL(`${format}.txt`, FOLDER));

/** Numbers from a seed, from 0 to below 1 (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

/**
 * Why something failed, as the end of a sentence: what the system said, without its number and its call.
 *
 * Pure. "No space left on device (os error 28): writefile '/x'" becomes "no space left on device": the sentence
 * around it names the file already.
 */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const system = /^(.+?) \(os error \d+\)/.exec(message)?.[1];
  return system === undefined ? message : `${system[0]!.toLowerCase()}${system.slice(1)}`;
}

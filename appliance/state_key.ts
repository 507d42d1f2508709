/**
 * Duty: the secret by which records are sealed, and other secrets of the repository, from files of their own.
 *
 * An edge. The node makes the secret's file itself where it is in its own directory; one that is shared by nodes is made by
 * people. No message names more of a secret than its file.
 */
import { SECRET_BYTES } from "../drivers/seal.ts";
import { reasonOf } from "../drivers/reason.ts";

/** @throws Error with one sentence */
export function readSecretFile(path: string, what: string): string {
  let text: string, mode: number | null;
  try {
    ({ mode } = Deno.statSync(path));
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new Error(`Cannot read the ${what} ${path}: ${reasonOf(cause)}`, { cause });
  }
  if (mode !== null && (mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8);
    throw new Error(`Cannot use the ${what} ${path}: others may read it (mode ${shown}); chmod 600 it`);
  }
  return text.trim();
}

/** The secret of a file, which is made first if it is the node's own. @throws Error with one sentence */
export function readStateKey(path: string, makes: boolean): Uint8Array {
  if (makes) makeKey(path);
  const text = readSecretFile(path, "state key");
  if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== 2 * SECRET_BYTES) {
    throw new Error(`Cannot use the state key ${path}: it is not ${2 * SECRET_BYTES} hexadecimal digits`);
  }
  return Uint8Array.fromHex(text);
}

function makeKey(path: string): void {
  const key = crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toHex();
  try {
    Deno.writeTextFileSync(path, `${key}\n`, { createNew: true, mode: 0o600 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) return;
    throw new Error(`Cannot make the state key ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/** Directories of the node's own. An edge: it makes them. */
import { reasonOf } from "./reason.ts";

/** @throws Error with one sentence */
export function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o750 });
  } catch (cause) {
    throw new Error(`Cannot make the directory ${path}: ${reasonOf(cause)}`, { cause });
  }
}

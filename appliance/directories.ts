/** Directories of a node: made where they are missing, for their owner and group alone. An edge. */
import { reasonOf } from "../drivers/reason.ts";

/** @throws Error with one sentence */
export function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o750 });
  } catch (cause) {
    throw new Error(`Cannot make the directory ${path}: ${reasonOf(cause)}`, { cause });
  }
}

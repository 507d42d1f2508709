/**
 * Duty: which VNFs were started, in a file that outlives control. An edge: replaced as a whole.
 *
 * It lies in the runtime directory, so a restart of the machine forgets it with the processes. Each entry holds its
 * template: what was started by a configuration that is gone must still be stopped as that one said.
 */
import { reasonOf } from "../../drivers/reason.ts";
import type { Child } from "./child.ts";
import type { VnfTemplate } from "./life.ts";

export interface Registered {
  readonly template: VnfTemplate;
  /** A person's last word, or the node's own. */
  readonly wanted: boolean;
  /** It was started and not stopped. */
  readonly begun: boolean;
  readonly child: Child | null;
}

export function readRegistry(path: string): readonly Registered[] {
  try {
    const entries: unknown = JSON.parse(Deno.readTextFileSync(path));
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry?.template?.name === "string") : [];
  } catch {
    return []; // none yet
  }
}

/** @throws Error with one sentence; the old one is kept */
export function writeRegistry(path: string, entries: readonly Registered[]): void {
  try {
    Deno.writeTextFileSync(`${path}.new`, `${JSON.stringify(entries)}\n`, { mode: 0o600 });
    Deno.renameSync(`${path}.new`, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

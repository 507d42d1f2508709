/**
 * The configuration in force, kept beside the sockets: what a plane is started with, and started again.
 *
 * An edge: one small file. It is replaced as a whole or not at all, because a plane that dies is started from it,
 * at a time when nobody looks.
 */
import { reasonOf } from "../drivers/reason.ts";
import { type Config, parseConfig } from "./config.ts";
import { planeFixed } from "./config_fixed.ts";
import { acceptedConfigPath } from "./paths.ts";

/** Keep the text of a configuration that was found good. @throws Error with one sentence; the old one is kept */
export function writeAccepted(config: Config, text: string): void {
  const path = acceptedConfigPath(config);
  const fresh = `${path}.new`;
  try {
    Deno.writeTextFileSync(fresh, text, { mode: 0o600 });
    Deno.renameSync(fresh, path);
  } catch (cause) {
    try {
      Deno.removeSync(fresh);
    } catch {
      // It was never made.
    }
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/** The configuration in force in the runtime directory of `config`; null if there is none that can be read. */
export function readAccepted(config: Config): Config | null {
  const path = acceptedConfigPath(config);
  try {
    return parseConfig(Deno.readTextFileSync(path), path).config ?? null;
  } catch {
    return null; // none yet
  }
}

/**
 * Put the configuration in force, which a plane is about to be started with. One that lives already was set up with the
 * one in force before: what it cannot change stays as it is, and so does all the rest. Returns that one; null: the new
 * one is in force.
 */
export function accept(
  config: Config,
  { text, lives }: { readonly text: string; readonly lives: boolean },
  complain: (text: string) => void,
): Config | null {
  const before = lives ? readAccepted(config) : null;
  const fixed = before === null ? [] : planeFixed(before, config);
  if (before === null || fixed.length === 0) {
    writeAccepted(config, text);
    return null;
  }
  complain(
    `Cannot change ${fixed.join(", ")} while the plane runs: ${acceptedConfigPath(before)} stays in force; ` +
      "end both with SIGINT (Ctrl-C) and start the node again",
  );
  return before;
}

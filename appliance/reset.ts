/**
 * Duty: back to how the node was when it was new, without a moment in which it does not forward.
 *
 * Control leaves a wish and ends; the plane goes on. The next control carries the wish out before it opens anything, and
 * removes it last, so that a power cut in between only delays it. Kept is what says where the traffic goes now: which box
 * serves, and which have left. Only files of our own names are removed: the directory may be a shared one.
 */
import { basename } from "node:path";
import type { Config } from "./config.ts";
import {
  accountsPath,
  auditPath,
  drillKeyPath,
  drillsPath,
  historyPath,
  identityPath,
  journalPath,
  ledgerPath,
  matchPath,
  movesPath,
} from "./paths.ts";
import { reasonOf } from "../drivers/reason.ts";

export interface ResetWish {
  /** The configuration goes too: the plane goes by it until the machine starts again. */
  readonly configuration: boolean;
}

/** Where the wish waits. */
export function resetPath({ node }: Pick<Config, "node">): string {
  return `${node.stateDirectory}/reset`;
}

/** Which of these names of the state directory belong to what is forgotten. Pure. */
export function forgotten(config: Config, names: readonly string[]): string[] {
  const state = config.node.stateDirectory;
  const ours = [
    ...[accountsPath, auditPath, drillKeyPath, drillsPath, historyPath, identityPath, journalPath, ledgerPath]
      .map((path) => basename(path(config))),
    ...[matchPath(config), movesPath(config)].map((path) => basename(path)),
    ...["state.db", "spool.db", "state.key"],
    // Only where they are the node's own; a place that an operator named is the operator's.
    ...[config.capture.directory, config.recorder.directory].filter((path) => path.startsWith(`${state}/`))
      .map((path) => path.slice(state.length + 1).split("/")[0]!),
  ];
  // "events.jsonl.1", "state.db-wal", "access.json.new"
  return names.filter((name) =>
    ours.some((own) =>
      name === own || name.startsWith(`${own}.`) || name === `${own}-wal` || name === `${own}-shm`
    )
  );
}

/** @throws Error with one sentence */
export function wishReset(config: Config, { configuration }: ResetWish): void {
  const path = resetPath(config);
  try {
    Deno.writeTextFileSync(path, configuration ? "configuration\n" : "factory\n", { mode: 0o600 });
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Carries out what was wished. Must be called before anything of the state directory is opened.
 * @returns a sentence; null: nothing was wished. @throws Error with one sentence, and the wish stays
 */
export function carryOutReset(config: Config, configPath: string): string | null {
  const state = config.node.stateDirectory, wish = resetPath(config);
  let text: string;
  try {
    text = Deno.readTextFileSync(wish).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new Error(`Cannot read ${wish}: ${reasonOf(error)}`, { cause: error });
  }
  const withConfiguration = text === "configuration";
  try {
    const names = [...Deno.readDirSync(state)].map(({ name }) => name);
    for (const name of forgotten(config, names)) Deno.removeSync(`${state}/${name}`, { recursive: true });
    if (withConfiguration) removeFile(configPath);
    removeFile(wish);
  } catch (cause) {
    throw new Error(`Cannot reset the node: ${reasonOf(cause)}`, { cause });
  }
  const kept = withConfiguration ? "and its configuration" : "but its configuration";
  return `the node was reset: users, keys, history and records are gone, ${kept}; the plane forwarded on`;
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Files that only root may read: users and tokens, the one-time code. An edge. Replaced as a whole or not at all. */
import { reasonOf } from "../../drivers/reason.ts";
import { type Accounts, NO_ACCOUNTS, readAccounts, writeAccounts } from "./accounts.ts";

/** @throws Error with one sentence; the old file is kept */
export function writeSecret(path: string, text: string): void {
  const fresh = `${path}.new`;
  try {
    removeSecret(fresh); // a file that is there keeps its mode
    Deno.writeTextFileSync(fresh, text, { mode: 0o600, createNew: true });
    Deno.renameSync(fresh, path);
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

export function removeSecret(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** @throws Error with one sentence: nobody gets in by a file that is broken, and nobody new becomes the first admin */
export function loadAccounts(path: string): Accounts {
  try {
    return readAccounts(Deno.readTextFileSync(path));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return NO_ACCOUNTS;
    throw new Error(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
  }
}

export function saveAccounts(path: string, accounts: Accounts): void {
  writeSecret(path, writeAccounts(accounts));
}

/**
 * Duty: keeps the layer's journals on disk. An edge: lines of a file, each synced before anything that it announces.
 *
 * A disk that does not take a line fails the step that the line was
 * to announce, which is then not begun.
 */
import { SyncedLines } from "../synced_lines.ts";
import { compactIntents, entryLine, readIntents } from "./intents.ts";
import { compactLedger, ledgerLine, type LedgerStore, readLedger } from "./ledger.ts";
import type { IntentStore } from "./mover.ts";

export function intentFile(path: string): IntentStore {
  const lines = new SyncedLines(path, (text) => compactIntents(readIntents(text)));
  return {
    load: () => readIntents(lines.load()),
    append: async (entry, how = "now") => {
      const onDisk = lines.write(entryLine(entry));
      if (how === "now") await onDisk;
      else onDisk.catch(() => {}); // as if the machine had lost it
    },
  };
}

export function ledgerFile(path: string): LedgerStore {
  const lines = new SyncedLines(path, (text) => compactLedger(readLedger(text)));
  return {
    load: () => readLedger(lines.load()),
    // deno-lint-ignore require-await -- what it throws is to be a rejection
    append: async (entry) => lines.append(ledgerLine(entry)),
  };
}

/**
 * The keys of BFD sessions, read from files of their own.
 *
 * An edge. A key is bytes in memory and on the board for a moment; no message names more of it than its file.
 */
import { LIMIT } from "../filter/names.ts";
import type { BfdSession } from "./config_bfd.ts";
import { reasonOf } from "../drivers/reason.ts";

/** By session name. */
export type BfdKeys = ReadonlyMap<string, Uint8Array>;

/** The keys of all sessions that have one. @throws Error with one sentence */
export function readBfdKeys(sessions: readonly BfdSession[]): BfdKeys {
  const keys = new Map<string, Uint8Array>();
  for (const { name, auth, keyFile } of sessions) {
    if (auth !== "none" && keyFile !== null) keys.set(name, readKey(keyFile));
  }
  return keys;
}

function readKey(path: string): Uint8Array {
  let text: string, mode: number | null;
  try {
    ({ mode } = Deno.statSync(path));
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new Error(`Cannot read the BFD key ${path}: ${reasonOf(cause)}`, { cause });
  }
  if (mode !== null && (mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8);
    throw new Error(`Cannot use the BFD key ${path}: others may read it (mode ${shown}); chmod 600 it`);
  }
  const key = keyOf(text);
  if (key === null) {
    throw new Error(
      `Cannot use the BFD key ${path}: it is not one line of 1 to ${LIMIT.bfd_key_bytes} characters, or "hex:" and bytes`,
    );
  }
  return key;
}

/** The key that a file's text means; null: none. */
export function keyOf(text: string): Uint8Array | null {
  const line = text.replace(/\r?\n$/, "");
  if (/[\r\n]/.test(line)) return null;
  const hex = /^hex:((?:[0-9a-fA-F]{2})+)$/.exec(line)?.[1];
  if (hex === undefined && line.startsWith("hex:")) return null;
  const bytes = hex === undefined
    ? new TextEncoder().encode(line)
    : Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  return bytes.length === 0 || bytes.length > LIMIT.bfd_key_bytes ? null : bytes;
}

/**
 * Duty: what the launcher carries behind its own end, byte for byte (appliance/launcher/launcher.c reads it).
 *
 *   launcher | entry, bytes | entry, bytes | ... | trailer
 *
 * Nothing in it depends on when or where it was built: entries are sorted and have no times.
 */
import { createHash } from "node:crypto";

export interface PayloadFile {
  /** Relative, with slashes. */
  readonly name: string;
  readonly executable: boolean;
  readonly bytes: Uint8Array;
}

export const NAME_BYTES = 112;
const ENTRY_BYTES = 128;
export const TRAILER_BYTES = 88;
const MAGIC = "REMEDI8\n";

function entry({ name, executable, bytes }: PayloadFile): Uint8Array {
  const plain = new TextEncoder().encode(name);
  if (plain.length === 0 || plain.length >= NAME_BYTES) {
    throw new RangeError(
      `Cannot carry ${name}: its name has ${plain.length} bytes, not 1 to ${NAME_BYTES - 1}`,
    );
  }
  const head = new Uint8Array(ENTRY_BYTES);
  head.set(plain);
  const view = new DataView(head.buffer);
  view.setBigUint64(NAME_BYTES, executable ? 0o755n : 0o644n, true);
  view.setBigUint64(NAME_BYTES + 8, BigInt(bytes.length), true);
  return head;
}

export interface Packed {
  /** In the order in which they stand in the file. */
  readonly parts: readonly Uint8Array[];
  /** SHA-256 of the payload. */
  readonly digest: string;
}

function trailer(digest: string, first: number, bytes: number): Uint8Array {
  const made = new Uint8Array(TRAILER_BYTES);
  made.set(new TextEncoder().encode(digest));
  const view = new DataView(made.buffer);
  view.setBigUint64(64, BigInt(first), true);
  view.setBigUint64(72, BigInt(bytes), true);
  made.set(new TextEncoder().encode(MAGIC), 80);
  return made;
}

/** Puts the files behind a launcher. @throws RangeError for a name that is too long or stands twice */
export function pack(launcher: Uint8Array, files: readonly PayloadFile[]): Packed {
  const sorted = files.toSorted((a, b) => a.name < b.name ? -1 : 1);
  const twice = sorted.find(({ name }, i) => sorted[i + 1]?.name === name);
  if (twice !== undefined) throw new RangeError(`Cannot carry ${twice.name} twice`);
  const payload = sorted.flatMap((file) => [entry(file), file.bytes]);
  const hash = createHash("sha256");
  for (const part of payload) hash.update(part);
  const digest = hash.digest("hex");
  const bytes = payload.reduce((sum, part) => sum + part.length, 0);
  return { parts: [launcher, ...payload, trailer(digest, launcher.length, bytes)], digest };
}

/** A launcher that carries nothing, for a system that brings the directory of this digest. */
export function packEmpty(launcher: Uint8Array, digest: string): Packed {
  return { parts: [launcher, trailer(digest, launcher.length, 0)], digest };
}

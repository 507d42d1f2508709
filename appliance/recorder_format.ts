/**
 * What a recording holds beside its packets, in blocks that other programs step over.
 *
 *   magic "RMFR" | kind | time, ns since the epoch (64) | length | data, filled up to 32 bits
 *
 * Each write ends with a seal: a digest of everything since the one before it, and of that one. So a byte that was changed,
 * a block that was taken out or put in is found, and between which two places. It is no signature: who changes a file can
 * seal it anew. Pure.
 */
import { createHash } from "node:crypto";
import { joinBytes, pcapngCustom } from "../filter/pcapng.ts";
import { type Block, customOf, readBlocks } from "../filter/pcapng_blocks.ts";

const MAGIC = 0x52464d52;
const HEAD_BYTES = 20;
export const SEAL_BYTES = 32;

/** Rules as the plane has them, a step of the reflexes as it stood on the board, a JSON text, a seal. */
export const ENTRY = ["rules", "step", "note", "seal"] as const;
export type EntryKind = (typeof ENTRY)[number];

export interface Entry {
  readonly kind: EntryKind;
  readonly timeNs: bigint;
  readonly data: Uint8Array;
}

export function encodeEntry({ kind, timeNs, data }: Entry): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEAD_BYTES + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, ENTRY.indexOf(kind), true);
  view.setBigUint64(8, timeNs, true);
  view.setUint32(16, data.length, true);
  bytes.set(data, HEAD_BYTES);
  return pcapngCustom(bytes);
}

/** Null: the block is no entry of a recording. @throws RangeError for one that contradicts itself */
export function entryOf(block: Block): Entry | null {
  const bytes = customOf(block);
  if (bytes === null || bytes.length < HEAD_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== MAGIC) return null;
  const kind = ENTRY[view.getUint32(4, true)], length = view.getUint32(16, true);
  if (kind === undefined || HEAD_BYTES + length > bytes.length) {
    throw new RangeError(`Cannot read recording: the entry at byte ${block.at} makes no sense`);
  }
  return {
    kind,
    timeNs: view.getBigUint64(8, true),
    data: bytes.subarray(HEAD_BYTES, HEAD_BYTES + length),
  };
}

/** Something that happened, as JSON. `about` says what it is. */
export interface Note {
  readonly about: "node" | "event" | "counters" | "judgement";
  readonly [name: string]: unknown;
}

export function encodeNote(timeNs: bigint, note: Note): Uint8Array<ArrayBuffer> {
  return encodeEntry({ kind: "note", timeNs, data: new TextEncoder().encode(JSON.stringify(note)) });
}

/** Null: no note, or one of a later version that says nothing here. */
export function noteOf({ kind, data }: Entry): Note | null {
  if (kind !== "note") return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(data.slice()));
    return typeof value === "object" && value !== null && "about" in value ? value as Note : null;
  } catch {
    return null;
  }
}

function digest(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(before).update(bytes).digest());
}

function sealBlock(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeEntry({ kind: "seal", timeNs: 0n, data });
}

/** Seals one file, write by write. */
export class Sealer {
  #last: Uint8Array = new Uint8Array(SEAL_BYTES);

  /** What is to be written in place of `bytes`: these, and their seal. */
  seal(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#last = digest(this.#last, bytes);
    return joinBytes([bytes, sealBlock(this.#last)]);
  }
}

/** How far a file is as it was written. */
export interface SealReport {
  readonly seals: number;
  /** The first stretch that its seal does not fit, in bytes of the file; null: all fit. */
  readonly broken: { readonly from: number; readonly to: number } | null;
  /** Behind the last seal: written while the machine stopped, or added. */
  readonly unsealedBytes: number;
  /** Why the rest cannot be read; null: it ends between two blocks. */
  readonly cut: string | null;
}

export function checkSeals(file: Uint8Array): SealReport {
  let last: Uint8Array = new Uint8Array(SEAL_BYTES);
  let seals = 0, from = 0;
  let broken: SealReport["broken"] = null;
  const cut = eachBlock(file, (block) => {
    const entry = entryOf(block);
    if (entry?.kind !== "seal") return;
    const to = block.at + block.bytes.length;
    const fits = equal(sealBlock(digest(last, file.subarray(from, block.at))), block.bytes);
    if (!fits) broken ??= { from, to };
    last = entry.data;
    seals++;
    from = to;
  });
  return { seals, broken, unsealedBytes: file.length - from, cut };
}

/** Calls for each whole block. @returns why there are no more; null: the file ends. @throws SyntaxError for another format */
export function eachBlock(file: Uint8Array, look: (block: Block) => void): string | null {
  try {
    for (const block of readBlocks(file)) look(block);
    return null;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return error.message;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

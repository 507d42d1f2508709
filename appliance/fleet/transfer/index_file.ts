/**
 * Duty: the index of a bundle: its chunks in order, by digest and length. Pure.
 *
 *     "RMINDEX1"  bundle SHA-256 (32)  bytes (8)  chunks (4)  { SHA-256 (32)  length (4) } ...      big-endian
 *
 * Nobody needs to trust it: what is put together by it is compared with the digest of the offer, as a whole, before use.
 */
import { CHUNK_BYTES_MAX } from "./chunks.ts";

const MAGIC = "RMINDEX1";
const HEAD = 8 + 32 + 8 + 4, ENTRY = 36;
/** Of 4 GiB and more; an index is held in memory. */
export const CHUNKS_MAX = 1 << 19;
export const INDEX_BYTES_MAX = HEAD + CHUNKS_MAX * ENTRY;

export interface Chunk {
  /** SHA-256, in hexadecimal. */
  readonly digest: string;
  readonly offset: number;
  readonly length: number;
}

export interface BundleIndex {
  readonly digest: string;
  readonly bytes: number;
  readonly chunks: readonly Chunk[];
}

export function encodeIndex({ digest, bytes, chunks }: BundleIndex): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(HEAD + chunks.length * ENTRY), view = new DataView(out.buffer);
  out.set(new TextEncoder().encode(MAGIC));
  out.set(Uint8Array.fromHex(digest), 8);
  view.setBigUint64(40, BigInt(bytes));
  view.setUint32(48, chunks.length);
  chunks.forEach((chunk, i) => {
    out.set(Uint8Array.fromHex(chunk.digest), HEAD + i * ENTRY);
    view.setUint32(HEAD + i * ENTRY + 32, chunk.length);
  });
  return out;
}

/** A sentence: why it is none, or not of this bundle. */
export function decodeIndex(
  data: Uint8Array,
  wanted: { readonly digest: string; readonly bytes: number },
): BundleIndex | string {
  if (data.length < HEAD || new TextDecoder().decode(data.subarray(0, 8)) !== MAGIC) return "it is no index";
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const digest = data.subarray(8, 40).toHex(), bytes = Number(view.getBigUint64(40));
  if (digest !== wanted.digest || bytes !== wanted.bytes) return "it is the index of another bundle";
  const count = view.getUint32(48);
  if (count > CHUNKS_MAX || data.length !== HEAD + count * ENTRY) {
    return `it has ${data.length} bytes, which are not ${count} chunks`;
  }
  const chunks: Chunk[] = [];
  let offset = 0;
  for (let at = HEAD; at < data.length; at += ENTRY) {
    const length = view.getUint32(at + 32);
    if (length === 0 || length > CHUNK_BYTES_MAX) return `a chunk of ${length} bytes is in it`;
    chunks.push({ digest: data.subarray(at, at + 32).toHex(), offset, length });
    offset += length;
  }
  return offset === bytes
    ? { digest, bytes, chunks }
    : `its chunks are ${offset} bytes, the bundle is ${bytes}`;
}

/**
 * Duty: cuts bytes into chunks where their content says so, so that an insertion moves no cut but those beside it.
 *
 * A gear hash over the last 32 bytes; a chunk ends where its upper bits are zero. Blocks of a fixed size would be simpler,
 * but one byte more in a compressed image shifts all that follows, and then no block is known any more.
 */
import { Random } from "../../../filter/random.ts";

export const CHUNK_BYTES_MIN = 4 * 1024;
export const CHUNK_BYTES_MAX = 64 * 1024;
/** So many upper bits are zero at a cut: every 12 KiB or so beyond the least. */
const CUT_SHIFT = 32 - 13;

/** Part of the format: with other numbers every cut is elsewhere. */
const GEAR = (() => {
  const random = new Random(0x52656d);
  return Uint32Array.from({ length: 256 }, () => random.u32());
})();

/** Where the chunk that begins at `from` ends; `to` where nothing before says so. */
export function cutAt(bytes: Uint8Array, from: number, to: number): number {
  const last = Math.min(to, from + CHUNK_BYTES_MAX);
  let hash = 0;
  // The hash forgets after 32 bytes: those before the first possible cut need not be seen.
  for (let at = Math.min(from + CHUNK_BYTES_MIN - 32, last); at < last; at++) {
    hash = ((hash << 1) + GEAR[bytes[at]!]!) | 0;
    if (at - from >= CHUNK_BYTES_MIN && hash >>> CUT_SHIFT === 0) return at + 1;
  }
  return last;
}

/** Cuts a stream whatever the sizes in which it comes. */
export class Chunker {
  #rest = new Uint8Array(0);

  /** Whole chunks; each is a view that counts until the next call. */
  push(bytes: Uint8Array): Uint8Array[] {
    const all = this.#rest.length === 0 ? bytes : join(this.#rest, bytes);
    const chunks: Uint8Array[] = [];
    let from = 0;
    while (all.length - from >= CHUNK_BYTES_MAX) {
      const to = cutAt(all, from, all.length);
      chunks.push(all.subarray(from, to));
      from = to;
    }
    this.#rest = all.slice(from);
    return chunks;
  }

  end(): Uint8Array[] {
    const all = this.#rest, chunks: Uint8Array[] = [];
    for (let from = 0; from < all.length;) {
      const to = cutAt(all, from, all.length);
      chunks.push(all.subarray(from, to));
      from = to;
    }
    this.#rest = new Uint8Array(0);
    return chunks;
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

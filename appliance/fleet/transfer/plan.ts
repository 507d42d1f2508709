/**
 * Duty: what of a bundle must come over the network, given what is here already; and how fast it may. Pure.
 */
import type { BundleIndex, Chunk } from "./index_file.ts";

/** Of a request: so that a cut costs little and progress is seen. */
export const RUN_BYTES_MAX = 1024 * 1024;

/** Chunks that follow each other and come with one request. */
export interface Run {
  readonly offset: number;
  readonly length: number;
  readonly chunks: readonly Chunk[];
}

/** Missing chunks, in order. One that occurs twice is fetched once, where it occurs first. */
export function runsOf(index: BundleIndex, isHere: (chunk: Chunk) => boolean): Run[] {
  const runs: { offset: number; length: number; chunks: Chunk[] }[] = [], asked = new Set<string>();
  for (const chunk of index.chunks) {
    if (isHere(chunk) || asked.has(chunk.digest)) continue;
    asked.add(chunk.digest);
    const last = runs.at(-1);
    if (last && last.offset + last.length === chunk.offset && last.length + chunk.length <= RUN_BYTES_MAX) {
      last.length += chunk.length;
      last.chunks.push(chunk);
    } else runs.push({ offset: chunk.offset, length: chunk.length, chunks: [chunk] });
  }
  return runs;
}

/** A bucket of bytes that fills with time; it may be overdrawn once, and is then waited for. */
export class Rate {
  #bytes: number;
  #atMs: number;

  constructor(readonly bytesPerSecond: number, nowMs: number) {
    this.#bytes = bytesPerSecond / 4;
    this.#atMs = nowMs;
  }

  /** Takes so many bytes. Returns for how long to wait before the next ones. Milliseconds. */
  take(bytes: number, nowMs: number): number {
    const filled = this.#bytes + (nowMs - this.#atMs) * this.bytesPerSecond / 1000;
    this.#bytes = Math.min(filled, this.bytesPerSecond / 4) - bytes;
    this.#atMs = nowMs;
    return this.#bytes >= 0 ? 0 : -this.#bytes * 1000 / this.bytesPerSecond;
  }
}

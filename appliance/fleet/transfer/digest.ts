/** Duty: SHA-256 of bytes and of files, and the index of a file. An edge: it reads files. */
import { createHash } from "node:crypto";
import { Chunker } from "./chunks.ts";
import type { BundleIndex, Chunk } from "./index_file.ts";

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function indexFile(path: string): Promise<BundleIndex> {
  const chunks: Chunk[] = [], whole = createHash("sha256"), chunker = new Chunker();
  let offset = 0;
  const add = (chunk: Uint8Array) => {
    chunks.push({ digest: sha256(chunk), offset, length: chunk.length });
    offset += chunk.length;
  };
  const file = await Deno.open(path);
  for await (const bytes of file.readable) {
    whole.update(bytes);
    chunker.push(bytes).forEach(add);
  }
  chunker.end().forEach(add);
  return { digest: whole.digest("hex"), bytes: offset, chunks };
}

export async function digestFile(path: string): Promise<string> {
  const whole = createHash("sha256"), file = await Deno.open(path);
  for await (const bytes of file.readable) whole.update(bytes);
  return whole.digest("hex");
}

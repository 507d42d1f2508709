/** Duty: the digest of a file that may be larger than memory. */
import { createHash } from "node:crypto";

/** SHA-256, hexadecimal; of the first `bytes` bytes only, where given. */
export async function digestOf(path: string, bytes = Infinity): Promise<string> {
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  const chunk = new Uint8Array(1 << 20);
  for (let left = bytes; left > 0;) {
    const count = await file.read(chunk.subarray(0, Math.min(chunk.length, left)));
    if (count === null) break;
    hash.update(chunk.subarray(0, count));
    left -= count;
  }
  return hash.digest("hex");
}

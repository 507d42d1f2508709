/** Duty: how much of a bundle comes over the network when a node has the one before: by content, and by blocks of a fixed size. */
import { indexFile, sha256 } from "../../appliance/fleet/transfer/digest.ts";
import { encodeIndex } from "../../appliance/fleet/transfer/index_file.ts";
import { runsOf } from "../../appliance/fleet/transfer/plan.ts";
import { Random } from "../../filter/random.ts";

export interface DeltaRow {
  readonly what: string;
  readonly bytes: number;
  /** The index included. */
  readonly fetched: number;
  readonly index: number;
  /** With blocks of 64 KiB that are known wherever they stand, without an index. */
  readonly byBlocks: number;
}

const BLOCK = 64 * 1024;

async function blocks(path: string): Promise<{ digest: string; bytes: number }[]> {
  const content = await Deno.readFile(path), found = [];
  for (let at = 0; at < content.length; at += BLOCK) {
    const block = content.subarray(at, at + BLOCK);
    found.push({ digest: sha256(block), bytes: block.length });
  }
  return found;
}

async function between(before: string, after: string): Promise<Omit<DeltaRow, "what">> {
  const old = await indexFile(before), fresh = await indexFile(after), index = encodeIndex(fresh).length;
  const known = new Set(old.chunks.map(({ digest }) => digest));
  const missing = runsOf(fresh, ({ digest }) => known.has(digest)).reduce(
    (sum, { length }) => sum + length,
    0,
  );
  const knownBlocks = new Set((await blocks(before)).map(({ digest }) => digest));
  const byBlocks = (await blocks(after)).reduce(
    (sum, { digest, bytes }) => knownBlocks.has(digest) ? sum : sum + bytes,
    0,
  );
  return { bytes: fresh.bytes, fetched: missing + index, index, byBlocks };
}

/** Of two files; without them, of content that grew by some bytes in the middle. */
export async function measureDelta(before?: string, after?: string): Promise<DeltaRow> {
  if (before !== undefined && after !== undefined) {
    return { what: "two bundles", ...await between(before, after) };
  }
  const directory = await Deno.makeTempDir();
  try {
    const random = new Random(1), words = Uint32Array.from({ length: 2_000_000 }, () => random.u32());
    const content = new Uint8Array(words.buffer), at = 3_000_001;
    await Deno.writeFile(`${directory}/old`, content);
    await Deno.writeFile(
      `${directory}/new`,
      new Blob([content.subarray(0, at), "more", content.subarray(at)]).stream(),
    );
    return { what: "4 bytes inserted into 8 MB", ...await between(`${directory}/old`, `${directory}/new`) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

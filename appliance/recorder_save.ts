/**
 * A recording cut out of the flight recorder's files: one file that stands for itself, in pieces.
 *
 * Decisions need no packet before them, only their rules: those are taken over whenever they were written. An edge: it
 * reads files.
 */
import { setTimeout as delay } from "node:timers/promises";
import { joinBytes } from "../filter/pcapng.ts";
import { type Block, packetOf } from "../filter/pcapng_blocks.ts";
import { eachBlock, entryOf, Sealer } from "./recorder_format.ts";

const PIECE_BYTES = 256 * 1024;

export interface SaveOptions {
  readonly head: Uint8Array;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Whole blocks of the time asked for, from the files in their order, sealed anew. */
export async function* savedPieces(
  paths: readonly string[],
  options: SaveOptions,
): AsyncGenerator<Uint8Array> {
  const sealer = new Sealer();
  yield sealer.seal(options.head);
  for (const path of paths) {
    const chosen: Uint8Array[] = [];
    const file = await Deno.readFile(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return null; // rotated away meanwhile
      throw error;
    });
    if (file === null) continue;
    // What is cut at the end is being written at this moment, or was when the machine stopped.
    eachBlock(file, (block) => {
      if (isChosen(block, options)) chosen.push(block.bytes);
    });
    for (const piece of pieces(chosen)) {
      yield sealer.seal(piece);
      await delay(0);
    }
  }
}

function isChosen(block: Block, { fromMs, toMs }: SaveOptions): boolean {
  const entry = entryOf(block);
  if (entry?.kind === "rules") return true;
  if (entry?.kind === "seal") return false;
  const timeNs = entry?.timeNs ?? packetOf(block)?.timeNs;
  if (timeNs === undefined) return false;
  const ms = Number(timeNs) / 1e6;
  return ms >= fromMs && ms <= toMs;
}

function* pieces(blocks: readonly Uint8Array[]): Generator<Uint8Array> {
  let piece: Uint8Array[] = [], bytes = 0;
  for (const block of blocks) {
    piece.push(block);
    bytes += block.length;
    if (bytes < PIECE_BYTES) continue;
    yield joinBytes(piece);
    piece = [], bytes = 0;
  }
  if (piece.length > 0) yield joinBytes(piece);
}

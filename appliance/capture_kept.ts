/**
 * An answer from the ring on disk: one pcapng file of what its files hold of a time, in pieces.
 *
 * A thousand frames at a time, then control looks after other things. An edge: it reads files.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type BpfProgram, runBpf } from "../filter/bpf.ts";
import type { CapturedFrame } from "../filter/capture.ts";
import { joinBytes } from "../filter/pcapng.ts";
import { encodeAgain, isMark } from "./capture_encode.ts";
import { readCaptureFile } from "./capture_files.ts";

const FRAMES_AT_ONCE = 1000;

export interface KeptOptions {
  readonly head: Uint8Array;
  readonly fromMs: number;
  readonly toMs: number;
  readonly program: BpfProgram;
}

function isChosen(frame: CapturedFrame, { fromMs, toMs, program }: KeptOptions): boolean {
  const ms = Number(frame.timeNs) / 1e6;
  if (ms < fromMs || ms > toMs) return false;
  return isMark(frame) || runBpf(program, frame.bytes, frame.wireLength) !== 0;
}

/** Whole blocks of what is chosen, from the files in their order. */
export async function* keptPieces(
  paths: readonly string[],
  options: KeptOptions,
): AsyncGenerator<Uint8Array> {
  yield options.head;
  for (const path of paths) {
    let parts: Uint8Array[] = [];
    let looked = 0;
    for (const frame of await readCaptureFile(path)) {
      const block = isChosen(frame, options) ? encodeAgain(frame) : null;
      if (block !== null) parts.push(block);
      if (++looked % FRAMES_AT_ONCE !== 0) continue;
      if (parts.length > 0) yield joinBytes(parts);
      parts = [];
      await delay(0);
    }
    if (parts.length > 0) yield joinBytes(parts);
  }
}

/**
 * A capture that somebody reads while it is made: a pcapng file in pieces.
 *
 * Nothing is fetched from the plane's ring before the reader has taken what was there, so a slow reader costs memory
 * nowhere: it misses frames, and the file says how many. An edge: it waits for time to pass.
 */
import { setTimeout as delay } from "node:timers/promises";
import { joinBytes } from "../filter/pcapng.ts";
import { encodeCounts } from "./capture_encode.ts";
import { BEHIND_NS, type CaptureFeed } from "./capture_feed.ts";

const LOOK_MS = 20;
const NS_PER_S = 1_000_000_000n;

export interface LiveOptions {
  readonly head: Uint8Array;
  readonly seconds: number | null;
  readonly packets: number | null;
  readonly monoNs: () => bigint;
  /** The capture is over, however it ended. Called once. */
  readonly ended: () => void;
  /** Aborted: the file is finished with what there is. */
  readonly stop: AbortSignal;
}

export function liveStream(feed: CaptureFeed, options: LiveOptions): ReadableStream<Uint8Array> {
  const { seconds, packets, monoNs } = options;
  const startNs = monoNs();
  const endNs = seconds === null ? null : startNs + BigInt(seconds) * NS_PER_S;
  let kept = 0;
  let lost = 0;
  const counts = () => encodeCounts(BigInt(Date.now()) * 1_000_000n, { kept, lost: lost = feed.missed });

  /** The next piece; null: that was all. */
  async function next(): Promise<Uint8Array | null> {
    while (kept !== packets && !options.stop.aborted) {
      const safeNs = monoNs() - BEHIND_NS;
      const untilNs = endNs !== null && safeNs > endNs ? endNs : safeNs;
      const taken = feed.take(untilNs, packets === null ? Infinity : packets - kept);
      kept += taken.packets;
      // A reader that ends in the middle knows what it missed so far.
      const parts = feed.missed > lost ? [...taken.parts, counts()] : taken.parts;
      if (parts.length > 0) return joinBytes(parts);
      if (taken.dry && untilNs === endNs) return null;
      // After an empty look; one that the filter left nothing of has more behind it.
      if (taken.dry) await delay(LOOK_MS, undefined, { signal: options.stop }).catch(() => {}); // aborted: seen above
    }
    return null;
  }

  let isEnded = false;
  const end = () => {
    if (!isEnded) options.ended();
    isEnded = true;
  };
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(options.head),
    async pull(controller) {
      try {
        const piece = await next();
        if (isEnded) return; // cancelled while it was made
        if (piece !== null) return controller.enqueue(piece);
        controller.enqueue(counts());
        controller.close();
        end();
      } catch (error) {
        end();
        throw error;
      }
    },
    cancel: end,
  });
}

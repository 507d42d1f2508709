/**
 * Seeds for all live connections into one box, from the board: how far, and with what result. Pure.
 */
import type { Board } from "../filter/board.ts";
import type { Now } from "./board_view.ts";
import type { ResyncView } from "./view.ts";

const NS_PER_MS = 1e6;

/** The last one, or the one that goes on; null: there was none. */
export function readResync(board: Board, box: number, now: Now): ResyncView | null {
  const is = (of: string) => board.number(`resync.${of}`, box);
  const begunNs = is("begun_ns"), running = is("running") > 0;
  if (begunNs === 0) return null;
  const endNs = running ? now.monoNs : Math.max(begunNs, is("ended_ns"));
  return {
    running,
    refresh: is("refreshes") > 0,
    flows: is("flows"),
    done: is("done"),
    unlike: is("unlike"),
    unheard: is("unheard"),
    failed: is("failed"),
    gone: is("gone"),
    tookMs: Math.max(0, Math.round((endNs - begunNs) / NS_PER_MS)),
  };
}

/** "2,990 of 3,000 flows in 1.5 s, 10 with another binding". */
export function resyncText({ flows, done, unlike, unheard, failed, gone, tookMs }: ResyncView): string {
  const count = (value: number) => value.toLocaleString("en-US");
  const parts = [
    `${count(done - unlike)} of ${count(flows)} flows in ${(tookMs / 1000).toFixed(1)} s`,
    ...(unlike > 0 ? [`${count(unlike)} with another binding`] : []),
    ...(unheard > 0 ? [`${count(unheard)} of which the box handed nothing over`] : []),
    ...(failed > 0 ? [`${count(failed)} not played`] : []),
    ...(gone > 0 ? [`${count(gone)} ended or without their other half`] : []),
  ];
  return parts.join(", ");
}

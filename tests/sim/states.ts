/**
 * How a box can be, as far as the reflexes care, and how to bring one there on the bench.
 */
import assert from "node:assert/strict";
import type { Bench } from "./bench.ts";
import { MS } from "./settings.ts";

export const BOXES = ["primary", "redundant"] as const;
export type BoxName = (typeof BOXES)[number];

export const STATES = ["alive", "suppressed", "doubtful", "proven", "silent", "no link"] as const;
/** doubtful: outvoted by what proves nothing; proven: by probes or BFD, for long enough. */
export type State = (typeof STATES)[number];
/** Which detectors make it so. */
export const DOUBTS = ["grey", "check"] as const;
export const PROOFS = ["probe", "bfd"] as const;

/** No verdict of silence falls after the box was brought into its state. */
const LONG = 1000 * MS;
const LAST_MS = 50;

/** Reflexes only report, every detector has one vote, probes and BFD count against the last box after a while. */
export function prepare(bench: Bench): void {
  bench.set({ automatic: false, silenceNs: LONG });
  bench.votes(1, { probe: 1, bfd: 1, grey: 1, check: 1 });
  bench.last(PROOFS, LAST_MS);
}

/** Let the serving box be judged silent. */
function hush(bench: Bench): void {
  bench.set({ automatic: false, silenceNs: MS });
  for (let i = 0; i < 15; i++) {
    bench.burst();
    bench.wait(1);
    bench.turn();
  }
  bench.set({ silenceNs: LONG });
}

export function serve(bench: Bench, box: BoxName): void {
  bench.order(box);
  bench.turn();
  assert.equal(bench.path, box);
}

/** `by`: which of the detectors that make it so. A box that has to be silent serves for it. */
export function bring(bench: Bench, box: BoxName, state: State, by: 0 | 1 = 0): void {
  switch (state) {
    case "alive":
      return;
    case "suppressed":
      return bench.suppress(box, true);
    case "doubtful":
      bench.detect(box, DOUBTS[by], "red");
      break;
    case "proven":
      bench.detect(box, PROOFS[by], "red");
      bench.turns(LAST_MS + 1);
      break;
    case "silent":
      serve(bench, box);
      return hush(bench);
    case "no link":
      bench.link(box, by === 0 ? "server" : "client", false);
  }
  bench.turn();
}

/** What a switch away from a box in this state is told to be for. */
export function causeOf(state: State, by: 0 | 1): string {
  if (state === "doubtful") return DOUBTS[by];
  if (state === "proven") return PROOFS[by];
  return state === "no link" ? "link" : "silence";
}

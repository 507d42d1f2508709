/**
 * After each switch: how many of the flows that were to live on do? Pure but for the board it is given to look at.
 *
 * Verdicts stand from before the switch, so that the prediction and what came of it are about the same flows. Some seconds have to pass until the ends have sent again. A second switch within them ends the count without a result,
 * and so does the end of the plane. The tables are walked a piece at each look, so that no look takes long.
 */
import type { Board } from "../filter/board.ts";
import { BOX as BOXES } from "../filter/names.ts";
import type { Now } from "./board_view.ts";
import { wouldLive } from "./failover/match.ts";
import { readMatch } from "./match_view.ts";
import { SurvivorCount } from "./survivors.ts";
import type { EventView, Fates, MatchProof } from "./view.ts";

export const PROOF_AFTER_MS = 5_000;
/** Of each side in one look: some milliseconds. */
const PLACES = 32_768;

interface Pending {
  readonly proof: Pick<MatchProof, "box" | "atMs" | "cause">;
  readonly boot: bigint;
  readonly switches: number;
  readonly atNs: number;
  /** Flows that were to be translated for the box. */
  readonly followed: number;
  count: SurvivorCount | null;
}

const sum = ({ carried, lost, idle }: Fates) => carried + lost + idle;

export class MatchProofs {
  #pending: Pending | null = null;
  #last: MatchProof | null = null;

  get last(): MatchProof | null {
    return this.#last;
  }

  /** Take in one that was kept on disk. */
  keep(proof: MatchProof): void {
    this.#last = proof;
  }

  /** A switch has happened. `followed`: of the flows that the box had made otherwise, those that were to be translated. */
  begin(board: Board, event: EventView, followed: number): void {
    const box = BOXES.find((one) => one === event.after);
    this.#pending = box === undefined ? null : {
      proof: { box, atMs: event.wallMs, cause: event.cause },
      boot: board.big("header.boot"),
      switches: board.number("live.switches"),
      atNs: event.monoUs * 1000,
      followed,
      count: null,
    };
  }

  /** Returns a proof when one has been made. */
  look(board: Board, now: Now): MatchProof | null {
    const pending = this.#pending;
    if (pending === null) return null;
    const { proof, boot, switches, atNs } = pending;
    if (board.big("header.boot") !== boot || board.number("live.switches") !== switches) {
      this.#pending = null;
      return null;
    }
    const afterMs = Math.round((now.monoNs - atNs) / 1e6);
    if (afterMs < PROOF_AFTER_MS) return null;
    pending.count ??= new SurvivorCount(board, { box: BOXES.indexOf(proof.box), switches, atNs });
    if (!pending.count.look(PLACES)) return null;
    this.#pending = null;
    const { found } = pending.count;
    const equal = sum(found.equal), different = sum(found.different);
    // Counted in rounds: the last one before the switch may have missed the newest flows.
    const followed = Math.max(pending.followed, readMatch(board, BOXES.indexOf(proof.box)).followed);
    const predicted = wouldLive({ equal, followed: Math.min(followed, different) });
    const known = equal + different + sum(found.dropped);
    if (known === 0) return null;
    this.#last = { ...proof, afterMs, known, predicted, ...found };
    return this.#last;
  }
}

/** Of the flows compared. */
export function fatesOf({ equal, different, dropped }: MatchProof): Fates {
  const all = (of: keyof Fates) => equal[of] + different[of] + dropped[of];
  return { carried: all("carried"), lost: all("lost"), idle: all("idle") };
}

/** "predicted 298 of 300 flows, 297 carried on, 1 lost, 2 idle" */
export function proofText(proof: MatchProof): string {
  const fates = fatesOf(proof);
  const rest = (["lost", "idle"] as const).filter((of) => fates[of] > 0).map((of) => `, ${fates[of]} ${of}`);
  return `predicted ${proof.predicted} of ${proof.known} flows, ${fates.carried} carried on${rest.join("")}`;
}

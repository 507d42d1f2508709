/**
 * Duty: what a keeper of roll-outs stands on: rows that outlive it, and, where several controllers share them, who leads.
 *
 * One of them leads: it alone takes turns, commits and gives commands. All others follow what it commits, and hand it what
 * people ask them for. Who leads holds a lease; a commit counts only while it does, so that one who was away for too long and
 * does not know it can keep nothing any more. Pure types.
 */
import type { RolloutOrder, Row, Turn, Verb } from "./contract.ts";

/** What a person wants of roll-outs. */
export type Wish =
  | { readonly verb: "make"; readonly order: RolloutOrder }
  | { readonly verb: Verb; readonly id: string; readonly by: string }
  | { readonly verb: "allow"; readonly id: string; readonly node: string; readonly by: string };

export interface Asked {
  readonly id: string;
  readonly wish: Wish;
}

export type Committed = Pick<Turn, "rows" | "drops">;

export interface RolloutStore {
  load(): Promise<readonly Row[]>;
  /**
   * Rows and drops together, on disk when it is fulfilled. `asked`: the wish that this fulfils, told in the same breath.
   * @throws LostLeadError: another controller leads; nothing was kept
   */
  commit(turn: Turn, asked?: string): Promise<void>;
  /** Null: there is nobody else. */
  readonly seat: Seat | null;
  close(): Promise<void>;
}

export interface Seat {
  /** taken: from nobody or from who is gone; what was known before is to be loaded anew. */
  lead(): Promise<"kept" | "taken" | "other">;
  /** As far as this controller can tell by itself, it leads. */
  readonly held: boolean;
  /** What the leader has committed since the last call or load; null: load all. */
  follow(): Promise<readonly Committed[] | null>;
  /** Fulfilled when the leader has kept it. @throws Error with the leader's words, or that nobody leads */
  ask(wish: Wish): Promise<void>;
  /** What others ask of the leader, the oldest first. */
  asked(): Promise<readonly Asked[]>;
  refuse(asked: string, reason: string): Promise<void>;
}

export class LostLeadError extends Error {
  override readonly name = "LostLeadError";
}

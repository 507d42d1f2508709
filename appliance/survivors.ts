/**
 * Counts what became of flows after a switch, from the plane's tables, a piece at a time. Pure: a board goes in.
 *
 * Only flows that were there before the switch count. With each goes what the match had said of it, so that a prediction
 * is held against the same flows it was made of.
 */
import type { Board } from "../filter/board.ts";
import { AGE, NO_FLOW } from "../filter/names.ts";
import { isUsed, placeBase } from "./flow_entry.ts";
import { type Fate, fateAlone, fateOfPair, type SeenSince, seenSince } from "./failover/fate.ts";
import { readVerdicts, verdictOf } from "./match_view.ts";
import type { Fates, MatchProof, TwinView } from "./view.ts";

const RESET = 4;
const CLOSING = AGE.indexOf("tcp_closing");

export interface SwitchMark {
  /** Of the box that serves since, among all. */
  readonly box: number;
  /** How many switches there were with this one. */
  readonly switches: number;
  readonly atNs: number;
}

/** By what the box had made of each flow. */
export type Survivors = Pick<MatchProof, TwinView["verdict"] | "unknown">;

type Tally = { -readonly [K in keyof Fates]: number };

export class SurvivorCount {
  readonly #board: Board;
  readonly #mark: SwitchMark;
  readonly #slots: number;
  readonly #tallies: Readonly<Record<keyof Survivors, Tally>> = {
    equal: { carried: 0, lost: 0, idle: 0 },
    different: { carried: 0, lost: 0, idle: 0 },
    dropped: { carried: 0, lost: 0, idle: 0 },
    unknown: { carried: 0, lost: 0, idle: 0 },
  };
  #at = 0;

  constructor(board: Board, mark: SwitchMark) {
    this.#board = board;
    this.#mark = mark;
    this.#slots = board.number("header.flow_slots");
  }

  get found(): Survivors {
    return this.#tallies;
  }

  /** Look at the next so many places of both tables. Returns whether all have been looked at. */
  look(places: number): boolean {
    const end = Math.min(this.#slots, this.#at + places);
    for (; this.#at < end; this.#at++) {
      this.#lookUpstream(this.#at);
      this.#lookDownstream(this.#at);
    }
    return this.#at === this.#slots;
  }

  #isOlder(base: number): boolean {
    return isUsed(this.#board, base) && this.#board.number("flow.first_ns", 0, base) < this.#mark.atNs;
  }

  #seen(side: number, slot: number): SeenSince {
    const at = this.#board.number("header.carried_offset", side) + 4 * slot;
    return seenSince(this.#board.word(at), this.#mark.switches);
  }

  /** As it was before the switch: nobody could foretell by what a seed has told since. */
  #verdict(side: number, slot: number): TwinView["verdict"] | null {
    const { before } = this.#seen(side, slot);
    return before === null
      ? verdictOf(readVerdicts(this.#board, { side, slot }), this.#mark.box)
      : verdictOf(before, 0);
  }

  /** Connections with both sides are counted here. */
  #lookUpstream(slot: number): void {
    const base = placeBase(this.#board, { side: 0, slot });
    if (!this.#isOlder(base)) return;
    const peer = this.#peer(base, slot);
    const own = this.#verdict(0, slot);
    if (peer === null) return own === null ? undefined : this.#add(own, fateAlone(this.#seen(0, slot)), base);
    const reset = [base, placeBase(this.#board, { side: 1, slot: peer })].some((one) =>
      (this.#board.number("flow.flags", 0, one) & RESET) !== 0
    );
    this.#add(
      own ?? this.#verdict(1, peer),
      fateOfPair(this.#seen(0, slot), this.#seen(1, peer), reset),
      base,
    );
  }

  /** Those of which the other side is not known: compared ones only. */
  #lookDownstream(slot: number): void {
    const base = placeBase(this.#board, { side: 1, slot });
    if (!this.#isOlder(base) || this.#board.number("flow.peer", 0, base) !== NO_FLOW) return;
    const verdict = this.#verdict(1, slot);
    if (verdict !== null) this.#add(verdict, fateAlone(this.#seen(1, slot)), base);
  }

  /** The other entry may have been evicted and reused since. */
  #peer(base: number, slot: number): number | null {
    const peer = this.#board.number("flow.peer", 0, base);
    if (peer === NO_FLOW) return null;
    return this.#board.number("flow.peer", 0, placeBase(this.#board, { side: 1, slot: peer })) === slot
      ? peer
      : null;
  }

  /** One that had ended before the switch is none. */
  #add(verdict: TwinView["verdict"] | null, fate: Fate, base: number): void {
    if (fate === "idle" && this.#board.number("flow.age", 0, base) === CLOSING) return;
    this.#tallies[verdict ?? "unknown"][fate]++;
  }
}

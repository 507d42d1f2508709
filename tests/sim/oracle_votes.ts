/**
 * The claims about votes: what the board shows of them, and that whoever is blamed for a switch had said so.
 */
import type { Board } from "../../filter/board.ts";
import { BOX, DETECTOR, LIGHT, PATH } from "../../filter/names.ts";
import type { Facts } from "./facts.ts";
import { nameEvent, type SeenEvent } from "./events.ts";
import type { BoxIndex } from "./reflex.ts";
import type { Settings } from "./settings.ts";
import { type Voter, VOTERS } from "./votes.ts";

const WIRE = PATH.indexOf("wire");

/** What is looked at; `hold` ends the run where a claim breaks. */
export interface Sight {
  readonly board: Board;
  readonly facts: Facts;
  readonly settings: Settings;
  readonly nowNs: number;
  readonly hold: (claim: boolean, otherwise: () => string) => void;
}

export function isVoter(cause: string): cause is Voter {
  return VOTERS.some((voter) => voter === cause);
}

/** Lights, votes and pardons stand on the board as they follow from what was said. */
export function checkVotes({ board, facts, hold }: Sight): void {
  for (const box of facts.boxes) {
    const { against } = facts.votes.count(box);
    const shown = board.number("live.against", box);
    hold(shown === against, () => `the board shows ${shown} votes against ${BOX[box]}, there are ${against}`);
    const forgiven = facts.votes.forgivenBits(box), told = board.number("live.forgiven", box);
    hold(told === forgiven, () => `the board shows pardons ${told} for ${BOX[box]}, there are ${forgiven}`);
    for (const voter of VOTERS) {
      const light = LIGHT[board.number("detection.light", box * DETECTOR.length + DETECTOR.indexOf(voter))];
      const said = facts.votes.light(box, voter);
      hold(light === said, () => `the board shows ${voter} of ${BOX[box]} ${light}, it said ${said}`);
    }
  }
}

/** A switch for which a detector is blamed. */
export function checkBlame(event: SeenEvent, { facts, settings, hold }: Sight): void {
  const name = nameEvent(event);
  const from = event.before as BoxIndex;
  hold(from < WIRE, () => `${name}, but no box was serving`);
  hold(facts.linked(from) && !facts.silent(from), () => `${name}, but it had no link or was silent`);
  const { cause } = facts.votes.count(from);
  hold(
    cause === event.cause,
    () => `${name}, but the votes are ${cause === null ? "too few" : `by ${cause}`}`,
  );
  const doubtful = !facts.proven(from, settings.lastNs);
  if (!doubtful) return;
  const better = event.after < WIRE && facts.worth(event.after as BoxIndex, settings.lastNs) > 1;
  hold(better, () => `${name}, which is no better than the doubtful box that was left`);
}

/** An outvoted box serves only where there is none better, and where nothing is proven against it. */
export function checkDoubtful(box: BoxIndex, { facts, settings, hold }: Sight): void {
  if (!facts.outvoted(box)) return;
  const others = facts.boxes.filter((one) => one !== box && facts.worth(one, settings.lastNs) > 1);
  hold(others.length === 0, () => `${BOX[box]} serves though outvoted, and ${BOX[others[0]!]} is alive`);
  hold(
    !facts.proven(box, settings.lastNs),
    () => `${BOX[box]} serves though it is proven that nothing passes`,
  );
}

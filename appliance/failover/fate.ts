/**
 * What became of a flow after a switch, by the frames that were seen of it since. Pure.
 *
 * It lives if what goes in on one side comes out on the other, both ways; that an end resets it later is that end's affair.
 * It is dead if something went in and nothing came out. A flow that nobody used, or of which only one side is known, proves
 * nothing. Resets count as nothing that was seen, or the answer to what an end could not use would be a sign of life.
 */
export type Fate = "carried" | "lost" | "idle";

/** On one side since the switch: a frame came from outside, one came out of the box that serves now. */
export interface SeenSince {
  readonly in: boolean;
  readonly out: boolean;
  /** What the match had said of that box before the switch, in two bits, where a seed has told otherwise since; else null. */
  readonly before: number | null;
}

/** Bits below the number of a switch, as `RM_CARRIED_*` of `filter/native/abi.h` has them. */
const IN = 1, OUT = 2, LEARNT = 4, BEFORE_SHIFT = 3, SWITCH_SHIFT = 5;

/** As on the board: the number of the last switch after which something was noted, and what. */
export function seenSince(word: number, switches: number): SeenSince {
  const is = word >>> SWITCH_SHIFT === switches % 2 ** (32 - SWITCH_SHIFT);
  const has = (bit: number) => is && (word & bit) !== 0;
  return { in: has(IN), out: has(OUT), before: has(LEARNT) ? word >>> BEFORE_SHIFT & 3 : null };
}

/** Of a connection of which both sides are known. */
export function fateOfPair(up: SeenSince, down: SeenSince, reset: boolean): Fate {
  if (!up.in && !up.out && !down.in && !down.out) return "idle";
  if (up.out && down.out) return "carried";
  if (reset) return "lost";
  return (up.in && !down.out) || (down.in && !up.out) ? "lost" : "idle";
}

/** Of a flow of which only this side is known: it is answered, or nothing can be told. */
export function fateAlone(seen: SeenSince): Fate {
  return seen.in && seen.out ? "carried" : "idle";
}

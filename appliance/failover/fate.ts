/**
 * What became of a flow after a switch, by the frames that were seen of it since. Pure.
 *
 * It lives if what goes in on one side comes out on the other, both ways. It is dead if something went in and nothing came
 * out. A flow that nobody used, or of which only one side is known, proves nothing.
 */
export type Fate = "carried" | "lost" | "idle";

/** On one side since the switch: a frame came from outside, one came out of the box that serves now. */
export interface SeenSince {
  readonly in: boolean;
  readonly out: boolean;
}

/** As on the board: the number of the last switch after which something was seen, times four, and two bits. */
export function seenSince(word: number, switches: number): SeenSince {
  const is = word >>> 2 === switches % 2 ** 30;
  return { in: is && (word & 1) === 1, out: is && (word & 2) === 2 };
}

/** Of a connection of which both sides are known. */
export function fateOfPair(up: SeenSince, down: SeenSince, reset: boolean): Fate {
  if (!up.in && !up.out && !down.in && !down.out) return "idle";
  if (reset) return "lost";
  if (up.out && down.out) return "carried";
  return (up.in && !down.out) || (down.in && !up.out) ? "lost" : "idle";
}

/** Of a flow of which only this side is known: it is answered, or nothing can be told. */
export function fateAlone(seen: SeenSince): Fate {
  return seen.in && seen.out ? "carried" : "idle";
}

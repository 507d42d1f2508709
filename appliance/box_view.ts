/**
 * The verdict on a box, and on the node, in a light and a sentence. Pure.
 *
 * The plane says who is alive; why, and what a person should think of it, is said here.
 */
import type { BoxView, DampingView, Light, Path, Role } from "./view.ts";

const STALE_MS = 1000;

export interface Verdict {
  readonly down: readonly Role[];
  readonly serving: boolean;
  readonly silent: boolean;
  readonly alive: boolean;
  /** What the red detectors say; null: none is. */
  readonly outvoted: string | null;
  /** A forced order has overruled them. */
  readonly forced: boolean;
}

export function judgeBox(is: Verdict): [Light, string] {
  if (is.down.length > 0) return ["red", `no link on ${is.down.join(" and ")}`];
  if (is.silent) return ["red", "frames went in and none came out"];
  if (!is.alive && is.outvoted !== null) {
    return ["red", is.serving ? `${is.outvoted}; serves on, there is no better one` : is.outvoted];
  }
  if (is.alive && is.forced && is.outvoted !== null) {
    return ["yellow", `serves by force, though ${is.outvoted}`];
  }
  if (is.alive) return ["green", is.serving ? "links up, serving" : "links up, standing by"];
  return ["yellow", "links up, not proven since it returned"];
}

/** A box that died too often is no good spare, however well it looks. */
export function damped(box: Omit<BoxView, "damping">, damping: DampingView | null): BoxView {
  if (!damping?.suppressed || box.light !== "green") return { ...box, damping };
  return { ...box, damping, light: "yellow", reason: `${box.reason}, suppressed: it died too often lately` };
}

/** The node as a whole. */
export function judgeNode(
  boxes: readonly BoxView[],
  path: Path,
  { freshMs, state }: { readonly freshMs: number; readonly state: string },
): [Light, string] {
  if (state !== "running") return ["red", `the plane is ${state}`];
  if (path === "wire") return ["red", "no box is alive: traffic passes around them"];
  if (path === "block") return ["red", "no box is alive: traffic is blocked"];
  if (freshMs > STALE_MS) {
    return ["yellow", `the plane has not been seen for ${(freshMs / 1000).toFixed(1)} s`];
  }
  const serving = boxes.find((box) => box.serving);
  if (serving?.light === "red") {
    return ["red", `the ${serving.box} serves, and it is not well: ${serving.reason}`];
  }
  const spare = boxes.find((box) => !box.serving);
  if (spare && spare.light !== "green") return ["yellow", `no spare: ${spare.box} has ${spare.reason}`];
  return path === "primary"
    ? ["green", "the primary serves, the redundant box stands by"]
    : ["green", "the redundant box serves, the primary stands by"];
}

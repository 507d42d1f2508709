/**
 * The verdict on one box, in a light and a sentence. Pure.
 *
 * The plane says who is alive; why, and what a person should think of it, is said here.
 */
import type { BoxView, DampingView, Light, Role } from "./view.ts";

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

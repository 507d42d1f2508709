/**
 * The verdict on a box, and on the node, in a light and a sentence. Pure.
 *
 * The plane says who is alive; why, and what a person should think of it, is said here. A box is as bad as the worst
 * that is known of it; a node that serves without a spare is yellow.
 */
import type { Board } from "../filter/board.ts";
import { outvotedReason, readDetectors, type Told } from "./detector_view.ts";
import {
  type Box,
  BOXES,
  type BoxView,
  type DampingView,
  type Light,
  type Path,
  type PortView,
  type Role,
  rolesOfBox,
} from "./view.ts";

const STALE_MS = 1000;

/** All but what the board does not know: its name, and what is held against it. */
export function readBox(
  board: Board,
  box: Box,
  { ports, path, told }: { ports: readonly PortView[]; path: Path; told: Told },
): Omit<BoxView, "name" | "damping"> {
  const i = BOXES.indexOf(box);
  const serving = path === box;
  const member = board.number("box.member", i) === 1;
  const own = ports.filter((port) => rolesOfBox(box).includes(port.role));
  const down = own.filter(({ link }) => link === "down").map(({ role }) => role);
  const detectors = readDetectors(board, i, told);
  const [light, reason] = judgeBox({
    down,
    serving,
    member,
    silent: board.number("box.silent", i) === 1,
    alive: board.number("box.alive", i) === 1,
    outvoted: outvotedReason(detectors),
    forced: board.number("live.forgiven", i) !== 0,
  });
  return {
    box,
    member,
    light,
    reason,
    serving,
    detectors,
    inPackets: board.number("box.in_packets", i),
    outPackets: board.number("box.out_packets", i),
  };
}

export interface Verdict {
  readonly down: readonly Role[];
  readonly serving: boolean;
  readonly member: boolean;
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
  if (!is.member) return ["yellow", "it has left: no copies, and it does not take over"];
  if (is.alive && is.forced && is.outvoted !== null) {
    return ["yellow", `serves by force, though ${is.outvoted}`];
  }
  if (is.alive) return ["green", is.serving ? "links up, serving" : "links up, standing by"];
  return ["yellow", "links up, not proven since it returned"];
}

/** A box that died too often is no good spare, however well it looks. */
export function damped<T extends Omit<BoxView, "damping">>(
  box: T,
  damping: DampingView | null,
): T & { readonly damping: DampingView | null } {
  if (!damping?.suppressed || box.light !== "green") return { ...box, damping };
  return { ...box, damping, light: "yellow", reason: `${box.reason}, suppressed: it died too often lately` };
}

/** "the primary", "the redundant box". */
function called(box: Box): string {
  return box === "primary" ? "the primary" : box === "redundant" ? "the redundant box" : box;
}

/** One verdict on the node, the worst news first. */
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
  const spares = boxes.filter((box) => !box.serving);
  const bad = spares.filter((box) => box.light !== "green");
  if (bad.length > 0) {
    const why = bad.map((box) => `${box.box} has ${box.reason}`).join("; ");
    return ["yellow", bad.length === spares.length ? `no spare: ${why}` : `a spare is missing: ${why}`];
  }
  const by = spares.map((box) => called(box.box)).join(" and ");
  return ["green", `${called(path)} serves, ${by} ${spares.length > 1 ? "stand" : "stands"} by`];
}

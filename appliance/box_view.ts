/**
 * What the board says of each box, and the one verdict on the node that follows from it. Pure.
 *
 * A box is as bad as the worst that is known of it; a node that serves without a spare is yellow.
 */
import type { Board } from "../filter/board.ts";
import type { Now, Surroundings } from "./board_view.ts";
import { outvotedReason, readDetectors } from "./detector_view.ts";
import { readMatch } from "./match_view.ts";
import { readResync } from "./resync_view.ts";
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

export interface Around {
  readonly ports: readonly PortView[];
  readonly path: Path;
  readonly now: Now;
  readonly around: Pick<Surroundings, "names" | "damping" | "checkReason" | "unlike">;
}

export function readBox(board: Board, box: Box, { ports, path, now, around }: Around): BoxView {
  const i = BOXES.indexOf(box);
  const serving = path === box;
  const member = board.number("box.member", i) === 1;
  const isDown = (port: PortView) => port.link === "down" && !port.taken;
  const down = ports.filter((port) => rolesOfBox(box).includes(port.role) && isDown(port)).map((
    port,
  ) => port.role);
  const check = around.checkReason?.(box) ?? null;
  const damping = around.damping?.(box) ?? null;
  const unlike = !serving && (around.unlike?.(box) ?? false);
  const detectors = readDetectors(board, i, { monoNs: now.monoNs, ...(check !== null && { check }) });
  const [light, reason] = judgeBox({
    down,
    serving,
    member,
    silent: board.number("box.silent", i) === 1,
    alive: board.number("box.alive", i) === 1,
    outvoted: outvotedReason(detectors),
    forced: board.number("live.forgiven", i) !== 0,
    damping,
    unlike,
  });
  return {
    box,
    name: around.names?.[box] ?? box,
    member,
    light,
    reason,
    serving,
    detectors,
    turn: turnOf(board, i, path),
    damping,
    match: serving ? null : { ...readMatch(board, i), alarm: unlike },
    resync: readResync(board, i, now),
    inPackets: board.number("box.in_packets", i),
    outPackets: board.number("box.out_packets", i),
  };
}

/** Where a box stands among those that would take over; null: it would not. */
function turnOf(board: Board, of: number, path: Path): number | null {
  const fit = (i: number) =>
    BOXES[i] !== path && board.number("box.member", i) === 1 && board.number("box.alive", i) === 1;
  const rank = (i: number) => board.number("command.rank", i);
  const before = (i: number) => rank(i) < rank(of) || (rank(i) === rank(of) && i < of);
  if (!fit(of)) return null;
  return 1 + BOXES.filter((_, i) => i !== of && fit(i) && before(i)).length;
}

interface Verdict {
  readonly down: readonly Role[];
  readonly serving: boolean;
  readonly member: boolean;
  readonly silent: boolean;
  readonly alive: boolean;
  /** What the red detectors say; null: none is. */
  readonly outvoted: string | null;
  /** A forced order has overruled them. */
  readonly forced: boolean;
  readonly damping: DampingView | null;
  /** Too few of the flows that live now would live on with it. */
  readonly unlike: boolean;
}

function judgeBox(is: Verdict): [Light, string] {
  if (is.down.length > 0) return ["red", `no link on ${is.down.join(" and ")}`];
  if (is.silent) return ["red", "frames went in and none came out"];
  if (!is.alive && is.outvoted !== null) {
    return ["red", is.serving ? `${is.outvoted}; serves on, there is no better one` : is.outvoted];
  }
  if (!is.member) return ["yellow", "has left: no copies, and it does not take over"];
  if (!is.alive) return ["yellow", "links up, not proven since it returned or joined"];
  if (is.forced && is.outvoted !== null) return ["yellow", `serves by force, though ${is.outvoted}`];
  const well = is.serving ? "links up, serving" : "links up, standing by";
  // No good spare, however well it looks.
  if (is.unlike) return ["yellow", `${well}, but would not carry on too many of the flows`];
  return is.damping?.suppressed
    ? ["yellow", `${well}, suppressed: it died too often lately`]
    : ["green", well];
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
    return ["red", `${called(serving.box)} serves and is not well: ${serving.reason}`];
  }
  const spares = boxes.filter((box) => !box.serving);
  const bad = spares.filter((box) => box.light !== "green");
  if (bad.length > 0) {
    const why = bad.map((box) => `${box.box} ${box.member ? "has" : ""} ${box.reason}`.replace("  ", " "))
      .join("; ");
    return ["yellow", bad.length === spares.length ? `no spare: ${why}` : `a spare is missing: ${why}`];
  }
  const by = spares.map((box) => called(box.box)).join(" and ");
  return ["green", `${called(path)} serves, ${by} ${spares.length > 1 ? "stand" : "stands"} by`];
}

/**
 * What the board says of each box, and the one verdict on the node that follows from it. Pure.
 *
 * A box is as bad as the worst that is known of it; a node that serves without a spare is yellow.
 */
import type { Board } from "../filter/board.ts";
import type { Now } from "./board_view.ts";
import { outvotedReason, readDetectors } from "./detector_view.ts";
import {
  type Box,
  BOXES,
  type BoxView,
  type Light,
  type Path,
  type PortView,
  type Role,
  rolesOfBox,
} from "./view.ts";

const STALE_MS = 1000;

/** All but its name, which the board does not know. */
export function readBox(
  board: Board,
  box: Box,
  { ports, path, now }: { ports: readonly PortView[]; path: Path; now: Now },
): Omit<BoxView, "name"> {
  const i = BOXES.indexOf(box);
  const serving = path === box;
  const member = board.number("box.member", i) === 1;
  const down = ports.filter((port) => rolesOfBox(box).includes(port.role) && port.link === "down").map((
    port,
  ) => port.role);
  const detectors = readDetectors(board, i, now);
  const verdict = {
    down,
    serving,
    member,
    silent: board.number("box.silent", i) === 1,
    alive: board.number("box.alive", i) === 1,
    outvoted: outvotedReason(detectors),
  };
  const [light, reason] = judgeBox(verdict);
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

function judgeBox(
  is: {
    down: Role[];
    serving: boolean;
    member: boolean;
    silent: boolean;
    alive: boolean;
    outvoted: string | null;
  },
): [Light, string] {
  if (is.down.length > 0) return ["red", `no link on ${is.down.join(" and ")}`];
  if (is.silent) return ["red", "frames went in and none came out"];
  if (!is.alive && is.outvoted !== null) return ["red", is.outvoted];
  if (!is.member) return ["yellow", "has left: no copies, and it does not take over"];
  if (is.alive) return ["green", is.serving ? "links up, serving" : "links up, standing by"];
  return ["yellow", "links up, not proven since it returned or joined"];
}

/** "the primary", "the redundant box". */
function called(box: Box): string {
  return box === "primary" ? "the primary" : box === "redundant" ? "the redundant box" : box;
}

/** One verdict on the node, the worst news first. */
export function judgeNode(
  boxes: readonly BoxView[],
  path: Path,
  freshMs: number,
  state: string,
): [Light, string] {
  if (state !== "running") return ["red", `the plane is ${state}`];
  if (path === "wire") return ["red", "no box is alive: traffic passes around them"];
  if (path === "block") return ["red", "no box is alive: traffic is blocked"];
  if (freshMs > STALE_MS) {
    return ["yellow", `the plane has not been seen for ${(freshMs / 1000).toFixed(1)} s`];
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

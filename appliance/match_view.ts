/**
 * What the standbys make of connections, from the board: the match of each box, and the verdicts on one flow. Pure.
 *
 * The layout is that of `filter/native/twin.h`: a word for each flow, with two bits for each box.
 */
import type { Board } from "../filter/board.ts";
import { address } from "./address.ts";
import { BOXES, type MatchView, type TwinView } from "./view.ts";

export type { TwinView } from "./view.ts";

const VERDICT = ["unknown", "equal", "different", "dropped"] as const;
/** What was counted of the openings of live connections. */
export type MatchCounts = Omit<MatchView, "alarm">;

/** How many connections were compared. */
export function compared(
  { equal, different, dropped }: Pick<MatchView, "equal" | "different" | "dropped">,
): number {
  return equal + different + dropped;
}

/** How many of them it would carry on: what it made alike, and what would be translated for it. */
export function carried({ equal, followed }: Pick<MatchView, "equal" | "followed">): number {
  return equal + followed;
}

/** The match of a standby. */
export function readMatch(board: Board, box: number): MatchCounts {
  const count = (of: string) => board.number(`match.${of}`, box);
  const counts = {
    equal: count("equal"),
    different: count("different"),
    followed: count("followed"),
    dropped: count("dropped"),
  };
  const known = compared(counts);
  // A connection has a flow on both sides; what begins at a box itself has one.
  const flows = Math.max(board.number("live.flows", 0), board.number("live.flows", 1));
  return {
    ...counts,
    unknown: Math.max(0, flows - known),
    share: known === 0 ? null : carried(counts) / known,
  };
}

interface Place {
  readonly side: number;
  readonly slot: number;
}

function endpoint(board: Board, entry: number, end: 0 | 1): string {
  const ports = board.bytes("unlike.port", entry);
  const port = new DataView(ports.buffer, ports.byteOffset).getUint16(2 * end, true);
  return address(board.bytes("unlike.addr", entry).subarray(16 * end, 16 * end + 16), port);
}

/** "10.2.0.1:40112 - 10.2.0.11:80", as the standby made it; empty: it is no longer known. */
function standbysBinding(board: Board, { side, slot }: Place, box: number): string {
  const newest = board.number("live.unlike_sequence");
  const places = board.count("unlike.sequence");
  for (let sequence = newest; sequence > 0 && sequence > newest - places; sequence--) {
    const entry = sequence % places;
    if (board.number("unlike.sequence", entry) !== sequence) continue;
    const is = (name: string) => board.number(`unlike.${name}`, entry);
    if (is("slot") !== slot || is("side") !== side || is("box") !== box) continue;
    return `${endpoint(board, entry, 0)} - ${endpoint(board, entry, 1)}`;
  }
  return "";
}

/** The verdicts on the flow at a place of the table; none: no standby has been compared. */
export function readTwins(board: Board, { side, slot }: Place): readonly TwinView[] {
  const word = board.word(board.number("header.twin_offset", side) + 4 * slot);
  const base = board.number("header.flow_offset", side) + slot * board.number("header.flow_bytes");
  // Which of all flows that were at this place is meant: as twin_word() has it.
  if (word >>> 8 !== Math.floor(board.number("flow.first_ns", 0, base) / 256) % 2 ** 24) return [];
  return BOXES.flatMap((box, i) => {
    const verdict = VERDICT[word >>> (2 * i) & 3]!;
    if (verdict === "unknown") return [];
    const binding = verdict === "different" ? standbysBinding(board, { side, slot }, i) : "";
    return [{ box, verdict, binding }];
  });
}

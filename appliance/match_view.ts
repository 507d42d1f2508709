/**
 * What the standbys make of connections, from the board: the match of each box, and the verdicts on one flow. Pure.
 *
 * The layout is that of `filter/native/twin.h`: a word for each flow, with two bits for each box.
 */
import type { Board } from "../filter/board.ts";
import { address } from "./address.ts";
import { type Place, placeBase } from "./flow_entry.ts";
import { compared, wouldLive } from "./failover/match.ts";
import {
  BOXES,
  MATCH_CLASSES,
  type MatchClass,
  type MatchCounts,
  type MatchView,
  type TableView,
  type TwinView,
} from "./view.ts";

const VERDICT = ["unknown", "equal", "different", "dropped"] as const;
/** What was counted of the openings of live connections. */
export type CountedMatch = Omit<MatchView, "alarm">;

function ofClass(board: Board, box: number, index: number): MatchCounts {
  const count = (of: string) => board.number(`match.${of}`, box * MATCH_CLASSES.length + index);
  return {
    equal: count("equal"),
    different: count("different"),
    followed: count("followed"),
    dropped: count("dropped"),
  };
}

/** The match of a standby. */
export function readMatch(board: Board, box: number): CountedMatch {
  const each = MATCH_CLASSES.map((name, index) => [name, ofClass(board, box, index)] as const);
  const sum = (of: keyof MatchCounts) => each.reduce((total, [, counts]) => total + counts[of], 0);
  const counts = {
    equal: sum("equal"),
    different: sum("different"),
    followed: sum("followed"),
    dropped: sum("dropped"),
  };
  const known = compared(counts);
  // A connection has a flow on both sides; what begins at a box itself has one.
  const flows = Math.max(board.number("live.flows", 0), board.number("live.flows", 1));
  return {
    ...counts,
    unknown: Math.max(0, flows - known),
    share: known === 0 ? null : wouldLive(counts) / known,
    classes: Object.fromEntries(each) as Record<MatchClass, MatchCounts>,
    ...tableOf(board, box),
  };
}

function tableOf(board: Board, box: number): { table?: TableView } {
  const room = board.number("command.capacity", box);
  const is = (of: string) => board.number(`live.${of}`, box);
  return room === 0 ? {} : { table: { room, held: is("held"), missing: is("missing") } };
}

function endpoint(board: Board, entry: number, end: 0 | 1): string {
  const ports = board.bytes("unlike.port", entry);
  const port = new DataView(ports.buffer, ports.byteOffset).getUint16(2 * end, true);
  return address(board.bytes("unlike.addr", entry).subarray(16 * end, 16 * end + 16), port);
}

/** What a flow and a box are called among what standbys made otherwise. */
export function unlikeKey({ side, slot }: Place, box: number): string {
  return `${side} ${slot} ${box}`;
}

/** What standbys made otherwise, as far as it is still known: "10.2.0.1:40112 - 10.2.0.11:80" by `unlikeKey`. */
export function readUnlikes(board: Board): ReadonlyMap<string, string> {
  const newest = board.number("live.unlike_sequence"), places = board.count("unlike.sequence");
  const made = new Map<string, string>();
  for (let sequence = Math.max(1, newest - places + 1); sequence <= newest; sequence++) {
    const entry = sequence % places;
    if (board.number("unlike.sequence", entry) !== sequence) continue;
    const is = (name: string) => board.number(`unlike.${name}`, entry);
    const binding = `${endpoint(board, entry, 0)} - ${endpoint(board, entry, 1)}`;
    made.set(unlikeKey({ side: is("side"), slot: is("slot") }, is("box")), binding);
  }
  return made;
}

/** Of each box two bits that say what it made of the flow at a place, as in twin.h; 0: none has been compared. */
export function readVerdicts(board: Board, { side, slot }: Place): number {
  const word = board.word(board.number("header.twin_offset", side) + 4 * slot);
  if (word === 0) return 0;
  const base = placeBase(board, { side, slot });
  // Which of all flows that were at this place is meant: as twin_word() has it.
  return word >>> 8 === Math.floor(board.number("flow.first_ns", 0, base) / 256) % 2 ** 24 ? word & 0xff : 0;
}

/** What a box made of it, out of those bits; null: it has not been compared. */
export function verdictOf(verdicts: number, box: number): TwinView["verdict"] | null {
  const verdict = VERDICT[verdicts >>> (2 * box) & 3]!;
  return verdict === "unknown" ? null : verdict;
}

/** The verdicts on the flow at a place of the table; none: no standby has been compared. */
export function readTwins(board: Board, { side, slot }: Place): readonly TwinView[] {
  const verdicts = readVerdicts(board, { side, slot });
  const made = (verdicts & 0xaa) === 0 ? null : readUnlikes(board);
  return BOXES.flatMap((box, i) => {
    const verdict = verdictOf(verdicts, i);
    if (verdict === null) return [];
    const binding = verdict === "different" ? made?.get(unlikeKey({ side, slot }, i)) ?? "" : "";
    return [{ box, verdict, binding }];
  });
}

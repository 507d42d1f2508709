/**
 * Duty: which spare is next in line where `failover.choose` is "weight". Pure but for the board.
 *
 * What a spare is worth is its weight times the share of live connections that it would carry on now. The line is kept
 * until one behind is clearly worth more, or two spares that are alike would change places all the time.
 */
import type { Board } from "../filter/board.ts";
import { BOX as BOXES } from "../filter/names.ts";
import type { Now } from "./board_view.ts";
import type { BoxConfig, Config } from "./config.ts";
import { matchEvent } from "./match_alarms.ts";
import { readMatch } from "./match_view.ts";
import type { Box, EventView } from "./view.ts";

/** One overtakes another that is worth less than this part of it. */
const CLEARLY = 0.9;
const RANK_STEP = 100;
const LOOK_MS = 1000;

export interface Worth {
  readonly box: Box;
  /** Weight times share. */
  readonly worth: number;
}

/** `share`: 0..1; null while nothing was compared, which says nothing against a spare. */
export function worthOf(weight: number, share: number | null): number {
  return weight * (share ?? 1);
}

/** The spares in their new line; `before` is the one so far, and every box of it has its worth in `worths`. */
export function lineUp(before: readonly Box[], worths: readonly Worth[]): Box[] {
  const worth = new Map(worths.map((one) => [one.box, one.worth]));
  const line: Box[] = [];
  for (const box of before) {
    const own = worth.get(box) ?? 0;
    const place = line.findIndex((other) => (worth.get(other) ?? 0) < own * CLEARLY);
    line.splice(place < 0 ? line.length : place, 0, box);
  }
  return line;
}

/** The boxes with the ranks that the plane goes by now. */
export function rankedBoxes(board: Board, boxes: readonly BoxConfig[]): BoxConfig[] {
  return boxes.map((one) => ({ ...one, rank: board.number("command.rank", BOXES.indexOf(one.box)) }));
}

/** The primary stays first: it is who the traffic belongs to. */
export function writeLine(board: Board, line: readonly Box[]): void {
  board.setNumber("command.rank", 0, BOXES.indexOf("primary"));
  line.forEach((box, place) => board.setNumber("command.rank", RANK_STEP * (place + 1), BOXES.indexOf(box)));
}

/** Keeps the ranks on the board, and tells when another spare is next. */
export class Preference {
  #lookedMs = 0;

  constructor(private readonly tell: (event: EventView) => void) {}

  look(board: Board, { boxes, failover }: Pick<Config, "boxes" | "failover">, now: Now): void {
    if (failover.choose !== "weight" || now.wallMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = now.wallMs;
    const before = rankedBoxes(board, boxes).filter(({ box }) => box !== "primary")
      .toSorted((a, b) => a.rank - b.rank);
    const worths = before.map(({ box, weight }) => ({
      box,
      worth: worthOf(weight, readMatch(board, BOXES.indexOf(box)).share),
    }));
    const line = lineUp(before.map(({ box }) => box), worths);
    if (line.every((box, place) => box === before[place]!.box)) return;
    writeLine(board, line);
    const boot = board.big("header.boot"), text = lineText(line, worths);
    this.tell(matchEvent({ box: line[0]!, cause: "preferred", text, boot, now }));
  }
}

/** The whole line in one sentence. */
export function lineText(line: readonly Box[], worths: readonly Worth[]): string {
  const worth = new Map(worths.map((one) => [one.box, one.worth]));
  const each = line.map((box) => `${box} (${Math.round(worth.get(box) ?? 0)})`);
  return `next in line, by weight times the share of connections it would carry on: ${each.join(", then ")}`;
}

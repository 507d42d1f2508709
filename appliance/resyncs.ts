/**
 * Resync, looked after by control: it is begun by itself where the configuration says so, and its end is told.
 *
 * Pure but for the board. The plane does the work and counts it; a box is noticed to have come by comparing with the last look.
 */
import type { Board } from "../filter/board.ts";
import { BOX as BOXES } from "../filter/names.ts";
import { writeResync } from "./board_command.ts";
import { type Now, readPath } from "./board_view.ts";
import type { Config } from "./config.ts";
import { ownEvent } from "./node_views.ts";
import { readResync, resyncText } from "./resync_view.ts";
import type { Box, EventView, Path } from "./view.ts";

interface Seen {
  readonly boot: bigint;
  readonly path: Path;
  /** Of each box that is alive and a member: since when its links are up, or 0; null: it is not there. */
  readonly there: readonly (number | null)[];
}

/** The boxes that are to be given all connections now. */
export function dueResyncs(before: Seen | null, now: Seen, when: Config["seed"]["resync"]): Box[] {
  if (before === null || before.boot !== now.boot || when === "off") return [];
  return BOXES.filter((box, i) => {
    if (now.there[i] === null) return false;
    if (box === now.path) return when === "switches" && before.path !== now.path;
    // Between two looks it may have gone and come.
    return before.there[i] !== now.there[i];
  });
}

export class Resyncs {
  #last: Seen | null = null;
  /** Orders whose end was told, by box. */
  readonly #told = new Map<Box, number>();

  constructor(readonly tell: (event: EventView) => void) {}

  look(board: Board, config: Config["seed"], now: Now): void {
    const is = (name: string, i: number) => board.number(name, i) === 1;
    const seen: Seen = {
      boot: board.big("header.boot"),
      path: readPath(board),
      there: BOXES.map((_, i) =>
        is("box.alive", i) && is("box.member", i) ? board.number("box.up_ns", i) : null
      ),
    };
    if (this.#last?.boot !== seen.boot) {
      BOXES.forEach((box, i) => this.#told.set(box, board.number("resync.order", i)));
    }
    for (const box of dueResyncs(this.#last, seen, config.resync)) {
      writeResync(board, BOXES.indexOf(box));
      this.#say(box, "resync", `all live flows are seeded into the ${box} box`, { board, now });
    }
    this.#last = seen;
    BOXES.forEach((box, i) => this.#end(box, i, { board, now }));
  }

  #end(box: Box, i: number, at: { board: Board; now: Now }): void {
    const order = at.board.number("resync.order", i), view = readResync(at.board, i, at.now);
    if (order === this.#told.get(box) || view === null || view.running) return;
    this.#told.set(box, order);
    this.#say(box, "resynced", `${box} was given ${resyncText(view)}`, at);
  }

  #say(box: Box, cause: "resync" | "resynced", text: string, at: { board: Board; now: Now }): void {
    const boot = at.board.big("header.boot");
    this.tell({ ...ownEvent({ kind: "plane", cause, text, boot, now: at.now }), kind: "seed", subject: box });
  }
}

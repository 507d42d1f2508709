/**
 * Duty: what a far end tells of itself: one line when a link or a session changes, and when units were lost.
 *
 * Pure but for what it remembers of the last look.
 */
import type { Board } from "../filter/board.ts";
import { STATE } from "../filter/names.ts";

const SIDES = ["client side", "server side"] as const;
/** Places of enum rm_role: two channels, then the box's two ports. */
const BOX_PORT = 2;
/** Counters of a channel that say that something is wrong, and how. */
const TROUBLE = {
  lost: "units lost on the way here",
  torn: "frames of which a part was lost",
  gone: "units asked for that are not kept any more",
  shed: "units not sent again, too many were asked for at once",
  refused: "datagrams without a good seal",
} as const;
/** Losses are told as a sum, so that a bad line does not fill a log. */
const TROUBLE_EVERY = 20;

/** A function that compares each look with the one before. */
export function tellFar(): (board: Board) => string[] {
  const seen = new Map<string, number>();
  let looks = 0;
  const changed = (name: string, value: number) => {
    const before = seen.get(name);
    seen.set(name, value);
    return before !== value;
  };
  return (board) => {
    const state = STATE[board.number("header.state")];
    if (state !== "running" && state !== "stopped") return [];
    const lines: string[] = [];
    SIDES.forEach((side, i) => {
      const link = board.number("port.link", BOX_PORT + i);
      if (changed(`link ${i}`, link)) lines.push(`${side}: the box's link is ${link === 1 ? "up" : "down"}`);
      const taken = board.number("port.taken", BOX_PORT + i);
      if (changed(`taken ${i}`, taken) && (taken === 1 || looks > 0)) {
        lines.push(`${side}: the node ${taken === 1 ? "took the box's link down" : "let the box's link up"}`);
      }
      const open = board.number("channel.open", i);
      if (changed(`open ${i}`, open)) lines.push(`${side}: ${open === 1 ? "the node is there" : "no node"}`);
      if (looks % TROUBLE_EVERY === 0 || state === "stopped") {
        for (const [name, text] of Object.entries(TROUBLE)) {
          const count = board.number(`channel.${name}`, i);
          if (changed(`${name} ${i}`, count) && count > 0) lines.push(`${side}: ${count} ${text} so far`);
        }
      }
    });
    looks++;
    return lines;
  };
}

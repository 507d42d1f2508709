/** Single facts of an entry of the plane's flow tables, from the board. Pure. */
import type { Board } from "../filter/board.ts";
import { NO_FLOW, NO_RULE } from "../filter/names.ts";
import { address } from "./address.ts";

/** Names of IP protocols as people write them. */
export const PROTOCOL: Readonly<Record<number, string>> = {
  1: "icmp",
  6: "tcp",
  17: "udp",
  58: "icmpv6",
  132: "sctp",
};
const USED = 1;

/** A place of a flow table; side 0 is upstream. */
export interface Place {
  readonly side: number;
  readonly slot: number;
}

/** Where the entry begins, in bytes of the board. */
export function placeBase(board: Board, { side, slot }: Place): number {
  return board.number("header.flow_offset", side) + slot * board.number("header.flow_bytes");
}

export function isUsed(board: Board, base: number): boolean {
  return (board.number("flow.flags", 0, base) & USED) !== 0;
}

/** The end outside this side's port, the one inside, and which direction the outer one sends. */
export function flowEnds(board: Board, base: number): { outer: string; inner: string; dir: number } {
  const dir = board.number("flow.outer_dir", 0, base) & 1;
  const end = (i: number) => address(board.bytes("flow.addr", i, base), board.number("flow.port", i, base));
  return { outer: end(dir), inner: end(1 - dir), dir };
}

/** The same connection on the other side; null: not known. */
export function flowPeer(board: Board, { side }: Place, base: number): Place | null {
  const slot = board.number("flow.peer", 0, base);
  return slot === NO_FLOW ? null : { side: 1 - side, slot };
}

export function flowProtocol(board: Board, base: number): string {
  const proto = board.number("flow.proto", 0, base);
  return PROTOCOL[proto] ?? `ip-${proto}`;
}

/**
 * Empty: no rule matched. "?": it was chosen among rules that have been replaced, whose names are gone; the flow's next packet
 * chooses anew.
 */
export function flowRule(board: Board, base: number): string {
  if (board.number("flow.rule_generation", 0, base) !== board.number("command.rule_generation")) return "?";
  const rule = board.number("flow.rule", 0, base);
  return rule === NO_RULE ? "" : board.text("rule.name", rule);
}

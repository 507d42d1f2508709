/**
 * Flows as people see them, from the board's tables: each side's own, the busiest first. Pure.
 */
import type { Board } from "../filter/board.ts";
import { AGE } from "../filter/names.ts";
import { address } from "./address.ts";
import type { Now } from "./board_view.ts";
import { readTwins, type TwinView } from "./match_view.ts";
import type { FlowView } from "./view.ts";

const NS_PER_MS = 1e6;
const rounded = (value: number) => Math.round(value * 1000) / 1000;

/** Names of IP protocols as people write them. */
export const PROTOCOL: Readonly<Record<number, string>> = {
  1: "icmp",
  6: "tcp",
  17: "udp",
  58: "icmpv6",
  132: "sctp",
};
const SIDES = ["upstream", "downstream"] as const;
const NO_FLOW = 0xffffffff;
const USED = 1;

interface Place {
  readonly side: number;
  readonly slot: number;
}

function entryBase(board: Board, { side, slot }: Place): number {
  return board.number("header.flow_offset", side) + slot * board.number("header.flow_bytes");
}

function ends(board: Board, base: number): { outer: string; inner: string; dir: number } {
  const dir = board.number("flow.outer_dir", 0, base) & 1;
  const end = (i: number) => address(board.bytes("flow.addr", i, base), board.number("flow.port", i, base));
  return { outer: end(dir), inner: end(1 - dir), dir };
}

/** The verdicts stand with the entry of the side where the box hands over the opening. */
function standbysOf(board: Board, at: Place, peer: number): readonly TwinView[] {
  const own = readTwins(board, at);
  return own.length > 0 || peer === NO_FLOW ? own : readTwins(board, { side: 1 - at.side, slot: peer });
}

function readFlow(board: Board, at: Place, now: Now): FlowView {
  const base = entryBase(board, at);
  const { outer, inner, dir } = ends(board, base);
  const half = (member: string, i: number) => board.number(`flow.half.${member}`, i, base);
  const pair = (member: string): [number, number] => [half(member, dir), half(member, 1 - dir)];
  const proto = board.number("flow.proto", 0, base);
  const rule = board.number("flow.rule", 0, base);
  const peer = board.number("flow.peer", 0, base);
  const binding = peer === NO_FLOW ? null : ends(board, entryBase(board, { side: 1 - at.side, slot: peer }));
  return {
    side: SIDES[at.side]!,
    protocol: PROTOCOL[proto] ?? `ip-${proto}`,
    outer,
    inner,
    vlan: board.number("flow.vlan", 0, base),
    age: (AGE[board.number("flow.age", 0, base)] ?? "other").replace("_", "-") as FlowView["age"],
    idleMs: rounded(Math.max(0, (now.monoNs - board.number("flow.last_ns", 0, base)) / NS_PER_MS)),
    packets: pair("packets"),
    bytes: pair("bytes"),
    mirrored: half("mirrored", 0) + half("mirrored", 1),
    rule: rule === 0xff ? "" : board.text("rule.name", rule),
    binding: binding === null ? "" : `${binding.inner} - ${binding.outer}`,
    standbys: standbysOf(board, at, peer),
  };
}

export interface FlowQuery {
  readonly limit: number;
  readonly side?: "upstream" | "downstream";
  /** Part of an address, port, protocol or rule. */
  readonly text?: string;
  /** Only those that a standby would not carry on. */
  readonly unlike?: boolean;
}

/** The busiest flows by bytes, at most `limit`. */
export function readFlows(board: Board, query: FlowQuery, now: Now): FlowView[] {
  const slots = board.number("header.flow_slots");
  const found: { at: Place; bytes: number }[] = [];
  for (const [side, name] of SIDES.entries()) {
    if (query.side !== undefined && query.side !== name) continue;
    for (let slot = 0; slot < slots; slot++) {
      const base = entryBase(board, { side, slot });
      if ((board.number("flow.flags", 0, base) & USED) === 0) continue;
      const bytes = board.number("flow.half.bytes", 0, base) + board.number("flow.half.bytes", 1, base);
      found.push({ at: { side, slot }, bytes });
    }
  }
  found.sort((a, b) => b.bytes - a.bytes);
  const views: FlowView[] = [];
  for (const { at } of found) {
    if (views.length >= query.limit) break;
    const view = readFlow(board, at, now);
    if (matches(view, query.text) && (!query.unlike || isUnlike(view))) views.push(view);
  }
  return views;
}

function matches(view: FlowView, text: string | undefined): boolean {
  if (text === undefined || text === "") return true;
  return [view.outer, view.inner, view.binding, view.protocol, view.rule, view.age].some((s) =>
    s.includes(text)
  );
}

const isUnlike = (view: FlowView) => view.standbys.some(({ verdict }) => verdict !== "equal");

/**
 * Flows as people see them, from the board's tables: each side's own, the busiest first. Pure.
 */
import type { Board } from "../filter/board.ts";
import { AGE } from "../filter/names.ts";
import type { Now } from "./board_view.ts";
import { flowEnds, flowPeer, flowProtocol, flowRule, isUsed, type Place, placeBase } from "./flow_entry.ts";
import { readTwins } from "./match_view.ts";
import type { FlowView, TwinView } from "./view.ts";

const NS_PER_MS = 1e6;
const rounded = (value: number) => Math.round(value * 1000) / 1000;
const SIDES = ["upstream", "downstream"] as const;

/** The verdicts stand with the entry of the side where the box hands over the opening. */
function standbysOf(board: Board, at: Place, peer: Place | null): readonly TwinView[] {
  const own = readTwins(board, at);
  return own.length > 0 || peer === null ? own : readTwins(board, peer);
}

/** A box that holds an opening for longer than it is repeated has lost it; as in pair.c. */
const PAIR_NS = 2e9;
/** Of these the first packet tells which flow it belongs to on the other side; as in twin.c. */
const TELLING: readonly string[] = ["tcp", "udp", "icmp", "icmpv6", "sctp"];
const INNER = 64;

/** Why a flow has no other half, and nobody may guess at one. */
function unsureText(board: Board, base: number, now: Now): string {
  const is = (member: string) => board.number(`flow.${member}`, 0, base);
  if ((is("flags") & INNER) !== 0) return "it lies in a tunnel";
  if (!TELLING.includes(flowProtocol(board, base))) return "nothing in this protocol tells flows apart";
  if (is("opener") === 0) return "its opening was not seen";
  if (now.monoNs - is("first_ns") < PAIR_NS) return "";
  return "no one opening on the other side is like its own";
}

function readFlow(board: Board, at: Place, now: Now): FlowView {
  const base = placeBase(board, at);
  const { outer, inner, dir } = flowEnds(board, base);
  const half = (member: string, i: number) => board.number(`flow.half.${member}`, i, base);
  const pair = (member: string): [number, number] => [half(member, dir), half(member, 1 - dir)];
  const peer = flowPeer(board, at, base);
  const binding = peer === null ? null : flowEnds(board, placeBase(board, peer));
  return {
    side: SIDES[at.side]!,
    protocol: flowProtocol(board, base),
    outer,
    inner,
    vlan: board.number("flow.vlan", 0, base),
    age: (AGE[board.number("flow.age", 0, base)] ?? "other").replace("_", "-") as FlowView["age"],
    idleMs: rounded(Math.max(0, (now.monoNs - board.number("flow.last_ns", 0, base)) / NS_PER_MS)),
    packets: pair("packets"),
    bytes: pair("bytes"),
    mirrored: half("mirrored", 0) + half("mirrored", 1),
    rule: flowRule(board, base),
    binding: binding === null ? "" : `${binding.inner} - ${binding.outer}`,
    unsure: binding === null ? unsureText(board, base, now) : "",
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
      const base = placeBase(board, { side, slot });
      if (!isUsed(board, base)) continue;
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

/** Whether a flow of either side has this address as an end; as the plane has addresses, in 16 bytes. */
export function hasEnd(board: Board, address: Uint8Array): boolean {
  const is = (base: number, end: number) =>
    board.bytes("flow.addr", end, base).every((byte, i) => byte === address[i]);
  const slots = board.number("header.flow_slots");
  return SIDES.some((_, side) => {
    for (let slot = 0; slot < slots; slot++) {
      const base = placeBase(board, { side, slot });
      if (isUsed(board, base) && (is(base, 0) || is(base, 1))) return true;
    }
    return false;
  });
}

function matches(view: FlowView, text: string | undefined): boolean {
  if (text === undefined || text === "") return true;
  return [view.outer, view.inner, view.binding, view.protocol, view.rule, view.age].some((s) =>
    s.includes(text)
  );
}

const isUnlike = (view: FlowView) => view.standbys.some(({ verdict }) => verdict !== "equal");

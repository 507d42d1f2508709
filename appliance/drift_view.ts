/**
 * From the board to what causes of drift are judged by: the flows that were compared with one standby. Pure.
 */
import type { Board } from "../filter/board.ts";
import { AGE } from "../filter/names.ts";
import { flowEnds, flowPeer, flowProtocol, flowRule, isUsed, type Place, placeBase } from "./flow_entry.ts";
import type { DriftFlow } from "./failover/drift.ts";
import { readUnlikes, readVerdicts, unlikeKey, verdictOf } from "./match_view.ts";

/** Of each verdict so many at most, picked evenly: patterns show in fewer. */
const SAMPLE_MAX = 500;
const CLOSING = AGE.indexOf("tcp_closing");

interface Found {
  readonly at: Place;
  readonly verdict: NonNullable<ReturnType<typeof verdictOf>>;
}

/** Places of the flows compared with a box, of both sides. */
function findCompared(board: Board, box: number): Found[] {
  const slots = board.number("header.flow_slots"), found: Found[] = [];
  for (const side of [0, 1]) {
    const words = board.number("header.twin_offset", side);
    for (let slot = 0; slot < slots; slot++) {
      if (board.word(words + 4 * slot) === 0) continue;
      const base = placeBase(board, { side, slot });
      if (!isUsed(board, base) || board.number("flow.age", 0, base) === CLOSING) continue;
      const verdict = verdictOf(readVerdicts(board, { side, slot }), box);
      if (verdict !== null) found.push({ at: { side, slot }, verdict });
    }
  }
  return found;
}

function sample<T>(all: readonly T[], max: number): readonly T[] {
  const step = Math.max(1, all.length / max);
  return Array.from({ length: Math.min(max, all.length) }, (_, i) => all[Math.floor(i * step)]!);
}

/** Flows compared with a box, and what was made of them: at most some hundreds of each kind. */
export function readDrift(board: Board, box: number): DriftFlow[] {
  const found = findCompared(board, box), made = readUnlikes(board);
  const kinds = (["equal", "different", "dropped"] as const).map((kind) => {
    const all = found.filter(({ verdict }) => verdict === kind);
    if (kind !== "different") return sample(all, SAMPLE_MAX);
    // What the standby made is known of few: those first.
    const known = all.filter(({ at }) => made.has(unlikeKey(at, box)));
    return known.length > 0 ? known : sample(all, SAMPLE_MAX);
  });
  return kinds.flat().map(({ at, verdict }) => {
    const base = placeBase(board, at);
    const { outer, inner } = flowEnds(board, base);
    const peer = flowPeer(board, at, base);
    return {
      verdict,
      protocol: flowProtocol(board, base),
      rule: flowRule(board, base),
      openedMs: board.number("flow.first_ns", 0, base) / 1e6,
      client: peer === null ? inner : flowEnds(board, placeBase(board, peer)).outer,
      own: inner,
      server: outer,
      made: made.get(unlikeKey(at, box)) ?? "",
    };
  });
}

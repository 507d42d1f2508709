/**
 * Duty: the journal of intents, as lines and as what follows from them. Pure.
 *
 * Moves that ended well are also the rules of the steering, the youngest last.
 */
import { wholeLine, wholeLines } from "./line.ts";
import { type Entry, type MoveOrder, type MoveState, resumeMove } from "./move.ts";
import type { MoveEnd } from "./contract.ts";
import { type SteeringRule, withRule } from "./steering.ts";

/** Moves kept for people after their end. */
export const ENDED_MAX = 100;

export const entryLine = (entry: Entry) => wholeLine(entry);

export interface Ended {
  readonly order: MoveOrder;
  readonly end: MoveEnd;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly reason: string;
}

export interface Intents {
  /** Moves to be brought to an end, oldest first, each with what is written of it. */
  readonly open: readonly { readonly state: MoveState; readonly entries: readonly Entry[] }[];
  readonly ended: readonly Ended[];
  /** As moves that ended well left them; boxes by their drivers' names. */
  readonly rules: readonly SteeringRule[];
  /** Lines in the middle that cannot be read: the file was changed by somebody. */
  readonly unreadable: number;
}

/** What `text`, the whole file, says. */
export function readIntents(text: string): Intents {
  const byId = new Map<string, Entry[]>();
  const { values, unreadable } = wholeLines<Entry>(text);
  let rules: SteeringRule[] = [];
  const ended: Ended[] = [];
  for (const entry of values) {
    if (entry.mark === "default") {
      rules = rules.filter(({ id }) => id !== entry.id);
      continue;
    }
    const entries = [...byId.get(entry.id) ?? [], entry];
    byId.set(entry.id, entries);
    const { order, atMs: startedMs } = entries[0]!;
    if (entry.mark !== "end" || order === undefined) continue;
    const end = entry.end ?? "back";
    ended.push({ order, end, startedMs, endedMs: entry.atMs, reason: entry.reason ?? "" });
    if (end === "moved") {
      rules = withRule(rules, { id: order.id, fields: order.fields, box: order.destination });
    }
  }
  const open = [...byId.values()].flatMap((entries) => {
    const state = resumeMove(entries);
    return state === null ? [] : [{ state, entries }];
  });
  return { open, ended, rules, unreadable };
}

/**
 * The file anew with what is still needed of it: open moves, rules, the last that ended; those whose rule another one covers
 * are as those that have none.
 */
export function compactIntents({ open, ended, rules }: Intents): string {
  const kept = ended.filter(({ order }, index) =>
    index >= ended.length - ENDED_MAX || rules.some(({ id }) => id === order.id)
  );
  const lines = kept.flatMap(({ order, end, startedMs, endedMs, reason }) => {
    const about = { id: order.id, round: 0 },
      ruled = end !== "moved" || rules.some(({ id }) => id === order.id);
    return [
      entryLine({ ...about, mark: "op", atMs: startedMs, order }),
      entryLine({ ...about, mark: "end", atMs: endedMs, end, reason }),
      ...(ruled ? [] : [entryLine({ ...about, mark: "default", atMs: endedMs })]),
    ];
  });
  return [...lines, ...open.flatMap(({ entries }) => entries.map(entryLine))].join("");
}

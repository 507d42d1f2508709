/**
 * Duty: the journal of intents, as lines and as what follows from them. Pure.
 *
 * One JSON object a line with a digest at its end, so that a line cut by a crash is known as such. A cut line can only be
 * the last: what it meant to say was not begun. Moves that ended well are also the rules of the steering, youngest last.
 */
import { type Entry, type MoveOrder, type MoveState, resumeMove } from "./move.ts";
import type { MoveEnd } from "./contract.ts";
import { type SteeringRule, withRule } from "./steering.ts";

/** Moves kept for people after their end. */
export const ENDED_MAX = 100;

/** FNV-1a: tells a cut line from a whole one, nothing more. */
function digest(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

export function entryLine(entry: Entry): string {
  const text = JSON.stringify(entry);
  return `${text} ${digest(text)}\n`;
}

/** Null: the line was cut. Throws a SyntaxError where it is whole and nonsense. */
function readLine(line: string): Entry | null {
  const at = line.lastIndexOf(" "), text = line.slice(0, at);
  if (at < 0 || line.slice(at + 1) !== digest(text)) return null;
  return JSON.parse(text) as Entry;
}

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
  const lines = text.split("\n").filter((line) => line !== "");
  let unreadable = 0, rules: SteeringRule[] = [];
  const ended: Ended[] = [];
  lines.forEach((line, index) => {
    const entry = readLine(line);
    if (entry === null) {
      unreadable += index < lines.length - 1 ? 1 : 0;
      return;
    }
    const entries = [...byId.get(entry.id) ?? [], entry];
    byId.set(entry.id, entries);
    const { order, atMs: startedMs } = entries[0]!;
    if (entry.mark !== "end" || order === undefined) return;
    const end = entry.end ?? "back";
    ended.push({ order, end, startedMs, endedMs: entry.atMs, reason: entry.reason ?? "" });
    if (end === "moved") {
      rules = withRule(rules, { id: order.id, fields: order.fields, box: order.destination });
    }
  });
  const open = [...byId.values()].flatMap((entries) => {
    const state = resumeMove(entries);
    return state === null ? [] : [{ state, entries }];
  });
  return { open, ended, rules, unreadable };
}

/** The file anew with what is still needed of it: open moves, rules, the last that ended. */
export function compactIntents({ open, ended, rules }: Intents): string {
  const kept = ended.filter(({ order }, index) =>
    index >= ended.length - ENDED_MAX || rules.some(({ id }) => id === order.id)
  );
  const lines = kept.flatMap(({ order, end, startedMs, endedMs, reason }) => {
    const about = { id: order.id, round: 0 };
    return [
      entryLine({ ...about, mark: "op", atMs: startedMs, order }),
      entryLine({ ...about, mark: "end", atMs: endedMs, end, reason }),
    ];
  });
  return [...lines, ...open.flatMap(({ entries }) => entries.map(entryLine))].join("");
}

/**
 * Duty: what a switch holds, as its control channel tells: flows, groups and meters.
 *
 * Follows the rules of the switch itself (1.3.5, 6.4 to 6.7): what a delete takes, what a modify changes, which flows
 * go with their group. A change takes effect when its message passes, and is taken back when the switch refuses it.
 * Pure: the caller gives the time.
 */
import type { Instruction } from "./actions.ts";
import type { FlowMod, FlowRemoved, GroupMod } from "./messages.ts";
import type { MeterMod } from "./meters.ts";
import { ALL_TABLES, FLOW_COMMAND, FLOW_FLAG, GROUP_ALL, GROUP_ANY, METER_ALL, PORT } from "./names.ts";
import {
  asAdd,
  bodyText,
  flowKey,
  matchHolds,
  type PieceBody,
  pieceKey,
  usesGroup,
  usesMeter,
  usesPort,
} from "./piece.ts";

export interface Held {
  readonly key: string;
  readonly body: PieceBody;
  /** 1 where a message of OpenFlow 1.0 made it, otherwise 4. */
  readonly origin: number;
  /** When the switch made it. */
  readonly sinceMs: number;
  /** When it was last seen to be there. */
  readonly seenMs: number;
  /** Of this content: grows with each change. */
  readonly version: number;
  /** Its end may have been missed. */
  readonly unsure: boolean;
}

/** What became of a key: a piece, or the end of one. */
export interface Change {
  readonly held: Held;
  readonly ended: boolean;
}

export interface HoldingsOptions {
  readonly piecesMax: number;
  /** How long a flow with an idle timeout is believed in when nobody will tell of its end. */
  readonly leaseMs: number;
}

/** How a message came. */
export interface Seen {
  readonly nowMs: number;
  readonly transaction: number;
  readonly version: number;
}

interface Undo {
  readonly key: string;
  readonly before: Held | null;
  /** What is there has to be this, or something else happened since. */
  readonly after: number | null;
}

/** Changes that a switch may still refuse. */
const UNDO_MAX = 4096;
const UNDO_PIECES_MAX = 256;
const CLOCK_SLACK_MS = 100;
/** After its hard timeout a switch may take a moment to remove an entry. */
const HARD_GRACE_MS = 1000;

type FlowBody = Held & { readonly body: FlowMod };
const isFlow = (held: Held): held is FlowBody => held.body.kind === "flow-mod";

export class Holdings {
  readonly #held = new Map<string, Held>();
  readonly #undo = new Map<number, readonly Undo[]>();
  #version = 0;
  /** Pieces that found no room. */
  full = 0;
  /** Flow-removed messages that were about an earlier entry with the same key. */
  removedLate = 0;
  refused = 0;

  constructor(readonly options: HoldingsOptions) {}

  get size(): number {
    return this.#held.size;
  }

  all(): IterableIterator<Held> {
    return this.#held.values();
  }

  get(key: string): Held | undefined {
    return this.#held.get(key);
  }

  #put(body: PieceBody, seen: Seen, sinceMs = seen.nowMs): Change[] {
    const key = pieceKey(body);
    const before = this.#held.get(key);
    if (before === undefined && this.#held.size >= this.options.piecesMax) {
      this.full++;
      return [];
    }
    this.#version = Math.max(this.#version + 1, Math.floor(seen.nowMs));
    const held: Held = {
      ...{ key, body, sinceMs, seenMs: seen.nowMs, version: this.#version, unsure: false },
      origin: seen.version,
    };
    this.#held.set(key, held);
    return [{ held, ended: false }];
  }

  #drop(held: Held, nowMs: number): Change {
    this.#held.delete(held.key);
    this.#version = Math.max(this.#version + 1, Math.floor(nowMs));
    return { held: { ...held, version: this.#version }, ended: true };
  }

  /** Remembers how things were, in case the switch refuses the message. */
  #keep(seen: Seen, before: readonly (Held | undefined)[], changes: readonly Change[]): Change[] {
    if (changes.length > UNDO_PIECES_MAX) return [...changes];
    const undo = changes.map(({ held, ended }, at): Undo => ({
      ...{ key: held.key, before: before[at] ?? null },
      after: ended ? null : held.version,
    }));
    this.#undo.delete(seen.transaction);
    if (undo.length > 0) this.#undo.set(seen.transaction, undo);
    if (this.#undo.size > UNDO_MAX) this.#undo.delete(this.#undo.keys().next().value!);
    return [...changes];
  }

  /** The switch has refused the message of this transaction. */
  refuse(transaction: number, nowMs: number): Change[] {
    const undo = this.#undo.get(transaction);
    if (undo === undefined) return [];
    this.#undo.delete(transaction);
    this.refused++;
    return undo.flatMap(({ key, before, after }): Change[] => {
      const now = this.#held.get(key);
      if ((now?.version ?? null) !== after) return [];
      if (before === null) return now === undefined ? [] : [this.#drop(now, nowMs)];
      this.#version = Math.max(this.#version + 1, Math.floor(nowMs));
      const held = { ...before, version: this.#version };
      this.#held.set(key, held);
      return [{ held, ended: false }];
    });
  }

  flow(mod: FlowMod, seen: Seen): Change[] {
    switch (mod.command) {
      case FLOW_COMMAND.add:
        return this.#added(asAdd(mod), seen);
      case FLOW_COMMAND.modify:
      case FLOW_COMMAND.modifyStrict:
        return this.#modified(mod, seen);
      case FLOW_COMMAND.delete:
      case FLOW_COMMAND.deleteStrict:
        return this.#deleted(this.#chosen(mod), seen);
      default:
        return [];
    }
  }

  #added(body: PieceBody, seen: Seen): Change[] {
    const before = this.#held.get(pieceKey(body));
    return this.#keep(seen, [before], this.#put(body, seen));
  }

  #deleted(chosen: readonly Held[], seen: Seen): Change[] {
    return this.#keep(seen, chosen, chosen.map((held) => this.#drop(held, seen.nowMs)));
  }

  /** The flows that a modify or delete is about (1.3.5, 6.4). */
  #chosen(mod: FlowMod): FlowBody[] {
    const strict = mod.command === FLOW_COMMAND.modifyStrict || mod.command === FLOW_COMMAND.deleteStrict;
    const isDelete = mod.command === FLOW_COMMAND.delete || mod.command === FLOW_COMMAND.deleteStrict;
    const key = strict && mod.table !== ALL_TABLES ? this.#held.get(flowKey(mod)) : undefined;
    const among = strict && mod.table !== ALL_TABLES ? (key === undefined ? [] : [key]) : this.#held.values();
    const strictKey = flowKey({ ...mod, table: 0 });
    return [...among].filter(isFlow).filter(({ body }) =>
      (mod.table === ALL_TABLES || body.table === mod.table) &&
      (body.cookie & mod.cookieMask) === (mod.cookie & mod.cookieMask) &&
      (strict ? flowKey({ ...body, table: 0 }) === strictKey : matchHolds(mod.match, body.match)) &&
      (!isDelete || mod.outPort === PORT.any || usesPort(body.instructions, mod.outPort)) &&
      (!isDelete || mod.outGroup === GROUP_ANY || usesGroup(body.instructions, mod.outGroup))
    );
  }

  #modified(mod: FlowMod, seen: Seen): Change[] {
    const chosen = this.#chosen(mod);
    const is10 = seen.version === 1;
    // 1.0, 4.6: a modify that finds nothing adds.
    if (chosen.length === 0) return is10 ? this.#added(asAdd(mod), seen) : [];
    const changes = chosen.flatMap(({ body, sinceMs }) => {
      const cookie = is10 && mod.cookie !== NO_COOKIE ? mod.cookie : body.cookie;
      return this.#put({ ...body, cookie, instructions: mod.instructions }, seen, sinceMs);
    });
    return this.#keep(seen, chosen, changes);
  }

  group(mod: GroupMod, seen: Seen): Change[] {
    if (mod.command < 2) return this.#known(mod, mod.command === 1, seen);
    return this.#gone(mod, mod.group === GROUP_ALL, seen);
  }

  meter(mod: MeterMod, seen: Seen): Change[] {
    if (mod.command < 2) return this.#known(mod, mod.command === 1, seen);
    return this.#gone(mod, mod.meter === METER_ALL, seen);
  }

  /** An add of what is there is refused by the switch, and so is a modify of what is not. */
  #known(mod: GroupMod | MeterMod, modify: boolean, seen: Seen): Change[] {
    if (this.#held.has(pieceKey(mod)) !== modify) return [];
    return this.#added({ ...mod, command: 0 }, seen);
  }

  /** Flows that use a group or meter go with it. */
  #gone(mod: GroupMod | MeterMod, all: boolean, seen: Seen): Change[] {
    const key = pieceKey(mod);
    const own = [...this.#held.values()].filter((held) => all ? held.body.kind === mod.kind : held.key === key);
    const users = [...this.#held.values()].filter(isFlow)
      .filter(({ body }) => own.some((one) => usesPiece(body.instructions, one.body)));
    return this.#deleted([...users, ...own], seen);
  }

  /** An entry timed out or was deleted. */
  removed(message: FlowRemoved, { nowMs, version }: Seen): Change[] {
    const held = this.#held.get(flowKey(message)) ??
      (version === 1 ? this.#anyTable(message) : undefined);
    if (held === undefined || !isFlow(held)) return [];
    const livedMs = message.durationS * 1000 + message.durationNs / 1e6;
    if (livedMs > nowMs - held.sinceMs + CLOCK_SLACK_MS) {
      this.removedLate++;
      return [];
    }
    return [this.#drop(held, nowMs)];
  }

  #anyTable(message: FlowRemoved): Held | undefined {
    const key = flowKey({ ...message, table: 0 });
    return [...this.#held.values()].find((held) => isFlow(held) && flowKey({ ...held.body, table: 0 }) === key);
  }

  /**
   * The switch has told that it holds these, each with its age in ms; asked at `askedMs`. With `all` it holds nothing
   * else of their kind.
   */
  told(
    found: readonly { readonly body: PieceBody; readonly ageMs: number }[],
    { askedMs, kind, all }: { askedMs: number; kind: PieceBody["kind"]; all: boolean },
    seen: Seen,
  ): Change[] {
    const changes: Change[] = [];
    const keys = new Set<string>();
    for (const { body: listed, ageMs } of found) {
      const key = pieceKey(listed);
      keys.add(key);
      const held = this.#held.get(key);
      if (held !== undefined && held.seenMs > askedMs) continue;
      const body = seen.version === 1 ? withFlags(listed, held?.body) : listed;
      if (held === undefined || bodyText(held.body) !== bodyText(body)) {
        changes.push(...this.#put(body, seen, seen.nowMs - ageMs));
      } else this.#held.set(key, { ...held, seenMs: seen.nowMs, unsure: false });
    }
    if (!all) return changes;
    for (const held of [...this.#held.values()]) {
      if (held.body.kind === kind && !keys.has(held.key) && held.seenMs <= askedMs) {
        changes.push(this.#drop(held, seen.nowMs));
      }
    }
    return changes;
  }

  /** What was put into the switch by ourselves: no change to tell. */
  adopt(put: Pick<Held, "key" | "body" | "origin" | "version"> & { readonly ended: boolean }, nowMs: number): void {
    const { ended, ...piece } = put;
    this.#version = Math.max(this.#version, piece.version);
    if (ended) this.#held.delete(piece.key);
    else this.#held.set(piece.key, { ...piece, sinceMs: nowMs, seenMs: nowMs, unsure: false });
  }

  /** Nobody listened for a while: ends may have been missed. */
  doubt(): void {
    for (const [key, held] of this.#held) this.#held.set(key, { ...held, unsure: true });
    this.#undo.clear();
  }

  /** Ends what has timed out without a word. */
  tick(nowMs: number): Change[] {
    return [...this.#held.values()].filter((held) => isFlow(held) && this.#endMs(held) <= nowMs)
      .map((held) => this.#drop(held, nowMs));
  }

  #endMs({ body, sinceMs, seenMs, unsure }: FlowBody): number {
    const hard = body.hardS === 0 ? Infinity : sinceMs + body.hardS * 1000 + HARD_GRACE_MS;
    const told = (body.flags & FLOW_FLAG.sendRemoved) !== 0 && !unsure;
    const idle = body.idleS === 0 || told
      ? Infinity
      : seenMs + Math.max(this.options.leaseMs, body.idleS * 1000);
    return Math.min(hard, idle);
  }

  /** How long a piece is worth keeping, in ms; null: until its end is told. */
  ttlMs(held: Held, nowMs: number): number | null {
    if (!isFlow(held)) return null;
    const left = this.#endMs(held) - nowMs;
    return left === Infinity ? null : Math.max(1, Math.ceil(left));
  }
}

const NO_COOKIE = 0xffff_ffff_ffff_ffffn;

/** 1.0 does not tell flags. */
function withFlags(listed: PieceBody, held: PieceBody | undefined): PieceBody {
  return listed.kind === "flow-mod" && held?.kind === "flow-mod" ? { ...listed, flags: held.flags } : listed;
}

function usesPiece(instructions: readonly Instruction[], body: PieceBody): boolean {
  if (body.kind === "group-mod") return usesGroup(instructions, body.group);
  return body.kind === "meter-mod" && usesMeter(instructions, body.meter);
}

/**
 * Duty: what a switch holds, as its control channel tells: flows, groups and meters.
 *
 * Follows the rules of the switch itself (1.3.5, 6.4 to 6.7): what a delete takes, what a modify changes, which flows
 * go with their group. A change takes effect when its message passes, and is taken back when the switch refuses it.
 * Pure: the caller gives the time.
 */
import type { Instruction } from "./actions.ts";
import { Journal } from "./journal.ts";
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

/** Reasons from here on: a delete of the entry or of its group, not a timeout. */
const REMOVED_BY_ORDER = 2;
const CLOCK_SLACK_MS = 100;
/** After its hard timeout a switch may take a moment to remove an entry. */
const HARD_GRACE_MS = 1000;

type FlowBody = Held & { readonly body: FlowMod };
const isFlow = (held: Held): held is FlowBody => held.body.kind === "flow-mod";

export class Holdings {
  readonly #held = new Map<string, Held>();
  readonly #journal = new Journal(this.#held);
  /** Of the step that is being done. */
  #changes: Change[] = [];
  #version = 0;
  /** Pieces that found no room. */
  full = 0;
  /** Flow-removed messages that were about an earlier entry with the same key. */
  removedLate = 0;
  /** Messages that the switch did not carry out. */
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

  /** Each change of what is held is a step of the journal. */
  #step(transaction: number | null, nowMs: number, act: () => void): Change[] {
    this.#changes = [];
    this.#journal.run(transaction, nowMs, act);
    return this.#changes;
  }

  #next(nowMs: number): number {
    return this.#version = Math.max(this.#version + 1, Math.floor(nowMs));
  }

  #put(body: PieceBody, seen: Seen, sinceMs = seen.nowMs): void {
    const key = pieceKey(body);
    if (!this.#held.has(key) && this.#held.size >= this.options.piecesMax) {
      this.full++;
      return;
    }
    const times = { sinceMs, seenMs: seen.nowMs, version: this.#next(seen.nowMs) };
    const held: Held = { key, body, ...times, unsure: false, origin: seen.version };
    this.#journal.set(key, held);
    this.#changes.push({ held, ended: false });
  }

  #drop(held: Held, nowMs: number): void {
    this.#journal.set(held.key, undefined);
    this.#changes.push({ held: { ...held, version: this.#next(nowMs) }, ended: true });
  }

  /** The switch has refused the message of this transaction. */
  refuse(transaction: number, nowMs: number): Change[] {
    const had = this.#journal.refuse(transaction);
    if (had === null) return [];
    this.refused++;
    return [...had].flatMap(([key, before]): Change[] => {
      const now = this.#held.get(key);
      if (now === undefined) {
        return before === undefined ? [] : [{ held: { ...before, version: this.#next(nowMs) }, ended: true }];
      }
      if (before !== undefined && bodyText(before.body) === bodyText(now.body)) {
        this.#held.set(key, { ...now, version: before.version });
        return [];
      }
      const held = { ...now, version: this.#next(nowMs) };
      this.#held.set(key, held);
      return [{ held, ended: false }];
    });
  }

  /** The controller asks to be told when everything so far is carried out. */
  barrier({ transaction, nowMs }: Seen): void {
    this.#step(transaction, nowMs, () => {});
  }

  /** It is. */
  confirm({ transaction }: Seen): void {
    this.#journal.confirm(transaction);
  }

  flow(mod: FlowMod, seen: Seen): Change[] {
    return this.#step(seen.transaction, seen.nowMs, () => {
      const { command } = mod;
      if (command === FLOW_COMMAND.add) this.#put(asAdd(mod), seen);
      else if (command === FLOW_COMMAND.modify || command === FLOW_COMMAND.modifyStrict) {
        this.#modify(mod, seen);
      } else if (isDelete(mod)) { for (const held of this.#chosen(mod)) this.#delete(held, seen.nowMs); }
    });
  }

  /** The flows that a modify or delete is about (1.3.5, 6.4). */
  #chosen(mod: FlowMod): FlowBody[] {
    const strict = mod.command === FLOW_COMMAND.modifyStrict || mod.command === FLOW_COMMAND.deleteStrict;
    const key = strict && mod.table !== ALL_TABLES ? this.#held.get(flowKey(mod)) : undefined;
    const among = strict && mod.table !== ALL_TABLES ? (key === undefined ? [] : [key]) : this.#held.values();
    const strictKey = flowKey({ ...mod, table: 0 });
    return [...among].filter(isFlow).filter(({ body }) =>
      (mod.table === ALL_TABLES || body.table === mod.table) &&
      (body.cookie & mod.cookieMask) === (mod.cookie & mod.cookieMask) &&
      (strict ? flowKey({ ...body, table: 0 }) === strictKey : matchHolds(mod.match, body.match)) &&
      (!isDelete(mod) || mod.outPort === PORT.any || usesPort(body.instructions, mod.outPort)) &&
      (!isDelete(mod) || mod.outGroup === GROUP_ANY || usesGroup(body.instructions, mod.outGroup))
    );
  }

  #modify(mod: FlowMod, seen: Seen): void {
    const chosen = this.#chosen(mod);
    const is10 = seen.version === 1;
    // 1.0, 4.6: a modify that finds nothing adds.
    if (chosen.length === 0 && is10) this.#put(asAdd(mod), seen);
    for (const { body, sinceMs } of chosen) {
      const cookie = is10 && mod.cookie !== NO_COOKIE ? mod.cookie : body.cookie;
      this.#put({ ...body, cookie, instructions: mod.instructions }, seen, sinceMs);
    }
  }

  group(mod: GroupMod, seen: Seen): Change[] {
    return this.#shared(mod, mod.group === GROUP_ALL, seen);
  }

  meter(mod: MeterMod, seen: Seen): Change[] {
    return this.#shared(mod, mod.meter === METER_ALL, seen);
  }

  /** An add of what is there is refused by the switch, and so is a modify of what is not; both count from 0. */
  #shared(mod: GroupMod | MeterMod, all: boolean, seen: Seen): Change[] {
    return this.#step(seen.transaction, seen.nowMs, () => {
      const { command } = mod;
      if (command === 2) this.#end(mod, all, seen);
      else if (command < 2 && this.#held.has(pieceKey(mod)) === (command === 1)) {
        this.#put({ ...mod, command: 0 }, seen);
      }
    });
  }

  /** Flows that use a group or meter go with it. */
  #end(mod: GroupMod | MeterMod, all: boolean, { nowMs }: Seen): void {
    const key = pieceKey(mod);
    const own = [...this.#held.values()].filter((held) =>
      all ? held.body.kind === mod.kind : held.key === key
    );
    const users = [...this.#held.values()].filter(isFlow)
      .filter(({ body }) => own.some((one) => usesPiece(body.instructions, one.body)));
    for (const held of [...users, ...own]) this.#delete(held, nowMs);
  }

  /** The switch will tell of it, when there may be another entry with the same key already. */
  #delete(held: Held, nowMs: number): void {
    if (isFlow(held) && (held.body.flags & FLOW_FLAG.sendRemoved) !== 0) this.#journal.count(held.key, 1);
    this.#drop(held, nowMs);
  }

  /** An entry timed out or was deleted. */
  removed(message: FlowRemoved, seen: Seen): Change[] {
    return this.#step(null, seen.nowMs, () => this.#remove(message, seen));
  }

  #remove(message: FlowRemoved, { nowMs, version }: Seen): void {
    const held = this.#held.get(flowKey(message)) ??
      (version === 1 ? this.#anyTable(message) : undefined);
    const key = held?.key ?? flowKey(message);
    if (message.reason >= REMOVED_BY_ORDER && this.#journal.due(key) > 0) return this.#journal.count(key, -1);
    if (held === undefined || !isFlow(held)) return;
    const livedMs = message.durationS * 1000 + message.durationNs / 1e6;
    if (livedMs > nowMs - held.sinceMs + CLOCK_SLACK_MS) this.removedLate++;
    else this.#drop(held, nowMs);
  }

  #anyTable(message: FlowRemoved): Held | undefined {
    const key = flowKey({ ...message, table: 0 });
    return [...this.#held.values()].find((held) =>
      isFlow(held) && flowKey({ ...held.body, table: 0 }) === key
    );
  }

  /**
   * The switch has told that it holds these, each with its age in ms; asked at `askedMs`. With `all` it holds nothing
   * else of their kind.
   */
  told(
    found: readonly { readonly body: PieceBody; readonly ageMs: number }[],
    question: { readonly askedMs: number; readonly kind: PieceBody["kind"]; readonly all: boolean },
    seen: Seen,
  ): Change[] {
    return this.#step(null, seen.nowMs, () => {
      const keys = new Set(
        found.map(({ body, ageMs }) => this.#listed(body, ageMs, { ...seen, ...question })),
      );
      if (!question.all) return;
      for (const held of [...this.#held.values()]) {
        const older = held.body.kind === question.kind && held.seenMs <= question.askedMs;
        if (older && !keys.has(held.key)) this.#drop(held, seen.nowMs);
      }
    });
  }

  /** Returns its key. */
  #listed(listed: PieceBody, ageMs: number, seen: Seen & { readonly askedMs: number }): string {
    const key = pieceKey(listed);
    const held = this.#held.get(key);
    // It changed after the question: the answer may be about what was before.
    if (held !== undefined && held.seenMs > seen.askedMs) return key;
    const body = seen.version === 1 ? withFlags(listed, held?.body) : listed;
    if (held === undefined || bodyText(held.body) !== bodyText(body)) {
      this.#put(body, seen, seen.nowMs - ageMs);
    } else this.#held.set(key, { ...held, seenMs: seen.nowMs, unsure: false });
    return key;
  }

  /** What was put into the switch by ourselves: no change to tell. */
  adopt(
    put: Pick<Held, "key" | "body" | "origin" | "version"> & { readonly ended: boolean },
    nowMs: number,
  ): void {
    const { ended, ...piece } = put;
    this.#version = Math.max(this.#version, piece.version);
    if (ended) this.#held.delete(piece.key);
    else this.#held.set(piece.key, { ...piece, sinceMs: nowMs, seenMs: nowMs, unsure: false });
  }

  /** Nobody listened for a while: ends may have been missed. */
  doubt(): void {
    for (const [key, held] of this.#held) this.#held.set(key, { ...held, unsure: true });
    this.#journal.clear();
  }

  /** Ends what has timed out without a word. */
  tick(nowMs: number): Change[] {
    const late = [...this.#held.values()].filter((held) => isFlow(held) && this.#endMs(held) <= nowMs);
    if (late.length === 0) return [];
    return this.#step(null, nowMs, () => {
      for (const held of late) if (this.#held.has(held.key)) this.#drop(held, nowMs);
    });
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

const isDelete = ({ command }: FlowMod) =>
  command === FLOW_COMMAND.delete || command === FLOW_COMMAND.deleteStrict;

const NO_COOKIE = 0xffff_ffff_ffff_ffffn;

/** 1.0 does not tell flags. */
function withFlags(listed: PieceBody, held: PieceBody | undefined): PieceBody {
  return listed.kind === "flow-mod" && held?.kind === "flow-mod" ? { ...listed, flags: held.flags } : listed;
}

function usesPiece(instructions: readonly Instruction[], body: PieceBody): boolean {
  if (body.kind === "group-mod") return usesGroup(instructions, body.group);
  return body.kind === "meter-mod" && usesMeter(instructions, body.meter);
}

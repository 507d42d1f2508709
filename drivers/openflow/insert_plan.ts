/**
 * What a switch has to be told so that records become true in it, and in which order. Pure.
 *
 * Meters come before groups, groups before the groups and flows that use them; what ends goes the other way.
 */
import type { StateRecord } from "../record.ts";
import { OpenFlowError } from "./bytes.ts";
import type { Refused } from "./channel.ts";
import { parseMatchKey } from "./match.ts";
import type { FlowMod, GroupMod } from "./messages.ts";
import { ERROR, FLOW_COMMAND, GROUP_COMMAND, GROUP_ERROR, METER_COMMAND, METER_ERROR } from "./names.ts";
import { asAdd, groupsOf, type PieceBody, pieceKey } from "./piece.ts";
import { CODEC, decodePiece } from "./records.ts";

/** One record on its way into the switch. */
export interface Work {
  readonly record: StateRecord;
  readonly key: string;
  readonly body: PieceBody;
  readonly origin: number;
}

/** What is behind the key of a record: enough of a piece to delete it. Null: the key is not one of ours. */
export function pieceOfKey(key: string): PieceBody | null {
  const [, kind, number, priority = "", match = ""] =
    /(?:^|, )(flow|group|meter) (\d{1,10})(?: (\d{1,5}) ([^ ]*))?$/.exec(key) ?? [];
  if (kind === undefined) return null;
  if (kind === "group") {
    return { kind: "group-mod", command: GROUP_COMMAND.delete, type: 0, group: Number(number), buckets: [] };
  }
  if (kind === "meter") {
    return { kind: "meter-mod", command: METER_COMMAND.delete, flags: 0, meter: Number(number), bands: [] };
  }
  const fields = priority === "" ? null : parseMatchKey(match);
  if (fields === null || Number(number) > 254 || Number(priority) > 0xffff) return null;
  const identity = { table: Number(number), priority: Number(priority), match: fields };
  return asAdd({
    ...{ ...identity, cookie: 0n, cookieMask: 0n, idleS: 0, hardS: 0, flags: 0, instructions: [] },
    ...{ outPort: 0, outGroup: 0 },
  });
}

/** What a record asks for, or why it is not taken, as the end of a sentence. */
export function workOf(record: StateRecord): Work | string {
  if (record.role !== "supporting") {
    return `it is ${record.role} state, and a switch takes only supporting state`;
  }
  if (record.codec !== CODEC) return `its codec is "${record.codec}", not "${CODEC}"`;
  try {
    if (!record.ended) {
      const { body, origin } = decodePiece(record.value);
      return { record, key: pieceKey(body), body, origin };
    }
    const body = pieceOfKey(record.key);
    return body === null
      ? "its key names no piece of a switch"
      : { record, key: pieceKey(body), body, origin: 4 };
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    return error.message;
  }
}

/** How many groups a group waits for, one after the other; a circle counts as it is found. */
function depth(group: number, all: ReadonlyMap<number, GroupMod>, above: readonly number[] = []): number {
  const mod = all.get(group);
  if (mod === undefined || above.includes(group)) return 0;
  return 1 + Math.max(0, ...groupsOf(mod).map((next) => depth(next, all, [...above, group])));
}

function rank({ record: { ended }, body }: Work, groups: ReadonlyMap<number, GroupMod>): number {
  if (body.kind === "flow-mod") return 1000;
  if (body.kind === "meter-mod") return ended ? 3000 : 0;
  return ended ? 2000 : depth(body.group, groups);
}

/** Steps, each to be carried out before the next begins. */
export function stepsOf(works: readonly Work[]): Work[][] {
  const groups = new Map(
    works.flatMap(({ body, record }) =>
      body.kind === "group-mod" && !record.ended ? [[body.group, body]] : []
    ),
  );
  const steps = new Map<number, Work[]>();
  for (const work of works) {
    const at = rank(work, groups);
    steps.set(at, [...steps.get(at) ?? [], work]);
  }
  return [...steps].toSorted(([a], [b]) => a - b).map(([, step]) => step);
}

/** "serving": as long as an entry stands by, it has no idle timeout. */
export type Timeouts = "serving" | "keep" | "none";

/** The message for a piece. `there`: the switch has a group or meter of that number. */
export function orderOf({ record, body }: Work, there: boolean, timeouts: Timeouts): PieceBody {
  if (body.kind === "flow-mod") {
    return record.ended
      ? { ...body, command: FLOW_COMMAND.deleteStrict }
      : timed(body, record.ttlMs, timeouts);
  }
  const [gone, known] = body.kind === "group-mod"
    ? [GROUP_COMMAND.delete, GROUP_COMMAND.modify]
    : [METER_COMMAND.delete, METER_COMMAND.modify];
  return { ...body, command: record.ended ? gone : there ? known : 0 };
}

function timed(body: FlowMod, ttlMs: number | null, timeouts: Timeouts): FlowMod {
  if (timeouts === "none") return { ...body, idleS: 0, hardS: 0 };
  const idleS = timeouts === "serving" ? 0 : body.idleS;
  if (ttlMs === null || body.hardS === 0) return { ...body, idleS };
  return { ...body, idleS, hardS: Math.min(body.hardS, Math.max(1, Math.ceil(ttlMs / 1000))) };
}

/** What a refusal means for the next try: the other command is the right one, or it is no failure at all. */
export function afterRefusal(work: Work, { type, code }: Refused): "there" | "not there" | "failed" {
  const isGroup = type === ERROR.groupModFailed && work.body.kind === "group-mod";
  const isMeter = type === ERROR.meterModFailed && work.body.kind === "meter-mod";
  if ((isGroup && code === GROUP_ERROR.exists) || (isMeter && code === METER_ERROR.exists)) return "there";
  if ((isGroup && code === GROUP_ERROR.unknown) || (isMeter && code === METER_ERROR.unknown)) {
    return "not there";
  }
  return "failed";
}

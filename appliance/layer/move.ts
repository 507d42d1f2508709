/**
 * Duty: the eight steps of a move as a state machine. Pure: (state, event, now) -> (state, what to do next).
 *
 * 1 op  2 get  3 send  4 insert  5 event  6 reprocess  7 route  8 delete. Get, send and insert go round by batches while
 * the source serves (first pass), and once more for what changed, while frames are held (second pass, shown as step 6).
 * Before `route` every fault leads back: the source never stopped having its state. Behind it every fault leads on: the
 * destination has it. What is in doubt, an order to route without an answer, is asked of the steering, which outlives
 * control. Each phase that others could not tell by looking is written down before it begins.
 */
import type { HeaderFields } from "../../drivers/fields.ts";
import type { StateRole } from "../../drivers/record.ts";
import type { Counts, MoveEnd } from "./contract.ts";
import type { Guarantee, SteeringSight } from "./steering.ts";

export const STEPS = ["op", "get", "send", "insert", "event", "reprocess", "route", "delete"] as const;
export type Step = (typeof STEPS)[number];

export interface MoveOrder {
  readonly id: string;
  /** Names of drivers. */
  readonly source: string;
  readonly destination: string;
  readonly fields: HeaderFields;
  readonly guarantee: Guarantee;
  /** What moves: supporting, and reporting where both drivers can. */
  readonly roles: readonly StateRole[];
}

/** What the machine is about to do. */
export type Phase =
  | "begin"
  | "read"
  | "send"
  | "insert"
  | "hold"
  | "catch-up"
  | "route"
  | "look"
  | "delete"
  | "cancel"
  | "undo"
  | "finish";

export interface MoveState {
  readonly order: MoveOrder;
  readonly phase: Phase;
  readonly course: "on" | "back";
  readonly end: MoveEnd | null;
  readonly pass: 1 | 2;
  /** The destination had nothing of these flows: whatever is there on the way back came with this move. */
  readonly clean: boolean;
  /** The way back began behind the route: it leads there again if in doubt. */
  readonly routed: boolean;
  /** Frames were played into the destination, which cannot be done twice. */
  readonly replayed: boolean;
  readonly tries: number;
  /** Holds that broke. */
  readonly broken: number;
  /** Nothing is done before; null: at once. */
  readonly notBeforeMs: number | null;
  readonly reason: string;
  readonly startedMs: number;
  readonly endedMs: number | null;
  readonly counts: Counts;
}

export type MoveEvent =
  /** The phase is done. */
  | { readonly kind: "done"; readonly counts?: Partial<Counts> }
  | { readonly kind: "begun"; readonly clean: boolean }
  | { readonly kind: "read"; readonly last: boolean; readonly counts: Partial<Counts> }
  | { readonly kind: "caught"; readonly replayed: number }
  | { readonly kind: "routed"; readonly ok: boolean }
  | { readonly kind: "seen"; readonly sight: SteeringSight | null }
  | { readonly kind: "failed"; readonly reason: string }
  /** A box died, as the point of failover has it. */
  | { readonly kind: "died"; readonly box: "source" | "destination" }
  /** A person wants it undone. */
  | { readonly kind: "revoked" };

export interface Entry {
  readonly id: string;
  /**
   * Of the intent: "op" begins, "end" ends, "default" takes the rule back that it left, for its box serves by default; the
   * rest say what may have been done from here on.
   */
  readonly mark: "op" | "clean" | "hold" | "route" | "delete" | "back" | "end" | "default";
  /** How many holds had broken: the same mark counts anew after each. */
  readonly round: number;
  readonly atMs: number;
  readonly order?: MoveOrder;
  readonly clean?: boolean;
  readonly end?: MoveEnd;
  readonly reason?: string;
}

/** Written before anything else, if there is something to write; then the phase. */
export interface Todo {
  readonly write: Entry | null;
  readonly phase: Phase;
  readonly notBeforeMs: number | null;
}

const TRIES_MAX = 3;
/** Behind the route or on the way back: a box that stays away must not keep a move open for ever. */
const TRIES_LATE_MAX = 12;
const BROKEN_MAX = 3;
const WAIT_MS = 50;
const WAIT_MS_MAX = 10_000;

export const NOTHING: Counts = {
  records: 0,
  bytes: 0,
  taken: 0,
  known: 0,
  refused: 0,
  held: 0,
  reprocessed: 0,
  deleted: 0,
};

export function beginMove(order: MoveOrder, nowMs: number): MoveState {
  return {
    order,
    phase: "begin",
    course: "on",
    end: null,
    pass: 1,
    clean: false,
    routed: false,
    replayed: false,
    tries: 0,
    broken: 0,
    notBeforeMs: null,
    reason: "",
    startedMs: nowMs,
    endedMs: null,
    counts: NOTHING,
  };
}

/** A move as control finds it written after a crash; null: it had ended. */
export function resumeMove(entries: readonly Entry[]): MoveState | null {
  const first = entries.find(({ mark, order }) => mark === "op" && order !== undefined);
  if (first?.order === undefined || entries.some(({ mark }) => mark === "end")) return null;
  const fresh = beginMove(first.order, first.atMs);
  const clean = entries.some((entry) => entry.mark === "clean" && entry.clean === true);
  const last = entries.at(-1)!, routed = entries.some(({ mark }) => mark === "route");
  const broken = entries.reduce((most, { round }) => Math.max(most, round), 0);
  const state = { ...fresh, clean, routed, broken };
  if (last.mark === "back") {
    return { ...state, course: "back", phase: "cancel", reason: last.reason ?? "" };
  }
  if (last.mark === "delete") return { ...state, phase: "delete" };
  if (last.mark === "route") return { ...state, phase: "look" };
  return goBack(state, "control ended in the middle of it");
}

/** The destination serves, and the source's state goes: there is no way back any more. */
export function isBehindRoute({ course, phase }: MoveState): boolean {
  return course === "on" && (phase === "delete" || phase === "finish");
}

export function stepOf({ phase, pass, routed, course }: MoveState): Step {
  switch (phase) {
    case "begin":
      return "op";
    case "read":
      return pass === 1 ? "get" : "reprocess";
    case "send":
    case "insert":
      return pass === 1 ? phase : "reprocess";
    case "hold":
      return "event";
    case "catch-up":
      return "reprocess";
    case "route":
    case "look":
      return "route";
    case "cancel":
    case "undo":
      return routed ? "route" : "op";
    case "delete":
      return "delete";
    case "finish":
      return course === "on" ? "delete" : routed ? "route" : "op";
  }
}

function goBack(state: MoveState, reason: string): MoveState {
  return { ...state, course: "back", phase: "cancel", reason, tries: 0, notBeforeMs: null };
}

function enter(state: MoveState, phase: Phase): MoveState {
  return { ...state, phase, tries: 0, notBeforeMs: null };
}

/** Within a pass: its tries are counted together. */
function goOn(state: MoveState, phase: Phase): MoveState {
  return { ...state, phase, notBeforeMs: null };
}

function add(counts: Counts, more: Partial<Counts> = {}): Counts {
  const entries = Object.entries(counts).map(([name, n]) => [name, n + (more[name as keyof Counts] ?? 0)]);
  return Object.fromEntries(entries) as unknown as Counts;
}

/** Waiting grows by tries: 50 ms, 100 ms, up to 10 s. */
function waitMs(tries: number): number {
  return Math.min(WAIT_MS * 2 ** (tries - 1), WAIT_MS_MAX);
}

function again(state: MoveState, phase: Phase, { nowMs, reason }: { nowMs: number; reason: string }) {
  const tries = state.tries + 1;
  return { ...state, phase, tries, reason, notBeforeMs: nowMs + waitMs(tries) };
}

/** Some phases undone is better than never done: what they leave behind serves nobody, and is named. */
function leave(state: MoveState, reason: string): MoveState {
  const { source, destination } = state.order;
  const left = state.phase === "delete"
    ? `the state stayed in ${source} as well: ${reason}`
    : `copies stayed in ${destination}: ${reason}`;
  return { ...enter(state, "finish"), reason: state.reason === reason ? left : `${state.reason}; ${left}` };
}

function onFailed(state: MoveState, reason: string, nowMs: number): MoveState {
  const { phase } = state, given = { nowMs, reason };
  switch (phase) {
    case "begin":
    case "read":
    case "send":
    case "insert":
      // Once more from the start of the pass: what was inserted already is known there.
      if (state.tries >= TRIES_MAX || state.replayed) return goBack(state, reason);
      return again(state, state.pass === 1 ? "begin" : "hold", given);
    case "hold":
    case "catch-up":
      if (state.tries >= TRIES_MAX || phase === "catch-up") return goBack(state, reason);
      return again(state, phase, given);
    case "route":
    case "look":
      return again(state, "look", given);
    case "cancel":
      return { ...again(state, phase, given), reason: state.reason || reason };
    case "delete":
    case "undo":
      if (state.tries >= TRIES_LATE_MAX) return leave(state, reason);
      return { ...again(state, phase, given), reason: state.reason || reason };
    case "finish":
      return { ...again(state, phase, given), reason: state.reason };
  }
}

/** A hold broke: the source went on, and what was read under the hold is old. */
function onBroken(state: MoveState): MoveState {
  const broken = state.broken + 1;
  if (broken >= BROKEN_MAX || state.replayed) {
    return goBack({ ...state, broken }, "the hold broke: too many frames, or too long");
  }
  return { ...enter(state, "hold"), broken, routed: false };
}

function onSeen(state: MoveState, sight: SteeringSight | null): MoveState {
  // Never heard of it: the plane is a new one. The state was complete when the order to route was written.
  if (sight === null || state.order.guarantee === "none") {
    return enter(state, sight?.routed ? "delete" : "route");
  }
  if (sight.routed) return enter(state, "delete");
  if (sight.hold === "intact") return enter(state, "route");
  return goBack({ ...state, routed: false }, "the hold broke before the route was changed");
}

function onDied(state: MoveState, box: "source" | "destination"): MoveState {
  const { phase, pass, course } = state;
  if (course === "back" || isBehindRoute(state)) return state;
  if (box === "destination") return goBack(state, `${state.order.destination} died`);
  const copied = pass === 2 || phase === "hold" || phase === "route" || phase === "look";
  if (!copied) return goBack(state, `${state.order.source} died before its state was read`);
  // All that can still be had of it is in the destination.
  const reason = `${state.order.source} died: its state is as it was last read`;
  return { ...enter(state, phase === "look" ? "look" : "route"), reason };
}

function onDone(state: MoveState, nowMs: number): MoveState {
  switch (state.phase) {
    case "insert":
      return goOn(state, "read");
    case "hold":
      return goOn({ ...state, pass: 2 }, "catch-up");
    case "send":
      return goOn(state, "insert");
    case "delete":
      return enter(state, "finish");
    case "cancel":
      return enter(state, state.clean ? "undo" : "finish");
    case "undo":
      return enter(state, "finish");
    case "finish":
      return { ...state, end: state.course === "on" ? "moved" : "back", endedMs: nowMs };
    default:
      throw new TypeError(`Cannot be done with ${state.phase}: it ends with an event of its own`);
  }
}

function afterPass(state: MoveState): MoveState {
  if (state.pass === 1 && state.order.guarantee !== "none") return enter(state, "hold");
  return enter(state, "route");
}

/** The next state. Throws a TypeError where the event does not belong to the phase. */
export function advance(state: MoveState, event: MoveEvent, nowMs: number): MoveState {
  if (state.end !== null) return state;
  switch (event.kind) {
    case "begun":
      // What is there on a second try may be this move's own.
      return { ...goOn(state, "read"), clean: state.clean || event.clean };
    case "read": {
      const { records = 0, bytes = 0 } = event.counts;
      const counted = {
        ...state,
        counts: add(state.counts, { bytes, records: state.pass === 1 ? records : 0 }),
      };
      if (records > 0) return goOn(counted, "send");
      return event.last ? afterPass(counted) : counted;
    }
    case "caught": {
      const counts = add(state.counts, { reprocessed: event.replayed });
      return { ...goOn(state, "read"), counts, replayed: state.replayed || event.replayed > 0 };
    }
    case "routed":
      return event.ok ? enter({ ...state, routed: true }, "delete") : onBroken(state);
    case "seen":
      return onSeen(state, event.sight);
    case "failed":
      return onFailed(state, event.reason, nowMs);
    case "died":
      return onDied(state, event.box);
    case "revoked":
      if (isBehindRoute(state) || state.course === "back") return state;
      return goBack(state, "it was revoked");
    case "done":
      return onDone({ ...state, counts: add(state.counts, event.counts) }, nowMs);
  }
}

function entryOf(state: MoveState, nowMs: number): Omit<Entry, "id" | "round"> | null {
  switch (state.phase) {
    case "hold":
      // Takes back that the route may have been changed.
      return state.broken > 0 ? { mark: "hold", atMs: nowMs } : null;
    case "begin":
      return { mark: "op", atMs: nowMs, order: state.order };
    case "read":
      return state.pass === 1 ? { mark: "clean", atMs: nowMs, clean: state.clean } : null;
    case "route":
    case "delete":
      return { mark: state.phase, atMs: nowMs };
    case "cancel":
      return { mark: "back", atMs: nowMs, reason: state.reason };
    default:
      return null;
  }
}

/** A mark of one round. */
export const markKey = ({ mark, round }: Pick<Entry, "mark" | "round">) => `${mark}/${round}`;

/** What has to be done; `written` are keys of marks that stand in the journal already. Null: the move has ended. */
export function todo(state: MoveState, written: ReadonlySet<string>, nowMs: number): Todo | null {
  if (state.end !== null) return null;
  const { id } = state.order, about = entryOf(state, nowMs);
  const entry = about === null ? null : { id, round: state.broken, ...about };
  return {
    write: entry === null || written.has(markKey(entry)) ? null : entry,
    phase: state.phase,
    notBeforeMs: state.notBeforeMs,
  };
}

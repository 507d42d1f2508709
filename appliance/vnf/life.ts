/**
 * Duty: the life of one VNF as a state machine. Pure: (state, event, now) -> (state, what to do next).
 *
 *   stopped --order--> starting --healthy--> up --ill or gone--> stopping --> waiting --back-off--> starting
 *
 * One thing is done at a time; what happens meanwhile is taken in and acted upon when that is over. The back-off doubles
 * with each failure and is forgotten after a minute of health.
 */
import type { Box } from "../view.ts";

export interface VnfTemplate {
  readonly name: string;
  readonly box: Box;
  readonly in: "namespace" | "nspawn" | "unit" | "host";
  readonly where: string | null;
  readonly start: string;
  readonly stays: boolean;
  readonly health: string | null;
  readonly healthMs: number;
  readonly healthTimeoutMs: number;
  readonly stop: string | null;
  readonly stopMs: number;
  readonly startMs: number;
  readonly autostart: boolean;
  readonly restartMs: number;
  readonly restartMsMax: number;
  readonly log: string | null;
}

export const VNF_PHASES = ["stopped", "starting", "up", "stopping", "waiting"] as const;
export type VnfPhase = (typeof VNF_PHASES)[number];
export type VnfAct = "start" | "check" | "stop";

export interface VnfState {
  readonly phase: VnfPhase;
  /** Whether it should run. */
  readonly wanted: boolean;
  /** What is being done. */
  readonly busy: VnfAct | null;
  /** It was started, and has not ended as far as is known. */
  readonly begun: boolean;
  /** Null also where nothing stays. */
  readonly pid: number | null;
  readonly sinceMs: number;
  readonly checkedMs: number | null;
  /** In a row. */
  readonly badChecks: number;
  readonly failures: number;
  readonly restarts: number;
  readonly notBeforeMs: number;
  /** Why it is not up, or was not lately. */
  readonly reason: string;
}

export type VnfEvent =
  | { readonly kind: "order"; readonly on: boolean }
  /** `start` was begun, or where it does not stay has ended well. */
  | { readonly kind: "started"; readonly pid: number | null }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "checked"; readonly ok: boolean; readonly text: string }
  | { readonly kind: "stopped" }
  /** It ended by itself. */
  | { readonly kind: "gone"; readonly reason: string }
  | { readonly kind: "tick" };

const BAD_CHECKS_MAX = 3;
const HEALTHY_MS = 60_000;

export function newVnf(nowMs: number): VnfState {
  return {
    phase: "stopped",
    wanted: false,
    busy: null,
    begun: false,
    pid: null,
    sinceMs: nowMs,
    checkedMs: null,
    badChecks: 0,
    failures: 0,
    restarts: 0,
    notBeforeMs: 0,
    reason: "",
  };
}

/** One that an earlier control has started; `isAsked`: its health is to be asked first. */
export function adoptedVnf(pid: number | null, isAsked: boolean, nowMs: number): VnfState {
  return { ...newVnf(nowMs), phase: isAsked ? "starting" : "up", wanted: true, begun: true, pid };
}

const enter = (state: VnfState, phase: VnfPhase, nowMs: number): VnfState => ({
  ...state,
  phase,
  sinceMs: nowMs,
  badChecks: 0,
  checkedMs: null,
});

/** Once more after a while, if it is wanted. */
function rest(state: VnfState, template: VnfTemplate, nowMs: number): VnfState {
  const gone = { ...state, pid: null, begun: false };
  if (!state.wanted) return enter({ ...gone, failures: 0, reason: "" }, "stopped", nowMs);
  const waitMs = Math.min(template.restartMs * 2 ** Math.min(state.failures, 30), template.restartMsMax);
  return enter({ ...gone, failures: state.failures + 1, notBeforeMs: nowMs + waitMs }, "waiting", nowMs);
}

function onChecked(state: VnfState, { ok, text }: { ok: boolean; text: string }, nowMs: number): VnfState {
  if (!state.begun) return state; // it has ended meanwhile
  const checked = { ...state, checkedMs: nowMs, badChecks: ok ? 0 : state.badChecks + 1 };
  if (ok && state.phase === "starting") {
    return { ...enter(checked, "up", nowMs), checkedMs: nowMs, reason: "" };
  }
  // Whoever begins may be ill until its time is over.
  if (ok || state.phase !== "up" || checked.badChecks < BAD_CHECKS_MAX) {
    return ok ? checked : { ...checked, reason: text };
  }
  return enter({ ...checked, reason: text }, "stopping", nowMs);
}

function onTick(state: VnfState, { template, nowMs }: Around): VnfState {
  const agedMs = nowMs - state.sinceMs;
  if (state.phase === "waiting" && state.busy === null && nowMs >= state.notBeforeMs) {
    return enter({ ...state, restarts: state.restarts + 1 }, "starting", nowMs);
  }
  if (state.phase === "starting" && state.busy === null && agedMs > template.startMs) {
    const reason = `not up within ${template.startMs} ms${state.reason === "" ? "" : `: ${state.reason}`}`;
    return enter({ ...state, reason }, "stopping", nowMs);
  }
  if (state.phase === "up" && agedMs > HEALTHY_MS) return { ...state, failures: 0 };
  return state;
}

function onOrder(state: VnfState, on: boolean, nowMs: number): VnfState {
  const wanted = { ...state, wanted: on };
  if (on) {
    return state.phase === "stopped" || state.phase === "waiting" ? enter(wanted, "starting", nowMs) : wanted;
  }
  if (state.phase === "stopped" || state.phase === "stopping") return wanted;
  if (state.phase === "waiting") return enter({ ...wanted, reason: "" }, "stopped", nowMs);
  return enter(wanted, "stopping", nowMs);
}

function onStarted(state: VnfState, pid: number | null, { template, nowMs }: Around): VnfState {
  const started = { ...state, pid, begun: true };
  if (state.phase !== "starting") return started; // ordered to stop meanwhile
  return template.health === null
    ? enter({ ...started, reason: "" }, "up", nowMs)
    : { ...started, badChecks: 0 };
}

interface Around {
  readonly template: VnfTemplate;
  readonly nowMs: number;
}

function happen(state: VnfState, event: VnfEvent, around: Around): VnfState {
  const { template, nowMs } = around, idle = { ...state, busy: null };
  switch (event.kind) {
    case "order":
      return onOrder(state, event.on, nowMs);
    case "started":
      return onStarted(idle, event.pid, around);
    case "failed":
      return rest({ ...idle, reason: event.reason }, template, nowMs);
    case "checked":
      return onChecked(idle, event, nowMs);
    case "stopped":
      return rest(idle, template, nowMs);
    case "gone":
      // Whoever stops it will see that for himself.
      if (state.phase === "stopping" || !state.begun) return state;
      return rest({ ...state, reason: event.reason }, template, nowMs);
    case "tick":
      return onTick(state, around);
  }
}

function dueOf(state: VnfState, { template, nowMs }: Around): VnfAct | null {
  if (state.busy !== null) return null;
  if (state.phase === "stopping") return "stop";
  if (state.phase === "starting" && !state.begun) return "start";
  const watched = state.phase === "starting" || state.phase === "up";
  if (!watched || template.health === null) return null;
  return state.checkedMs === null || nowMs - state.checkedMs >= template.healthMs ? "check" : null;
}

/** The next state, and what is to be begun now: `busy` of the state says so until its event comes. */
export function live(
  state: VnfState,
  event: VnfEvent,
  around: Around,
): { readonly state: VnfState; readonly act: VnfAct | null } {
  const next = happen(state, event, around), act = dueOf(next, around);
  return { state: act === null ? next : { ...next, busy: act }, act };
}

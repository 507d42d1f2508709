/**
 * Duty: read the reports of probe.c, longflows.c and datagrams.c and judge them around a failure. Pure.
 *
 * The outage is how long requests stayed without a reply, by the times they were sent; a longest gap between
 * replies is given beside it, because packets that were held and released late are not lost, only late.
 */
export interface ProbeReport {
  readonly sent: number;
  readonly received: number;
  /** Sending times the client missed itself: the machine's fault, not counted as sent. */
  readonly late: number;
  readonly duplicates: number;
  readonly rttP50Us: number;
  readonly rttP99Us: number;
  readonly rttMaxUs: number;
  readonly losses: readonly (readonly [first: number, count: number, fromNs: number, untilNs: number])[];
  readonly gaps: readonly (readonly [fromNs: number, lengthNs: number])[];
}

export interface ProbeFinding {
  /** Longest time without a reply by sending times, after the failure; 0 when nothing was lost. */
  readonly outageMs: number;
  readonly lost: number;
  /** Requests lost before the failure: noise of the lab, to be zero. */
  readonly lostBefore: number;
  /** Longest time between two replies that overlaps the failure or follows it. */
  readonly gapMs: number;
}

/** Packets in flight when the box dies were sent this long before at most. */
const FLIGHT_NS = 250_000_000;

/** One line of JSON with these keys. Throws SyntaxError when the text is no report. */
export function parseReport<T>(text: string, what: string, keys: readonly string[]): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(`Cannot read the report of ${what}: "${text.trim().slice(0, 200)}"`, { cause });
  }
  const missing = keys.filter((key) => typeof value !== "object" || value === null || !(key in value));
  if (missing.length > 0) {
    throw new SyntaxError(`Cannot read the report of ${what}: ${missing.join(", ")} missing`);
  }
  return value as T;
}

/** Throws SyntaxError when the text is no report. */
export function parseProbe(text: string): ProbeReport {
  return parseReport(text, "probe", ["sent", "received", "losses", "gaps", "rttP50Us", "rttP99Us"]);
}

/** What the probe says about a failure at `failedNs` (CLOCK_MONOTONIC). */
export function judgeProbe(report: ProbeReport, failedNs: number): ProbeFinding {
  const after = report.losses.filter(([, , fromNs]) => fromNs >= failedNs - FLIGHT_NS);
  const sum = (runs: ProbeReport["losses"]) => runs.reduce((total, [, count]) => total + count, 0);
  const outageNs = Math.max(0, ...after.map(([, , fromNs, untilNs]) => untilNs - fromNs));
  const gapNs = Math.max(
    0,
    ...report.gaps.filter(([from, length]) => from + length >= failedNs).map(([, l]) => l),
  );
  return {
    outageMs: outageNs / 1e6,
    lost: sum(after),
    lostBefore: sum(report.losses) - sum(after),
    gapMs: gapNs / 1e6,
  };
}

export interface SessionReport {
  readonly sessions: number;
  /** The server answered the first hello. */
  readonly opened: number;
  /** What was sent in the last second was answered. */
  readonly alive: number;
  readonly sent: number;
  readonly answered: number;
}

/** Throws SyntaxError when the text is no report. */
export function parseSessions(text: string): SessionReport {
  return parseReport(text, "datagrams", ["sessions", "opened", "alive", "sent", "answered"]);
}

/** What `associations talk` says. */
export interface AssociationReport extends SessionReport {
  /** Packets that either end received and the other never sent. */
  readonly strange: number;
}

/** Throws SyntaxError when the text is no report. */
export function parseAssociations(text: string): AssociationReport {
  return parseReport(text, "associations", ["sessions", "opened", "alive", "sent", "answered", "strange"]);
}

export type FlowState = "connecting" | "open" | "reset" | "closed" | "corrupt" | "refused";

export interface LongReport {
  readonly endedNs: number;
  readonly flows: readonly (readonly [
    state: FlowState,
    gapMs: number,
    gapAtNs: number,
    bytes: number,
    alive: boolean,
  ])[];
}

export interface LongFinding {
  readonly flows: number;
  readonly ok: number;
  /** Connected, but not moving in both directions at the end. */
  readonly stuck: number;
  /** Reset, closed or refused. */
  readonly broken: number;
  readonly corrupt: number;
  /** Longest standstill of a flow that lived, and the median of all that lived. */
  readonly gapMsMax: number;
  readonly gapMsMedian: number;
}

/** Throws SyntaxError when the text is no report. */
export function parseLong(text: string): LongReport {
  return parseReport(text, "longflows", ["endedNs", "flows"]);
}

/** Sorts the flows into ok, stuck, broken and corrupt. */
export function judgeLong(report: LongReport): LongFinding {
  const gaps = report.flows.filter((flow) => flow[4]).map((flow) => flow[1]).sort((a, b) => a - b);
  const count = (...states: FlowState[]) => report.flows.filter(([state]) => states.includes(state)).length;
  return {
    flows: report.flows.length,
    ok: gaps.length,
    stuck:
      report.flows.filter(([state, , , , alive]) => !alive && (state === "open" || state === "connecting"))
        .length,
    broken: count("reset", "closed", "refused"),
    corrupt: count("corrupt"),
    gapMsMax: gaps.at(-1) ?? 0,
    gapMsMedian: gaps[Math.floor(gaps.length / 2)] ?? 0,
  };
}

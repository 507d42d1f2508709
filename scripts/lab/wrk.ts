/**
 * Duty: read what wrk 4.1 prints. Pure.
 *
 * wrk leaves out the line of socket errors when there are none, and it never counts a request that
 * is not answered at all: its figures alone make a dead box look clean.
 */
export interface WrkReport {
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly connectErrors: number;
  /** Connections that broke while reading: resets. */
  readonly readErrors: number;
  readonly writeErrors: number;
  /** Answers that took longer than wrk's --timeout. */
  readonly timeouts: number;
  /** Answers with a status above 399. */
  readonly badStatus: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
}

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

function milliseconds(text: string, percentile: string): number {
  const found = new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s|m|h)\\s*$`, "m").exec(text);
  return found ? Number(found[1]) * UNITS[found[2]!]! : NaN;
}

/** Parses the output of `wrk --latency`. Throws SyntaxError when it is not a finished report. */
export function parseWrk(text: string): WrkReport {
  const total = /^\s+(\d+) requests in ([\d.]+)(us|ms|s|m|h), /m.exec(text);
  const rate = /^Requests\/sec:\s+([\d.]+)/m.exec(text);
  if (!total || !rate) {
    throw new SyntaxError(`Cannot read the report of wrk: no totals in "${text.trim().slice(-200)}"`);
  }
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const status = /Non-2xx or 3xx responses: (\d+)/.exec(text);
  return {
    requests: Number(total[1]),
    seconds: Number(total[2]) * UNITS[total[3]!]! / 1_000,
    requestsPerSecond: Number(rate[1]),
    connectErrors: Number(errors?.[1] ?? 0),
    readErrors: Number(errors?.[2] ?? 0),
    writeErrors: Number(errors?.[3] ?? 0),
    timeouts: Number(errors?.[4] ?? 0),
    badStatus: Number(status?.[1] ?? 0),
    latencyP50Ms: milliseconds(text, "50"),
    latencyP99Ms: milliseconds(text, "99"),
  };
}

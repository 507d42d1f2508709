/**
 * Duty: learn from nginx's log what happened around a failure. Pure.
 *
 * A connection that had answers before the failure and none from a moment after it on is hung or broken;
 * wrk reports the broken ones, so the rest hangs.
 */
export interface Answer {
  /** Wall clock when the last byte went to the kernel. */
  readonly wallMs: number;
  readonly connection: number;
  readonly status: number;
  readonly bytes: number;
  /** From the first byte of the request on. */
  readonly tookMs: number;
}

export interface AfterFailure {
  readonly before: number;
  readonly after: number;
  /** Answers' worth of bytes in the window: of one that was under way at either end, its part. */
  readonly afterWorth: number;
  /** Connections with an answer before the failure, and how many of them never had one again. */
  readonly active: number;
  readonly ended: number;
  /** Longest time without any finished answer after the failure. */
  readonly gapMs: number;
  /** Answers in each 100 ms from the failure on. */
  readonly per100ms: readonly number[];
}

/** Parses the log format `$msec $connection $status $body_bytes_sent $request_time`; a torn last line is left out. */
export function parseAccess(text: string): Answer[] {
  const answers: Answer[] = [];
  for (const line of text.split("\n")) {
    const [seconds, connection, status, bytes, took, more] = line.split(" ");
    if (took === undefined || !/\.\d{3}$/.test(took) || more !== undefined) continue;
    answers.push({
      wallMs: Math.round(Number(seconds) * 1_000),
      connection: Number(connection),
      status: Number(status),
      bytes: Number(bytes),
      tookMs: Math.round(Number(took) * 1_000),
    });
  }
  return answers;
}

/** Later than this no answer is still on its way. */
const ON_ITS_WAY_MS = 1_000;

/** When the box failed and when the load stopped, by the wall clock. */
export interface Window {
  readonly failedMs: number;
  /** From when on it had failed for certain: a busy machine takes its time to make it fail. @default failedMs */
  readonly deadMs?: number;
  readonly endMs: number;
}

function longestGap(times: readonly number[], window: Window): number {
  let before = window.failedMs;
  let longest = 0;
  for (const time of [...times, window.endMs]) {
    longest = Math.max(longest, time - before);
    before = Math.max(before, time);
  }
  return longest;
}

/**
 * One answer of a connection may have been on its way when the box died, and a busy machine logs it late; the second
 * was asked for through the box that serves now.
 */
function signOfLife({ failedMs, deadMs = failedMs }: Window): (answer: Answer) => boolean {
  const seen = new Set<number>();
  return ({ connection, wallMs }) => {
    if (wallMs <= deadMs) return false;
    const again = seen.has(connection);
    seen.add(connection);
    return again || wallMs > deadMs + ON_ITS_WAY_MS;
  };
}

/**
 * Connections that began together end together, so that a count of whole answers jumps by all of them with a boundary that
 * moves by an instant; bytes do not. What was sent of an answer is spread evenly over its time.
 */
function worth(answers: readonly Answer[], { failedMs, endMs }: Window): number {
  const whole = answers.reduce((most, { bytes }) => Math.max(most, bytes), 1);
  const sent = answers.reduce((sum, { wallMs, bytes, tookMs }) => {
    const inside = Math.min(wallMs, endMs) - Math.max(wallMs - tookMs, failedMs);
    const all = wallMs > failedMs && wallMs - tookMs <= endMs;
    return all ? sum + bytes * (tookMs === 0 ? 1 : inside / tookMs) : sum;
  }, 0);
  return sent / whole;
}

/** Counts answers before and after the failure, and connections that ended with it. */
export function aroundFailure(answers: readonly Answer[], window: Window): AfterFailure {
  const good = answers.filter((answer) => answer.status < 400 && answer.wallMs <= window.endMs);
  const after = good.filter((answer) => answer.wallMs > window.failedMs);
  const active = new Set(
    good.filter((answer) => answer.wallMs <= window.failedMs).map((answer) => answer.connection),
  );
  const alive = new Set(after.filter(signOfLife(window)).map((answer) => answer.connection));
  const per100ms = new Array<number>(Math.max(1, Math.ceil((window.endMs - window.failedMs) / 100))).fill(0);
  for (const answer of after) {
    const slot = Math.min(per100ms.length - 1, Math.floor((answer.wallMs - window.failedMs) / 100));
    per100ms[slot] = per100ms[slot]! + 1;
  }
  return {
    before: good.length - after.length,
    after: after.length,
    afterWorth: worth(answers.filter(({ status }) => status < 400), window),
    active: active.size,
    ended: [...active].filter((connection) => !alive.has(connection)).length,
    gapMs: longestGap(after.map((answer) => answer.wallMs).sort((a, b) => a - b), window),
    per100ms,
  };
}
